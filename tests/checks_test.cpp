// The text of each message. The three operators share their checks. Their
// messages differ in the name at the start.

#include "support.h"

#include <limits>

namespace fused_ssim::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class ChecksTest : public SeededTest {
 protected:
  const torch::Tensor x = torch::rand({2, 3, 16, 20});
  const torch::Tensor y = torch::rand({2, 3, 16, 20});
};

TEST_F(ChecksTest, EachOperatorIsNamedWithAndWithoutGradient) {
  const auto other = torch::rand({2, 3, 16, 21});
  const auto leaf = x.clone().requires_grad_();
  for (const auto& image : {x, leaf}) {
    EXPECT_ERROR(F::ssim(image, other), StartsWith("ssim(): expected "));
    EXPECT_ERROR(
        F::l1_dssim_loss(image, other),
        StartsWith("l1_dssim_loss(): expected "));
    EXPECT_ERROR(
        F::l1_dssim_value_and_grad(image, other),
        StartsWith("l1_dssim_value_and_grad(): expected "));
  }
}

TEST_F(ChecksTest, Undefined) {
  EXPECT_ERROR(
      F::ssim(torch::Tensor(), y),
      HasSubstr("expected input to be a tensor, but got an undefined one"));
  EXPECT_ERROR(
      F::ssim(x, torch::Tensor()),
      HasSubstr("expected target to be a tensor, but got an undefined one"));
  EXPECT_ERROR(
      F::l1_dssim_loss(torch::Tensor(), y),
      HasSubstr("expected input to be a tensor"));
  EXPECT_ERROR(
      F::l1_dssim_value_and_grad(x, torch::Tensor()),
      HasSubstr("expected target to be a tensor"));
}

TEST_F(ChecksTest, TypeOfInput) {
  for (const auto type : {torch::kUInt8, torch::kInt64, torch::kBool}) {
    EXPECT_ERROR(
        F::ssim(x.to(type), y.to(type)),
        AllOf(
            HasSubstr("expected input of type float32, float64, float16 or "
                      "bfloat16, but got "),
            HasSubstr(c10::toString(type))));
  }
  EXPECT_ERROR(
      F::ssim(x.to(torch::kComplexFloat), y.to(torch::kComplexFloat)),
      HasSubstr("but got ComplexFloat"));
}

TEST_F(ChecksTest, TypeOfTarget) {
  EXPECT_ERROR(
      F::ssim(x, y.to(torch::kFloat64)),
      HasSubstr("expected target of the type of input (Float) or uint8, but "
                "got Double"));
  EXPECT_ERROR(
      F::l1_dssim_loss(x.to(torch::kFloat16), y),
      HasSubstr("expected target of the type of input (Half) or uint8, but "
                "got Float"));
}

TEST_F(ChecksTest, Device) {
  const auto meta = torch::empty({2, 3, 16, 20}, torch::kMeta);
  EXPECT_ERROR(
      F::ssim(meta, meta),
      HasSubstr("expected input on a CPU or CUDA device, but got meta"));
  EXPECT_ERROR(
      F::ssim(x, meta),
      HasSubstr("expected target on a CPU or CUDA device, but got meta"));
  EXPECT_ERROR(
      F::ssim(x, y, {}, torch::ones({16, 20}, torch::kMeta)),
      HasSubstr("expected mask on a CPU or CUDA device, but got meta"));
}

TEST_F(ChecksTest, Layout) {
  EXPECT_ERROR(
      F::ssim(x.to_sparse(), y),
      HasSubstr("expected input to be a dense (strided) tensor, but got "
                "layout Sparse"));
}

TEST_F(ChecksTest, CudaTensorWithoutKernels) {
  if (!torch::cuda::is_available() || fused_ssim::has_cuda()) {
    GTEST_SKIP() << "needs a CUDA device and a library without CUDA kernels";
  }
  EXPECT_ERROR(
      F::ssim(x.cuda(), y.cuda()),
      HasSubstr("built without CUDA kernels, but got cuda:0; rebuild it with "
                "FUSED_SSIM_CUDA=ON"));
}

