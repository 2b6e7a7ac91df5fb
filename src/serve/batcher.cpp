#include "serve/batcher.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cmath>
#include <span>
#include <utility>

#include "optim/guard.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::io {

namespace asio = boost::asio;

// Requests whose inputs can be joined.
struct Batcher::Group {
  explicit Group(const Caller& first)
      : dtype(first.input.dtype()),
        row(first.input.shape().begin() + 1, first.input.shape().end()),
        timer(first.executor()) {}

  bool takes(const Tensor& input) const {
    const Shape& shape = input.shape();
    return input.dtype() == dtype && std::equal(shape.begin() + 1, shape.end(), row.begin(), row.end());
  }
  bool idle() const { return waiting.empty() && running == 0 && !looking; }

  const DType dtype;
  const std::vector<int64_t> row;  // the shape of one
  Callers waiting;
  int64_t rows = 0;     // of these
  size_t expected = 1;  // callers that may be about to come
  size_t late = 0;      // that came since the last batch began
  int running = 0;
  bool looking = false;
  bool timed = false;
  asio::steady_timer timer;
};

struct JointGraph {
  JointGraph(Tensor input_, Tensor output_, const asio::any_io_executor& executor)
      : input(std::move(input_)), output(std::move(output_)), timer(executor) {}

  Tensor input, output;
  size_t outstanding = 0;  // clients that may still send their gradient
  Returnings waiting;
  asio::steady_timer timer;
};

bool wants_gradient_of(const User& user, const Tensor& input) {
  return is_floating(input.dtype()) && user.header("Shumai-Input-Gradient") != "none";
}

Caller::Caller(User& user, Tensor input_, ExecutorOf executor_, Waiter& waiter_)
    : request(detail::Request::of(user)),
      input(std::move(input_)),
      wants_gradient(wants_gradient_of(user, input)),
      executor(std::move(executor_)),
      since(std::chrono::steady_clock::now()),
      waiter(waiter_) {}

BatchRows::BatchRows(std::shared_ptr<JointGraph> graph_, int64_t begin_, int64_t end_, bool wants_gradient_)
    : graph(std::move(graph_)), begin(begin_), end(end_), wants_gradient(wants_gradient_) {
  ++graph->outstanding;
}

BatchRows::~BatchRows() {
  if (!finished) --graph->outstanding;
}

void BatchRows::finish() {
  finished = true;
  --graph->outstanding;
}

namespace {

constexpr size_t kMaxGroups = 64;

// False for NaN or infinity anywhere.
bool is_finite(std::span<const Tensor> tensors) { return std::isfinite(optim::norm_of(tensors)); }

// Both would go from one client's rows into the gradients of all.
bool would_spread(const Tensor& input, const Tensor& output) {
  if (!output.requires_grad()) return false;
  const Tensor both[] = {input, output};
  return !is_finite(std::span(both).subspan(is_floating(input.dtype()) ? 0 : 1));
}

Tensor rows_of(const Tensor& joined, int64_t begin, int64_t end) {
  const NoGrad no_grad;
  return slice(joined, 0, begin, end);
}

void fail(const Callers& callers, const std::exception_ptr& failure) {
  for (const auto& caller : callers) {
    caller->failure = failure;
    caller->waiter.leave();
  }
}

// Those whose clients wait no longer get that said.
Callers without_unwanted(const Callers& callers) {
  Callers wanted;
  for (const auto& caller : callers) {
    try {
      caller->request.check_wanted();
      wanted.push_back(caller);
    } catch (...) {
      fail({caller}, std::current_exception());
    }
  }
  return wanted;
}

}  // namespace

Batcher::Batcher(Model model, Update update, BatchOptions options, std::function<bool()> joins_updates)
    : model_(std::move(model)),
      update_(std::move(update)),
      options_(options),
      joins_updates_(std::move(joins_updates)) {}

Batcher::~Batcher() = default;

void Batcher::close() {
  for (const auto& group : groups_)
    for (const auto& caller : std::exchange(group->waiting, {})) caller->waiter.drop();
  groups_.clear();
  for (const auto& weak : gathering_)
    if (const auto graph = weak.lock())
      for (const auto& returning : std::exchange(graph->waiting, {})) returning->parking.drop();
  gathering_.clear();
}

// --- Gathering ---

