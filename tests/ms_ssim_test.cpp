// MS-SSIM: the values, and the gradients of backward, against the reference.

#include "ms_ssim_test.h"

#include <limits>

namespace fused_ssim::test {
namespace {

TEST_P(MSSSIMTest, Defaults) {
  if (kEmulated) {
    GTEST_SKIP() << "the image is too large for an emulation";
  }
  const auto x = photograph({3, 193, 261});
  const auto y = disturbed(x, 0.05);
  compare(x, y, MSSSIMOptions(), torch::kFloat32);
  compare(x, y, MSSSIMOptions(), torch::kFloat64);
}

TEST_P(MSSSIMTest, BatchAndChannels) {
  for (const auto& sizes : std::vector<Sizes>{
           {1, 20, 36}, {2, 3, 20, 36}, {3, 1, 24, 20}, {2, 17, 20, 24}}) {
    SCOPED_TRACE(testing::PrintToString(sizes));
    const auto x = photograph(sizes);
    compare_all(x, disturbed(x, 0.1), small_options());
  }
}

// The window of 11 has kernels of its own.
TEST_P(MSSSIMTest, CommonWindow) {
  const auto x = photograph({2, 3, 25, 42});
  const auto y = disturbed(x, 0.1);
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    auto options = MSSSIMOptions().weights({0.4, 0.6});
    compare(x, y, options, type);
    compare(x, y, options.padding(torch::kSame), type);
  }
}

// Each combination of odd and even sides at each scale.
TEST_P(MSSSIMTest, OddSides) {
  for (std::int64_t height = 17; height < 21; ++height) {
    for (std::int64_t width = 33; width < 37; ++width) {
      SCOPED_TRACE(testing::Message() << height << " x " << width);
      const auto x = photograph({2, height, width});
      const auto y = disturbed(x, 0.1);
      compare(x, y, small_options(), torch::kFloat32);
      compare(x, y, small_options().padding(torch::kSame), torch::kFloat64);
    }
  }
}

// On CUDA a block takes the strips of one image and channel, at most 254 columns each.
TEST_P(MSSSIMTest, WiderThanAStrip) {
  const auto x = photograph({2, 2, 18, 517});
  const auto y = disturbed(x, 0.1);
  auto options = small_options().weights({0.4, 0.6}).window_size(3);
  compare(x, y, options, torch::kFloat32);
  compare(x, y, options.padding(torch::kSame), torch::kFloat64);
}

TEST_P(MSSSIMTest, NumberOfScales) {
  const auto x = photograph({2, 36, 45});
  const auto y = disturbed(x, 0.1);
  for (const auto& weights : std::vector<std::vector<double>>{
           {1}, {0.25}, {2, 3}, {0.1, 0.2, 0.3, 0.4}}) {
    compare_all(x, y, small_options().weights(weights).window_size(3));
  }
  // The last ones of these are of one pixel.
  compare(
      x,
      y,
      small_options()
          .weights(std::vector<double>(16, 0.1))
          .padding(torch::kSame),
      torch::kFloat64);
}

TEST_P(MSSSIMTest, WindowConstantsAndDataRange) {
  const auto x = photograph({2, 41, 47});
  const auto y = disturbed(x, 0.1);
  compare_all(x, y, small_options().k1(0.03).k2(0.1));
  compare_all(255 * x, 255 * y, small_options().data_range(255));
  compare_all(x, y, small_options().window_size(9).sigma(2));
  // Outside of the data range. pytorch-msssim's users forget data_range=255.
  compare(255 * x, 255 * y, small_options(), torch::kFloat64);
}

TEST_P(MSSSIMTest, OneScaleIsSSIM) {
  const auto x = image({2, 3, 20, 31});
  const auto y = (x + 0.1 * image({2, 3, 20, 31})).contiguous();
  const auto one = MSSSIMOptions().weights({1});
  const auto ssim = F::ssim(x, y, SSIMOptions().padding(torch::kValid));
  expect_scalar(
      F::ms_ssim(x, y, one), ssim.to(torch::kCPU, torch::kFloat64), 1e-6);
}

TEST_P(MSSSIMTest, IdenticalImages) {
  for (const auto type :
       {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16}) {
    for (const auto& options :
         {small_options(), small_options().padding(torch::kSame)}) {
      const auto x = image({2, 3, 37, 46}, type);
      const auto leaf = x.clone().requires_grad_();
      const auto value = F::ms_ssim(leaf, x, options);
      value.backward();
      EXPECT_EQ(value.item<double>(), 1);
      EXPECT_EQ(leaf.grad().abs().max().item<double>(), 0);
    }
  }
}

// The negative of an image has a negative contrast-structure term.
TEST_P(MSSSIMTest, MeansThatAreNotPositive) {
  const auto x = photograph({2, 3, 24, 36});
  auto y = disturbed(x, 0.1);
  y[0][1] = 1 - y[0][1];
  compare_all(x, y, small_options());

  const auto leaf = leaf_of(x[0][1], device(), torch::kFloat32).unsqueeze(0);
  const auto negative = y[0][1].unsqueeze(0).to(device(), torch::kFloat32);
  const auto result =
      F::ms_ssim_value_and_grad(leaf.detach(), negative, small_options());
  EXPECT_EQ(result.value.item<double>(), 0);
  EXPECT_EQ(result.grad.abs().max().item<double>(), 0);
}

TEST_P(MSSSIMTest, NaNReachesItsImageAlone) {
  auto x = image({2, 1, 24, 36});
  const auto y = image({2, 1, 24, 36});
  x[1][0][5][7] = std::numeric_limits<float>::quiet_NaN();
  const auto values =
      F::ms_ssim(x, y, small_options().reduction(torch::kNone)).cpu();
  EXPECT_FALSE(values[0].isnan().item<bool>());
  EXPECT_TRUE(values[1].isnan().item<bool>());
}

TEST_P(MSSSIMTest, SameBitsEachTime) {
  const auto x = image({2, 3, scaled(170, 22), scaled(201, 35)});
  const auto y = (x + 0.1 * image(x.sizes().vec())).contiguous();
  const auto options = kEmulated ? small_options() : MSSSIMOptions();
  const auto first = F::ms_ssim_value_and_grad(x, y, options);
  EXPECT_GT(first.value.item<double>(), 0);
  for (int i = 0; i < scaled(20, 3); ++i) {
    const auto again = F::ms_ssim_value_and_grad(x, y, options);
    expect_same_bits(again.value, first.value);
    expect_same_bits(again.grad, first.grad);
  }
}

FUSED_SSIM_ON_EACH_DEVICE(MSSSIMTest);

} // namespace
} // namespace fused_ssim::test
