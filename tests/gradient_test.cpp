#include "support.h"

namespace fused_ssim::test {
namespace {

class GradientTest : public DeviceTest {
 protected:
  /// Compares the gradients in both images, and the value that comes with them.
  template <typename Options>
  void compare(
      const torch::Tensor& x, // float64 on the CPU
      const torch::Tensor& y,
      const Options& options,
      torch::ScalarType type) const {
    SCOPED_TRACE(type);
    const auto a = leaf_of(x, device(), type);
    const auto b = leaf_of(y, device(), type);
    const auto value = run(a, b, options);
    value.sum().backward();
    const auto reference = expected(a, b, Spec(options));
    if (value.dim() == 0) {
      expect_scalar(value, reference.value, value_tolerance(type));
    }
    expect_gradient(a.grad(), reference.grad_input);
    expect_gradient(b.grad(), reference.grad_target);
    EXPECT_EQ(a.grad().scalar_type(), type);
  }

  static torch::Tensor run(
      const torch::Tensor& a,
      const torch::Tensor& b,
      const SSIMOptions& options) {
    return F::ssim(a, b, options);
  }
  static torch::Tensor run(
      const torch::Tensor& a,
      const torch::Tensor& b,
      const L1DSSIMLossOptions& options) {
    return F::l1_dssim_loss(a, b, options);
  }

