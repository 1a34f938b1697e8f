#include "memory.h"

#include <fstream>
#include <limits>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fused_ssim::bench {
#if defined(__GLIBC__)
namespace {

/// A line of /proc/self/status, in bytes.
std::int64_t status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    if (word == key + ":") {
      std::int64_t kib = 0;
      file >> kib;
      return kib * 1024;
    }
  }
  return 0;
}

} // namespace

void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

std::optional<std::int64_t> peak_memory_of(const std::function<void()>& call) {
  // Free but resident memory would hide the first megabytes of the call.
  malloc_trim(0);
  {
    std::ofstream reset("/proc/self/clear_refs");
    reset << "5" << std::flush; // VmHWM becomes VmRSS
    if (!reset) {
      call();
      return std::nullopt;
    }
  }
  const std::int64_t before = status("VmRSS");
  call();
  return status("VmHWM") - before;
}
#else
void keep_freed_memory() {}

std::optional<std::int64_t> peak_memory_of(const std::function<void()>& call) {
  call();
  return std::nullopt;
}
#endif

} // namespace fused_ssim::bench
