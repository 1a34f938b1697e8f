#pragma once

#include "backend.h"

#include <fused_ssim/options.h>

#include <cstdint>

namespace fused_ssim::detail {

enum class Reduction { kNone, kMean, kSum };

/// What either operator computes. The options that only one of them has are in
/// `terms` and `crop_l1`; both share the others, by the names of options.h.
struct Objective {
  const char* name; // of the operator, for messages
  Terms terms;
  bool crop_l1;
  std::int64_t window_size;
  double sigma, data_range, k1, k2;
  bool valid;
  Reduction reduction;

  explicit Objective(const SSIMOptions& options)
      : Objective("ssim()", options, {0, -1, 1}, /*crop_l1=*/true) {}

  explicit Objective(
      const L1DSSIMLossOptions& options,
      const char* name = "l1_dssim_loss()")
      : Objective(
            name,
            options,
            {options.l1_weight(),
             options.dssim_weight(),
             0,
             options.smooth_l1_beta()},
            options.crop_l1()) {}

 private:
  template <typename Options>
  Objective(
      const char* name,
      const Options& options,
      const Terms& terms,
      bool crop_l1)
      : name(name),
        terms(terms),
        crop_l1(crop_l1),
        window_size(options.window_size()),
        sigma(options.sigma()),
        data_range(options.data_range()),
        k1(options.k1()),
        k2(options.k2()),
        valid(
            std::holds_alternative<torch::enumtype::kValid>(options.padding())),
        reduction(reduction_of(options.reduction())) {}

  static Reduction reduction_of(const SSIMOptions::reduction_t& reduction) {
    if (std::holds_alternative<torch::enumtype::kNone>(reduction)) {
      return Reduction::kNone;
    }
    return std::holds_alternative<torch::enumtype::kSum>(reduction)
        ? Reduction::kSum
        : Reduction::kMean;
  }
};

} // namespace fused_ssim::detail
