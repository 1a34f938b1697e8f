#include "../backend.h"
#include "../passes.h"
#include "capability.h"
#include "kernels.h"

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

namespace fused_ssim::detail::cpu {
namespace {

/// Pixels below which another thread costs more than it brings: about 50 us of
/// work on SSIM, and waking a thread takes 5 to 10.
constexpr std::int64_t kPixelsPerThread = 16384;
/// The same for a sum of weights.
constexpr std::int64_t kWeightsPerThread = 131072;
constexpr std::int64_t kWeightsPerTask = 32768;

/// Numbers of float32 in a vector of AVX-512.
constexpr std::int64_t kWideLanes = 16;

/// A row is cut into a segment for each lane, which repeats `radius` columns of either
/// neighbour (NOTE [ Lane-strided rows ]). Where these are most of it, half as many
/// lanes do better: 3x64x64 takes 97 us with AVX2 and 168 us with AVX-512, 3x64x128 165
/// and 176, 3x64x256 308 and 286.
Capability capability(const Problem& problem) {
  if (const auto forced = forced_capability()) {
    return *forced;
  }
  const Capability best = best_capability();
  const bool is_double = problem.input.element == Element::kFloat64;
  const std::int64_t lanes = is_double ? kWideLanes / 2 : kWideLanes;
  const bool narrow = problem.width < lanes * 2 * problem.window.radius;
  return best == Capability::kAVX512 && narrow ? Capability::kAVX2 : best;
}

const Kernels& kernels(const Problem& problem) {
  const bool is_double = problem.input.element == Element::kFloat64;
  switch (capability(problem)) {
#if defined(FUSED_SSIM_CPU_X86)
    case Capability::kAVX512:
      return is_double ? kKernelsAVX512Double : kKernelsAVX512Float;
    case Capability::kAVX2:
      return is_double ? kKernelsAVX2Double : kKernelsAVX2Float;
#endif
    default:
      return is_double ? kKernelsDefaultDouble : kKernelsDefaultFloat;
  }
}

/// Sums f(i) over 0 <= i < count in a fixed order, whatever the threads.
template <typename F>
double ordered_sum(std::int64_t count, std::int64_t grain, const F& f) {
  std::vector<double> parts(count);
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      parts[i] = f(i);
    }
  });
  double sum = 0;
  for (const double part : parts) {
    sum += part;
  }
  return sum;
}

/// The sum of the weight over a region of all images and channels. Dimensions
/// along which it is expanded are counted, not read.
double weight_sum(
    const Problem& problem,
    const Region& region,
    const Kernels& kernels) {
  const View& weight = problem.weight;
  std::int64_t size[4] = {
      problem.batch, problem.channels, region.rows(), region.columns()};
  if (region.rows() == 0) {
    return 0;
  }
  double repeats = 1;
  for (int i = 0; i < 4; ++i) {
    if (weight.stride[i] == 0) {
      repeats *= static_cast<double>(size[i]);
      size[i] = 1;
    }
  }
  const std::int64_t strip =
      std::clamp<std::int64_t>(kWeightsPerTask / size[3], 1, size[2]);
  const std::int64_t strips = (size[2] + strip - 1) / strip;
  const std::int64_t grain =
      std::max<std::int64_t>(kWeightsPerThread / (strip * size[3]), 1);
  return repeats *
      ordered_sum(size[0] * size[1] * strips, grain, [&](std::int64_t i) {
           const std::int64_t row = i % strips * strip;
           const std::int64_t channel = i / strips % size[1];
           const std::int64_t image = i / strips / size[1];
           return kernels.weight_sum(
               weight,
               {image,
                channel,
                region.row_begin + row,
                region.column_begin,
                std::min(strip, size[2] - row),
                size[3]});
         });
}

WeightSums weight_sums(const Problem& problem, const Kernels& kernels) {
  if (problem.weight_sums != nullptr) {
    return *problem.weight_sums;
  }
  if (problem.weight.data == nullptr) {
    return pixel_counts(problem);
  }
  const Region ssim = ssim_region(problem), l1 = l1_region(problem);
  WeightSums sums;
  sums.ssim = weight_sum(problem, ssim, kernels);
  sums.l1 = ssim == l1 ? sums.ssim : weight_sum(problem, l1, kernels);
  return sums;
}

