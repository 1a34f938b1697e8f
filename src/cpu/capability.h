#pragma once

// The instruction sets that the kernels are compiled for, and which one runs.

#include <optional>

namespace fused_ssim::detail::cpu {

/// In ascending order of preference. kDefault is what the target guarantees:
/// SSE2 on x86-64, NEON on 64-bit Arm.
enum class Capability { kDefault, kAVX2, kAVX512 };

/// "default", "avx2" or "avx512": the values of FUSED_SSIM_CPU_CAPABILITY.
const char* name(Capability capability);

/// Whether this build and this processor can run it.
bool supported(Capability capability);

/// The last of those that are supported.
Capability best_capability();

/// The value of the environment variable FUSED_SSIM_CPU_CAPABILITY, if it is set. It is
/// read once. An unknown or unsupported value is a c10::Error.
std::optional<Capability> forced_capability();

} // namespace fused_ssim::detail::cpu
