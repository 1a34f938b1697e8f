// Tests what CPU tensors do not reach at the sizes that an emulation can
// afford: the scaling of a gradient, blocks that take more than one item, and the
// sums of pieces.

#include "architectures.h"
#include "banded_division.h"
#include "scheduler.h"

#include "backend.h"
#include "passes.h"
#include "window.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace fused_ssim::detail::cuda {
namespace {

template <typename T>
struct Traits;

template <>
struct Traits<float> {
  using Factor = float;
  static constexpr Element kElement = Element::kFloat32;
};

template <>
struct Traits<double> {
  using Factor = double;
  static constexpr Element kElement = Element::kFloat64;
};

template <>
struct Traits<c10::Half> {
  using Factor = float;
  static constexpr Element kElement = Element::kFloat16;
};

template <>
struct Traits<c10::BFloat16> {
  using Factor = float;
  static constexpr Element kElement = Element::kBFloat16;
};

template <typename T>
class Scale : public ::testing::Test {
 protected:
  using Factor = typename Traits<T>::Factor;

  static std::vector<T> scaled(const std::vector<T>& values, Factor factor) {
    auto result = values;
    scale(
        result.data(),
        Traits<T>::kElement,
        static_cast<std::int64_t>(result.size()),
        &factor,
        Traits<Factor>::kElement,
        /*device=*/0);
    return result;
  }
};

using Types = ::testing::Types<float, double, c10::Half, c10::BFloat16>;
TYPED_TEST_SUITE(Scale, Types);

TYPED_TEST(Scale, MultipliesEachElementOnce) {
  using Factor = typename Traits<TypeParam>::Factor;
  for (const std::size_t count : {0, 1, 255, 256, 257, 20000}) {
    SCOPED_TRACE(count);
    std::vector<TypeParam> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = static_cast<TypeParam>(static_cast<float>(i % 100) - 50);
    }
    for (const float factor : {1.0f, -0.5f, 0.0f}) {
      auto expected = values;
      for (auto& value : expected) {
        value = static_cast<TypeParam>(
            static_cast<Factor>(value) * static_cast<Factor>(factor));
      }
      EXPECT_EQ(this->scaled(values, factor), expected) << factor;
    }
  }
}

TEST(SplitWindow, IsExactInFloat16) {
  for (int size = 3; size <= 2 * kMaxRadius + 1; size += 2) {
    for (double sigma = 0.1; sigma < 40; sigma *= 1.01) {
      const auto window = gaussian_window(size, sigma);
      DeviceWindow<float> taps{window.radius, {}};
      std::copy_n(window.taps, kMaxRadius + 1, taps.taps);
      const auto split = split_window(taps);
      ASSERT_EQ(split.radius, window.radius);
      double high_sum = 0, low_sum = 0;
      for (int k = 0; k <= split.radius; ++k) {
        const double high = split.high[k], low = split.low[k];
        ASSERT_EQ(static_cast<float>(c10::Half(split.high[k])), high);
        ASSERT_EQ(static_cast<float>(c10::Half(split.low[k])), low);
        ASSERT_EQ(std::fmod(high, 1.0 / 4096), 0);
        ASSERT_LE(std::fabs(low), 1.0 / 4096);
        // The middle tap takes what the others leave.
        const double units = k == 0 ? 2.0 * split.radius : 3;
        ASSERT_NEAR(high + low, window.taps[k], units / (1 << 24))
            << "size " << size << ", sigma " << sigma << ", tap " << k;
        high_sum += k == 0 ? high : 2 * high;
        low_sum += k == 0 ? low : 2 * low;
      }
      ASSERT_EQ(high_sum, 1);
      ASSERT_EQ(low_sum, 0);
    }
  }
}

