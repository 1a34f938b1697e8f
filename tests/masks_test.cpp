#include "support.h"

#include <algorithm>
#include <limits>

namespace fused_ssim::test {
namespace {

/// The allowed shapes of a mask for images [2, 3, H, W] and [3, H, W].
std::vector<Sizes> mask_sizes(const torch::Tensor& image) {
  const auto height = image.size(-2);
  const auto width = image.size(-1);
  std::vector<Sizes> sizes = {
      {height, width}, {1, height, width}, {3, height, width}};
  if (image.dim() == 4) {
    sizes.push_back({1, 1, height, width});
    sizes.push_back({2, 1, height, width});
    sizes.push_back({2, 3, height, width});
  }
  return sizes;
}

class MasksTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const {
    return noise(sizes).to(device(), type);
  }

  template <typename Options>
  void compare(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const Options& options,
      const torch::Tensor& mask) const {
    const auto weights = mask.dim() > x.dim() ? mask[0] : mask;
    const auto a = x.clone().requires_grad_();
    const auto b = y.clone().requires_grad_();
    const auto value = run(a, b, options, mask);
    value.sum().backward();
    const auto reference = expected(x, y, Spec(options), weights);
    // A sum's terms are of order 1, whatever they come to.
    const double terms = Spec(options).mean || Spec(options).none
        ? 1
        : exact(weights).expand(x.sizes()).sum().item<double>();
    const auto expect_value = [&](const torch::Tensor& actual) {
      if (actual.dim() != 0) {
        return expect_map(actual, reference.value);
      }
      const double tolerance = value_tolerance(actual.scalar_type());
      expect_scalar(actual, reference.value, tolerance * std::max(1.0, terms));
    };
    expect_value(value);
    expect_gradient(a.grad(), reference.grad_input);
    expect_gradient(b.grad(), reference.grad_target);
    // Without a gradient it is another pass.
    const torch::NoGradGuard no_grad;
    expect_value(run(x, y, options, mask));
  }

  static torch::Tensor run(
      const torch::Tensor& a,
      const torch::Tensor& b,
      const SSIMOptions& options,
      const torch::Tensor& mask) {
    return F::ssim(a, b, options, mask);
  }
  static torch::Tensor run(
      const torch::Tensor& a,
      const torch::Tensor& b,
      const L1DSSIMLossOptions& options,
      const torch::Tensor& mask) {
    return F::l1_dssim_loss(a, b, options, mask);
  }

  /// Compares each reduction and padding of both operators.
  void compare_all(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const torch::Tensor& mask) const {
    const std::vector<SSIMOptions::padding_t> paddings = {
        torch::kSame, torch::kValid};
    const std::vector<SSIMOptions::reduction_t> reductions = {
        torch::kMean, torch::kSum, torch::kNone};
    for (const auto& padding : paddings) {
      for (const auto& reduction : reductions) {
        SCOPED_TRACE(name_of(padding) + " " + name_of(reduction));
        const auto ssim = SSIMOptions().padding(padding).reduction(reduction);
        compare(x, y, ssim, mask);
        auto loss =
            L1DSSIMLossOptions(0.4).padding(padding).reduction(reduction);
        compare(x, y, loss.crop_l1(true), mask);
        const bool map =
            std::holds_alternative<torch::enumtype::kNone>(reduction);
        if (!map) {
          compare(x, y, loss.crop_l1(false), mask);
        }
      }
    }
  }
};

TEST_P(MasksTest, EachShapeAsWeightsAndAsBool) {
  const auto images = kEmulated
      ? std::vector<Sizes>{{2, 3, 12, 14}}
      : std::vector<Sizes>{{2, 3, 16, 25}, {3, 16, 25}};
  for (const auto& sizes : images) {
    const auto x = image(sizes, torch::kFloat64);
    const auto y = image(sizes, torch::kFloat64);
    for (const auto& shape : mask_sizes(x)) {
      SCOPED_TRACE(testing::PrintToString(shape));
      compare_all(x, y, image(shape, torch::kFloat64));
      if (!kEmulated || shape.size() == 2) {
        compare_all(x, y, image(shape, torch::kFloat64) > 0.4);
      }
    }
  }
}

TEST_P(MasksTest, Float32) {
  const Sizes sizes = {2, 3, scaled(60, 20), scaled(145, 131)};
  const auto x = image(sizes, torch::kFloat32);
  const auto y = image(sizes, torch::kFloat32);
  const Sizes plane = {sizes[2], sizes[3]};
  compare_all(x, y, image(plane, torch::kFloat32));
  compare_all(x, y, image(plane, torch::kFloat32) > 0.4);
  compare_all(x, y, 100 * image(sizes, torch::kFloat32));
}

TEST_P(MasksTest, AnyStrides) {
  const auto x = image({2, 3, 16, 25}, torch::kFloat64);
  const auto y = image({2, 3, 16, 25}, torch::kFloat64);
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    compare(
        x,
        y,
        L1DSSIMLossOptions(0.4),
        lay_out(image({2, 3, 16, 25}, torch::kFloat64), layout));
  }
  const auto row = image({1, 25}, torch::kFloat64).expand({16, 25});
  compare(x, y, SSIMOptions(), row);
  compare(x, y, SSIMOptions(), row > 0.5);
  compare(
      x,
      y,
      L1DSSIMLossOptions(),
      image({2, 1, 1, 25}, torch::kFloat64).expand({2, 1, 16, 25}));
  compare(
      x, y, SSIMOptions(), image({25, 16}, torch::kFloat64).transpose(0, 1));
}

