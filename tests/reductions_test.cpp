#include "support.h"

namespace fused_ssim::test {
namespace {

class ReductionsTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes) const {
    return noise(sizes).to(device(), torch::kFloat64);
  }

  /// Sends `upstream` through a map of SSIM and of the loss.
  void compare(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const SSIMOptions::padding_t& padding,
      const torch::Tensor& upstream) const {
    const auto check = [&](const auto& f, const auto& options) {
      const auto a = x.clone().requires_grad_();
      const auto b = y.clone().requires_grad_();
      const auto map = f(a, b, options);
      map.backward(upstream);
      const auto reference = expected(x, y, Spec(options), {}, upstream);
      expect_map(map, reference.value);
      expect_gradient(a.grad(), reference.grad_input);
      expect_gradient(b.grad(), reference.grad_target);
    };
    check(
        [](const auto& a, const auto& b, const SSIMOptions& o) {
          return F::ssim(a, b, o);
        },
        SSIMOptions().padding(padding).reduction(torch::kNone));
    check(
        [](const auto& a, const auto& b, const L1DSSIMLossOptions& o) {
          return F::l1_dssim_loss(a, b, o);
        },
        L1DSSIMLossOptions(0.3).padding(padding).crop_l1(true).reduction(
            torch::kNone));
  }
};

TEST_P(ReductionsTest, ShapesOfMaps) {
  const auto x = image({2, 3, 16, 25});
  const auto same = SSIMOptions().reduction(torch::kNone);
  auto valid = same;
  valid.padding(torch::kValid).window_size(7);
  EXPECT_EQ(F::ssim(x, x, same).sizes(), x.sizes());
  EXPECT_EQ(F::ssim(x, x, valid).sizes(), torch::IntArrayRef({2, 3, 10, 19}));
  EXPECT_EQ(F::ssim(x[0], x[0], same).sizes(), x[0].sizes());
  EXPECT_EQ(
      F::ssim(x[0], x[0], valid).sizes(), torch::IntArrayRef({3, 10, 19}));
  EXPECT_EQ(
      F::l1_dssim_loss(x, x, L1DSSIMLossOptions().reduction(torch::kNone))
          .sizes(),
      x.sizes());
}

TEST_P(ReductionsTest, MapSumAndMeanAgree) {
  const auto x = image({2, 3, 16, 25});
  const auto y = image({2, 3, 16, 25});
  for (const bool valid : {false, true}) {
    const auto padding = valid ? SSIMOptions::padding_t(torch::kValid)
                               : SSIMOptions::padding_t(torch::kSame);
    const auto ssim = [&](const SSIMOptions::reduction_t& reduction) {
      return F::ssim(x, y, SSIMOptions().padding(padding).reduction(reduction));
    };
    const auto map = ssim(torch::kNone);
    expect_scalar(ssim(torch::kSum), map.sum(), 1e-13);
    expect_scalar(ssim(torch::kMean), map.mean(), 1e-13);

    const auto loss = [&](const SSIMOptions::reduction_t& reduction) {
      return F::l1_dssim_loss(
          x,
          y,
          L1DSSIMLossOptions().crop_l1(true).padding(padding).reduction(
              reduction));
    };
    const auto loss_map = loss(torch::kNone);
    expect_scalar(loss(torch::kSum), loss_map.sum(), 1e-13);
    expect_scalar(loss(torch::kMean), loss_map.mean(), 1e-13);
  }
}

// The example of functional.h: SSIM of each image.
TEST_P(ReductionsTest, ValuesOfEachImage) {
  const auto x = image({3, 3, 16, 25});
  const auto y = image({3, 3, 16, 25});
  const auto each =
      F::ssim(x, y, SSIMOptions().reduction(torch::kNone)).mean({1, 2, 3});
  ASSERT_EQ(each.sizes(), torch::IntArrayRef({3}));
  for (std::int64_t i = 0; i < 3; ++i) {
    expect_scalar(each[i], F::ssim(x[i], y[i]), 1e-13);
  }
}

TEST_P(ReductionsTest, SumOfManyPixelsIsExact) {
  const Sizes sizes = {3, scaled(300, 40), scaled(400, 300)};
  const auto x = noise(sizes).to(device(), torch::kFloat32);
  const auto y = noise(sizes).to(device(), torch::kFloat32);
  for (const auto& [l1, dssim] :
       std::vector<std::pair<double, double>>{{1, 0}, {0, 1}, {0.8, 0.2}}) {
    const auto options =
        L1DSSIMLossOptions().l1_weight(l1).dssim_weight(dssim).reduction(
            torch::kSum);
    expect_scalar(
        F::l1_dssim_loss(x, y, options),
        expected(x, y, Spec(options)).value,
        1e-6);
  }
}

TEST_P(ReductionsTest, SumHasTheGradientOfTheSum) {
  const auto x = image({2, 3, 16, 25});
  const auto y = image({2, 3, 16, 25});
  for (const bool crop : {false, true}) {
    const auto a = x.clone().requires_grad_();
    const auto b = y.clone().requires_grad_();
    const auto options = L1DSSIMLossOptions(0.3)
                             .padding(torch::kValid)
                             .crop_l1(crop)
                             .reduction(torch::kSum);
    F::l1_dssim_loss(a, b, options).backward();
    const auto reference = expected(x, y, Spec(options));
    expect_gradient(a.grad(), reference.grad_input);
    expect_gradient(b.grad(), reference.grad_target);
  }
}

