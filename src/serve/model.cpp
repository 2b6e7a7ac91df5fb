#include <fmt/core.h>
#include <atomic>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "autograd/function.hpp"
#include "http/url.hpp"
#include "serve/batched_route.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"

namespace sm::io {
namespace {

// How a client says that it has no use for the gradient of its input.
constexpr const char* kInputGradient = "Shumai-Input-Gradient";

Error no_forward() {
  return Error(ErrorCode::kNotFound,
               "optimize: no forward came before, from the same client; send the Shumai-Ticket of its answer");
}

Task<Content> forward(User& user, Model model, Update update, Tensor input) {
  if (wants_gradient_of(user, input)) input.requires_grad(true);
  const auto& function = model.function();
  Content result;
  if (function.is_async())
    result = co_await function.call_async(input);
  else
    result = function.call(input);
  const Tensor output = result.tensor();
  if (!output.defined()) throw Error(ErrorCode::kInternal, "the model returned no tensor");
  if (output.requires_grad())
    user.set(kBackward,
             [input, output, update](Tensor jacobian) { return optimize_alone(input, output, update, jacobian); });
  co_return Content(output);
}

}  // namespace

namespace {

constexpr std::string_view kOptimizer = "optimizer.";

// Completes the checkpoint by what model and update say of themselves.
void add_state(CheckpointOptions& checkpoint, const Model& model, const Update& update) {
  if (checkpoint.directory.empty() || checkpoint.ask_state) return;
  if (checkpoint.model.empty()) checkpoint.model = model.description();
  if (checkpoint.weights.empty()) {
    if (!model.state())
      throw Error(ErrorCode::kInvalidArgument,
                  "serve_model: a checkpoint needs names for the weights: serve a Module, or give checkpoint.weights");
    checkpoint.weights = model.state()();
  }
  if (!update.has_state() || checkpoint.save_state || checkpoint.load_state) return;
  checkpoint.save_state = [update, weights = checkpoint.weights] {
    Tensors out;
    for (const auto& [name, tensor] : update.state(weights)) out.set(std::string(kOptimizer) + name, tensor);
    return out;
  };
  checkpoint.load_state = [update, weights = checkpoint.weights](const Tensors& saved) {
    Tensors state;
    for (const auto& [name, tensor] : saved)
      if (name.starts_with(kOptimizer)) state.set(name.substr(kOptimizer.size()), tensor);
    update.load_state(state, weights);
  };
}

// What replicas average, where nothing else was said.
void add_weights(ServeOptions& options, const Model& model) {
  ReplicaOptions& replicas = options.replicas;
  if (replicas.rendezvous.empty() || !replicas.weights.empty()) return;
  replicas.weights = options.checkpoint.weights;
  if (replicas.weights.empty() && model.state()) replicas.weights = model.state()();
  if (replicas.weights.empty())
    throw Error(ErrorCode::kInvalidArgument,
                "serve_model: replicas need names for the weights: serve a Module, or give replicas.weights");
}

// Null when nothing is to run together.
std::shared_ptr<Batcher> make_batcher(const Model& model, const std::shared_ptr<Update>& own, const Update& shared,
                                      const ServeOptions& options) {
  const BatchOptions& batch = options.batch;
  if (batch.delay.count() < 0)
    throw Error(ErrorCode::kInvalidArgument,
                "serve_model: batch.delay must be 0 or more, got " + std::to_string(batch.delay.count()) + " us");
  if (batch.max <= 1) return nullptr;
  using Updates = BatchOptions::Updates;
  const bool each_has_a_limit = options.guard.enabled && std::isfinite(options.guard.max_norm);
  // Asked for each step: an optimizer may get a schedule.
  const auto joins_updates = [own, updates = batch.updates, each_has_a_limit] {
    if (each_has_a_limit) return false;
    return updates == Updates::kSummed || (updates == Updates::kAuto && own->is_additive());
  };
  return std::make_shared<Batcher>(model, shared, batch, joins_updates);
}

}  // namespace

Server serve_model(Model model, Update update, ServeOptions options, Routes routes) {
  if (!update)
    throw Error(ErrorCode::kInvalidArgument,
                "serve_model: needs a function that applies the gradients, such as optim::sgd");
  add_state(options.checkpoint, model, update);
  add_weights(options, model);
  // Every forward copies it, but its state is one.
  const auto own = std::make_shared<Update>(std::move(update));
  const Update shared([own](const Gradients& gradients) { (*own)(gradients); });
  const std::shared_ptr<Batcher> batcher = make_batcher(model, own, shared, options);
  if (batcher)
    routes.push_back({"forward", [batcher](User& user, Tensor input) { return batcher->forward(user, input); }});
  else
    routes.push_back(
        {"forward", [model, shared](User& user, Tensor input) { return forward(user, model, shared, input); }});
  routes.push_back({"optimize", [](User& user, Tensor jacobian) {
                      if (!user.has(kBackward)) throw no_forward();
                      return user.call_async(kBackward, jacobian);
                    }});
  auto state = std::make_shared<Server::State>(std::move(routes), std::move(options));
  if (batcher) {
    auto& [name, route] = *state->routes.find("forward");
    state->batched = std::make_shared<BatchedRoute>(*state, route, name, batcher);
  }
  state->start();
  return Server(std::move(state));
}

namespace {

// What a forward needs to be made again.
struct Forward {
  std::string url;
  std::string backward_url;
  std::string backward_token;
  FetchOptions options;
  bool wants_gradient = false;
  std::function<Tensor(const Error&)> error_handler;
  std::shared_ptr<std::atomic<uint64_t>> steps;
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// What is told with the gradient of a pass that began at `root`.
HeaderList report_of(const Forward& forward, const Tensor& root) {
  if (!forward.steps || !root.defined() || root.elements() != 1) return {};
  return {{"Shumai-Loss", fmt::format("{}", root.item<double>())}, {"Shumai-Step", std::to_string(++*forward.steps)}};
}

// True when the server took no step and won't take one under this ticket.
bool is_forgotten(const Error& error) { return error.code() == ErrorCode::kGone || error.code() == ErrorCode::kStale; }

// Sends the gradient, after another forward when the server has forgotten the one that it belongs to.
Task<Tensor> send_back(Forward forward, Tensor input, Tensor gradient, HeaderList headers) {
  const auto give_up = std::chrono::steady_clock::now() + forward.options.retry_for;
  FetchOptions back = forward.options;
  back.token = forward.backward_token;
  back.repeatable = false;
  back.headers = std::move(headers);
  for (;;) {
    try {
      Tensor answer = co_await tfetch(forward.backward_url, gradient, back);
      co_return answer;
    } catch (const Error& error) {
      // Then only the answer is lost, which nobody needs.
      if (error.code() == ErrorCode::kAlreadyDone && !forward.wants_gradient) co_return Tensor();
      if (!is_forgotten(error) || std::chrono::steady_clock::now() > give_up) throw;
    }
    const Tensor output = co_await tfetch(forward.url, input, forward.options);
    if (!output.defined() || output.shape() != gradient.shape())
      throw Error(ErrorCode::kShapeMismatch, forward.url + " answered another shape when the forward was repeated");
    gradient = tagged_gradient(gradient.detach(), output.impl()->tag);
  }
}

// What `task` gives, or what the handler makes of its failure.
Task<Tensor> guarded(Task<Tensor> task, std::function<Tensor(const Error&)> error_handler) {
  std::optional<Error> failure;
  try {
    Tensor answer = co_await std::move(task);
    co_return answer;
  } catch (const Error& error) {
    if (!error_handler) throw;
    failure = error;
  }
  co_return error_handler(*failure);
}

}  // namespace

RemoteModel::RemoteModel(std::string url, RemoteModelOptions options)
    : forward_url_(http::route_url(url, "forward")),
      backward_url_(options.backward_url->empty() ? http::route_url(url, "optimize") : *options.backward_url),
      token_(*options.token),
      backward_token_(*options.backward_token),
      timeout_(options.timeout),
      retry_for_(options.retry_for),
      error_handler_(*options.error_handler),
      steps_(options.report_loss ? std::make_shared<std::atomic<uint64_t>>(0) : nullptr),
      wire_(options.wire),
      compress_(options.compress),
      id_(*options.id),
      tls_(options.tls) {
  if (backward_token_.empty() && http::Url::parse(forward_url_).origin() == http::Url::parse(backward_url_).origin())
    backward_token_ = token_;
}

Task<Tensor> RemoteModel::operator()(Tensor input) const {
  Forward forward{forward_url_, backward_url_, backward_token_, {}, input.requires_grad(), error_handler_, steps_};
  forward.options.token = token_;
  forward.options.timeout = timeout_;
  forward.options.retry_for = retry_for_;
  forward.options.repeatable = true;
  forward.options.wire = wire_;
  forward.options.compress = compress_;
  forward.options.id = id_;
  forward.options.tls = tls_;
  if (!forward.wants_gradient) forward.options.headers = HeaderList{{kInputGradient, "none"}};
  FetchOptions options = forward.options;
  options.grad_fn = GradFn([forward, input = input.detach()](GradContext context) {
    return guarded(send_back(forward, input, context.grad_in, report_of(forward, context.root)), forward.error_handler);
  });
  return guarded(tfetch(forward_url_, std::move(input), std::move(options)), error_handler_);
}

}  // namespace sm::io
