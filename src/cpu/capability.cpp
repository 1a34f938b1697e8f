#include "capability.h"

#include <c10/util/Exception.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace fused_ssim::detail::cpu {
namespace {

constexpr std::array kAll = {
    Capability::kDefault,
    Capability::kAVX2,
    Capability::kAVX512};

constexpr int kNotForced = -1;
std::atomic<int> forced{kNotForced};

void check_supported(Capability capability) {
  TORCH_CHECK(
      supported(capability),
      "fused_ssim: expected a CPU capability that this build and this "
      "processor support, but got ",
      name(capability));
}

Capability from_environment() {
  const char* value = std::getenv("FUSED_SSIM_CPU_CAPABILITY");
  if (value == nullptr || *value == '\0') {
    Capability best = Capability::kDefault;
    for (const Capability each : kAll) {
      best = supported(each) ? each : best;
    }
    return best;
  }
  for (const Capability each : kAll) {
    if (std::strcmp(value, name(each)) == 0) {
      check_supported(each);
      return each;
    }
  }
  TORCH_CHECK(
      false,
      "FUSED_SSIM_CPU_CAPABILITY: expected default, avx2 or avx512, but got ",
      value);
}

} // namespace

const char* name(Capability capability) {
  switch (capability) {
    case Capability::kAVX512:
      return "avx512";
    case Capability::kAVX2:
      return "avx2";
    case Capability::kDefault:
      break;
  }
  return "default";
}

bool supported(Capability capability) {
#if defined(FUSED_SSIM_CPU_X86)
  // The compiler's own test asks the operating system too, whether it saves the
  // wide registers.
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 &&
      __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("f16c") != 0;
  switch (capability) {
    case Capability::kAVX512:
      return avx2 && __builtin_cpu_supports("avx512f") != 0 &&
          __builtin_cpu_supports("avx512bw") != 0 &&
          __builtin_cpu_supports("avx512vl") != 0 &&
          __builtin_cpu_supports("avx512dq") != 0;
    case Capability::kAVX2:
      return avx2;
    case Capability::kDefault:
      break;
  }
#endif
  return capability == Capability::kDefault;
}

Capability capability() {
  const int value = forced.load(std::memory_order_relaxed);
  if (value != kNotForced) {
    return static_cast<Capability>(value);
  }
  static const Capability chosen = from_environment();
  return chosen;
}

void force_capability(std::optional<Capability> capability) {
  if (capability.has_value()) {
    check_supported(*capability);
  }
  forced.store(
      capability.has_value() ? static_cast<int>(*capability) : kNotForced,
      std::memory_order_relaxed);
}

} // namespace fused_ssim::detail::cpu