TEST_P(MasksTest, OnesChangeNothing) {
  const auto x = image({2, 3, 20, 31}, torch::kFloat64);
  const auto y = image({2, 3, 20, 31}, torch::kFloat64);
  const auto ones = torch::ones({20, 31}, x.options());
  for (const auto& mask : {ones, ones.to(torch::kBool)}) {
    EXPECT_NEAR(
        F::l1_dssim_loss(x, y, {}, mask).item<double>(),
        F::l1_dssim_loss(x, y).item<double>(),
        1e-14);
  }
  // Only the proportions of the weights count in a mean.
  const auto weights = image({20, 31}, torch::kFloat64);
  EXPECT_NEAR(
      F::ssim(x, y, {}, 1000 * weights).item<double>(),
      F::ssim(x, y, {}, weights).item<double>(),
      1e-13);
}

// The mask weighs the map and not the images. The statistics of a window inside
// the mask include pixels outside of it.
TEST_P(MasksTest, StatisticsAreThoseOfTheWholeImage) {
  const auto x = image({1, 20, 31}, torch::kFloat64);
  const auto y = image({1, 20, 31}, torch::kFloat64);
  auto mask = torch::zeros({20, 31}, x.options());
  mask[9][14] = 1;
  const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
  EXPECT_NEAR(
      F::ssim(x, y, {}, mask).item<double>(),
      map[0][9][14].item<double>(),
      1e-14);
}

TEST_P(MasksTest, AllZero) {
  for (const auto type : {torch::kFloat32, torch::kFloat64, torch::kFloat16}) {
    SCOPED_TRACE(type);
    const auto x = image({2, 3, 16, 25}, type).requires_grad_();
    const auto y = image({2, 3, 16, 25}, type).requires_grad_();
    const auto zeros = torch::zeros({16, 25}, x.options().requires_grad(false));
    for (const auto& mask : {zeros, zeros.to(torch::kBool)}) {
      x.mutable_grad() = y.mutable_grad() = torch::Tensor();
      const auto loss = F::l1_dssim_loss(x, y, {}, mask);
      const auto ssim = F::ssim(x, y, {}, mask);
      (loss + ssim).backward();
      EXPECT_EQ(loss.item<double>(), 0);
      EXPECT_EQ(ssim.item<double>(), 1);
      EXPECT_EQ(x.grad().abs().max().item<double>(), 0);
      EXPECT_EQ(y.grad().abs().max().item<double>(), 0);

      const auto result = F::l1_dssim_value_and_grad(x, y, {}, mask);
      EXPECT_EQ(result.loss.item<double>(), 0);
      EXPECT_EQ(result.l1.item<double>(), 0);
      EXPECT_EQ(result.ssim.item<double>(), 1);
      EXPECT_EQ(result.grad.abs().max().item<double>(), 0);

      const auto sum = SSIMOptions().reduction(torch::kSum);
      EXPECT_EQ(F::ssim(x, y, sum, mask).item<double>(), 0);
      const auto none = SSIMOptions().reduction(torch::kNone);
      EXPECT_EQ(F::ssim(x, y, none, mask).abs().max().item<double>(), 0);
    }
  }
}

