#pragma once

#include "support.h"

#include <cstdint>
#include <string>

namespace fused_ssim::test {

enum class Operator { kSSIM, kLoss, kValueAndGrad, kMSSSIM };

/// One case of the randomised test.
struct Case {
  Operator op = Operator::kSSIM;
  SSIMOptions ssim;
  L1DSSIMLossOptions loss;
  ErrorMap error_map = ErrorMap::kNone;
  MSSSIMOptions ms_ssim;
  std::string contents;
  bool hard = false; // flat areas beside strong contrast, float32's worst case
  torch::Tensor x, y, mask, upstream;
  bool of_x = false, of_y = false; // which gradients

  Spec spec() const {
    return op == Operator::kSSIM  ? Spec(ssim)
        : op == Operator::kMSSSIM ? Spec(SSIMOptions()
                                             .window_size(ms_ssim.window_size())
                                             .sigma(ms_ssim.sigma())
                                             .data_range(ms_ssim.data_range())
                                             .k1(ms_ssim.k1())
                                             .k2(ms_ssim.k2())
                                             .padding(ms_ssim.padding())
                                             .reduction(ms_ssim.reduction()))
                                  : Spec(loss);
  }
};

/// Draws a case from `seed` alone. It has at most about `max_pixels` pixels.
Case draw_case(
    std::uint64_t seed,
    torch::Device device,
    std::int64_t max_pixels);

/// Describes the case, on a few lines.
std::string describe(const Case& drawn);

} // namespace fused_ssim::test