Task<Content> Batcher::forward(User& user, Tensor input) {
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Caller::ExecutorOf own = [executor] { return executor; };
  Parking parking;
  const auto caller = std::make_shared<Caller>(user, input, own, parking);
  arrive(caller);
  co_await parking.wait();
  if (caller->failure) std::rethrow_exception(caller->failure);
  co_return answer_of(user, *caller);
}

void Batcher::arrive(const std::shared_ptr<Caller>& caller) {
  const Tensor& input = caller->input;
  const int64_t max = static_cast<int64_t>(options_.max);
  if (alone_ > 0 || input.ndim() == 0 || input.size(0) == 0 || input.size(0) >= max) {
    if (alone_ > 0) --alone_;
    asio::co_spawn(caller->executor(), run(shared_from_this(), nullptr, {caller}), asio::detached);
    return;
  }
  const std::shared_ptr<Group> group = group_for(*caller);
  if (group->rows + input.size(0) > max) start(group);
  group->waiting.push_back(caller);
  group->rows += input.size(0);
  if (group->running > 0 || group->looking) ++group->late;
  if (group->rows == max)
    start(group);
  else if (!group->timed || group->waiting.size() >= group->expected)
    look_soon(group);
}

std::shared_ptr<Batcher::Group> Batcher::group_for(const Caller& caller) {
  for (const auto& group : groups_)
    if (group->takes(caller.input)) return group;
  if (groups_.size() >= kMaxGroups) std::erase_if(groups_, [](const auto& group) { return group->idle(); });
  return groups_.emplace_back(std::make_shared<Group>(caller));
}

void Batcher::look_soon(const std::shared_ptr<Group>& group) {
  if (std::exchange(group->looking, true)) return;
  asio::post(group->timer.get_executor(), [self = shared_from_this(), group] {
    group->looking = false;
    self->look(group);
  });
}

void Batcher::look(const std::shared_ptr<Group>& group) {
  if (group->waiting.empty()) return;
  if (group->running == 0 && group->waiting.size() >= group->expected) return start(group);
  if (std::exchange(group->timed, true)) return;
  group->timer.expires_at(group->waiting.front()->since + options_.delay);
  group->timer.async_wait([self = shared_from_this(), group](const boost::system::error_code& cancelled) {
    if (!cancelled && group->timed && !group->waiting.empty()) self->start(group);
  });
}

void Batcher::start(const std::shared_ptr<Group>& group) {
  if (std::exchange(group->timed, false)) group->timer.cancel();
  Callers callers = std::exchange(group->waiting, {});
  group->rows = 0;
  group->late = 0;
  ++group->running;
  const asio::any_io_executor executor = callers.front()->executor();
  asio::co_spawn(executor, run(shared_from_this(), group, std::move(callers)), asio::detached);
}

// --- Running ---

Task<> Batcher::run(std::shared_ptr<Batcher> self, std::shared_ptr<Group> group, Callers callers) {
  callers = without_unwanted(callers);
  if (!callers.empty()) callers.front()->request.batches->forward.count(callers.size());
  bool done = callers.empty();
  if (callers.size() > 1) {
    done = co_await self->run_together(callers);
    if (!done) ++callers.front()->request.batches->fallbacks;
  }
  if (!done)
    for (const auto& caller : callers) co_await self->run_alone(*caller);
  if (!group) co_return;
  --group->running;
  group->expected = callers.size() + group->late;
  self->look_soon(group);
}

Task<Tensor> Batcher::apply_model(Tensor input) {
  const auto& function = model_.function();
  Content result;
  if (function.is_async())
    result = co_await function.call_async(input);
  else
    result = function.call(input);
  const Tensor output = result.tensor();
  if (!output.defined()) throw Error(ErrorCode::kInternal, "the model returned no tensor");
  co_return output;
}

Task<> Batcher::run_alone(Caller& caller) {
  try {
    if (caller.wants_gradient) caller.input.requires_grad(true);
    caller.output = co_await apply_model(caller.input);
  } catch (...) {
    caller.failure = std::current_exception();
  }
  caller.waiter.leave();
}

Task<bool> Batcher::run_together(const Callers& callers) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  std::vector<Tensor> inputs;
  bool wants_gradient = false;
  for (const auto& caller : callers) {
    inputs.push_back(caller->input);
    wants_gradient = wants_gradient || caller->wants_gradient;
  }
  Tensor input, output;
  try {
    input = concatenate(inputs);
    if (wants_gradient) input.requires_grad(true);
    output = co_await apply_model(input);
    if (output.ndim() == 0 || output.size(0) != input.size(0) || would_spread(input, output)) co_return false;
    share_out(callers, input, output, executor);
  } catch (...) {
    co_return false;
  }
  for (const auto& caller : callers) caller->waiter.leave();
  co_return true;
}

