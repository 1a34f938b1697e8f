#pragma once

// NOTE [ One pass ]
//
// A block takes an item: a strip of columns, some rows high, of one channel. It
// marches down the strip in steps of kRows rows, one for each of its warps. A step
// has two phases with a barrier after each.
//
//   vertical     a thread owns a column. It reads x and y, forms s, d, s^2, d^2 and
//                pushes them into its four vertical blurs, whose partial sums stay in
//                registers; what comes out, `radius` rows later, goes to shared memory.
//   horizontal   a warp owns a row. Each lane blurs four columns at a time, computes
//                SSIM and its partial derivatives there, writes them over the row it
//                has read, and blurs them horizontally, over the row once more. All
//                this is among the lanes of one warp, so no block barrier is needed.
//   vertical     again by columns: the blurred partials are pushed into three (or
//                four) vertical blurs, `radius` rows later the gradient comes out and
//                is stored; then the thread goes on with the next step's rows.
//
// So an image is read (its tiles' halos twice), the gradient is written, and nothing
// else passes through device memory. Column indices shrink by `radius` from phase to
// phase, so that each reads shared memory in aligned quads:
//
//   column t of the block is image column   in                     shared index
//     input    strip start - 2 radius + t   thread t                t
//     map      strip start -   radius + m   lane, four m's          m
//     output   strip start          + o     thread o                o
//
// (For sums or a map alone there is no second half: the strip starts at the map.)
// In the vertical phase a thread reads and then writes the one index that it owns;
// thus the steps need no third barrier.

