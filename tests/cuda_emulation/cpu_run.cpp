// Replaces the CPU kernels, so that CPU tensors go through the CUDA kernels.

#include "backend.h"
#include "pyramid.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace fused_ssim::detail::cpu {
namespace {

/// Fills memory with NaN. It stays NaN where the kernels do not write.
void fill_with_nan(void* data, std::size_t bytes) {
  if (data != nullptr) {
    std::memset(data, 0xff, bytes);
  }
}

void fill_with_nan(
    const MutableView& view, // [N, C, ., .]
    const Problem& problem,
    const Region& region) { // of the view's rows and columns
  if (view.data == nullptr) {
    return;
  }
  const std::int64_t bytes = bytes_of(view.element);
  for (std::int64_t n = 0; n < problem.batch; ++n) {
    for (std::int64_t c = 0; c < problem.channels; ++c) {
      for (auto y = region.row_begin; y < region.row_end; ++y) {
        for (auto x = region.column_begin; x < region.column_end; ++x) {
          const auto offset = n * view.stride[0] + c * view.stride[1] +
              y * view.stride[2] + x * view.stride[3];
          fill_with_nan(
              static_cast<char*>(view.data) + offset * bytes,
              static_cast<std::size_t>(bytes));
        }
      }
    }
  }
}

} // namespace

void run(const Problem& problem, const Outputs& outputs) {
  const bool wide = problem.input.element == Element::kFloat64;
  for (void* scalar : {outputs.value, outputs.l1, outputs.ssim}) {
    fill_with_nan(scalar, wide ? sizeof(double) : sizeof(float));
  }
  // Of a piece of an image, the rows of its neighbours have been written before.
  const Region& map = problem.map_region;
  const Region own = intersection(map, problem.own_region);
  for (const auto& view : {outputs.map, outputs.error_map}) {
    fill_with_nan(
        view,
        problem,
        {own.row_begin - map.row_begin,
         own.row_end - map.row_begin,
         own.column_begin - map.column_begin,
         own.column_end - map.column_begin});
  }
  for (const auto& gradient : {outputs.grad_input, outputs.grad_target}) {
    fill_with_nan(gradient, problem, problem.own_region);
  }
  if (outputs.plane_sums != nullptr) {
    fill_with_nan(
        outputs.plane_sums,
        sizeof(double) *
            static_cast<std::size_t>(
                problem.batch * problem.channels * outputs.plane_parts));
  }
  cuda::run(problem, outputs, /*device=*/0);
}

int plane_parts(const Problem& problem) {
  return cuda::plane_parts(problem, /*device=*/0);
}

// The operators read all that these write.

void halve(const Halving* halvings, int count) {
  cuda::halve(halvings, count, /*device=*/0);
}

void combine(const Combination& combination) {
  cuda::combine(combination, /*device=*/0);
}

void descend(const Descent& descent) {
  cuda::descend(descent, /*device=*/0);
}

} // namespace fused_ssim::detail::cpu