/// The sums of all tiles, and of those of each plane.
TermSums run_tiles(
    const Job& job,
    const Kernels& kernels,
    double* plane_sums) { // [N, C], or null
  const Plan plan(job.problem);
  const std::size_t bytes = kernels.scratch_bytes(job, plan);
  std::vector<TermSums> sums(plan.tiles());
  const std::int64_t grain = std::max<std::int64_t>(
      kPixelsPerThread /
          (plan.tile_channels() * plan.tile_height() * plan.tile_width()),
      1);
  at::parallel_for(
      0, plan.tiles(), grain, [&](std::int64_t begin, std::int64_t end) {
        const c10::DataPtr scratch = c10::GetCPUAllocator()->allocate(bytes);
        for (std::int64_t i = begin; i < end; ++i) {
          sums[i] = kernels.tile(job, plan.tile(i), scratch.get());
        }
      });
  TermSums total;
  for (const TermSums& each : sums) {
    total.dssim += each.dssim;
    total.l1 += each.l1;
  }
  if (plane_sums != nullptr) {
    const std::int64_t channels = job.problem.channels;
    std::fill_n(plane_sums, job.problem.batch * channels, 0.0);
    for (std::int64_t i = 0; i < plan.tiles(); ++i) {
      const Tile tile = plan.tile(i);
      plane_sums[tile.image * channels + tile.channel] += sums[i].dssim;
    }
  }
  return total;
}

void store(void* scalar, Element element, double value) {
  if (scalar == nullptr) {
    return;
  }
  if (element == Element::kFloat64) {
    *static_cast<double*>(scalar) = value;
  } else {
    *static_cast<float*>(scalar) = static_cast<float>(value);
  }
}

SmoothL1<double> smooth_l1_of(const Problem& problem) {
  const double unit = problem.constants.unit;
  if (problem.input.element == Element::kFloat64) {
    return smooth_l1<double>(problem.terms, unit);
  }
  const auto narrow = smooth_l1<float>(problem.terms, unit);
  return {narrow.beta, narrow.inverse_beta};
}

} // namespace

int plane_parts(const Problem& /*problem*/) {
  return 1;
}

void run(const Problem& problem, const Outputs& outputs) {
  TORCH_INTERNAL_ASSERT(
      outputs.grad_input.data != nullptr || outputs.grad_target.data == nullptr,
      "grad_target only together with grad_input");
  const Kernels& kernels = cpu::kernels(problem);
  const Passes passes(problem, outputs);
  const double unit = problem.constants.unit;
  WeightSums weights;
  if (outputs.map.data == nullptr) {
    weights = weight_sums(problem, kernels);
  }

  Job job;
  job.problem = problem;
  job.factors = gradient_factors(problem.terms, unit, problem.mean, weights);
  job.smooth_l1 = smooth_l1_of(problem);
  const auto with_images = [&](bool images) {
    job.outputs = images ? outputs : Outputs();
    job.outputs.error_map = job.ssim ? outputs.error_map : MutableView();
    job.outputs.error = outputs.error;
  };
  TermSums sums;
  if (passes.ssim) {
    job.ssim = true;
    job.l1_sum = passes.l1_sum && !passes.l1;
    with_images(passes.images_with_ssim);
    sums = run_tiles(job, kernels, outputs.plane_sums);
  }
  if (passes.l1) {
    job.ssim = false;
    job.l1_sum = passes.l1_sum;
    with_images(!passes.images_with_ssim);
    sums.l1 = run_tiles(job, kernels, /*plane_sums=*/nullptr).l1;
  }

  if (passes.sums) {
    const Scalars scalars =
        finish(problem.terms, unit, problem.mean, sums, weights);
    const Element element = problem.input.element;
    store(outputs.value, element, scalars.value);
    store(outputs.l1, element, scalars.l1);
    store(outputs.ssim, element, scalars.ssim);
    if (outputs.term_sums != nullptr) {
      *outputs.term_sums = sums;
    }
    if (outputs.weight_sums != nullptr) {
      *outputs.weight_sums = weights;
    }
  }
}

} // namespace fused_ssim::detail::cpu