// The same through the graph of a second derivative.
TEST_P(MasksTest, AllZeroWithCreateGraph) {
  const auto x = image({3, 16, 25}, torch::kFloat64).requires_grad_();
  const auto y = image({3, 16, 25}, torch::kFloat64);
  const auto zeros = torch::zeros({16, 25}, x.options().requires_grad(false));
  const auto loss = F::l1_dssim_loss(x, y, {}, zeros);
  const auto gradient = torch::autograd::grad(
      {loss}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  EXPECT_EQ(gradient.abs().max().item<double>(), 0);
  gradient.square().sum().backward();
  EXPECT_EQ(x.grad().abs().max().item<double>(), 0);
}

// With kValid the map has a region of its own. If only the border has weight,
// this region has none, but L1 still covers the whole image.
TEST_P(MasksTest, WeightsOnTheBorderOnly) {
  const auto x = image({3, 16, 25}, torch::kFloat64);
  const auto y = image({3, 16, 25}, torch::kFloat64);
  auto mask = torch::ones({16, 25}, x.options());
  mask.slice(0, 5, 11).slice(1, 5, 20).zero_();
  const auto options = L1DSSIMLossOptions(0.4).padding(torch::kValid);
  compare(x, y, options, mask);
  const auto result = F::l1_dssim_value_and_grad(x, y, options, mask);
  EXPECT_EQ(result.ssim.item<double>(), 1);
  const auto on_border = ((x - y).abs() * mask).sum() / (3 * mask.sum());
  EXPECT_NEAR(result.l1.item<double>(), on_border.item<double>(), 1e-13);
  EXPECT_NEAR(
      result.loss.item<double>(), 0.6 * on_border.item<double>(), 1e-13);
  auto cropped = options;
  EXPECT_EQ(
      F::l1_dssim_loss(x, y, cropped.crop_l1(true), mask).item<double>(), 0);
}

TEST_P(MasksTest, EachImageOfABatchHasItsShare) {
  const auto x = image({3, 2, 16, 25}, torch::kFloat64);
  const auto y = image({3, 2, 16, 25}, torch::kFloat64);
  auto mask = torch::zeros({3, 1, 16, 25}, x.options());
  mask[1].fill_(1);
  EXPECT_NEAR(
      F::ssim(x, y, {}, mask).item<double>(),
      F::ssim(x[1], y[1]).item<double>(),
      1e-14);
}

/// Pixels of weight 0, each window of which has weight 0 too, hold anything.
TEST_P(MasksTest, NothingCountsUnderAWeightOfZero) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const Sizes sizes = {2, 3, 34, scaled(140, 45)};
  auto hole = torch::zeros({34, sizes[3]}, torch::kBool);
  hole.slice(0, 12, 20).slice(1, 9, 30).fill_(true);
  auto around = torch::zeros_like(hole); // with the windows that see the hole
  around.slice(0, 7, 25).slice(1, 4, 35).fill_(true);
  hole = hole.to(device());
  around = around.to(device());
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto x = image(sizes, type);
    const auto y = image(sizes, type);
    const auto weights = image({34, sizes[3]}, type).masked_fill(around, 0);
    const auto clean_x = x.masked_fill(hole, 0.5);
    const auto clean_y = y.masked_fill(hole, 0.5);
    for (const double bad : {nan, infinity}) {
      const auto bad_x = x.masked_fill(hole, bad);
      const auto bad_y = y.masked_fill(hole, -bad);
      for (const double dssim_weight : {0.0, 0.4, 1.0}) {
        for (const SSIMOptions::reduction_t& reduction :
             {SSIMOptions::reduction_t(torch::kMean),
              SSIMOptions::reduction_t(torch::kNone)}) {
          SCOPED_TRACE(testing::Message() << type << dssim_weight << bad);
          const auto options = L1DSSIMLossOptions(dssim_weight)
                                   .reduction(reduction)
                                   .crop_l1(true);
          const auto gradients = [&](const torch::Tensor& input,
                                     const torch::Tensor& target) {
            const auto a = input.clone().requires_grad_();
            const auto b = target.clone().requires_grad_();
            const auto value = F::l1_dssim_loss(a, b, options, weights);
            value.sum().backward();
            return std::vector<torch::Tensor>{
                value.detach(), a.grad(), b.grad()};
          };
          const auto reference = gradients(clean_x, clean_y);
          const auto actual = gradients(bad_x, bad_y);
          for (int i = 0; i < 3; ++i) {
            const auto error = error_of(actual[i], reference[i]);
            EXPECT_LE(error.relative_l2, type == torch::kFloat32 ? 1e-5 : 1e-9)
                << i;
          }
          for (const int i : {1, 2}) {
            EXPECT_EQ(
                actual[i].masked_select(hole).abs().max().item<double>(), 0);
          }
        }
      }
    }
  }
}

