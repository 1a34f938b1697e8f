#include "launch.h"
#include "runtime.h"

#include "backend.h"

#include <algorithm>
#include <limits>

namespace fused_ssim::detail::cuda {
namespace {

/// Blocks of the small kernels: a few waves of any device, and few partial sums.
constexpr std::int64_t kElementwiseBlocks = 1024;

Region map_region(const Problem& problem) {
  const int inset = problem.valid ? problem.window.radius : 0;
  return {
      inset,
      static_cast<int>(problem.height) - inset,
      inset,
      static_cast<int>(problem.width) - inset};
}

Region l1_region(const Problem& problem) {
  return problem.crop_l1 ? map_region(problem)
                         : Region{
                               0,
                               static_cast<int>(problem.height),
                               0,
                               static_cast<int>(problem.width)};
}

double pixels(const Problem& problem, const Region& region) {
  return double(problem.batch) * double(problem.channels) *
      double(region.y1 - region.y0) * double(region.x1 - region.x0);
}

/// A View or MutableView with strides in bytes.
template <typename ImageType, typename Data, typename ViewType>
ImageType in_bytes(const ViewType& view) {
  ImageType image{static_cast<Data*>(view.data), {}, view.element};
  for (int i = 0; i < 4; ++i) {
    image.stride[i] = view.stride[i] * bytes_of(view.element);
  }
  return image;
}

Image image_of(const View& view) {
  return in_bytes<Image, const char>(view);
}

MutableImage image_of(const MutableView& view) {
  return in_bytes<MutableImage, char>(view);
}

/// The weights without the images and channels that they are expanded over.
WeightSumParams weight_sum_params(const Problem& problem, Sums* partials) {
  WeightSumParams params{};
  params.weight = image_of(problem.weight);
  params.batch = problem.weight.stride[0] == 0 ? 1 : problem.batch;
  params.channels =
      problem.weight.stride[1] == 0 ? 1 : static_cast<int>(problem.channels);
  params.height = static_cast<int>(problem.height);
  params.width = static_cast<int>(problem.width);
  params.map_region = map_region(problem);
  params.l1_region = l1_region(problem);
  params.partials = partials;
  return params;
}

/// One call: the workspace, the order of the launches.
template <typename T>
class Evaluation {
 public:
  Evaluation(
      const Problem& problem,
      const Outputs& outputs,
      const DeviceScope& device)
      : problem_(problem),
        outputs_(outputs),
        device_(device),
        workspace_((kMaxBlocks + 2 * kElementwiseBlocks) * sizeof(Sums)),
        partials_(static_cast<Sums*>(workspace_.data())),
        l1_partials_(partials_ + kMaxBlocks),
        weight_partials_(l1_partials_ + kElementwiseBlocks) {}

  void run() {
    const bool map = outputs_.map.data != nullptr;
    const bool scalars = outputs_.value != nullptr || outputs_.l1 != nullptr ||
        outputs_.ssim != nullptr;
    const bool gradients = outputs_.grad_input.data != nullptr;
    const bool with_ssim = problem_.dssim != 0;

    sum_weights(scalars || gradients);
    if (map) {
      run_ssim<Mode::kMap>(false);
      return;
    }
    // SSIM has a part in the gradient, or in the scalars alone, or in neither; where
    // it has none in the gradient, L1 is computed apart from it.
    if (gradients && with_ssim) {
      run_ssim<Mode::kGradient>(scalars);
    } else {
      if (with_ssim || outputs_.ssim != nullptr) {
        run_ssim<Mode::kSums>(scalars);
      }
      if (!with_ssim) {
        run_l1(scalars);
      }
    }
    if (scalars) {
      finish();
    }
  }

 private:
  const Problem& problem_;
  const Outputs& outputs_;
  const DeviceScope& device_;
  Workspace workspace_;
  Sums* partials_; // [kMaxBlocks]
  Sums* l1_partials_; // [kElementwiseBlocks]
  Sums* weight_partials_; // [kElementwiseBlocks]
  unsigned blocks_ = 0, l1_blocks_ = 0; // whose partial sums are there
  Normaliser normaliser_{};

  void sum_weights(bool wanted) {
    normaliser_.counts = {
        pixels(problem_, map_region(problem_)),
        pixels(problem_, l1_region(problem_))};
    normaliser_.repeat = 1;
    if (problem_.weight.data == nullptr || !wanted) {
      return;
    }
    const auto params = weight_sum_params(problem_, weight_partials_);
    const std::int64_t rows =
        params.batch * params.channels * std::int64_t(params.height);
    normaliser_.blocks = static_cast<int>(std::min(rows, kElementwiseBlocks));
    normaliser_.partials = weight_partials_;
    normaliser_.repeat = double(problem_.batch) / double(params.batch) *
        double(problem_.channels) / double(params.channels);
    launch_weight_sum(params, static_cast<unsigned>(normaliser_.blocks));
  }

