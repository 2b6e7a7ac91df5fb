#pragma once

#include <hwy/targets.h>

#include <cstdint>

namespace sm::kernels {

// For tests: as long as it lives, kernels run as on an x86-64 CPU that has AVX2 and nothing later.
class OlderCpu {
 public:
  OlderCpu() { pretend(HWY_AVX2); }
  ~OlderCpu() { pretend(0); }
  OlderCpu(const OlderCpu&) = delete;
  OlderCpu& operator=(const OlderCpu&) = delete;

 private:
  static void pretend(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

}  // namespace sm::kernels