// Images without batch may have a mask with a batch of one.
TEST_P(MasksTest, BatchOfOneForOneImage) {
  const auto x = image({3, 16, 25}, torch::kFloat64);
  const auto y = image({3, 16, 25}, torch::kFloat64);
  compare_all(x, y, image({1, 1, 16, 25}, torch::kFloat64));
  compare_all(x, y, image({1, 3, 16, 25}, torch::kFloat64));
}

TEST_P(MasksTest, HalfTypes) {
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    SCOPED_TRACE(type);
    const auto x = image({2, 3, 16, 25}, type);
    const auto y = image({2, 3, 16, 25}, type);
    for (const auto& mask :
         {image({2, 1, 16, 25}, type), image({16, 25}, type) > 0.4}) {
      const auto a = x.clone().requires_grad_();
      const auto options = L1DSSIMLossOptions(0.4);
      const auto loss = F::l1_dssim_loss(a, y, options, mask);
      const auto reference = expected(x, y, Spec(options), mask);
      EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
      expect_scalar(loss, reference.value, 1e-6);
      loss.backward();
      expect_gradient(a.grad(), reference.grad_input);
    }
  }
}

/// A map of one pixel. Its gradient has the product of mask and upstream
/// gradient as a factor.
TEST_P(MasksTest, HalfTypesTimesUpstream) {
  const auto options =
      SSIMOptions().padding(torch::kValid).reduction(torch::kNone);
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    for (int i = 0; i < 8; ++i) {
      SCOPED_TRACE(i);
      const auto x = image({1, 11, 11}, type);
      const auto y = image({1, 11, 11}, type);
      const auto mask = image({11, 11}, type);
      const auto upstream = image({1, 1, 1}, type) + 0.1;
      const auto a = x.clone().requires_grad_();
      F::ssim(a, y, options, mask).backward(upstream);
      const auto reference = expected(x, y, Spec(options), mask, upstream);
      expect_gradient(a.grad(), reference.grad_input);
    }
  }
}

TEST_P(MasksTest, WithUint8Target) {
  const auto x = image({2, 3, 16, 25}, torch::kFloat32);
  const auto y =
      (image({2, 3, 16, 25}, torch::kFloat32) * 255).to(torch::kUInt8);
  const auto mask = image({16, 25}, torch::kFloat32);
  const auto a = x.clone().requires_grad_();
  const auto loss = F::l1_dssim_loss(a, y, {}, mask);
  const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()), mask);
  expect_scalar(loss, reference.value, 1e-6);
  loss.backward();
  expect_gradient(a.grad(), reference.grad_input);
}

FUSED_SSIM_ON_EACH_DEVICE(MasksTest);

} // namespace
} // namespace fused_ssim::test
