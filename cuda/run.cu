#include "banded_division.h"
#include "launch.h"
#include "runtime.h"
#include "strip_division.h"

#include "passes.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fused_ssim::detail::cuda {
namespace {

/// Blocks of the small kernels: a few waves of any device, and few partial sums.
constexpr std::int64_t kElementwiseBlocks = 1024;

DeviceRegion on_device(const Region& region) {
  return {
      static_cast<int>(region.row_begin),
      static_cast<int>(region.row_end),
      static_cast<int>(region.column_begin),
      static_cast<int>(region.column_end)};
}

/// Whether a window may be taken for one of 11 whose outer weights are 0. Then a NaN, or
/// what overflows, reaches windows that do not contain it. That must show in the sum of
/// 1 - SSIM: so all windows must count in this sum (`uncounted_weight`), and what is finite
/// must stay finite in the partial derivatives, which have C2 squared in their divisors.
bool fits_wider_window(const SSIMParams<float>& params) {
  const DeviceRegion &map = params.map_region, &own = params.own_region;
  const bool all_count = own.row_begin <= map.row_begin &&
      own.row_end >= map.row_end && own.column_begin <= map.column_begin &&
      own.column_end >= map.column_end;
  return params.window.radius < kCommonRadius && all_count &&
      params.two_c2 > 1e-12f;
}

/// The weights without the images and channels that they are expanded over.
WeightSumParams weight_sum_params(
    const Problem& problem,
    WeightSums* partials) // [blocks]
{
  WeightSumParams params{};
  params.weight = image_of(problem.weight);
  params.batch = problem.weight.stride[0] == 0 ? 1 : problem.batch;
  params.channels =
      problem.weight.stride[1] == 0 ? 1 : static_cast<int>(problem.channels);
  params.height = static_cast<int>(problem.height);
  params.width = static_cast<int>(problem.width);
  params.ssim_region = on_device(ssim_region(problem));
  params.l1_region = on_device(l1_region(problem));
  params.same_regions = ssim_region(problem) == l1_region(problem);
  params.partials = partials;
  return params;
}

/// What the last step is told, but for the sums themselves.
FinishParams finish_params(
    const Problem& problem,
    const Outputs& outputs,
    const Normaliser& normaliser) {
  FinishParams params{};
  params.normaliser = normaliser;
  params.terms = problem.terms;
  params.unit = problem.constants.unit;
  params.mean = problem.mean;
  params.wide = problem.input.element == Element::kFloat64;
  params.value = outputs.value;
  params.l1 = outputs.l1;
  params.ssim = outputs.ssim;
  params.term_sums = outputs.term_sums;
  params.weight_sums = outputs.weight_sums;
  return params;
}

/// One call: the workspace, the order of the launches.
template <typename T>
class Call {
 public:
  Call(
      const Problem& problem,
      const Outputs& outputs,
      const DeviceScope& device)
      : problem_(problem),
        outputs_(outputs),
        passes_(problem, outputs),
        device_(device),
        may_begin_early_(problem.overlaps_last_call),
        workspace_(
            (2 * kMaxBlocks + kElementwiseBlocks) * sizeof(TermSums) +
            kElementwiseBlocks * sizeof(WeightSums)),
        ssim_partials_(static_cast<TermSums*>(workspace_.data())),
        first_partials_(ssim_partials_ + kMaxBlocks),
        l1_partials_(first_partials_ + kMaxBlocks),
        weight_partials_(
            reinterpret_cast<WeightSums*>(l1_partials_ + kElementwiseBlocks)) {}

  void run() {
    sum_weights();
    if (passes_.ssim) {
      if (outputs_.error_map.data != nullptr) {
        run_ssim<Mode::kErrorMap>(); // whose gradient may not be wanted
      } else if (!passes_.images_with_ssim) {
        run_ssim<Mode::kSums>();
      } else if (outputs_.map.data != nullptr) {
        run_ssim<Mode::kMap>();
      } else {
        run_ssim<Mode::kGradient>();
      }
    }
    if (passes_.l1) {
      run_l1();
    }
    if (passes_.sums) {
      finish();
    }
  }

 private:
  const Problem& problem_;
  const Outputs& outputs_;
  const Passes passes_;
  const DeviceScope& device_;
  bool may_begin_early_; // the next launch: the last one lets it
  Workspace workspace_;
  TermSums* ssim_partials_; // [kMaxBlocks]
  TermSums* first_partials_; // [kMaxBlocks]
  TermSums* l1_partials_; // [kElementwiseBlocks]
  WeightSums* weight_partials_; // [kElementwiseBlocks]
  // Whose partial sums are there.
  unsigned ssim_blocks_ = 0, first_blocks_ = 0, l1_blocks_ = 0;
  Normaliser normaliser_{};