  template <typename Options>
  void compare_all(
      const torch::Tensor& x,
      const torch::Tensor& y,
      Options options) const {
    for (const auto type : {torch::kFloat32, torch::kFloat64}) {
      compare(x, y, options.padding(torch::kSame), type);
      compare(x, y, options.padding(torch::kValid), type);
    }
  }
};

TEST_P(GradientTest, Photograph) {
  const auto x = photograph({3, scaled(200, 36), scaled(301, 130)});
  const auto y = disturbed(x, 0.05);
  compare_all(x, y, SSIMOptions());
  compare_all(x, y, L1DSSIMLossOptions());
}

TEST_P(GradientTest, BatchAndChannels) {
  for (const auto& sizes : std::vector<Sizes>{
           {1, 18, 37}, {2, 3, 18, 37}, {3, 1, 18, 37}, {2, 17, 12, 14}}) {
    SCOPED_TRACE(testing::PrintToString(sizes));
    compare_all(noise(sizes), noise(sizes), SSIMOptions());
    compare_all(noise(sizes), noise(sizes), L1DSSIMLossOptions());
  }
}

TEST_P(GradientTest, WindowSizes) {
  const auto x = noise({2, 33, 45});
  const auto y = noise({2, 33, 45});
  const auto sizes =
      kEmulated ? Sizes{3, 17, 33} : Sizes{3, 7, 11, 15, 19, 23, 27, 31, 33};
  for (const std::int64_t size : sizes) {
    SCOPED_TRACE(size);
    compare_all(x, y, SSIMOptions().window_size(size).sigma(0.15 * size));
  }
}

TEST_P(GradientTest, ConstantsAndDataRange) {
  const auto x = noise({2, 20, 31});
  const auto y = noise({2, 20, 31});
  compare_all(x, y, SSIMOptions().k1(0.03).k2(0.1));
  compare_all(255 * x, 255 * y, L1DSSIMLossOptions().data_range(255));
  compare_all(3 * x - 1, 3 * y - 2, SSIMOptions());
}

TEST_P(GradientTest, WeightsOfTheTerms) {
  const auto x = noise({2, 20, 31});
  const auto y = noise({2, 20, 31});
  for (const auto& [l1, dssim] : std::vector<std::pair<double, double>>{
           {1, 0}, {0, 1}, {2, 3}, {0.01, 5}}) {
    SCOPED_TRACE(testing::Message() << l1 << " and " << dssim);
    compare_all(x, y, L1DSSIMLossOptions().l1_weight(l1).dssim_weight(dssim));
  }
}

TEST_P(GradientTest, NoWeightGivesNoGradient) {
  const auto x = noise({2, 20, 31}).to(device()).requires_grad_();
  const auto y = noise({2, 20, 31}).to(device());
  const auto loss =
      F::l1_dssim_loss(x, y, L1DSSIMLossOptions().l1_weight(0).dssim_weight(0));
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_EQ(x.grad().abs().max().item<double>(), 0);
}

TEST_P(GradientTest, CroppedL1) {
  const auto x = noise({2, 20, 31});
  const auto y = noise({2, 20, 31});
  compare_all(x, y, L1DSSIMLossOptions(0.3).crop_l1(true));
  compare_all(x, y, L1DSSIMLossOptions(0.3).crop_l1(true).window_size(5));
}

// The derivative of |0| is that of torch. Half of the pixels are equal.
TEST_P(GradientTest, L1OfEqualPixelsHasNoSign) {
  const auto x = noise({1, 20, 31});
  auto y = x.clone();
  y.slice(-1, 0, 16) += 0.1;
  compare_all(x, y, L1DSSIMLossOptions(0));
}

TEST_P(GradientTest, OneGradientIsTheSameAloneOrWithTheOther) {
  const auto x = noise({3, 20, 131}).to(device(), torch::kFloat32);
  const auto y = noise({3, 20, 131}).to(device(), torch::kFloat32);
  expect_one_gradient_as_both(
      x, y, [](const torch::Tensor& a, const torch::Tensor& b) {
        return F::l1_dssim_loss(a, b, 0.7);
      });
}

TEST_P(GradientTest, SameBitsEachTime) {
  const auto x = noise({3, scaled(100, 20), 150}).to(device(), torch::kFloat32);
  const auto y = noise({3, scaled(100, 20), 150}).to(device(), torch::kFloat32);
  const auto gradient = [&] {
    const auto leaf = x.clone().requires_grad_();
    F::l1_dssim_loss(leaf, y).backward();
    return leaf.grad();
  };
  const auto first = gradient();
  for (int i = 0; i < scaled(20, 3); ++i) {
    expect_same_bits(gradient(), first);
  }
}

TEST_P(GradientTest, FiniteDifferences) {
  const auto check = [&](const Function& f) {
    const auto x = noise({2, 7, 8}).to(device());
    // So far from x that |x - y| has a derivative.
    const auto y = (noise({2, 7, 8}) + 1.5).to(device());
    EXPECT_LE(gradcheck(f, {x, y}), 1e-7);
  };
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "differences are taken through a pointer to host memory";
  }
  for (const bool valid : {false, true}) {
    const auto padding = valid ? SSIMOptions::padding_t(torch::kValid)
                               : SSIMOptions::padding_t(torch::kSame);
    const auto none = SSIMOptions().reduction(torch::kNone);
    check([&](const std::vector<torch::Tensor>& in) {
      return F::ssim(
          in[0], in[1], SSIMOptions().window_size(5).padding(padding));
    });
    check([&](const std::vector<torch::Tensor>& in) {
      auto options = none;
      return F::ssim(in[0], in[1], options.window_size(3).padding(padding));
    });
    check([&](const std::vector<torch::Tensor>& in) {
      return F::l1_dssim_loss(
          in[0],
          in[1],
          L1DSSIMLossOptions(0.6).window_size(5).padding(padding).reduction(
              torch::kSum));
    });
    check([&](const std::vector<torch::Tensor>& in) {
      return F::l1_dssim_loss(
          in[0],
          in[1],
          L1DSSIMLossOptions(0.6)
              .window_size(7)
              .padding(padding)
              .crop_l1(true)
              .reduction(torch::kNone));
    });
  }
}

// Where a common difference is taken out before the blurs, one that is lost against it
// in rounding keeps its sign.
TEST_P(GradientTest, SignOfTinyDifferences) {
  const Sizes sizes = {2, scaled(150, 30), scaled(300, 40)};
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const double common : {0.0, 0.004, -0.004, 0.1}) {
      SCOPED_TRACE(testing::Message() << type << common);
      const auto y = torch::full(sizes, common < 0 ? 0.004 : 0.0, type);
      auto x = y + common;
      auto sign = torch::full(
          sizes,
          common > 0       ? 1.0
              : common < 0 ? -1.0
                           : 0.0,
          torch::kFloat64);
      // What is common changes with the rows.
      const auto below = [&](const torch::Tensor& image) {
        return image.slice(1, sizes[1] / 2);
      };
      below(y).fill_(0.3);
      below(x).fill_(0.3 - 0.007 / 3);
      below(sign).fill_(-1);
      auto target = y.clone();
      for (std::int64_t row = 0; row < sizes[1]; ++row) {
        const std::int64_t column = (7 * row) % sizes[2];
        const bool positive = row % 2 == 0;
        const auto equal = (column + 5) % sizes[2];
        x.select(1, row).select(1, equal).copy_(
            y.select(1, row).select(1, equal));
        sign.select(1, row).select(1, equal).fill_(0);
        x.select(1, row).select(1, column).fill_(positive ? 1e-30 : 0.0);
        target.select(1, row).select(1, column).fill_(positive ? 0.0 : 1e-30);
        sign.select(1, row).select(1, column).fill_(positive ? 1 : -1);
      }
      const auto a = leaf_of(x, device(), type);
      const auto options =
          L1DSSIMLossOptions().l1_weight(1).dssim_weight(1e-7).reduction(
              torch::kSum);
      F::l1_dssim_loss(a, target.to(device()), options).backward();
      EXPECT_LE(error_of(a.grad(), sign).max, 0.01);
    }
  }
}

FUSED_SSIM_ON_EACH_DEVICE(GradientTest);

} // namespace
} // namespace fused_ssim::test