TEST_F(ChecksTest, TwoDevices) {
  if (!why_no_cuda().empty()) {
    GTEST_SKIP() << why_no_cuda();
  }
  EXPECT_ERROR(
      F::ssim(x.cuda(), y),
      HasSubstr("expected input and target on the same device, but got cuda:0 "
                "and cpu"));
  EXPECT_ERROR(
      F::ssim(x.cuda(), y.cuda(), {}, torch::ones({16, 20})),
      HasSubstr("expected mask on the device of input (cuda:0), but got cpu"));
}

TEST_F(ChecksTest, Rank) {
  for (const auto& sizes :
       std::vector<Sizes>{{}, {16}, {16, 20}, {1, 1, 1, 16, 20}}) {
    const auto image = torch::rand(sizes);
    std::ostringstream shown;
    shown << "but got " << image.sizes();
    EXPECT_ERROR(
        F::ssim(image, image),
        AllOf(
            HasSubstr("expected input of shape [C, H, W] or [N, C, H, W]"),
            HasSubstr(shown.str())));
  }
}

TEST_F(ChecksTest, ShapesShowBoth) {
  EXPECT_ERROR(
      F::ssim(x, torch::rand({2, 3, 16, 21})),
      HasSubstr("expected input and target of the same shape, but got "
                "[2, 3, 16, 20] and [2, 3, 16, 21]"));
  // Broadcasting would hide a mistake.
  EXPECT_ERROR(
      F::l1_dssim_loss(x, torch::rand({1, 3, 16, 20})),
      HasSubstr("[2, 3, 16, 20] and [1, 3, 16, 20]"));
  EXPECT_ERROR(
      F::l1_dssim_loss(torch::rand({3, 16, 20}), torch::rand({1, 3, 16, 20})),
      HasSubstr("[3, 16, 20] and [1, 3, 16, 20]"));
}

TEST_F(ChecksTest, WindowSize) {
  for (const std::int64_t size : {-11, 0, 1, 2, 10, 30, 33}) {
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().window_size(size)),
        HasSubstr(
            "expected window_size to be odd and in [3, 31], but got " +
            std::to_string(size)));
  }
  EXPECT_ERROR(
      F::l1_dssim_loss(x, y, L1DSSIMLossOptions().window_size(4)),
      HasSubstr("expected window_size to be odd and in [3, 31], but got 4"));
}

TEST_F(ChecksTest, WindowLargerThanTheImage) {
  const auto valid = SSIMOptions().padding(torch::kValid);
  const auto message = [](const std::string& sizes) {
    return HasSubstr(
        "expected images of at least window_size x window_size = 11 x 11 "
        "pixels "
        "with padding kValid, but got " +
        sizes);
  };
  const auto image = [](std::int64_t height, std::int64_t width) {
    return torch::rand({3, height, width});
  };
  EXPECT_ERROR(
      F::ssim(image(10, 20), image(10, 20), valid), message("10 x 20"));
  EXPECT_ERROR(
      F::ssim(image(20, 10), image(20, 10), valid), message("20 x 10"));
  EXPECT_NO_THROW(F::ssim(image(11, 11), image(11, 11), valid));
  EXPECT_NO_THROW(F::ssim(image(1, 1), image(1, 1)));
}

TEST_F(ChecksTest, PositiveOptions) {
  for (const double bad : {0.0, -1.5, kNaN, kInfinity}) {
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().sigma(bad)),
        HasSubstr("expected sigma to be finite and > 0, but got "));
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().data_range(bad)),
        HasSubstr("expected data_range to be finite and > 0, but got "));
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().k1(bad)),
        HasSubstr("expected k1 to be finite and > 0, but got "));
    EXPECT_ERROR(
        F::l1_dssim_loss(x, y, L1DSSIMLossOptions().k2(bad)),
        HasSubstr("expected k2 to be finite and > 0, but got "));
  }
  EXPECT_ERROR(
      F::ssim(x, y, SSIMOptions().sigma(-1.5)),
      HasSubstr("expected sigma to be finite and > 0, but got -1.5"));
}