  /// A map is not divided by anything, and sums are weighed as they are.
  void sum_weights() {
    normaliser_.counts = pixel_counts(problem_);
    normaliser_.given = problem_.weight_sums;
    normaliser_.repeat = 1;
    if (problem_.weight.data == nullptr || problem_.weight_sums != nullptr ||
        outputs_.map.data != nullptr) {
      return;
    }
    const auto params = weight_sum_params(problem_, weight_partials_);
    const std::int64_t rows =
        params.batch * params.channels * std::int64_t(params.height);
    constexpr int kRowsOfBlock = 4; // at once
    normaliser_.blocks = static_cast<int>(std::min(
        {(rows + kRowsOfBlock - 1) / kRowsOfBlock,
         std::int64_t(device_.multiprocessors()),
         kElementwiseBlocks}));
    normaliser_.partials = weight_partials_;
    normaliser_.repeat = double(problem_.batch) / double(params.batch) *
        double(problem_.channels) / double(params.channels);
    launch_weight_sum(params, static_cast<unsigned>(normaliser_.blocks));
    may_begin_early_ = true;
  }

  /// `images`: the kernel writes the map or the gradients.
  SSIMParams<T> ssim_params(bool images) {
    SSIMParams<T> params{};
    params.early = std::exchange(may_begin_early_, false);
    params.input = image_of(problem_.input);
    params.target = image_of(problem_.target);
    params.weight = image_of(problem_.weight);
    if (images) {
      params.map = image_of(outputs_.map);
      params.grad_input = image_of(outputs_.grad_input);
      params.grad_target = image_of(outputs_.grad_target);
    }
    params.batch = problem_.batch;
    params.channels = static_cast<int>(problem_.channels);
    params.height = static_cast<int>(problem_.height);
    params.width = static_cast<int>(problem_.width);
    params.map_region = on_device(problem_.map_region);
    params.own_region = on_device(problem_.own_region);
    params.l1_region = on_device(l1_region(problem_));
    params.window.radius = problem_.window.radius;
    for (int k = 0; k <= kMaxRadius; ++k) {
      params.window.taps[k] = static_cast<T>(problem_.window.taps[k]);
    }
    const Constants& constants = problem_.constants;
    params.inverse_unit = static_cast<T>(1 / constants.unit);
    params.two_c1 = static_cast<T>(2 * constants.c1);
    params.two_c2 = static_cast<T>(2 * constants.c2);
    params.range = static_cast<float>(constants.range);
    params.terms = problem_.terms;
    params.smooth_l1 = smooth_l1<T>(problem_.terms, constants.unit);
    params.unit = constants.unit;
    params.mean = problem_.mean;
    params.normaliser = normaliser_;
    params.l1_sum = passes_.l1_sum;
    return params;
  }

  template <Mode kMode>
  void run_ssim() {
    auto params = ssim_params(passes_.images_with_ssim);
    const ErrorTerms& error = outputs_.error;
    params.error_map = image_of(outputs_.error_map);
    params.error_l1 = static_cast<T>(error.l1 * params.unit);
    params.error_ssim =
        static_cast<T>(kValueScale * (error.dssim + error.contrast_structure));
    params.error_is_contrast_structure = error.contrast_structure != 0;
    if constexpr (sizeof(T) == sizeof(float)) {
      try_first<kMode>(params);
    }
    params.first_try = {first_partials_, static_cast<int>(first_blocks_)};
    params.early = params.early && first_blocks_ == 0;
    params.partials = passes_.sums ? ssim_partials_ : nullptr;
    ssim_blocks_ = launch_strips<kMode>(params);
  }

  /// Returns the number of blocks.
  template <Mode kMode>
  unsigned launch_strips(SSIMParams<T>& params) {
    using P = Policy<T, kMode>;
    const int radius = params.window.radius;
    const int own_rows = params.own_region.rows();
    divide_columns(params, P::strip_width(radius));
    params.strip_length = own_rows + P::halo_rows(radius);
    unsigned blocks = 0;
    if (problem_.per_plane) {
      params.beside = 1;
      params.plane_blocks = outputs_.plane_parts;
      params.plane_sums = outputs_.plane_sums;
      blocks = static_cast<unsigned>(
          problem_.batch * problem_.channels * outputs_.plane_parts);
    } else {
      blocks = put_channels_beside(
          params, block_count<P>(problem_, radius, device_.multiprocessors()));
    }
    if constexpr (P::kHasGradient) {
      launch_forward_backward(params, blocks);
    } else {
      launch_forward(params, blocks);
    }
    return blocks;
  }

