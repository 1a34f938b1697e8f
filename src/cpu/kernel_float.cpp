#include "kernel_table.h"

namespace fused_ssim::detail::cpu {

const Kernels FUSED_SSIM_CPU_TABLE(Float) = {
    scratch_bytes<float>,
    run_tile<float>,
    weight_sum<float>};

} // namespace fused_ssim::detail::cpu