TEST_F(ChecksTest, Lambda) {
  for (const double bad : {-0.25, 1.25, kNaN}) {
    std::ostringstream shown;
    shown << "L1DSSIMLossOptions(): expected lambda_dssim in [0, 1], but got "
          << bad;
    EXPECT_ERROR(L1DSSIMLossOptions(bad), StartsWith(shown.str()));
  }
  EXPECT_NO_THROW(L1DSSIMLossOptions(0));
  EXPECT_NO_THROW(L1DSSIMLossOptions(1));
}

TEST_F(ChecksTest, WeightsOfTheTerms) {
  for (const double bad : {-0.5, kNaN, kInfinity}) {
    EXPECT_ERROR(
        F::l1_dssim_loss(x, y, L1DSSIMLossOptions().l1_weight(bad)),
        HasSubstr("expected l1_weight to be finite and >= 0, but got "));
    EXPECT_ERROR(
        F::l1_dssim_value_and_grad(
            x, y, L1DSSIMLossOptions().dssim_weight(bad)),
        HasSubstr("expected dssim_weight to be finite and >= 0, but got "));
    EXPECT_ERROR(
        F::l1_dssim_loss(x, y, L1DSSIMLossOptions().smooth_l1_beta(bad)),
        HasSubstr("expected smooth_l1_beta to be finite and >= 0, but got "));
  }
  EXPECT_ERROR(
      F::l1_dssim_loss(x, y, L1DSSIMLossOptions().l1_weight(-0.5)),
      HasSubstr("but got -0.5"));
}

TEST_F(ChecksTest, MapOfErrors) {
  EXPECT_ERROR(
      F::l1_dssim_value_and_grad(x, y, {}, {}, static_cast<ErrorMap>(7)),
      HasSubstr("expected error_map kNone, kLoss, kDSSIM or "
                "kContrastStructure, but got 7"));
}

TEST_F(ChecksTest, MapOfTheLossWithValidNeedsCroppedL1) {
  const auto options =
      L1DSSIMLossOptions().padding(torch::kValid).reduction(torch::kNone);
  EXPECT_ERROR(
      F::l1_dssim_loss(x, y, options),
      HasSubstr("expected crop_l1(true) with reduction kNone and padding "
                "kValid"));
  auto cropped = options;
  EXPECT_NO_THROW(F::l1_dssim_loss(x, y, cropped.crop_l1(true)));
}

TEST_F(ChecksTest, ValueAndGradOfAMap) {
  EXPECT_ERROR(
      F::l1_dssim_value_and_grad(
          x, y, L1DSSIMLossOptions().reduction(torch::kNone)),
      HasSubstr("expected reduction kMean or kSum, but got kNone"));
}

TEST_F(ChecksTest, ShapeOfMask) {
  for (const auto& sizes : std::vector<Sizes>{
           {},
           {20},
           {16, 21},
           {17, 20},
           {20, 16},
           {2, 16, 20},
           {3, 1, 16, 20},
           {2, 2, 16, 20},
           {1, 2, 3, 16, 20}}) {
    const auto mask = torch::ones(sizes);
    std::ostringstream shown;
    shown << "for input of shape [2, 3, 16, 20], but got " << mask.sizes();
    EXPECT_ERROR(
        F::ssim(x, y, {}, mask),
        AllOf(
            HasSubstr("expected mask of shape [H, W], [1, H, W], [C, H, W], "
                      "[N, 1, H, W] or [N, C, H, W]"),
            HasSubstr(shown.str())));
  }
  EXPECT_ERROR(
      F::ssim(x[0], y[0], {}, torch::ones({2, 1, 16, 20})),
      HasSubstr("for input of shape [3, 16, 20], but got [2, 1, 16, 20]"));
}

TEST_F(ChecksTest, TypeOfMask) {
  for (const auto type : {torch::kFloat64, torch::kUInt8, torch::kInt64}) {
    EXPECT_ERROR(
        F::l1_dssim_loss(x, y, {}, torch::ones({16, 20}, type)),
        AllOf(
            HasSubstr("expected mask of type bool or of the type of input "
                      "(Float), but got "),
            HasSubstr(c10::toString(type))));
  }
}

