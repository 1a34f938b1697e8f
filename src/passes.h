#pragma once

// Which kernels a call runs, and how their sums become scalars: one plan and one
// formula for both devices.

#include "backend.h"
#include "ssim_math.h"

#include <limits>

namespace fused_ssim::detail {

/// There are two kernels: one with SSIM, which can do all the work, and a cheap one
/// with L1 alone. Work that a weight of 0 skips is skipped: SSIM has no part in
/// images (maps and gradients) whose dssim_weight is 0. A map of errors is always
/// written by the kernel with SSIM.
struct Passes {
  bool ssim = false; // run the kernel with SSIM
  bool l1 = false; // run the kernel with L1 alone
  bool images_with_ssim =
      false; // the kernel with SSIM writes map and gradients
  bool l1_sum = false; // wanted: of the kernel with L1 alone, if that runs
  bool sums = false; // any sum is wanted

  Passes(const Problem& problem, const Outputs& outputs) {
    const Terms& terms = problem.terms;
    const bool images =
        outputs.map.data != nullptr || outputs.grad_input.data != nullptr;
    const bool value = outputs.value != nullptr;
    const bool ssim_sum = outputs.ssim != nullptr ||
        outputs.plane_sums != nullptr || (value && terms.dssim_weight != 0);
    l1_sum = outputs.l1 != nullptr || (value && terms.l1_weight != 0);
    sums = value || outputs.ssim != nullptr || outputs.l1 != nullptr ||
        outputs.weight_sums != nullptr;
    images_with_ssim = images && terms.dssim_weight != 0;
    ssim = ssim_sum || images_with_ssim || outputs.error_map.data != nullptr;
    l1 = (images && !images_with_ssim) || (l1_sum && !ssim);
  }
};

/// sum / weights, and 0 if all weights are 0.
FUSED_SSIM_HOST_DEVICE double mean_of(double sum, double weights) {
  return weights != 0 ? sum / weights : 0;
}

/// The numbers of pixels in both regions: the weight sums where there are no weights.
inline WeightSums pixel_counts(const Problem& problem) {
  const double planes = problem.per_plane ? 1
                                          : static_cast<double>(problem.batch) *
          static_cast<double>(problem.channels);
  const auto count = [&](const Region& region) {
    return planes * static_cast<double>(region.rows()) *
        static_cast<double>(region.columns());
  };
  return {count(ssim_region(problem)), count(l1_region(problem))};
}

/// Factors of the gradient: of the blurred partial derivatives, and of L1's sign.
struct GradientFactors {
  double ssim = 0, l1 = 0;
};

FUSED_SSIM_HOST_DEVICE GradientFactors gradient_factors(
    const Terms& terms,
    double unit,
    bool mean,
    const WeightSums& weights) {
  const double ssim = kPartialScale * terms.dssim_weight / unit;
  if (!mean) {
    return {ssim, terms.l1_weight};
  }
  return {mean_of(ssim, weights.ssim), mean_of(terms.l1_weight, weights.l1)};
}

/// Terms::smooth_l1_beta in units of `unit`, for the type that the kernels compute in.
/// A beta without a finite reciprocal is below the rounding of every pixel.
template <typename T>
SmoothL1<T> smooth_l1(const Terms& terms, double unit) {
  const T beta = static_cast<T>(terms.smooth_l1_beta / unit);
  if (!(beta >= std::numeric_limits<T>::min())) {
    return {T(0), T(0)};
  }
  return {beta, T(1) / beta};
}

/// The three scalars of Outputs.
struct Scalars {
  double value, l1, ssim;
};

FUSED_SSIM_HOST_DEVICE Scalars finish(
    const Terms& terms,
    double unit,
    bool mean,
    const TermSums& sums,
    const WeightSums& weights) {
  const double mean_dssim = mean_of(sums.dssim, weights.ssim);
  const double mean_l1 = mean_of(unit * sums.l1, weights.l1);
  // A term of weight 0 is left out, so that its NaN does not count.
  double value = 0;
  if (terms.l1_weight != 0) {
    value += terms.l1_weight * (mean ? mean_l1 : unit * sums.l1);
  }
  if (terms.dssim_weight != 0) {
    value += terms.dssim_weight * (mean ? mean_dssim : sums.dssim);
  }
  if (terms.constant != 0) {
    value += terms.constant * (mean ? 1 : weights.ssim);
  }
  return {value, mean_l1, 1 - mean_dssim};
}

} // namespace fused_ssim::detail
