// A problem whose image is a piece of a larger one: rows of its neighbours above and
// below, results for its own rows alone. Together the pieces have to give the loss, the
// gradient and the map of errors of the whole image.

#include "support.h"

#include "../src/backend.h"
#include "../src/passes.h"
#include "../src/window.h"

#include <algorithm>

namespace fused_ssim::test {
namespace {

using detail::MutableView;
using detail::Outputs;
using detail::Problem;
using detail::TermSums;
using detail::View;
using detail::WeightSums;

constexpr std::int64_t kWindowSize = 7, kRadius = kWindowSize / 2;
constexpr double kL1Weight = 0.7, kDSSIMWeight = 0.3;

template <typename ViewType>
ViewType view_of(const torch::Tensor& image) { // [C, H, W] float32
  ViewType view;
  view.data = image.data_ptr();
  for (int i = 0; i < 3; ++i) {
    view.stride[1 + i] = image.stride(i);
  }
  return view;
}

class PiecesTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes) const {
    return noise(sizes).to(device(), torch::kFloat32);
  }

  void run(const Problem& problem, const Outputs& outputs) const {
#if defined(FUSED_SSIM_WITH_CUDA)
    if (device().is_cuda()) {
      return detail::cuda::run(problem, outputs, /*device=*/0);
    }
#endif
    detail::cpu::run(problem, outputs);
  }

