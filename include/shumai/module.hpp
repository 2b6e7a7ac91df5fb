#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm::nn {

class Checkpoint;

// A layer or a model: weights with names, and modules within it. Subclass it,
// say what it has as members, and give it a call operator:
//
//   struct Perceptron : nn::Module {
//     nn::Linear first = submodule("first", nn::Linear(784, 64));
//     nn::Linear second = submodule("second", nn::Linear(64, 10));
//     Tensor scale = parameter("scale", ones({10}));
//     Tensor operator()(const Tensor& x) const { return second(relu(first(x))) * scale; }
//   };
//
// A Module is a handle, as a Tensor is: copies share weights, buffers and mode,
// so a copy that is served, kept in a Sequential or captured by a lambda is the
// same model, and no copy or move can part a member from its name. A weight
// gets a new value through update(); assigning to the member of another tensor
// would leave the old one registered. Whatever else a call changes belongs into
// a buffer, for the same reason.
//
// Like a Tensor, one module is used by one logical thread at a time.
class Module {
 public:
  // Every weight once, in the order of registration, depth first. Names of
  // modules are joined by dots: "layers.0.weight".
  Tensors named_parameters() const;
  std::vector<Tensor> parameters() const;
  // What isn't trained but belongs to the model, such as running statistics.
  Tensors named_buffers() const;
  // Itself, named "", and all modules within it.
  std::vector<std::pair<std::string, Module>> named_modules() const;

  // Parameters and buffers: what save() writes. A tensor that has several
  // names is there under each.
  Tensors state() const;
  // Takes the values of another state. Names and shapes must be the same, and
  // floats stay floats; nothing changes otherwise. Throws Error: kNotFound for
  // names that are missing, kInvalidArgument for those that are too many,
  // kShapeMismatch, kDTypeMismatch.
  void load_state(const Tensors& state) const;

  // A safetensors file of state(), written atomically, with the description of a
  // model that has one (JsonModel). Throws as sm::save.
  void save(const std::string& path) const;
  // Throws as sm::load and load_state.
  void load(const std::string& path) const;
  // Keeps numbered files of this module in `directory`, which is made if need
  // be, and starts from the newest one there: see Checkpoint. `keep` files stay.
  Checkpoint checkpoint(const std::string& directory, int keep = 2) const;

  // The mode of this module and all within it: dropout and batch statistics
  // are for training. A new module is in train mode.
  void train(bool on = true) const;
  void eval() const { train(false); }
  bool training() const;

  // Converts floating-point parameters and buffers, here and within, in place,
  // and drops their gradients. Graphs keep what they saw. Optimizers that
  // remember anything about the weights should be made afterwards. Throws Error
  // (kDTypeMismatch) unless `dtype` is floating.
  void to(DType dtype) const;
  // Whether the parameters get gradients: false freezes them.
  void requires_grad(bool required) const;

  // True when both are handles of one module.
  bool same_as(const Module& other) const noexcept { return state_ == other.state_; }

 protected:
  Module();

  // Registers a tensor under a name that is new in this module and without
  // dots, and returns it: a parameter requires gradients, a buffer doesn't. An
  // undefined tensor isn't registered: that is how an optional weight is left
  // out. Throws Error (kInvalidArgument, kDTypeMismatch).
  Tensor parameter(std::string_view name, const Tensor& initial);
  Tensor buffer(std::string_view name, const Tensor& initial);
  // What save() writes beside the tensors, as JSON text: see shumai/json_model.hpp.
  void set_description(std::string description);
  // Registers a module likewise.
  template <std::derived_from<Module> M>
  M submodule(std::string_view name, M module) {
    add(name, module);
    return module;
  }

 private:
  struct State;
  void add(std::string_view name, const Module& module);

  std::shared_ptr<State> state_;
};

// Numbered files of a module in one directory, "checkpoint-0000000012.safetensors".
// Making one loads the newest file that can be read; a damaged one is passed
// over with a warning, one of another model throws as Module::load does.
class Checkpoint {
 public:
  // The number of the newest file, loaded or written; 0 when there is none.
  int64_t number() const noexcept { return number_; }
  // Writes the next file, atomically, removes all but the newest, and returns
  // its path. Throws as sm::save.
  std::string save();

 private:
  friend class Module;
  Checkpoint(Module module, std::string directory, int keep);

  Module module_;
  std::string directory_;
  int keep_;
  int64_t number_ = 0;
};

// Modules and other callables on a Tensor, one after another, named by their
// position: Sequential(Linear(784, 64), relu, Linear(64, 10)) has "0.weight"
// and "2.weight". Between sm::relu and a MaxPool2d behind it the pool comes
// first, which is the same and takes less.
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... F>
  requires(std::is_invocable_r_v<Tensor, const F&, const Tensor&>&&...) &&
      (sizeof...(F) != 1 || !(std::is_same_v<F, Sequential> && ...)) explicit Sequential(F... steps) {
    (add(std::move(steps)), ...);
  }

  template <class F>
  requires std::is_invocable_r_v<Tensor, const F&, const Tensor&>
  void add(F step) {
    if constexpr (std::derived_from<F, Module>) submodule(std::to_string(size()), step);
    steps_->emplace_back(std::move(step));
  }

  Tensor operator()(const Tensor& x) const;
  size_t size() const noexcept { return steps_->size(); }

 private:
  std::shared_ptr<std::vector<std::function<Tensor(const Tensor&)>>> steps_ =
      std::make_shared<std::vector<std::function<Tensor(const Tensor&)>>>();
};

// Modules of one type, named by their position. What calling them means is up
// to the module that has the list.
template <std::derived_from<Module> M>
class ModuleList : public Module {
 public:
  void add(M module) {
    submodule(std::to_string(size()), module);
    items_->push_back(std::move(module));
  }

  size_t size() const noexcept { return items_->size(); }
  const M& operator[](size_t position) const { return items_->at(position); }
  auto begin() const noexcept { return items_->cbegin(); }
  auto end() const noexcept { return items_->cend(); }

 private:
  std::shared_ptr<std::vector<M>> items_ = std::make_shared<std::vector<M>>();
};

}  // namespace sm::nn