void Batcher::share_out(const Callers& callers, const Tensor& input, const Tensor& output,
                        const asio::any_io_executor& executor) {
  std::shared_ptr<JointGraph> graph;
  std::vector<HeldBlock> held;
  if (output.requires_grad()) {
    graph = std::make_shared<JointGraph>(input, output, executor);
    held = held_by(output);
  }
  int64_t begin = 0;
  for (const auto& caller : callers) {
    const int64_t end = begin + caller->input.size(0);
    caller->answer = rows_of(output, begin, end);
    caller->held = held;
    if (graph) {
      caller->answer.requires_grad(true);
      caller->rows = std::make_shared<BatchRows>(graph, begin, end, caller->wants_gradient);
    }
    begin = end;
  }
}

Content Batcher::answer_of(User& user, const Caller& caller) {
  if (caller.output.defined()) {
    if (caller.output.requires_grad())
      user.set(kBackward, [input = caller.input, output = caller.output, update = update_,
                           statistics = caller.request.batches](Tensor jacobian) {
        statistics->backward.count(1);
        return optimize_alone(input, output, update, jacobian);
      });
    return Content(caller.output);
  }
  if (caller.rows)
    user.set(kBackward, [self = shared_from_this(), rows = caller.rows, statistics = caller.request.batches](
                            Tensor jacobian) { return optimize(self, rows, jacobian, statistics); });
  caller.request.held = caller.held;
  return Content(caller.answer);
}

// --- Going back ---

namespace {

Tensor joint_jacobian(const JointGraph& graph, Returnings returning) {
  std::sort(returning.begin(), returning.end(),
            [](const auto& a, const auto& b) { return a->rows->begin < b->rows->begin; });
  std::vector<Tensor> parts;
  int64_t at = 0;
  const auto fill_up_to = [&](int64_t end) {
    if (at == end) return;
    std::vector<int64_t> shape(graph.output.shape().begin(), graph.output.shape().end());
    shape[0] = end - at;
    parts.push_back(zeros(shape, graph.output.dtype()));
  };
  for (const auto& each : returning) {
    fill_up_to(each->rows->begin);
    const Tensor& jacobian = each->jacobian;
    parts.push_back(jacobian.dtype() == graph.output.dtype() ? jacobian : astype(jacobian, graph.output.dtype()));
    at = each->rows->end;
  }
  fill_up_to(graph.output.size(0));
  return parts.size() == 1 ? parts.front() : concatenate(parts);
}

void check_jacobian(const BatchRows& rows, const Tensor& jacobian) {
  const Tensor output = rows_of(rows.graph->output, rows.begin, rows.end);
  if (jacobian.shape() != output.shape())
    throw Error(ErrorCode::kShapeMismatch, "backward: expected a jacobian of the output's shape " +
                                               output.shape().to_string() + ", got " + jacobian.shape().to_string());
}

// Of the input's part and the weights' part.
std::pair<Tensor, std::vector<Gradients::Entry>> split(const Gradients& found, const Tensor& input) {
  std::pair<Tensor, std::vector<Gradients::Entry>> parts;
  for (const auto& [tensor, gradient] : found) {
    if (tensor.same_as(input))
      parts.first = gradient;
    else
      parts.second.push_back({tensor, gradient});
  }
  return parts;
}

Error consumed() {
  return Error(ErrorCode::kGone, "backward: the graph was consumed by an earlier backward; forward again");
}

std::vector<Tensor> gradients_of(const std::vector<Gradients::Entry>& entries) {
  std::vector<Tensor> out;
  out.reserve(entries.size());
  for (const auto& [weight, gradient] : entries) out.push_back(gradient);
  return out;
}

// By the guard, which comes before any weight moves.
bool is_refusal(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == ErrorCode::kUnprocessable;
  } catch (...) {
    return false;
  }
}

// The step of `returning` was taken. What it gets is kept for retries, so without the others' rows.
void give(Returning& returning, const Tensor& input_gradient) {
  BatchRows& rows = *returning.rows;
  rows.finish();
  if (rows.wants_gradient && input_gradient.defined())
    returning.input_gradient = rows_of(input_gradient, rows.begin, rows.end).copy();
}

