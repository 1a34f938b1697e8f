#pragma once

// What the tests of MS-SSIM share.

#include "ms_ssim_reference.h"
#include "support.h"

#include <cmath>

namespace fused_ssim::test {

/// Few scales and a small window, for small images.
inline MSSSIMOptions small_options() {
  return MSSSIMOptions().weights({0.3, 0.2, 0.5}).window_size(5).sigma(1.1);
}

/// The images of coarse scales are rounded. Their difference loses digits where it is
/// small: a relative L2 of 7.9e-6 in float32 and of 1.3e-12 in float64 was seen.
inline void expect_ms_ssim_gradient(
    const torch::Tensor& actual,
    const torch::Tensor& expected) {
  expect_gradient(actual, expected, /*tolerances=*/4);
}

class MSSSIMTest : public DeviceTest {
 protected:
  /// Compares value and gradients in both images; both in the type of a computation.
  void compare(
      const torch::Tensor& x, // float64 on the CPU
      const torch::Tensor& y,
      const MSSSIMOptions& options,
      torch::ScalarType type) const {
    SCOPED_TRACE(testing::Message() << type << " " << MSSSIM(options));
    const auto a = leaf_of(x, device(), type);
    const auto b = leaf_of(y, device(), type);
    const auto value = F::ms_ssim(a, b, options);
    const auto upstream =
        (noise(value.sizes().vec()) + 0.5).to(value.options());
    value.backward(upstream);
    const auto reference = expected_ms_ssim(a, b, options, upstream);
    ASSERT_EQ(value.sizes(), reference.value.sizes());
    EXPECT_LE(error_of(value, reference.value).max, value_tolerance(type));
    expect_ms_ssim_gradient(a.grad(), reference.grad_input);
    expect_ms_ssim_gradient(b.grad(), reference.grad_target);
    EXPECT_EQ(a.grad().scalar_type(), type);
    const torch::NoGradGuard no_grad;
    EXPECT_LE(
        error_of(F::ms_ssim(a, b, options), value).max, value_tolerance(type));
  }

  void compare_all(
      const torch::Tensor& x,
      const torch::Tensor& y,
      MSSSIMOptions options) const {
    for (const auto type : {torch::kFloat32, torch::kFloat64}) {
      for (const bool valid : {true, false}) {
        options.padding(
            valid ? MSSSIMOptions::padding_t(torch::kValid) : torch::kSame);
        for (const auto& reduction : std::vector<MSSSIMOptions::reduction_t>{
                 torch::kMean, torch::kSum, torch::kNone}) {
          compare(x, y, options.reduction(reduction), type);
        }
      }
    }
  }

  torch::Tensor image(
      const Sizes& sizes,
      torch::ScalarType type = torch::kFloat32) const {
    return noise(sizes).to(device(), type);
  }
};

} // namespace fused_ssim::test
