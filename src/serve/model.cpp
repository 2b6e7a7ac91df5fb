#include <memory>
#include <utility>

#include "shumai/error.hpp"
#include "shumai/io.hpp"

namespace sm::io {
namespace {

constexpr const char* kBackward = "shumai.backward";
// How a client says that it has no use for the gradient of its input.
constexpr const char* kInputGradient = "Shumai-Input-Gradient";

// The gradient goes back through the model; the weights' part is applied, the input's part is the answer.
Task<Content> optimize(Tensor input, Tensor output, Update update, Tensor jacobian) {
  const Gradients found = co_await output.backward_async(jacobian);
  std::vector<Gradients::Entry> weights;
  Tensor input_gradient;
  for (const auto& [tensor, gradient] : found) {
    if (tensor.same_as(input))
      input_gradient = gradient;
    else
      weights.push_back({tensor, gradient});
  }
  update(Gradients(std::move(weights)));
  if (!input_gradient.defined()) co_return Content();
  co_return Content(input_gradient);
}

Task<Content> forward(User& user, Model model, Update update, Tensor input) {
  if (is_floating(input.dtype()) && user.header(kInputGradient) != "none") input.requires_grad(true);
  const auto& function = model.function();
  Content result;
  if (function.is_async())
    result = co_await function.call_async(input);
  else
    result = function.call(input);
  const Tensor output = result.tensor();
  if (!output.defined()) throw Error(ErrorCode::kInternal, "the model returned no tensor");
  if (output.requires_grad())
    user.set(kBackward, [input, output, update](Tensor jacobian) { return optimize(input, output, update, jacobian); });
  co_return Content(output);
}

}  // namespace

Server serve_model(Model model, Update update, ServeOptions options, Routes routes) {
  if (!update)
    throw Error(ErrorCode::kInvalidArgument,
                "serve_model: needs a function that applies the gradients, such as optim::sgd");
  // Every forward copies it, but its state is one.
  update = [own = std::make_shared<Update>(std::move(update))](const Gradients& gradients) { (*own)(gradients); };
  routes.push_back(
      {"forward", [model, update](User& user, Tensor input) { return forward(user, model, update, input); }});
  routes.push_back({"optimize", [](User& user, Tensor jacobian) { return user.call_async(kBackward, jacobian); }});
  return serve(std::move(routes), std::move(options));
}

RemoteModel::RemoteModel(std::string url, RemoteModelOptions options)
    : forward_url_(url + "/forward"),
      backward_url_(options.backward_url->empty() ? url + "/optimize" : *options.backward_url),
      timeout_(options.timeout) {}

Task<Tensor> RemoteModel::operator()(Tensor input) const {
  FetchOptions options;
  options.timeout = timeout_;
  FetchOptions back;
  back.timeout = timeout_;
  options.grad_fn =
      GradFn([url = backward_url_, back](GradContext context) { return tfetch(url, context.grad_in, back); });
  if (!input.requires_grad())
    options.headers = std::vector<std::pair<std::string, std::string>>{{kInputGradient, "none"}};
  return tfetch(forward_url_, std::move(input), std::move(options));
}

}  // namespace sm::io