void count_update(BatchStatistics& statistics) {
  const std::optional<double> norm = optim::take_gradient_norm();
  if (norm && std::isfinite(*norm) && statistics.learning) statistics.learning->gradient_norm(*norm);
}

}  // namespace

Task<Content> Batcher::optimize(std::shared_ptr<Batcher> self, std::shared_ptr<BatchRows> rows, Tensor jacobian,
                                BatchStatistics* statistics) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto& waiting = rows->graph->waiting;
  if (rows->finished ||
      std::any_of(waiting.begin(), waiting.end(), [&](const auto& other) { return other->rows == rows; }))
    throw consumed();
  check_jacobian(*rows, jacobian);
  const auto returning = std::make_shared<Returning>(rows, jacobian, executor);
  self->arrive_back(returning, statistics);
  co_await returning->parking.wait();
  if (returning->failure) std::rethrow_exception(returning->failure);
  if (!returning->input_gradient.defined()) co_return Content();
  co_return Content(returning->input_gradient);
}

void Batcher::arrive_back(const std::shared_ptr<Returning>& returning, BatchStatistics* statistics) {
  const std::shared_ptr<JointGraph> graph = returning->rows->graph;
  graph->waiting.push_back(returning);
  const auto go = [self = shared_from_this(), graph, statistics] {
    graph->timer.cancel();
    std::erase_if(self->gathering_, [&](const auto& other) { return other.lock() == graph; });
    Returnings all = std::exchange(graph->waiting, {});
    if (all.empty()) return;
    const asio::any_io_executor executor = all.front()->executor;
    asio::co_spawn(executor, go_back(self, graph, std::move(all), statistics), asio::detached);
  };
  if (graph->waiting.size() >= graph->outstanding) return go();
  if (graph->waiting.size() > 1) return;
  gathering_.push_back(graph);
  graph->timer.expires_after(options_.delay);
  graph->timer.async_wait([go](const boost::system::error_code& cancelled) {
    if (!cancelled) go();
  });
}

Task<> Batcher::go_back(std::shared_ptr<Batcher> self, std::shared_ptr<JointGraph> graph, Returnings returning,
                        BatchStatistics* statistics) {
  const bool joins = returning.size() == 1 || self->joins_updates_();
  bool done = false;
  if (joins) {
    statistics->backward.count(returning.size());
    done = co_await self->step(*graph, returning);
    count_update(*statistics);
    if (!done) ++statistics->fallbacks;
  }
  if (done) co_return;
  for (const auto& each : returning) {
    statistics->backward.count(1);
    const Returnings alone(1, each);
    co_await self->step(*graph, alone);
    count_update(*statistics);
  }
}

Task<bool> Batcher::step(JointGraph& graph, const Returnings& returning) {
  BackwardOptions keep;
  keep.retain_graph = true;
  std::exception_ptr failure;
  Tensor input_gradient;
  bool retry = returning.size() > 1, updating = false;
  try {
    const Tensor jacobian = joint_jacobian(graph, returning);
    const Gradients found = co_await graph.output.backward_async(jacobian, keep);
    auto [of_input, weights] = split(found, graph.input);
    if (!is_finite(gradients_of(weights)) && is_finite(std::span(&jacobian, 1))) {
      retry = false;
      alone_ += returning.size();
      throw Error(ErrorCode::kGone,
                  "optimize: the batch of this ticket has gradients that aren't finite; forward again");
    }
    updating = true;
    update_(Gradients(std::move(weights)));
    input_gradient = of_input;
  } catch (...) {
    failure = std::current_exception();
  }
  // What else an update throws may come after a weight has moved.
  if (updating && failure && !is_refusal(failure)) retry = false;
  if (failure && retry) co_return false;
  for (const auto& each : returning) {
    each->failure = failure;
    if (!failure) give(*each, input_gradient);
    each->parking.leave();
  }
  co_return true;
}

Task<Content> optimize_alone(Tensor input, Tensor output, Update update, Tensor jacobian) {
  const Gradients found = co_await output.backward_async(jacobian);
  auto [input_gradient, weights] = split(found, input);
  update(Gradients(std::move(weights)));
  if (!input_gradient.defined()) co_return Content();
  co_return Content(input_gradient);
}

}  // namespace sm::io