#include "blur.cuh"
#include "device.cuh"
#include "elements.cuh"
#include "images.h"
#include "params.h"
#include "policy.h"
#include "reduce.cuh"

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class StripKernel {
 public:
  using P = Policy<T, kMode>;
  using Math = DeviceMath<T>;

  static constexpr int kPitch = P::kThreads + kRowPadding;
  static constexpr int kMapElements = P::kRows * kPitch;
  static constexpr int kScratchBytes = P::kRows * sizeof(Sums);
  static constexpr int kSharedBytes =
      kScratchBytes + 4 * kMapElements * sizeof(T);
  static_assert(
      kSharedBytes <= 48 * 1024,
      "more needs a launch attribute, and does not fit sm_75; take fewer "
      "threads");

  __device__ __forceinline__ StripKernel(const SSIMParams<T>& params)
      : p(params),
        radius(radius_of<kRadius>(params.window)),
        margin(P::margin(radius)),
        strip_width(P::strip_width(radius)),
        thread(threadIdx.x),
        warp(threadIdx.x / kWarpSize),
        lane(threadIdx.x % kWarpSize),
        scratch(reinterpret_cast<Sums*>(shared_memory())),
        maps(reinterpret_cast<T*>(shared_memory() + kScratchBytes)) {}

  __device__ __forceinline__ void run() {
    if constexpr (P::kHasGradient) {
      find_scales();
    }
    for (std::int64_t i = blockIdx.x; i < p.items; i += gridDim.x) {
      run_item(i);
    }
    if (p.partials != nullptr) {
      const Sums sums = {dssim_sum.value() * kValueScale, l1_sum.value()};
      const Sums total = block_sum<0>(sums, scratch);
      if (thread == 0) {
        p.partials[blockIdx.x] = total;
      }
    }
  }

 private:
  static constexpr int kRows = P::kRows;
  static constexpr int kPartials = kMode == Mode::kBothGradients ? 4 : 3;
  static constexpr int kRounds = P::kThreads / (4 * kWarpSize);

  const SSIMParams<T>& p;
  const int radius, margin, strip_width;
  const int thread, warp, lane;
  Sums* const scratch; // [warps]
  T* const maps; // [4, kRows, kPitch]

  CompensatedSum<T> dssim_sum, l1_sum;
  T dssim_scale, l1_scale; // of the gradients
  T pivot, offset; // p and q

  // The item.
  std::int64_t image;
  int channel;
  int x0, y0, y1; // first column, first row, row behind the last
  int input_column, output_column; // of this thread
  const char *input_at, *target_at; // row 0 of the input column

  VerticalBlur<T, kRadius> forward[4];
  VerticalBlur<T, kRadius> backward[P::kHasGradient ? kPartials : 1];
  Raw<T> input_rows[kRows], target_rows[kRows]; // the next step's

  __device__ __forceinline__ Element input_type() const {
    return Images::input(p.input.element);
  }

  __device__ __forceinline__ Element target_type() const {
    return Images::target(p.target.element);
  }

  __device__ __forceinline__ Element
  gradient_type(const MutableImage& image) const {
    return Images::gradient(image.element);
  }

  __device__ __forceinline__ bool has_weights() const {
    return Images::kMayHaveWeights && p.weight.data != nullptr;
  }

  __device__ __forceinline__ T* map_row(int map, int row) const {
    return maps + map * kMapElements + row * kPitch;
  }

  /// The gradients' factors, which with weights depend on their sum.
  __device__ __forceinline__ void find_scales() {
    double dssim = p.dssim_scale;
    double l1 = p.l1_scale;
    if (p.divide) {
      const Sums weights = weight_sums<2>(p.normaliser, scratch);
      dssim = mean_of(dssim, weights.dssim);
      l1 = mean_of(l1, weights.l1);
    }
    dssim_scale = static_cast<T>(kPartialScale * dssim);
    l1_scale = static_cast<T>(l1);
  }

  __device__ __forceinline__ void run_item(std::int64_t item) {
    channel = item % p.channels;
    item /= p.channels;
    const int strip = item % p.strips;
    item /= p.strips;
    const int split = item % p.splits;
    image = item / p.splits;

    x0 = strip * strip_width;
    y0 = split * p.strip_height;
    y1 = min(y0 + p.strip_height, p.height);
    input_column = x0 - margin + thread;
    output_column = x0 + thread;

    input_at = p.input.at(image, channel, 0, input_column);
    target_at = p.target.at(image, channel, 0, input_column);
    find_pivots();
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      forward[m].clear();
    }
    if constexpr (P::kHasGradient) {
#pragma unroll
      for (int m = 0; m < kPartials; ++m) {
        backward[m].clear();
      }
    }

    load_step(y0 - margin);
    // Input rows base .. base + kRows - 1; map rows lie `radius` above them, output
    // rows `margin`.
    for (int base = y0 - margin; base < y1 + margin; base += kRows) {
      blur_columns(base);
      block_barrier<4>();
      if constexpr (!P::kHasGradient) {
        load_step(base + kRows);
      }
      blur_row(base + warp - radius);
      if constexpr (P::kHasGradient) {
        // The images once more where the gradient is about to come out: from the
        // cache, and ahead of the barrier.
        Raw<T> input_again[kRows], target_again[kRows];
        load_rows(
            p.input,
            input_type(),
            input_at + margin * p.input.stride[3],
            base - margin,
            output_column,
            input_again);
        load_rows(
            p.target,
            target_type(),
            target_at + margin * p.target.stride[3],
            base - margin,
            output_column,
            target_again);
        Raw<T> weights[kRows];
        load_weights(
            base - margin,
            output_column,
            p.weight.stride[2],
            l1_span(base - margin),
            weights);
        block_barrier<5>();
        load_step(base + kRows);
        if (base + kRows > y0) {
          store_gradient(base - margin, input_again, target_again, weights);
        }
      } else {
        block_barrier<5>();
      }
    }
  }

  __device__ __forceinline__ void load_step(int base);

  /// kRows rows of a column, 0 outside of the image.
  __device__ __forceinline__ void load_rows(
      const Image& of,
      Element type,
      const char* column_at, // row 0
      int row,
      int column,
      Raw<T> (&raw)[kRows]) const;

  /// p and q from the finite pixels of some rows of the item.
  __device__ __forceinline__ void find_pivots();

  /// Vertical phase: the step's rows of s, d, s^2 and d^2, blurred, to `maps`.
  __device__ __forceinline__ void blur_columns(int base);

  /// Without a gradient the vertical phase is where x and y are at hand.
  __device__ __forceinline__ void sum_l1(
      int base,
      const T (&x)[kRows],
      const T (&y)[kRows]);

  /// Weights from (row, column) on, 0 outside of the span.
  template <int kCount>
  __device__ __forceinline__ void load_weights(
      int row,
      int column,
      std::int64_t step_bytes,
      const Span& inside,
      Raw<T> (&raw)[kCount]) const;

  /// Weights as numbers, 1 where there are none.
  template <int kCount>
  __device__ __forceinline__ void convert_weights(
      const Raw<T> (&raw)[kCount],
      T (&w)[kCount]) const;

  /// Horizontal phase: one row of the map, by one warp.
  __device__ __forceinline__ void blur_row(int row);

  /// SSIM at four neighbouring pixels: returns this item's share of the sum of
  /// (1 - SSIM) / kValueScale, and leaves the map or the partial derivatives.
  __device__ __forceinline__ T map_quad(
      int row,
      int column,
      const Span& inside,
      const Raw<T> (&weights)[4],
      const Quad<T> (&blurred)[4],
      Quad<T> (&partials)[kPartials]) const;

  /// w (l1 |x - y| + dssim (1 - ssim) + offset) at four neighbouring pixels.
  __device__ __forceinline__ void store_map(
      int row,
      int column,
      const T (&dssim)[4],
      const T (&w)[4],
      const Span& own) const;

  __device__ __forceinline__ bool owns_output_column() const {
    return thread < strip_width && output_column < p.width;
  }

  /// Of the rows from `row` on in the output column, those that L1 counts here.
  __device__ __forceinline__ Span l1_span(int row) const {
    return span_from(
        row,
        max(y0, p.l1_region.y0),
        min(y1, p.l1_region.y1),
        owns_output_column() && p.l1_region.has_column(output_column));
  }

  /// Vertical phase: the blurred partials make the gradient of kRows rows.
  __device__ __forceinline__ void store_gradient(
      int row,
      const Raw<T> (&input_again)[kRows],
      const Raw<T> (&target_again)[kRows],
      const Raw<T> (&weights)[kRows]);

  __device__ __forceinline__ void store_rows(
      const MutableImage& to,
      int row,
      const Span& own,
      const T (&values)[kRows]) const;
};

} // namespace fused_ssim::detail::cuda

#include "horizontal_phase.cuh"
#include "strip_loading.cuh"
#include "vertical_phase.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
__global__ void __launch_bounds__(
    Policy<T, kMode>::kThreads,
    Policy<T, kMode>::kBlocks) ssim_kernel(const SSIMParams<T> params) {
  StripKernel<T, kRadius, kMode, Images>(params).run();
}

} // namespace fused_ssim::detail::cuda
