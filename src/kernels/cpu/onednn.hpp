#pragma once

namespace sm::kernels {

// While one exists, oneDNN computes on the calling thread alone: its OpenMP
// team would fight for the CPUs with the pool of kernels/parallel.hpp and with
// the network's threads. Larger work is split by that pool instead.
class OneThread {
 public:
  OneThread() noexcept;
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace sm::kernels
