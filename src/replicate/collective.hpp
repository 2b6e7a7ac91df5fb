#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

// The one seam to the library that moves numbers between replicas: Gloo today.
namespace sm::replicate {

class Rendezvous;

// One forming of a group, with the members that it has until it breaks. The
// members call the same functions in the same order; each call blocks until all
// have. Throws Error (kUnavailable) when a member is gone, or silent for the
// timeout: then the group is broken, and every later call throws too.
// Not thread-safe, but for bytes_sent().
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Each element becomes the sum of all members', the same bits everywhere.
  virtual void sum(std::span<float> values) = 0;
  virtual void sum(std::span<double> values) = 0;
  // The same for few numbers, in fewer steps.
  virtual void sum(std::span<int64_t> values) = 0;
  // Everybody's become those of `root`.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;

  // What this member sent of numbers so far, without what goes around them.
  virtual uint64_t bytes_sent() const = 0;
};

// Makes collectives. Use it from one thread.
class Transport {
 public:
  virtual ~Transport() = default;

  struct Patience {
    std::chrono::milliseconds connect, silence;
    std::function<bool()> is_over;  // ends the wait for others
  };
  // Waits for all `size` members, which find each other in the folder `name` of
  // the rendezvous. Throws Error: kUnavailable when one doesn't come in time, kCancelled.
  virtual std::unique_ptr<Collective> connect(Rendezvous& rendezvous, const std::string& name, int rank, int size,
                                              const Patience& patience) = 0;
};

// The collective of one member.
std::unique_ptr<Collective> make_single();

// Connections from and to `address`, one of this machine's in numbers. Throws Error (kConnection).
std::unique_ptr<Transport> make_gloo(const std::string& address);

}  // namespace sm::replicate
