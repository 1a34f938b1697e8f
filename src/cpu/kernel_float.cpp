#include "kernel_table.h"

namespace fused_ssim::detail::cpu {

const Kernels FUSED_SSIM_CPU_TABLE(Float) = {
    scratch_bytes<float>,
    run_tile<float>,
    sum_of<float>};

} // namespace fused_ssim::detail::cpu
