#include "../pyramid.h"

#include "capability.h"
#include "pyramid_rows.h"

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>

namespace fused_ssim::detail::cpu {
namespace {

/// Pixels below which another thread costs more than it brings.
constexpr std::int64_t kPixelsPerThread = 65536;

const PyramidRows& rows_of(Element element) {
  const bool is_double = element == Element::kFloat64;
  const auto forced = forced_capability();
  switch (forced ? *forced : best_capability()) {
#if defined(FUSED_SSIM_CPU_X86)
    case Capability::kAVX512:
      return is_double ? kPyramidAVX512Double : kPyramidAVX512Float;
    case Capability::kAVX2:
      return is_double ? kPyramidAVX2Double : kPyramidAVX2Float;
#endif
    default:
      return is_double ? kPyramidDefaultDouble : kPyramidDefaultFloat;
  }
}

/// Calls f(rows, scratch) for each row pair of `count` times all planes of `step`.
template <typename Step, typename F>
void for_each_pair(
    const Step& step,
    const PyramidRows& rows,
    std::int64_t count,
    const F& f) {
  const std::int64_t pairs = halved(step.height);
  const std::int64_t grain =
      std::max<std::int64_t>(kPixelsPerThread / (2 * step.width), 1);
  const std::size_t bytes = rows.scratch_bytes(step.width);
  at::parallel_for(
      0,
      count * step.batch * step.channels * pairs,
      grain,
      [&](std::int64_t begin, std::int64_t end) {
        const c10::DataPtr scratch = c10::GetCPUAllocator()->allocate(bytes);
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t plane = i / pairs % (step.batch * step.channels);
          const int which =
              static_cast<int>(i / pairs / (step.batch * step.channels));
          f(which,
            RowPair{plane / step.channels, plane % step.channels, i % pairs},
            scratch.get());
        }
      });
}

} // namespace

void halve(const Halving* halvings, int count) {
  for (int i = 0; i < count; ++i) {
    const Halving& halving = halvings[i];
    const PyramidRows& rows = rows_of(halving.to[0].element);
    for_each_pair(
        halving,
        rows,
        /*count=*/2,
        [&](int which, const RowPair& pair, void* scratch) {
          rows.halve(halving, which, pair, scratch);
        });
  }
}

void combine(const Combination& combination) {
  const auto& c = combination;
  double total = 0;
  for (std::int64_t image = 0; image < c.images; ++image) {
    double sum = 0; // over the channels
    for (std::int64_t channel = 0; channel < c.channels; ++channel) {
      const std::int64_t plane = image * c.channels + channel;
      double mean[kMaxScales];
      double product = 1;
      for (int scale = 0; scale < c.scales; ++scale) {
        double dssim = 0;
        for (int part = 0; part < c.parts[scale]; ++part) {
          dssim += c.sums[scale][plane * c.parts[scale] + part];
        }
        mean[scale] = c.mean_of(scale, dssim);
        product *= c.power(scale, mean[scale]);
      }
      for (int scale = 0; scale < c.scales && c.factors != nullptr; ++scale) {
        c.store(
            c.factors,
            scale * c.planes() + plane,
            c.factor(scale, mean[scale], product));
      }
      sum += product;
    }
    const double value = sum / static_cast<double>(c.channels);
    if (c.none) {
      c.store(c.value, image, value);
    }
    total += value;
  }
  if (!c.none) {
    c.store(c.value, 0, c.mean ? total / static_cast<double>(c.images) : total);
  }
}

void descend(const Descent& descent) {
  const PyramidRows& rows = rows_of(descent.gradients[0].element);
  for_each_pair(
      descent,
      rows,
      /*count=*/1,
      [&](int /*which*/, const RowPair& pair, void* scratch) {
        rows.descend(descent, pair, scratch);
      });
}

} // namespace fused_ssim::detail::cpu