TEST_P(ReductionsTest, MapTakesAnyUpstream) {
  for (const bool valid : {false, true}) {
    const auto padding = valid ? SSIMOptions::padding_t(torch::kValid)
                               : SSIMOptions::padding_t(torch::kSame);
    const std::int64_t height = valid ? 6 : 16;
    const std::int64_t width = valid ? 15 : 25;
    const auto x = image({2, 3, 16, 25});
    const auto y = image({2, 3, 16, 25});
    const Sizes map = {2, 3, height, width};
    const auto centred = [&](const Sizes& sizes) { return image(sizes) - 0.5; };
    compare(x, y, padding, centred(map));
    for (const auto layout : kLayouts) {
      SCOPED_TRACE(name(layout));
      compare(x, y, padding, lay_out(centred(map), layout));
    }
    compare(x, y, padding, centred({1}).expand(map));
    compare(x, y, padding, centred({2, 1, 1, width}).expand(map));
    compare(x, y, padding, centred({3, height, 1}).expand(map));
    auto spot = torch::zeros(map, x.options());
    spot[1][2][height - 1][0] = 1;
    compare(x, y, padding, spot);
  }
}

TEST_P(ReductionsTest, MapUpstreamOfZeros) {
  const auto x = image({3, 16, 25}).requires_grad_();
  const auto y = image({3, 16, 25});
  const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
  map.backward(torch::zeros_like(map));
  EXPECT_EQ(x.grad().abs().max().item<double>(), 0);
}

TEST_P(ReductionsTest, MapOfMaskedImagesTakesAnyUpstream) {
  const auto x = image({2, 3, 16, 25});
  const auto y = image({2, 3, 16, 25});
  for (const auto& mask : {image({2, 1, 16, 25}), image({16, 25}) > 0.4}) {
    const auto options =
        SSIMOptions().padding(torch::kValid).reduction(torch::kNone);
    const auto a = x.clone().requires_grad_();
    const auto map = F::ssim(a, y, options, mask);
    const auto upstream = torch::randn_like(map);
    map.backward(upstream);
    const auto reference = expected(x, y, Spec(options), mask, upstream);
    expect_map(map, reference.value);
    expect_gradient(a.grad(), reference.grad_input);
  }
}

TEST_P(ReductionsTest, CroppedL1IsThatOfTheInnerRegion) {
  const auto x = image({2, 3, 16, 25});
  const auto y = image({2, 3, 16, 25});
  const auto inner = [](const torch::Tensor& t) {
    return t.slice(-2, 5, 11).slice(-1, 5, 20);
  };
  const auto cropped =
      L1DSSIMLossOptions(0).padding(torch::kValid).crop_l1(true);
  expect_scalar(
      F::l1_dssim_loss(x, y, cropped),
      (inner(x) - inner(y)).abs().mean(),
      1e-13);
  const auto whole = L1DSSIMLossOptions(0).padding(torch::kValid);
  expect_scalar(F::l1_dssim_loss(x, y, whole), (x - y).abs().mean(), 1e-13);
  // With kSame the inner region is the whole image.
  const auto same = L1DSSIMLossOptions(0).crop_l1(true);
  expect_scalar(F::l1_dssim_loss(x, y, same), (x - y).abs().mean(), 1e-13);
}

// Without weight, SSIM is not computed. So the NaN that it would have here does
// not reach the value.
TEST_P(ReductionsTest, HalvesWithoutWeightAreSkipped) {
  auto x = image({3, 16, 25});
  const auto y = image({3, 16, 25});
  x[0][3][3] = std::numeric_limits<double>::infinity();
  const auto a = x.clone().requires_grad_();
  const auto loss = F::l1_dssim_loss(a, y, L1DSSIMLossOptions(0));
  loss.backward();
  EXPECT_EQ(loss.item<double>(), std::numeric_limits<double>::infinity());
  expect_gradient(a.grad(), (x - y).sign() / static_cast<double>(x.numel()));
}

// A NaN reaches the one pixel of an L1 map that holds it, not the windows around it.
TEST_P(ReductionsTest, MapWithoutSSIMSkipsIt) {
  auto x = image({3, 16, 25});
  const auto y = image({3, 16, 25});
  x[0][8][9] = std::numeric_limits<double>::quiet_NaN();
  for (const bool valid : {false, true}) {
    auto options = L1DSSIMLossOptions(0).reduction(torch::kNone).crop_l1(true);
    if (valid) {
      options.padding(torch::kValid);
    }
    const auto map = F::l1_dssim_loss(x, y, options);
    EXPECT_EQ(map.isnan().sum().item<std::int64_t>(), 1);
    const auto l1 = (x - y).abs();
    expect_same_bits(
        map, valid ? l1.slice(1, 5, 11).slice(2, 5, 20).contiguous() : l1);
  }
}

FUSED_SSIM_ON_EACH_DEVICE(ReductionsTest);

} // namespace
} // namespace fused_ssim::test
