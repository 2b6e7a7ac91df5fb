#include <gloo/allreduce.h>
#include <gloo/broadcast.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_set>

#include "replicate/collective.hpp"
#include "replicate/rendezvous.hpp"
#include "shumai/error.hpp"

namespace sm::replicate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Gloo's store in one folder of ours.
class Store final : public gloo::rendezvous::Store {
 public:
  Store(Rendezvous& rendezvous, std::string folder, milliseconds timeout, std::function<bool()> is_over)
      : rendezvous_(rendezvous), folder_(std::move(folder)), timeout_(timeout), is_over_(std::move(is_over)) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    rendezvous_.put(name_of(key), std::string_view(data.data(), data.size()));
  }

  std::vector<char> get(const std::string& key) override {
    wait({key}, timeout_);
    const std::optional<std::string> value = rendezvous_.get(name_of(key));
    if (!value) throw Error(ErrorCode::kUnavailable, "replicas: \"" + name_of(key) + "\" is gone");
    return {value->begin(), value->end()};
  }

  void wait(const std::vector<std::string>& keys) override { wait(keys, timeout_); }

  void wait(const std::vector<std::string>& keys, const milliseconds& timeout) override {
    constexpr milliseconds kPause{5};
    const auto deadline = steady_clock::now() + timeout;
    for (;;) {
      const std::vector<std::string> names = rendezvous_.list(folder_);
      const std::unordered_set<std::string_view> there(names.begin(), names.end());
      if (std::ranges::all_of(keys, [&](const std::string& key) { return there.contains(key); })) return;
      if (steady_clock::now() > deadline)
        throw Error(ErrorCode::kUnavailable, "replicas: not all members of the group came in time");
      if (is_over_()) throw Error(ErrorCode::kCancelled, "replicas: the group forms anew");
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  std::string name_of(const std::string& key) const { return folder_ + "/" + key; }

  Rendezvous& rendezvous_;
  const std::string folder_;
  const milliseconds timeout_;
  const std::function<bool()> is_over_;
};

// Calls Gloo, whose exceptions are of several kinds.
template <class F>
auto guarded(F function) {
  try {
    return function();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kUnavailable, std::string("replicas: a member of the group is gone: ") + error.what());
  }
}

class GlooCollective final : public Collective {
 public:
  explicit GlooCollective(std::shared_ptr<gloo::rendezvous::Context> context) : context_(std::move(context)) {}

  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }
  void sum(std::span<float> values) override { reduce(values, gloo::AllreduceOptions::Algorithm::RING); }
  void sum(std::span<double> values) override { reduce(values, gloo::AllreduceOptions::Algorithm::RING); }
  void sum(std::span<int64_t> values) override { reduce(values, gloo::AllreduceOptions::Algorithm::BCUBE); }

  void broadcast(std::span<std::byte> bytes, int root) override {
    if (bytes.empty()) return;
    guarded([&] {
      gloo::BroadcastOptions options(context_);
      options.setOutput(reinterpret_cast<char*>(bytes.data()), bytes.size());
      options.setRoot(root);
      gloo::broadcast(options);
    });
    if (rank() == root) sent_ += bytes.size();
  }

  uint64_t bytes_sent() const override { return sent_; }

 private:
  template <class T>
  void reduce(std::span<T> values, gloo::AllreduceOptions::Algorithm algorithm) {
    if (values.empty()) return;
    guarded([&] {
      gloo::AllreduceOptions options(context_);
      options.setAlgorithm(algorithm);
      options.setOutput(values.data(), values.size());
      options.setReduceFunction(static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<T>));
      gloo::allreduce(options);
    });
    // What every algorithm that sends the least sends: all parts but its own, twice.
    sent_ += 2 * values.size_bytes() * static_cast<uint64_t>(size() - 1) / static_cast<uint64_t>(size());
  }

  const std::shared_ptr<gloo::rendezvous::Context> context_;
  std::atomic<uint64_t> sent_{0};
};

class Single final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(std::span<float>) override {}
  void sum(std::span<double>) override {}
  void sum(std::span<int64_t>) override {}
  void broadcast(std::span<std::byte>, int) override {}
  uint64_t bytes_sent() const override { return 0; }
};

class Gloo final : public Transport {
 public:
  explicit Gloo(const std::string& address) {
    device_ = guarded([&] {
      gloo::transport::tcp::attr attributes;
      attributes.hostname = address;
      return gloo::transport::tcp::CreateDevice(attributes);
    });
  }

  std::unique_ptr<Collective> connect(Rendezvous& rendezvous, const std::string& name, int rank, int size,
                                      const Patience& patience) override {
    Store store(rendezvous, name, patience.connect, patience.is_over);
    auto context = std::make_shared<gloo::rendezvous::Context>(rank, size);
    context->setTimeout(patience.connect);
    guarded([&] { context->connectFullMesh(store, device_); });
    context->setTimeout(patience.silence);
    return std::make_unique<GlooCollective>(std::move(context));
  }

 private:
  std::shared_ptr<gloo::transport::Device> device_;
};

}  // namespace

std::unique_ptr<Collective> make_single() { return std::make_unique<Single>(); }

std::unique_ptr<Transport> make_gloo(const std::string& address) { return std::make_unique<Gloo>(address); }

}  // namespace sm::replicate
