#include "capability.h"

#include <c10/util/Exception.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace fused_ssim::detail::cpu {
namespace {

constexpr std::array kAll = {
    Capability::kDefault,
    Capability::kAVX2,
    Capability::kAVX512};

std::optional<Capability> from_environment() {
  const char* value = std::getenv("FUSED_SSIM_CPU_CAPABILITY");
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  for (const Capability each : kAll) {
    if (std::strcmp(value, name(each)) == 0) {
      TORCH_CHECK(
          supported(each),
          "FUSED_SSIM_CPU_CAPABILITY: expected what this build and this "
          "processor support, but got ",
          value);
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
  // wide registers. It knows no f16c in clang 14; no processor has AVX2 without.
  const bool avx2 =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
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

Capability best_capability() {
  Capability best = Capability::kDefault;
  for (const Capability each : kAll) {
    best = supported(each) ? each : best;
  }
  return best;
}

std::optional<Capability> forced_capability() {
  static const std::optional<Capability> forced = from_environment();
  return forced;
}

} // namespace fused_ssim::detail::cpu