TEST(Finish, AddsThePiecesUp) {
  for (const std::int64_t count : {1, 3, 255, 600}) {
    SCOPED_TRACE(count);
    std::vector<TermSums> terms;
    std::vector<WeightSums> weights;
    TermSums term_total;
    WeightSums weight_total;
    for (std::int64_t i = 0; i < count; ++i) {
      // Small whole numbers: every order of adding them gives the same.
      const auto number = static_cast<double>(i % 7);
      terms.push_back({number, 2 * number});
      weights.push_back({3 * number + 1, 5 * number + 1});
      term_total.dssim += terms.back().dssim;
      term_total.l1 += terms.back().l1;
      weight_total.ssim += weights.back().ssim;
      weight_total.l1 += weights.back().l1;
    }
    Problem problem;
    problem.input.element = Element::kFloat64;
    problem.terms = {0.7, 0.3, 0};
    problem.constants.unit = 2;
    double value = 0, l1 = 0, ssim = 0;
    TermSums term_sums;
    WeightSums weight_sums;
    Outputs outputs;
    outputs.value = &value;
    outputs.l1 = &l1;
    outputs.ssim = &ssim;
    outputs.term_sums = &term_sums;
    outputs.weight_sums = &weight_sums;
    finish(
        problem,
        outputs,
        terms.data(),
        count,
        weights.data(),
        count,
        /*device=*/0);
    EXPECT_EQ(term_sums.dssim, term_total.dssim);
    EXPECT_EQ(term_sums.l1, term_total.l1);
    EXPECT_EQ(weight_sums.ssim, weight_total.ssim);
    EXPECT_EQ(weight_sums.l1, weight_total.l1);
    const auto expected = detail::finish(
        problem.terms, 2, /*mean=*/true, term_total, weight_total);
    EXPECT_DOUBLE_EQ(value, expected.value);
    EXPECT_DOUBLE_EQ(l1, expected.l1);
    EXPECT_DOUBLE_EQ(ssim, expected.ssim);
  }
}

struct LossAndGradient {
  double loss;
  std::vector<double> gradient; // [planes, height, width]
};

TEST(Architectures, ADeviceRunsTheNewestCodeThatIsNotNewerThanItself) {
  EXPECT_EQ(architecture_of_code(900, {750, 800, 900, 1000}), 900);
  EXPECT_EQ(architecture_of_code(900, {800}), 800);
  EXPECT_EQ(architecture_of_code(900, {1000, 860}), 860);
  EXPECT_EQ(architecture_of_code(1200, {900, 800}), 900);
  EXPECT_EQ(architecture_of_code(750, {800, 900}), 0);
}

/// The gradient of a sum, so that planes do not depend on each other.
LossAndGradient loss_of(
    const std::vector<double>& input, // [planes, height, width]
    const std::vector<double>& target, // [planes, height, width]
    std::int64_t height,
    std::int64_t width) {
  const std::int64_t stride[4] = {height * width, height * width, width, 1};
  LossAndGradient result{0, std::vector<double>(input.size())};
  Problem problem;
  problem.batch = static_cast<std::int64_t>(input.size()) / (height * width);
  problem.channels = 1;
  problem.height = height;
  problem.width = width;
  problem.own_region =
      problem.map_region = {0, problem.height, 0, problem.width};
  problem.input.data = input.data();
  problem.target.data = target.data();
  problem.input.element = problem.target.element = Element::kFloat64;
  problem.window = gaussian_window(5, 1.5);
  problem.constants.c1 = 1e-4;
  problem.constants.c2 = 9e-4;
  problem.terms.l1_weight = 0.8;
  problem.terms.dssim_weight = 0.2;
  problem.mean = false;
  Outputs outputs;
  outputs.value = &result.loss;
  outputs.grad_input.data = result.gradient.data();
  outputs.grad_input.element = Element::kFloat64;
  std::copy_n(stride, 4, problem.input.stride);
  std::copy_n(stride, 4, problem.target.stride);
  std::copy_n(stride, 4, outputs.grad_input.stride);
  run(problem, outputs, /*device=*/0);
  return result;
}

TEST(Blocks, TakeManyItemsOneAfterTheOther) {
  // More planes than a launch has blocks.
  constexpr int kPlanes = 4100, kHeight = 3, kWidth = 4;
  std::vector<double> input(kPlanes * kHeight * kWidth), target(input.size());
  for (std::size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<double>(i * 7 % 101) / 101;
    target[i] = static_cast<double>(i * 11 % 103) / 103;
  }
  const auto all = loss_of(input, target, kHeight, kWidth);
  // Planes that come first, and some of the last.
  for (const auto& [first, last] : {std::pair(0, 4), {4096, kPlanes}}) {
    const auto cut = [&, first = first, last = last](const auto& values) {
      return std::vector<double>(
          values.begin() + first * kHeight * kWidth,
          values.begin() + last * kHeight * kWidth);
    };
    const auto part = loss_of(cut(input), cut(target), kHeight, kWidth);
    EXPECT_EQ(part.gradient, cut(all.gradient));
  }
}

} // namespace
} // namespace fused_ssim::detail::cuda