  /// For windows that no kernel knows at compile time: one that is faster, but does not
  /// fit all images. If it finds that they do not fit, the others follow.
  template <Mode kMode>
  void try_first(SSIMParams<float> params) {
    if (problem_.per_plane) {
      return; // their blocks do not keep to one image and channel
    }
    params.partials = first_partials_;
    if (fits_wider_window(params)) {
      params.window.radius = kCommonRadius;
      params.uncounted_weight = -std::numeric_limits<float>::infinity();
      first_blocks_ = launch_strips<kMode>(params);
      return;
    }
    // The banded kernel always writes the gradient.
    const bool error_alone =
        params.error_map.data != nullptr && !passes_.images_with_ssim;
    if (error_alone || !device_.has_matrix() ||
        params.window.radius == kCommonRadius) {
      return;
    }
    BandedParams banded{};
    banded.ssim = params;
    if (kMode == Mode::kGradient && params.grad_target.data != nullptr) {
      run_banded<Mode::kBothGradients>(banded);
    } else {
      run_banded<kMode>(banded);
    }
  }

  template <Mode kMode>
  void run_banded(BandedParams& params) {
    const auto divide = span_of_radius(params.ssim.window.radius) == 2
        ? divide_banded<kMode, 2>
        : divide_banded<kMode, 3>;
    if (!divide(params, device_.multiprocessors(), device_.shared_bytes())) {
      return;
    }
    const std::int64_t rows = problem_.batch * problem_.channels *
        params.ssim.strips * params.ssim.strip_length;
    const auto blocks = put_channels_beside(
        params.ssim,
        std::min(
            {(rows + 1) / 2,
             std::int64_t(device_.multiprocessors()),
             std::int64_t(kMaxBlocks)}));
    launch_banded<kMode>(params, blocks);
    first_blocks_ = blocks;
  }

  void run_l1() {
    const std::int64_t rows =
        problem_.batch * problem_.channels * problem_.height;
    const auto blocks =
        static_cast<unsigned>(std::min(rows, kElementwiseBlocks));
    auto params = ssim_params(!passes_.images_with_ssim);
    params.partials = passes_.sums ? l1_partials_ : nullptr;
    launch_l1(params, blocks);
    l1_blocks_ = blocks;
  }

  void finish() {
    auto params = finish_params(problem_, outputs_, normaliser_);
    params.ssim_partials = ssim_partials_;
    params.ssim_blocks = static_cast<int>(ssim_blocks_);
    params.first_try = {first_partials_, static_cast<int>(first_blocks_)};
    // L1's sum is of the kernel with L1 alone, if that runs.
    params.l1_of_ssim = !passes_.l1;
    params.l1_partials = passes_.l1 ? l1_partials_ : ssim_partials_;
    params.l1_blocks = static_cast<int>(passes_.l1 ? l1_blocks_ : ssim_blocks_);
    // Early behind a kernel of ours. With weights that took 1.4 us longer (H100).
    launch_finish(
        params,
        /*early=*/ssim_blocks_ + l1_blocks_ > 0 &&
            normaliser_.partials == nullptr);
  }
};

} // namespace

int plane_parts(const Problem& problem, int device) {
  const DeviceScope scope(device);
  const int sms = scope.multiprocessors();
  return problem.input.element == Element::kFloat64
      ? blocks_of_plane<Policy<double, Mode::kGradient>>(problem, sms)
      : blocks_of_plane<Policy<float, Mode::kGradient>>(problem, sms);
}

void run(const Problem& problem, const Outputs& outputs, int device) {
  const DeviceScope scope(device);
  if (problem.input.element == Element::kFloat64) {
    Call<double>(problem, outputs, scope).run();
  } else {
    Call<float>(problem, outputs, scope).run();
  }
}

void finish(
    const Problem& problem,
    const Outputs& outputs,
    const TermSums* terms,
    std::int64_t count,
    const WeightSums* weights,
    std::int64_t weight_count,
    int device) {
  const DeviceScope scope(device);
  Normaliser normaliser{};
  normaliser.partials = weights;
  normaliser.blocks = static_cast<int>(weight_count);
  normaliser.repeat = 1;
  auto params = finish_params(problem, outputs, normaliser);
  params.ssim_partials = params.l1_partials = terms;
  params.ssim_blocks = params.l1_blocks = static_cast<int>(count);
  launch_finish(params, /*early=*/false);
}

void scale(
    void* data,
    Element element,
    std::int64_t count,
    const void* factor,
    Element factor_element,
    int device) {
  if (count == 0) {
    return; // an empty grid is an error
  }
  const DeviceScope scope(device);
  const ScaleParams params{
      data, element, bytes_of(element), count, factor, factor_element};
  launch_scale(
      params,
      static_cast<unsigned>(std::min<std::int64_t>(
          (count + 255) / 256, 8 * scope.multiprocessors())));
}

} // namespace fused_ssim::detail::cuda
