#include "kernel_table.h"

namespace fused_ssim::detail::cpu {

const Kernels FUSED_SSIM_CPU_TABLE(Double) = {
    scratch_bytes<double>,
    run_tile<double>,
    weight_sum<double>};

} // namespace fused_ssim::detail::cpu
