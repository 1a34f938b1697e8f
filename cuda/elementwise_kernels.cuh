#pragma once

// The small kernels around the one of ssim_kernel.cuh: L1 alone, sums of weights, the
// last step to the scalars, and the scaling of a saved gradient.

#include "elements.cuh"
#include "params.h"
#include "reduce.cuh"

namespace fused_ssim::detail::cuda {

constexpr int kElementwiseThreads = 256;
constexpr int kElementwiseSharedBytes =
    kElementwiseThreads / kWarpSize * sizeof(Sums);

/// Calls visit(image, channel, row) for each row that falls to this block.
template <typename Params, typename Visit>
__device__ __forceinline__ void for_each_row(
    const Params& p,
    const Visit& visit) {
  const std::int64_t rows = p.batch * p.channels * p.height;
  for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    const int row = i % p.height;
    const std::int64_t plane = i / p.height;
    visit(plane / p.channels, static_cast<int>(plane % p.channels), row);
  }
}

/// L1 and its gradients where SSIM has no part in them.
template <typename T>
__global__ void __launch_bounds__(kElementwiseThreads)
    l1_kernel(const SSIMParams<T> p) {
  Sums* const scratch = reinterpret_cast<Sums*>(shared_memory());
  double scale = p.l1_scale;
  if (p.divide) {
    scale = mean_of(scale, weight_sums<2>(p.normaliser, scratch).l1);
  }
  CompensatedSum<T> l1_sum;
  for_each_row(p, [&](std::int64_t image, int channel, int row) {
    for (int column = threadIdx.x; column < p.width; column += blockDim.x) {
      constexpr Span always{1};
      const bool counts =
          p.l1_region.has_row(row) && p.l1_region.has_column(column);
      const auto value = [&](const Image& of) {
        T values[1];
        load_values(
            of.at(image, channel, row, column), 0, of.element, always, values);
        return values[0];
      };
      T w = counts ? T(1) : T(0);
      if (counts && p.weight.data != nullptr) {
        w = value(p.weight);
      }
      const T d = value(p.input) - value(p.target);
      l1_sum.add(counts ? w * fabs(d) : T(0));
      const T sign = d > T(0) ? T(1) : d < T(0) ? T(-1) : T(0);
      const T gradient[1] = {w * static_cast<T>(scale) * sign};
      const T opposite[1] = {-gradient[0]};
      if (p.grad_input.data != nullptr) {
        store_values(
            p.grad_input.at(image, channel, row, column),
            0,
            p.grad_input.element,
            always,
            gradient);
      }
      if (p.grad_target.data != nullptr) {
        store_values(
            p.grad_target.at(image, channel, row, column),
            0,
            p.grad_target.element,
            always,
            opposite);
      }
    }
  });
  if (p.partials != nullptr) {
    const Sums total = block_sum<0>({0, l1_sum.value()}, scratch);
    if (threadIdx.x == 0) {
      p.partials[blockIdx.x] = total;
    }
  }
}

/// The sums of the weights of the map's and of L1's region.
__global__ void __launch_bounds__(kElementwiseThreads)
    weight_sum_kernel(const WeightSumParams p) {
  // Several loads in flight for each thread.
  constexpr int kUnroll = 4;
  Sums sums = {0, 0};
  for_each_row(p, [&](std::int64_t image, int channel, int row) {
    const bool in_map = p.map_region.has_row(row);
    const bool in_l1 = p.l1_region.has_row(row);
    const int step = blockDim.x;
    for (int first = threadIdx.x; first < p.width; first += kUnroll * step) {
      double w[kUnroll];
      load_values(
          p.weight.at(image, channel, row, first),
          step * p.weight.stride[3],
          p.weight.element,
          span_of<kUnroll>(0, (p.width - first + step - 1) / step),
          w);
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        const int column = first + i * step;
        sums.dssim += in_map && p.map_region.has_column(column) ? w[i] : 0;
        sums.l1 += in_l1 && p.l1_region.has_column(column) ? w[i] : 0;
      }
    }
  });
  const Sums total =
      block_sum<0>(sums, reinterpret_cast<Sums*>(shared_memory()));
  if (threadIdx.x == 0) {
    p.partials[blockIdx.x] = total;
  }
}

/// One block: from the blocks' sums to the scalars of backend.h.
__global__ void __launch_bounds__(kElementwiseThreads)
    finish_kernel(const FinishParams p) {
  Sums* const scratch = reinterpret_cast<Sums*>(shared_memory());
  Sums sums = {0, 0};
  for (int i = threadIdx.x; i < p.dssim_blocks; i += blockDim.x) {
    sums.dssim += p.dssim_partials[i].dssim;
  }
  for (int i = threadIdx.x; i < p.l1_blocks; i += blockDim.x) {
    sums.l1 += p.l1_partials[i].l1;
  }
  sums = block_sum<0>(sums, scratch);
  const Sums weights = weight_sums<2>(p.normaliser, scratch);
  if (threadIdx.x != 0) {
    return;
  }
  const double mean_dssim = mean_of(sums.dssim, weights.dssim);
  const double mean_l1 = mean_of(sums.l1, weights.l1);
  const auto write = [&](void* result, double value) {
    if (result == nullptr) {
      return;
    }
    if (p.wide) {
      *static_cast<double*>(result) = value;
    } else {
      *static_cast<float*>(result) = static_cast<float>(value);
    }
  };
  // A term that does not count is left out, lest its NaN counts.
  const auto term = [](double factor, double value) {
    return factor != 0 ? factor * value : 0;
  };
  write(
      p.value,
      p.mean ? term(p.l1, mean_l1) + term(p.dssim, mean_dssim) + p.offset
             : term(p.l1, sums.l1) + term(p.dssim, sums.dssim) +
              term(p.offset, weights.dssim));
  write(p.mean_l1, mean_l1);
  write(p.mean_ssim, 1 - mean_dssim);
}

/// data *= factor; a factor of 1, the usual one, leaves the data alone.
template <typename T>
__global__ void __launch_bounds__(kElementwiseThreads)
    scale_kernel(const ScaleParams p) {
  constexpr Span always{1};
  T factor[1];
  load_values(
      static_cast<const char*>(p.factor), 0, p.factor_element, always, factor);
  if (factor[0] == T(1)) {
    return;
  }
  char* const data = static_cast<char*>(p.data);
  const std::int64_t step = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
       i < p.count;
       i += step) {
    const std::int64_t offset = i * p.element_bytes;
    T value[1];
    load_values(data + offset, 0, p.element, always, value);
    value[0] *= factor[0];
    store_values(data + offset, 0, p.element, always, value);
  }
}

} // namespace fused_ssim::detail::cuda
