#include "kernels/cpu/onednn.hpp"

#include <dlfcn.h>

namespace sm::kernels {
namespace {

// Looked up in whatever OpenMP runtime oneDNN brought along, so that the build
// doesn't link one of its own: clang's and GCC's are different libraries.
struct OpenMp {
  int (*max_threads)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  void (*set_threads)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));

  bool exists() const { return max_threads && set_threads; }
  static const OpenMp& instance() {
    static const OpenMp openmp;
    return openmp;
  }
};

}  // namespace

OneThread::OneThread() noexcept : before_(1) {
  const OpenMp& openmp = OpenMp::instance();
  if (!openmp.exists()) return;
  before_ = openmp.max_threads();
  if (before_ != 1) openmp.set_threads(1);
}

OneThread::~OneThread() {
  if (before_ != 1) OpenMp::instance().set_threads(before_);
}

}  // namespace sm::kernels