  SSIMParams<T> ssim_params(bool sums) const {
    SSIMParams<T> params{};
    params.input = image_of(problem_.input);
    params.target = image_of(problem_.target);
    params.weight = image_of(problem_.weight);
    params.map = image_of(outputs_.map);
    params.grad_input = image_of(outputs_.grad_input);
    params.grad_target = image_of(outputs_.grad_target);
    params.batch = problem_.batch;
    params.channels = static_cast<int>(problem_.channels);
    params.height = static_cast<int>(problem_.height);
    params.width = static_cast<int>(problem_.width);
    params.map_region = map_region(problem_);
    params.l1_region = l1_region(problem_);
    params.window.radius = problem_.window.radius;
    for (int k = 0; k <= kMaxRadius; ++k) {
      params.window.taps[k] = static_cast<T>(problem_.window.taps[k]);
    }
    params.two_c1 = static_cast<T>(2 * problem_.c1);
    params.data_range = static_cast<float>(problem_.data_range);
    params.two_c2 = static_cast<T>(2 * problem_.c2);
    params.l1 = static_cast<T>(problem_.l1);
    params.dssim = static_cast<T>(problem_.dssim);
    params.offset = static_cast<T>(problem_.offset);
    params.l1_scale = problem_.l1;
    params.dssim_scale = problem_.dssim;
    params.divide = problem_.mean && problem_.weight.data != nullptr;
    if (problem_.mean && !params.divide) {
      params.l1_scale /= normaliser_.counts.l1;
      params.dssim_scale /= normaliser_.counts.dssim;
    }
    params.normaliser = normaliser_;
    params.partials = sums ? partials_ : nullptr;
    return params;
  }

  template <Mode kMode>
  void run_ssim(bool sums) {
    using P = Policy<T, kMode>;
    auto params = ssim_params(sums);
    const int radius = params.window.radius;
    const int strip_width = P::strip_width(radius);
    params.strips = (params.width + strip_width - 1) / strip_width;
    params.strip_length = params.height + P::halo_rows(radius);
    const std::int64_t rows = problem_.batch * problem_.channels *
        params.strips * std::int64_t(params.height);
    const std::int64_t sms = device_.multiprocessors();
    const auto blocks_of = [&](int least) {
      return (rows + least - 1) / least;
    };
    // One block for each multiprocessor before a segment gets too long.
    const std::int64_t wanted = std::max(
        blocks_of(P::min_rows(radius)), std::min(blocks_of(P::kRows / 2), sms));
    const auto blocks = static_cast<unsigned>(
        std::min({wanted, sms * P::kBlocks, std::int64_t(kMaxBlocks)}));
    if constexpr (P::kHasGradient) {
      launch_forward_backward(params, blocks);
    } else {
      launch_forward(params, blocks);
    }
    blocks_ = blocks;
  }

  void run_l1(bool sums) {
    const std::int64_t rows =
        problem_.batch * problem_.channels * problem_.height;
    const auto blocks =
        static_cast<unsigned>(std::min(rows, kElementwiseBlocks));
    auto params = ssim_params(sums);
    params.partials = sums ? l1_partials_ : nullptr;
    launch_l1(params, blocks);
    l1_blocks_ = blocks;
  }

  void finish() {
    FinishParams params{};
    const bool apart = l1_blocks_ != 0;
    params.dssim_partials = partials_;
    params.dssim_blocks = static_cast<int>(blocks_);
    params.l1_partials = apart ? l1_partials_ : partials_;
    params.l1_blocks = static_cast<int>(apart ? l1_blocks_ : blocks_);
    params.normaliser = normaliser_;
    params.l1 = problem_.l1;
    params.dssim = problem_.dssim;
    params.offset = problem_.offset;
    params.mean = problem_.mean;
    params.wide = sizeof(T) == 8;
    params.value = outputs_.value;
    params.mean_l1 = outputs_.l1;
    params.mean_ssim = outputs_.ssim;
    launch_finish(params);
  }
};

} // namespace

void evaluate(const Problem& problem, const Outputs& outputs, int device) {
  const DeviceScope scope(device);
  if (problem.input.element == Element::kFloat64) {
    Evaluation<double>(problem, outputs, scope).run();
  } else {
    Evaluation<float>(problem, outputs, scope).run();
  }
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
