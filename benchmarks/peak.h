#pragma once

#include <cstdint>

namespace fused_ssim::bench {

/// The instruction set that the library's CPU kernels use in this process: that
/// of FUSED_SSIM_CPU_CAPABILITY, or the best that the processor has.
const char* instruction_set();

/// Runs multiply-adds of float32 with that instruction set on all threads of
/// at::get_num_threads(), for about 2 ms. Returns their number, over all lanes
/// and threads. A set without fused instructions multiplies and then adds.
std::int64_t run_multiply_adds();

} // namespace fused_ssim::bench
