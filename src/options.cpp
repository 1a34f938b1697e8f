#include <fused_ssim/options.h>

#include "checks.h"

namespace fused_ssim {

L1DSSIMLossOptions::L1DSSIMLossOptions(double lambda_dssim)
    : l1_weight_(1 - lambda_dssim),
      dssim_weight_(lambda_dssim) {
  detail::check_lambda(lambda_dssim);
}

} // namespace fused_ssim