TEST_F(ChecksTest, MaskThatRequiresGrad) {
  const auto mask = torch::ones({16, 20}).requires_grad_();
  for (const auto& image : {x, x.clone().requires_grad_()}) {
    EXPECT_ERROR(
        F::ssim(image, y, {}, mask),
        HasSubstr("expected a mask that does not require grad (there is no "
                  "gradient to the mask), but got one that does; pass "
                  "mask.detach()"));
  }
}

TEST_F(ChecksTest, NegativeMask) {
  auto mask = torch::ones({16, 20});
  mask[3][4] = -0.25;
  EXPECT_ERROR(
      F::ssim(x, y, {}, mask),
      HasSubstr("expected mask with finite weights >= 0, but got a smallest "
                "weight of -0.25"));
  EXPECT_ERROR(
      F::l1_dssim_value_and_grad(
          x.to(torch::kBFloat16),
          y.to(torch::kBFloat16),
          {},
          mask.to(torch::kBFloat16)),
      HasSubstr("weights >= 0"));
}

TEST_F(ChecksTest, MaskThatIsNotFinite) {
  auto mask = torch::ones({16, 20});
  mask[3][4] = kNaN;
  EXPECT_ERROR(
      F::ssim(x, y, {}, mask),
      HasSubstr("expected mask with finite weights >= 0, but got a smallest "
                "weight of nan"));
  mask[3][4] = kInfinity;
  EXPECT_ERROR(
      F::l1_dssim_loss(x, y, {}, mask),
      HasSubstr("expected mask with finite weights >= 0, but got a largest "
                "weight of inf"));
}

// Where a constant leaves the type, the formula would divide by 0 or by infinity.
TEST_F(ChecksTest, ConstantsFitTheType) {
  for (const double bad : {1e-23, 1e-170, 1e23}) {
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().k1(bad)),
        AllOf(
            StartsWith("ssim(): expected k1 in ["),
            HasSubstr("since its square has to fit float32, but got ")));
    EXPECT_ERROR(
        F::l1_dssim_loss(
            x.to(torch::kBFloat16),
            y.to(torch::kBFloat16),
            L1DSSIMLossOptions().k2(bad)),
        HasSubstr("expected k2 in ["));
  }
  for (const double bad : {1e-40, 1e40}) {
    EXPECT_ERROR(
        F::ssim(x, y, SSIMOptions().data_range(bad)),
        AllOf(
            HasSubstr("expected data_range in ["),
            HasSubstr("since the kernels compute in float32, but got ")));
  }
  const auto a = x.to(torch::kFloat64), b = y.to(torch::kFloat64);
  EXPECT_NO_THROW(F::ssim(a, b, SSIMOptions().k1(1e-23).k2(1e23)));
  EXPECT_NO_THROW(F::ssim(a, b, SSIMOptions().data_range(1e40)));
  EXPECT_ERROR(
      F::ssim(a, b, SSIMOptions().k1(1e-170)), HasSubstr("has to fit float64"));
}

TEST_F(ChecksTest, NestedAndBatchedTensors) {
  const auto nested =
      torch::_nested_tensor_from_tensor_list({x[0], x[1]}, {}, {}, {}, {});
  EXPECT_ERROR(
      F::ssim(nested, nested),
      HasSubstr("expected input to be a dense (strided) tensor, but got a "
                "nested one"));
  EXPECT_ERROR(
      F::ssim(x, y, {}, nested),
      HasSubstr("expected mask to be a dense (strided) tensor, but got a "
                "nested one"));
}

TEST_F(ChecksTest, FunctionsCheckToo) {
  EXPECT_ERROR(
      SSIMFunction::apply(x, y.slice(0, 0, 1), SSIMOptions(), torch::Tensor()),
      HasSubstr("ssim(): expected input and target of the same shape"));
  EXPECT_ERROR(
      L1DSSIMFunction::apply(
          x, y.slice(0, 0, 1), L1DSSIMLossOptions(), torch::Tensor()),
      HasSubstr(
          "l1_dssim_loss(): expected input and target of the same shape"));
}

} // namespace
} // namespace fused_ssim::test
