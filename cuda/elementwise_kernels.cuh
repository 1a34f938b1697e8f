#pragma once

// The small kernels around the one of ssim_kernel.cuh: L1 alone, sums of weights, the
// last step to the scalars, and the scaling of a saved gradient.

#include "elements.cuh"
#include "params.h"
#include "reduce.cuh"
#include "rows.cuh"

namespace fused_ssim::detail::cuda {

constexpr int kElementwiseThreads = 256;
constexpr int kElementwiseSharedBytes =
    kElementwiseThreads / kWarpSize * sizeof(TermSums);
static_assert(sizeof(TermSums) == sizeof(WeightSums), "both go there");

template <typename Sums>
__device__ __forceinline__ Sums* sums_scratch() {
  return reinterpret_cast<Sums*>(shared_memory()); // [warps]
}

/// L1 with its gradients or its map, where SSIM has no part in them.
template <typename T>
__global__ void __launch_bounds__(kElementwiseThreads)
    l1_kernel(const SSIMParams<T> p) {
  const auto factors = gradient_factors(
      p.terms,
      p.unit,
      p.mean,
      weight_sums<2>(p.normaliser, sums_scratch<WeightSums>()));
  const bool has_map = p.map.data != nullptr;
  CompensatedSum<T> l1_sum;
  for_each_row(
      p.batch,
      p.channels,
      p.height,
      [&](std::int64_t image, int channel, int row) {
        if (!p.own_region.has_row(row)) {
          return;
        }
        for (int column = p.own_region.column_begin + threadIdx.x;
             column < p.own_region.column_end;
             column += blockDim.x) {
          constexpr Span always{1};
          const auto value = [&](const Image& of) {
            T values[1];
            load_values(
                of.at(image, channel, row, column),
                0,
                of.element,
                always,
                values);
            return values[0];
          };
          const auto store = [&](const MutableImage& of,
                                 int y,
                                 int x,
                                 T result) {
            if (of.data != nullptr) {
              const T results[1] = {result};
              store_values(
                  of.at(image, channel, y, x), 0, of.element, always, results);
            }
          };
          const auto& region = has_map ? p.map_region : p.l1_region;
          T w = region.has_row(row) && region.has_column(column) ? T(1) : T(0);
          if (w != T(0) && p.weight.data != nullptr) {
            w = value(p.weight);
          }
          const T d = (value(p.input) - value(p.target)) * p.inverse_unit;
          T size = fabs(d), slope = T(1);
          if (p.smooth_l1.beta > T(0)) {
            slope = p.smooth_l1.template slope<DeviceMath<T>>(size);
            size = p.smooth_l1.template value<DeviceMath<T>>(size);
          }
          const T term = w != T(0) ? w * size : T(0);
          l1_sum.add(term);
          const T sign = d > T(0) ? slope : d < T(0) ? -slope : T(0);
          const T gradient = w * static_cast<T>(factors.l1) * sign;
          store(p.grad_input, row, column, gradient);
          store(p.grad_target, row, column, -gradient);
          if (has_map && region.has_row(row) && region.has_column(column)) {
            store(
                p.map,
                row - region.row_begin,
                column - region.column_begin,
                static_cast<T>(p.terms.l1_weight * p.unit) * term +
                    static_cast<T>(p.terms.constant) * w);
          }
        }
      });
  if (p.partials != nullptr) {
    const TermSums total =
        block_sum<0>(TermSums{0, l1_sum.value()}, sums_scratch<TermSums>());
    if (threadIdx.x == 0) {
      p.partials[blockIdx.x] = total;
    }
  }
}

/// One block a multiprocessor, and so few partial sums: all blocks of the main kernel
/// read them.
constexpr int kWeightSumThreads = 1024;
/// A row is so many warps' work.
constexpr int kWarpsOfRow = 8;

/// The sums of the weights over both regions. Few values are added up in T, all others
/// in double. A warp goes from row to row without a division: three divisions of 64-bit
/// numbers would cost more than the loads of its part of a row.
template <typename T>
__device__ __forceinline__ WeightSums sum_weights(const WeightSumParams& p) {
  // Several loads in flight for each thread.
  constexpr int kUnroll = 8;
  const int lane = threadIdx.x % kWarpSize;
  const unsigned warp = (blockIdx.x * blockDim.x + threadIdx.x) / kWarpSize;
  const int part = static_cast<int>(warp % kWarpsOfRow);
  const std::int64_t step = gridDim.x * blockDim.x / (kWarpSize * kWarpsOfRow);
  WeightSums sums;
  std::int64_t row = warp / kWarpsOfRow, image = 0;
  int channel = 0;
  for (;; row += step) {
    for (; row >= p.height; row -= p.height) {
      if (++channel == p.channels) {
        channel = 0;
        ++image;
      }
    }
    if (image >= p.batch) {
      break;
    }
    const auto add_up = [&](const DeviceRegion& region, double& sum) {
      if (!region.has_row(static_cast<int>(row))) {
        return;
      }
      // Whole warps of columns, so that each begins like the row.
      constexpr int kColumns = kWarpSize * kWarpsOfRow;
      const int width =
          (region.columns() + kColumns - 1) / kColumns * kWarpSize;
      const int begin = region.column_begin + part * width;
      const int end = min(begin + width, region.column_end);
      for (int first = begin + lane; first < end;
           first += kUnroll * kWarpSize) {
        T w[kUnroll];
        load_values(
            p.weight.at(image, channel, row, first),
            kWarpSize * p.weight.stride[3],
            p.weight.element,
            span_of<kUnroll>(0, (end - first + kWarpSize - 1) / kWarpSize),
            w);
        sum +=
            ((w[0] + w[1]) + (w[2] + w[3])) + ((w[4] + w[5]) + (w[6] + w[7]));
      }
    };
    add_up(p.ssim_region, sums.ssim);
    if (!p.same_regions) {
      add_up(p.l1_region, sums.l1);
    }
  }
  if (p.same_regions) {
    sums.l1 = sums.ssim;
  }
  return sums;
}

__global__ void __launch_bounds__(kWeightSumThreads)
    weight_sum_kernel(const __grid_constant__ WeightSumParams p) {
  let_next_launch_begin();
  const WeightSums sums = p.weight.element == Element::kFloat64
      ? sum_weights<double>(p)
      : sum_weights<float>(p);
  const WeightSums total = block_sum<0>(sums, sums_scratch<WeightSums>());
  if (threadIdx.x == 0) {
    p.partials[blockIdx.x] = total;
  }
}

/// One block: from the blocks' sums to the scalars of backend.h.
__global__ void __launch_bounds__(kElementwiseThreads)
    finish_kernel(const FinishParams p) {
  wait_for_last_launch();
  const bool first = is_good(p.first_try);
  const auto* const ssim = first ? p.first_try.partials : p.ssim_partials;
  const int ssim_blocks = first ? p.first_try.blocks : p.ssim_blocks;
  const auto* const l1 = p.l1_of_ssim ? ssim : p.l1_partials;
  const int l1_blocks = p.l1_of_ssim ? ssim_blocks : p.l1_blocks;
  TermSums sums;
  for (int i = threadIdx.x; i < ssim_blocks; i += blockDim.x) {
    sums.dssim += ssim[i].dssim;
  }
  for (int i = threadIdx.x; i < l1_blocks; i += blockDim.x) {
    sums.l1 += l1[i].l1;
  }
  sums = block_sum<0>(sums, sums_scratch<TermSums>());
  const WeightSums weights =
      weight_sums<2>(p.normaliser, sums_scratch<WeightSums>());
  if (threadIdx.x != 0) {
    return;
  }
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
  const Scalars scalars = finish(p.terms, p.unit, p.mean, sums, weights);
  write(p.value, scalars.value);
  write(p.l1, scalars.l1);
  write(p.ssim, scalars.ssim);
  if (p.term_sums != nullptr) {
    *p.term_sums = sums;
  }
  if (p.weight_sums != nullptr) {
    *p.weight_sums = weights;
  }
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
