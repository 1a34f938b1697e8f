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
#include "params.h"
#include "policy.h"
#include "reduce.cuh"

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What the compiler knows of the images. Without it the kernel switches on types at
/// run time, which costs registers more than it costs time.
struct AnyImages {
  static constexpr bool kMayHaveWeights = true;

  static __device__ __forceinline__ Element input(Element element) {
    return element;
  }
  static __device__ __forceinline__ Element target(Element element) {
    return element;
  }
  static __device__ __forceinline__ Element gradient(Element element) {
    return element;
  }
};

template <Element kInput, Element kTarget, bool kWeights>
struct KnownImages {
  static constexpr bool kMayHaveWeights = kWeights;

  static __device__ __forceinline__ Element input(Element) {
    return kInput;
  }
  static __device__ __forceinline__ Element target(Element) {
    return kTarget;
  }
  /// A float16 image's may be float32.
  static __device__ __forceinline__ Element gradient(Element element) {
    return kInput == Element::kFloat32 ? kInput : element;
  }
};

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
  T pivot;

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
    find_pivot();
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
        block_barrier<5>();
        load_step(base + kRows);
        if (base + kRows > y0) {
          store_gradient(base - margin, input_again, target_again);
        }
      } else {
        block_barrier<5>();
      }
    }
  }

  __device__ __forceinline__ void load_step(int base) {
    load_rows(p.input, input_type(), input_at, base, input_column, input_rows);
    load_rows(
        p.target, target_type(), target_at, base, input_column, target_rows);
  }

  /// kRows rows of a column, 0 outside of the image.
  __device__ __forceinline__ void load_rows(
      const Image& of,
      Element type,
      const char* column_at, // row 0
      int row,
      int column,
      Raw<T> (&raw)[kRows]) const {
    const bool in_image =
        static_cast<unsigned>(column) < static_cast<unsigned>(p.width);
    const Span inside = span_from(row, 0, p.height, in_image);
    load(column_at + row * of.stride[2], of.stride[2], type, inside, raw);
  }

  /// The mean of x + y over some rows of the item, where it is finite.
  __device__ __forceinline__ void find_pivot() {
    constexpr int kSamples = 8;
    const int step = max(1, (y1 - y0) / kSamples);
    const bool in_image =
        static_cast<unsigned>(input_column) < static_cast<unsigned>(p.width);
    const Span inside = {0, in_image ? min(kSamples, y1 - y0) : 0};
    T x[kSamples], y[kSamples];
    const auto sample = [&](const Image& of,
                            Element type,
                            const char* at,
                            T(&values)[kSamples]) {
      Raw<T> raw[kSamples];
      load(
          at + (y0 + step / 2) * of.stride[2],
          step * of.stride[2],
          type,
          inside,
          raw);
      convert_all(type, raw, values);
    };
    sample(p.input, input_type(), input_at, x);
    sample(p.target, target_type(), target_at, y);
    Sums sums = {0, 0};
#pragma unroll
    for (int i = 0; i < kSamples; ++i) {
      const float s = static_cast<float>(x[i] + y[i]);
      if (inside.has(i) && isfinite(s)) {
        sums.dssim += s;
        sums.l1 += 1;
      }
    }
    sums = block_sum<6>(sums, scratch);
    pivot = round_pivot(static_cast<float>(mean_of(sums.dssim, sums.l1)));
  }

  /// Vertical phase: the step's rows of s, d, s^2 and d^2, blurred, to `maps`.
  __device__ __forceinline__ void blur_columns(int base) {
    T x[kRows], y[kRows];
    convert_all(input_type(), input_rows, x);
    convert_all(target_type(), target_rows, y);
    if constexpr (!P::kHasGradient) {
      sum_l1(base, x, y);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const T s = (x[i] - pivot) + y[i];
      const T d = x[i] - y[i];
      map_row(0, i)[thread] = forward[0].push(s, p.window);
      map_row(1, i)[thread] = forward[1].push(d, p.window);
      map_row(2, i)[thread] = forward[2].push(s * s, p.window);
      map_row(3, i)[thread] = forward[3].push(d * d, p.window);
    }
  }

  /// Without a gradient the vertical phase is where x and y are at hand.
  __device__ __forceinline__ void sum_l1(
      int base,
      const T (&x)[kRows],
      const T (&y)[kRows]) {
    if (p.partials == nullptr) {
      return;
    }
    const int own = thread - margin;
    const Span inside = span_from(
        base,
        max(y0, p.l1_region.y0),
        min(y1, p.l1_region.y1),
        own >= 0 && own < strip_width && p.l1_region.has_column(input_column));
    T w[kRows];
    load_weights(base, input_column, p.weight.stride[2], inside, w);
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      sum += inside.has(i) ? w[i] * fabs(x[i] - y[i]) : T(0);
    }
    l1_sum.add(sum);
  }

  /// Weights from (row, column) on, 1 where there are none; 0 outside of the span.
  template <int kCount>
  __device__ __forceinline__ void load_weights(
      int row,
      int column,
      std::int64_t step_bytes,
      const Span& inside,
      T (&w)[kCount]) const {
    if (has_weights()) {
      load_values(
          p.weight.at(image, channel, row, column),
          step_bytes,
          p.weight.element,
          inside,
          w);
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        w[i] = T(1);
      }
    }
  }

  /// Horizontal phase: one row of the map, by one warp.
  __device__ __forceinline__ void blur_row(int row) {
    // Rows that no output of this item needs are left out.
    const int halo = margin - radius;
    if (row < y0 - halo || row >= y1 + halo) {
      return;
    }
    const int quads = (P::kThreads - 2 * radius + 3) / 4;
    T sum = T(0);
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int quad = round * kWarpSize + lane;
      Quad<T> partials[kPartials];
      if (quad < quads) {
        Quad<T> blurred[4];
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          blurred[m] =
              horizontal_blur<kRadius>(map_row(m, warp) + 4 * quad, p.window);
        }
        sum += map_quad(row, x0 - halo + 4 * quad, blurred, partials);
      }
      if constexpr (P::kHasGradient) {
        warp_barrier<8>();
        if (quad < quads) {
#pragma unroll
          for (int m = 0; m < kPartials; ++m) {
            store_quad(map_row(m, warp) + 4 * quad, partials[m]);
          }
        }
      }
    }
    dssim_sum.add(sum);

    if constexpr (P::kHasGradient) {
      warp_barrier<9>();
      const int output_quads = (strip_width + 3) / 4;
#pragma unroll
      for (int round = 0; round < kRounds; ++round) {
        const int quad = round * kWarpSize + lane;
        Quad<T> blurred[kPartials];
        if (quad < output_quads) {
#pragma unroll
          for (int m = 0; m < kPartials; ++m) {
            blurred[m] =
                horizontal_blur<kRadius>(map_row(m, warp) + 4 * quad, p.window);
          }
        }
        warp_barrier<10>();
        if (quad < output_quads) {
#pragma unroll
          for (int m = 0; m < kPartials; ++m) {
            store_quad(map_row(m, warp) + 4 * quad, blurred[m]);
          }
        }
      }
    }
  }

  /// SSIM at four neighbouring pixels: returns this item's share of the sum of
  /// (1 - SSIM) / kValueScale, and leaves the map or the partial derivatives.
  __device__ __forceinline__ T map_quad(
      int row,
      int column,
      const Quad<T> (&blurred)[4],
      Quad<T> (&partials)[kPartials]) const {
    const Span inside = span_from(
        column, p.map_region.x0, p.map_region.x1, p.map_region.has_row(row));
    const Span own = span_from(
        column,
        max(x0, p.map_region.x0),
        min(x0 + strip_width, p.map_region.x1),
        row >= y0 && row < y1 && p.map_region.has_row(row));
    T w[4];
    load_weights(row, column, p.weight.stride[3], inside, w);
    T dssim[4];
    T sum = T(0);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const SSIMPixel<T, Math> pixel(
          {blurred[0].v[j], blurred[1].v[j], blurred[2].v[j], blurred[3].v[j]},
          {pivot, p.two_c1, p.two_c2});
      dssim[j] = pixel.dssim_half();
      sum += own.has(j) ? w[j] * dssim[j] : T(0);
      if constexpr (P::kHasGradient) {
        const Partials<T> d = pixel.partials();
        partials[0].v[j] = w[j] * (d.ms + d.md);
        partials[1].v[j] = w[j] * d.ss;
        partials[2].v[j] = w[j] * d.dd;
        if constexpr (kMode == Mode::kBothGradients) {
          partials[3].v[j] = w[j] * (d.ms - d.md);
        }
      }
    }
    if (P::kHasGradient && !inside.covers(4)) {
#pragma unroll
      for (int m = 0; m < kPartials; ++m) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          partials[m].v[j] = inside.has(j) ? partials[m].v[j] : T(0);
        }
      }
    }
    if constexpr (kMode == Mode::kMap) {
      store_map(row, column, dssim, w, own);
    }
    return sum;
  }

  /// w (l1 |x - y| + dssim (1 - ssim) + offset) at four neighbouring pixels.
  __device__ __forceinline__ void store_map(
      int row,
      int column,
      const T (&dssim)[4],
      const T (&w)[4],
      const Span& own) const {
    T values[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      values[j] = Math::fma(p.dssim * kValueScale, dssim[j], p.offset);
    }
    if (p.l1 != T(0)) {
      T x[4], y[4];
      const auto fetch = [&](const Image& of, T(&pixels)[4]) {
        load_values(
            of.at(image, channel, row, column),
            of.stride[3],
            of.element,
            own,
            pixels);
      };
      fetch(p.input, x);
      fetch(p.target, y);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        values[j] = Math::fma(p.l1, fabs(x[j] - y[j]), values[j]);
      }
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      values[j] *= w[j];
    }
    store_values(
        p.map.at(
            image, channel, row - p.map_region.y0, column - p.map_region.x0),
        p.map.stride[3],
        p.map.element,
        own,
        values);
  }

  /// Vertical phase: the blurred partials make the gradient of kRows rows.
  __device__ __forceinline__ void store_gradient(
      int row,
      const Raw<T> (&input_again)[kRows],
      const Raw<T> (&target_again)[kRows]) {
    const bool own_column = thread < strip_width && output_column < p.width;
    const Span own = span_from(row, y0, y1, own_column);
    const Span in_l1 = span_from(
        row,
        max(y0, p.l1_region.y0),
        min(y1, p.l1_region.y1),
        own_column && p.l1_region.has_column(output_column));
    T x[kRows], y[kRows], w[kRows];
    convert_all(input_type(), input_again, x);
    convert_all(target_type(), target_again, y);
    load_weights(row, output_column, p.weight.stride[2], in_l1, w);
    T grad_x[kRows], grad_y[kRows];
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      T blurred[kPartials];
#pragma unroll
      for (int m = 0; m < kPartials; ++m) {
        blurred[m] = backward[m].push(map_row(m, i)[thread], p.window);
      }
      const T s = (x[i] - pivot) + y[i];
      const T d = x[i] - y[i];
      const T l1_weight = in_l1.has(i) && d != T(0) ? w[i] : T(0);
      sum = Math::fma(l1_weight, fabs(d), sum);
      const T l1_size = l1_weight * l1_scale;
      const T l1_part = d < T(0) ? -l1_size : l1_size;
      const T mean_part = Math::fma(s, blurred[1], blurred[0]);
      grad_x[i] =
          Math::fma(dssim_scale, Math::fma(d, blurred[2], mean_part), l1_part);
      if constexpr (kMode == Mode::kBothGradients) {
        const T other_part = Math::fma(s, blurred[1], blurred[3]);
        grad_y[i] = Math::fma(
            dssim_scale, Math::fnma(d, blurred[2], other_part), -l1_part);
      }
    }
    l1_sum.add(sum);
    store_rows(p.grad_input, row, own, grad_x);
    if constexpr (kMode == Mode::kBothGradients) {
      store_rows(p.grad_target, row, own, grad_y);
    }
  }

  __device__ __forceinline__ void store_rows(
      const MutableImage& to,
      int row,
      const Span& own,
      const T (&values)[kRows]) const {
    store_values(
        to.at(image, channel, row, output_column),
        to.stride[2],
        gradient_type(to),
        own,
        values);
  }
};

template <typename T, int kRadius, Mode kMode, typename Images>
__global__ void __launch_bounds__(
    Policy<T, kMode>::kThreads,
    Policy<T, kMode>::kBlocks) ssim_kernel(const SSIMParams<T> params) {
  StripKernel<T, kRadius, kMode, Images>(params).run();
}

} // namespace fused_ssim::detail::cuda