  /// Cuts images of `sizes` at rows `cuts`.
  void compare(
      const Sizes& sizes,
      const Sizes& cuts, // ends of the pieces
      bool valid,
      bool crop_l1,
      bool masked) const {
    const auto x = image(sizes), y = image(sizes);
    const auto mask = masked ? image({sizes[1], sizes[2]}) : torch::Tensor();
    const auto options =
        L1DSSIMLossOptions()
            .l1_weight(kL1Weight)
            .dssim_weight(kDSSIMWeight)
            .window_size(kWindowSize)
            .padding(
                valid ? L1DSSIMLossOptions::padding_t(torch::kValid)
                      : torch::kSame)
            .crop_l1(crop_l1);
    const auto whole = expected(x, y, Spec(options), mask);

    const auto height = sizes[1], width = sizes[2];
    const auto margin = valid ? kRadius : 0;
    const detail::Region map_region = {
        margin, height - margin, margin, width - margin};
    const auto weight_sum = [&](std::int64_t border) {
      const auto weights = masked ? mask : torch::ones_like(x[0]);
      return 3 *
          weights.slice(0, border, height - border)
              .slice(1, border, width - border)
              .to(torch::kFloat64)
              .sum()
              .item<double>();
    };
    const auto sums =
        torch::tensor(
            {weight_sum(margin), weight_sum(valid && crop_l1 ? margin : 0)},
            torch::kFloat64)
            .to(device());

    const auto grad_x = torch::full_like(x, NAN);
    const auto grad_y = torch::full_like(y, NAN);
    const auto error_map = torch::full(
        {3, height - 2 * margin, width - 2 * margin}, NAN, x.options());
    double value = 0;
    const auto term_sums = torch::zeros({2}, torch::kFloat64);
    const auto weight_sums = torch::zeros({2}, torch::kFloat64);
    std::int64_t begin = 0;
    for (const auto end : cuts) {
      // The piece's rows, and 2 radius of its neighbours' on each side.
      const auto first = std::max<std::int64_t>(begin - 2 * kRadius, 0);
      const auto last = std::min<std::int64_t>(end + 2 * kRadius, height);
      const auto piece = [&](const torch::Tensor& of) {
        return of.slice(-2, first, last);
      };
      const auto x_piece = piece(x), y_piece = piece(y);
      Problem problem;
      problem.batch = 1;
      problem.channels = 3;
      problem.height = last - first;
      problem.width = width;
      problem.input = view_of<View>(x_piece);
      problem.target = view_of<View>(y_piece);
      if (masked) {
        problem.weight =
            view_of<View>(piece(mask).unsqueeze(0).expand_as(x_piece));
      }
      problem.window = detail::gaussian_window(kWindowSize, 1.5);
      problem.constants = detail::constants_of(1, 0.01, 0.03);
      problem.terms = {kL1Weight, kDSSIMWeight, 0};
      problem.own_region = {begin - first, end - first, 0, width};
      problem.map_region = detail::intersection(
          {map_region.row_begin - first,
           map_region.row_end - first,
           map_region.column_begin,
           map_region.column_end},
          {begin - first - kRadius, end - first + kRadius, 0, width});
      problem.map_region = detail::intersection(
          problem.map_region, {0, problem.height, 0, width});
      problem.crop_l1 = crop_l1;
      problem.weight_sums = static_cast<const WeightSums*>(sums.data_ptr());

      const auto part = torch::full({}, NAN, x.options());
      const auto piece_grad_x = piece(grad_x), piece_grad_y = piece(grad_y);
      Outputs outputs;
      outputs.value = part.data_ptr();
      outputs.grad_input = view_of<MutableView>(piece_grad_x);
      outputs.grad_target = view_of<MutableView>(piece_grad_y);
      run(problem, outputs);
      value += part.item<double>();

      // Rows of the map count from the first window that the piece has.
      const auto piece_grad = torch::empty_like(x_piece);
      Outputs errors;
      errors.grad_input = view_of<MutableView>(piece_grad);
      errors.error_map = view_of<MutableView>(error_map);
      errors.error_map.data = error_map.data_ptr<float>() +
          (first + problem.map_region.row_begin - margin) * error_map.stride(1);
      errors.error = {kL1Weight, kDSSIMWeight, 0};
      run(problem, errors);

      // What the piece adds to the whole.
      const auto piece_sums = torch::full({2, 2}, NAN, sums.options());
      Outputs raw;
      raw.value = part.data_ptr();
      raw.term_sums = static_cast<TermSums*>(piece_sums[0].data_ptr());
      run(problem, raw);
      problem.weight_sums = nullptr;
      raw = Outputs();
      raw.weight_sums = static_cast<WeightSums*>(piece_sums[1].data_ptr());
      run(problem, raw);
      problem.weight_sums = static_cast<const WeightSums*>(sums.data_ptr());
      term_sums.add_(piece_sums[0].cpu());
      weight_sums.add_(piece_sums[1].cpu());

      // The value alone comes from another kernel.
      const auto alone = torch::full({}, NAN, x.options());
      Outputs value_alone;
      value_alone.value = alone.data_ptr();
      run(problem, value_alone);
      expect_scalar(alone, part.cpu().to(torch::kFloat64), 1e-6);
      begin = end;
    }
    EXPECT_NEAR(value, whole.value.item<double>(), 1e-6);
    // The CUDA kernel adds up eight weights in float32 before it adds in float64. Each
    // of these sums is off by less than 2^-22 of it, in either direction.
    EXPECT_TRUE(torch::allclose(weight_sums, sums.cpu(), 1e-9, 0));
    const auto scalars = detail::finish(
        {kL1Weight, kDSSIMWeight, 0},
        /*unit=*/1,
        /*mean=*/true,
        *static_cast<const TermSums*>(term_sums.data_ptr()),
        *static_cast<const WeightSums*>(weight_sums.data_ptr()));
    EXPECT_NEAR(scalars.value, whole.value.item<double>(), 1e-6);
    expect_gradient(grad_x, whole.grad_input);
    expect_gradient(grad_y, whole.grad_target);
    expect_map(
        error_map, reference_error_map(x, y, Spec(options), ErrorMap::kLoss));
  }
};

TEST_P(PiecesTest, GiveTheWholeImage) {
  for (const bool masked : {false, true}) {
    for (const bool valid : {false, true}) {
      for (const bool crop : {false, true}) {
        SCOPED_TRACE(testing::Message() << masked << valid << crop);
        compare({3, 24, 19}, {12, 24}, valid, crop, masked);
        compare({3, 24, 19}, {1, 4, 5, 17, 23, 24}, valid, crop, masked);
      }
    }
  }
}

TEST_P(PiecesTest, OfSeveralTilesAndStrips) {
  compare({3, 330, 300}, {7, 300, 330}, false, false, true);
}

FUSED_SSIM_ON_EACH_DEVICE(PiecesTest);

} // namespace
} // namespace fused_ssim::test
