#include "ms_ssim_reference.h"
#include "support.h"

#include <cmath>
#include <limits>

namespace fused_ssim::test {
namespace {

using testing::HasSubstr;

/// Few scales and a small window, for small images.
MSSSIMOptions small_options() {
  return MSSSIMOptions().weights({0.3, 0.2, 0.5}).window_size(5).sigma(1.1);
}

/// The images of coarse scales are rounded. Their difference loses digits where it is
/// small: a relative L2 of 7.9e-6 in float32 and of 1.3e-12 in float64 was seen.
void expect_ms_ssim_gradient(
    const torch::Tensor& actual,
    const torch::Tensor& expected) {
  ASSERT_TRUE(actual.defined());
  ASSERT_EQ(actual.sizes(), expected.sizes());
  if (actual.element_size() == 2) {
    return expect_within_rounding(actual, expected);
  }
  const auto error = error_of(actual, expected);
  const double tolerance = 4 * gradient_tolerance(actual.scalar_type());
  EXPECT_LE(error.relative_l2, tolerance) << error;
  EXPECT_GE(error.cosine, 1 - 1e-9) << error;
  EXPECT_LE(std::abs(error.bias), tolerance) << error;
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

TEST_P(MSSSIMTest, Layouts) {
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
TEST_P(MSSSIMTest, LargeInterleavedImages) {
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

TEST_P(MSSSIMTest, BytesAsTarget) {
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

TEST_P(MSSSIMTest, HalfTypes) {
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

TEST_P(MSSSIMTest, OneGradientAloneIsThatOfBoth) {
  const auto x = image({3, 24, 36});
  const auto y = (x + 0.2 * image({3, 24, 36})).contiguous();
  const auto gradients = [&](bool of_x, bool of_y) {
    const auto a = x.clone().requires_grad_(of_x);
    const auto b = y.clone().requires_grad_(of_y);
    F::ms_ssim(a, b, small_options()).backward();
    return std::make_pair(a.grad(), b.grad());
  };
  const auto both = gradients(true, true);
  const auto first = gradients(true, false);
  const auto second = gradients(false, true);
  EXPECT_FALSE(first.second.defined());
  EXPECT_FALSE(second.first.defined());
  EXPECT_LE(error_of(first.first, both.first).relative_l2, 1e-6);
  EXPECT_LE(error_of(second.second, both.second).relative_l2, 1e-6);
}

TEST_P(MSSSIMTest, ValueAndGradHasTheBitsOfTheAutogradPath) {
  for (const auto type :
       {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16}) {
    for (const auto& reduction :
         std::vector<MSSSIMOptions::reduction_t>{torch::kMean, torch::kSum}) {
      const auto x = image({2, 3, 23, 30}, type);
      const auto y = image({2, 3, 23, 30}, type);
      const auto options = small_options().reduction(reduction);
      const auto leaf = x.clone().requires_grad_();
      const auto value = F::ms_ssim(leaf, y, options);
      value.backward();
      const auto result = F::ms_ssim_value_and_grad(x, y, options);
      expect_same_bits(result.value, value.detach());
      expect_same_bits(result.grad, leaf.grad());
      EXPECT_FALSE(result.value.requires_grad());
    }
  }
}

TEST_P(MSSSIMTest, RetainedGraph) {
  const auto x = image({2, 3, 23, 30}).requires_grad_();
  const auto y = image({2, 3, 23, 30});
  const auto value =
      F::ms_ssim(x, y, small_options().reduction(torch::kNone)).sum();
  const auto gradient = [&](bool retain) {
    return torch::autograd::grad({value}, {x}, {}, retain)[0];
  };
  const auto first = gradient(true);
  const auto kept = first.clone();
  expect_same_bits(gradient(true), first);
  expect_same_bits(gradient(false), kept);
  EXPECT_ANY_THROW(gradient(false));
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

TEST_P(MSSSIMTest, EmptyBatch) {
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

TEST_P(MSSSIMTest, LazyTensors) {
  const auto complex = torch::complex(image({2, 24, 36}), image({2, 24, 36}));
  const auto negative = torch::imag(torch::conj(complex));
  ASSERT_TRUE(negative.is_neg());
  const auto y = image({2, 24, 36});
  expect_same_bits(
      F::ms_ssim(negative, y, small_options()),
      F::ms_ssim(negative.resolve_neg(), y, small_options()));
}

TEST_P(MSSSIMTest, FiniteDifferences) {
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "differences are taken through a pointer to host memory";
  }
  const auto x = photograph({2, 2, 9, 12});
  const auto y = disturbed(x, 0.1);
  for (const auto& options :
       {small_options().weights({0.4, 0.6}).window_size(3),
        small_options().padding(torch::kSame).reduction(torch::kSum),
        small_options().padding(torch::kSame).reduction(torch::kNone)}) {
    const auto f = [&](const std::vector<torch::Tensor>& in) {
      return F::ms_ssim(in[0], in[1], options);
    };
    EXPECT_LE(gradcheck(f, {x, y}), 1e-7);
    EXPECT_LE(gradgradcheck(f, {x[0], y[0]}), 1e-5);
  }
}

TEST_P(MSSSIMTest, SecondDerivativesOfMeansThatAreNotPositive) {
  const auto x = photograph({2, 20, 24});
  const auto a = leaf_of(x, device(), torch::kFloat64);
  const auto b = (1 - x).to(device());
  const auto value = F::ms_ssim(a, b, small_options());
  const auto gradient =
      torch::autograd::grad({value}, {a}, {}, true, /*create_graph=*/true)[0];
  gradient.square().sum().backward();
  EXPECT_EQ(a.grad().abs().max().item<double>(), 0);
}

TEST_P(MSSSIMTest, ImagesTooSmall) {
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

TEST_P(MSSSIMTest, Options) {
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

FUSED_SSIM_ON_EACH_DEVICE(MSSSIMTest);

} // namespace
} // namespace fused_ssim::test
