// MS-SSIM: types and layouts of images, and arguments that are errors.

#include "ms_ssim_test.h"

#include <limits>

namespace fused_ssim::test {
namespace {

using testing::HasSubstr;

class MSSSIMImagesTest : public MSSSIMTest {};

TEST_P(MSSSIMImagesTest, Layouts) {
  const auto x = photograph({2, 3, 21, 26}).to(torch::kFloat32);
  const auto y = disturbed(x, 0.1).to(torch::kFloat32);
  const auto reference = F::ms_ssim_value_and_grad(
      x.to(device()), y.to(device()), small_options());
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    const auto a = lay_out(x.to(device()), layout);
    const auto b = lay_out(y.to(device()), layout);
    const auto result = F::ms_ssim_value_and_grad(a, b, small_options());
    expect_scalar(
        result.value, reference.value.to(torch::kCPU, torch::kFloat64), 1e-6);
    EXPECT_LE(error_of(result.grad, reference.grad).relative_l2, 1e-6);
    EXPECT_EQ(result.grad.strides(), torch::empty_like(a).strides());
  }
  const auto expanded = x.to(device()).narrow(1, 0, 1).expand(x.sizes());
  compare(exact(expanded), exact(y), small_options(), torch::kFloat32);
  const auto result =
      F::ms_ssim_value_and_grad(expanded, y.to(device()), small_options());
  expect_ms_ssim_gradient(
      result.grad, expected_ms_ssim(expanded, y, small_options()).grad_input);
}

// So large that tiles take all interleaved channels at once, where sums of each channel
// are not wanted.
TEST_P(MSSSIMImagesTest, LargeInterleavedImages) {
  if (kEmulated) {
    GTEST_SKIP() << "the image is too large for an emulation";
  }
  const auto x = image({2, 3, 381, 391});
  auto y = (0.9 * x + 0.1 * image(x.sizes().vec())).contiguous();
  y.select(1, 1).mul_(0.5); // the channels differ
  const auto planar = F::ms_ssim_value_and_grad(x, y);
  const auto interleaved = F::ms_ssim_value_and_grad(
      x.contiguous(torch::MemoryFormat::ChannelsLast),
      y.contiguous(torch::MemoryFormat::ChannelsLast));
  expect_scalar(
      interleaved.value, planar.value.to(torch::kCPU, torch::kFloat64), 1e-6);
  EXPECT_LE(error_of(interleaved.grad, planar.grad).relative_l2, 1e-6);
}

TEST_P(MSSSIMImagesTest, BytesAsTarget) {
  const auto x = photograph({2, 3, 21, 26});
  const auto bytes = (disturbed(x, 0.1) * 255).round().to(torch::kUInt8);
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto leaf = leaf_of(x, device(), type);
    const auto value = F::ms_ssim(leaf, bytes.to(device()), small_options());
    value.backward();
    const auto reference = expected_ms_ssim(leaf, bytes, small_options());
    expect_scalar(value, reference.value, value_tolerance(type));
    expect_ms_ssim_gradient(leaf.grad(), reference.grad_input);
  }
}

TEST_P(MSSSIMImagesTest, HalfTypes) {
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    const auto x = photograph({2, 3, 21, 26});
    const auto a = leaf_of(x, device(), type);
    const auto b = leaf_of(disturbed(x, 0.1), device(), type);
    const auto value = F::ms_ssim(a, b, small_options());
    EXPECT_EQ(value.scalar_type(), torch::kFloat32);
    (value * 1024).backward();
    const auto reference = expected_ms_ssim(
        a, b, small_options(), torch::full({}, 1024, torch::kFloat64));
    expect_scalar(value, reference.value, 1e-6);
    EXPECT_EQ(a.grad().scalar_type(), type);
    expect_ms_ssim_gradient(a.grad(), reference.grad_input);
    expect_ms_ssim_gradient(b.grad(), reference.grad_target);
  }
}

TEST_P(MSSSIMImagesTest, LazyTensors) {
  const auto complex = torch::complex(image({2, 24, 36}), image({2, 24, 36}));
  const auto negative = torch::imag(torch::conj(complex));
  ASSERT_TRUE(negative.is_neg());
  const auto y = image({2, 24, 36});
  expect_same_bits(
      F::ms_ssim(negative, y, small_options()),
      F::ms_ssim(negative.resolve_neg(), y, small_options()));
}

TEST_P(MSSSIMImagesTest, EmptyBatch) {
  const auto x = image({0, 3, 30, 30}).requires_grad_();
  const auto y = image({0, 3, 30, 30});
  const auto value = [&](const MSSSIMOptions::reduction_t& reduction) {
    return F::ms_ssim(x, y, small_options().reduction(reduction));
  };
  EXPECT_TRUE(value(torch::kMean).isnan().item<bool>());
  EXPECT_EQ(value(torch::kSum).item<double>(), 0);
  EXPECT_EQ(value(torch::kNone).sizes(), torch::IntArrayRef({0}));
  value(torch::kSum).backward();
  EXPECT_EQ(x.grad().sizes(), x.sizes());
}

TEST_P(MSSSIMImagesTest, ImagesTooSmall) {
  const auto x = image({3, 100, 200});
  EXPECT_ERROR(
      F::ms_ssim(x, x),
      HasSubstr("ms_ssim(): expected images of at least 161 x 161 pixels for 5 "
                "scales of window_size 11 with padding kValid, but got 100 x "
                "200, which hold 4; pass as many weights, or padding kSame"));
  const auto tiny = image({3, 100, 4});
  EXPECT_ERROR(
      F::ms_ssim(tiny, tiny, small_options()),
      HasSubstr("at least 17 x 17 pixels for 3 scales of window_size 5 with "
                "padding kValid, but got 100 x 4, which hold 0"));
  EXPECT_NO_THROW(
      F::ms_ssim(tiny, tiny, small_options().padding(torch::kSame)));
  const auto least = image({1, 17, 17});
  EXPECT_NO_THROW(F::ms_ssim(least, least, small_options()));
  const auto less = image({1, 17, 16});
  EXPECT_ERROR(
      F::ms_ssim_value_and_grad(less, less, small_options()),
      HasSubstr("ms_ssim_value_and_grad(): expected images of at least 17"));
}

TEST_P(MSSSIMImagesTest, Options) {
  const auto x = image({3, 30, 30});
  EXPECT_ERROR(
      F::ms_ssim(x, x, small_options().weights({})),
      HasSubstr("expected 1 to 16 weights, one for each scale, but got 0"));
  EXPECT_ERROR(
      F::ms_ssim(
          x,
          x,
          small_options()
              .weights(std::vector<double>(17, 0.1))
              .padding(torch::kSame)),
      HasSubstr("expected 1 to 16 weights, one for each scale, but got 17"));
  for (const double weight :
       {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    EXPECT_ERROR(
        F::ms_ssim(x, x, small_options().weights({0.5, weight})),
        HasSubstr("expected weights to be finite and > 0, but got "));
  }
  EXPECT_ERROR(
      F::ms_ssim(x, x, small_options().window_size(4)),
      HasSubstr("ms_ssim(): expected window_size to be odd"));
  EXPECT_ERROR(
      F::ms_ssim(x, x.to(torch::kFloat64), small_options()),
      HasSubstr("ms_ssim(): expected target of the type of input"));
  EXPECT_ERROR(
      F::ms_ssim_value_and_grad(x, x, small_options().reduction(torch::kNone)),
      HasSubstr("expected reduction kMean or kSum, but got kNone"));
}

FUSED_SSIM_ON_EACH_DEVICE(MSSSIMImagesTest);

} // namespace
} // namespace fused_ssim::test
