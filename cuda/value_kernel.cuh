#pragma once

// NOTE [ The value ]
//
// A block marches down its strip in steps of kRows rows, one for each of its warps.
// A step has two phases with a barrier after each.
//
//   vertical     a thread owns a column. It reads x and y, forms s, d, s^2, d^2 and
//                pushes them into its four vertical blurs, whose partial sums stay in
//                registers; what comes out, `radius` rows later, goes to shared memory.
//   horizontal   a warp owns a row. Each lane blurs eight columns, and has SSIM
//                there.
//
// So the images are read (their strips' halos twice), and no intermediate map passes
// through device memory. Thread t reads image column x0 - radius + t; the map's
// column x0 + m has its window in the shared columns m .. m + 2 radius.

#include "strip.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class ValueKernel : Strip<T, kRadius, kMode, Images> {
  using Base = Strip<T, kRadius, kMode, Images>;
  using Base::channel;
  using Base::difference_pivot;
  using Base::image;
  using Base::kRows;
  using Base::lane;
  using Base::maps;
  using Base::own_columns;
  using Base::p;
  using Base::radius;
  using Base::sum_pivot;
  using Base::thread;
  using Base::warp;
  using Base::x0;
  using Base::y0;
  using Base::y1;
  using typename Base::Math;
  using typename Base::P;

  // The last lane reads beyond the threads' columns, for pixels of no strip.
  static constexpr int kPitch = pitch_of(P::kThreads + kWarpSize);
  static constexpr int kMapElements = kRows * kPitch;

 public:
  static constexpr int kSharedBytes =
      Base::kScratchBytes + 4 * kMapElements * sizeof(T);

  __device__ __forceinline__ ValueKernel(const SSIMParams<T>& params)
      : Base(params) {}

  __device__ __forceinline__ void run() {
    this->for_each_segment([this] { run_segment(); });
    this->store_sums();
  }

 private:
  int column; // of this thread
  const char *input_at, *target_at; // row 0 of the column
  VerticalBlur<T, kRadius> blurs[4];
  Raw<T> input_rows[kRows], target_rows[kRows]; // the next step's

  __device__ __forceinline__ T* map_row(int map, int row) const {
    return maps + map * kMapElements + row * kPitch;
  }

  __device__ __forceinline__ void run_segment() {
    column = x0 - radius + thread;
    input_at = p.input.at(image, channel, 0, column);
    target_at = p.target.at(image, channel, 0, column);
    this->find_pivots(column);
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      blurs[m].clear();
    }
    load_step(y0 - radius);
    // Input rows base .. base + kRows - 1; the map's rows lie `radius` above them.
    for (int base = y0 - radius; base < y1 + radius; base += kRows) {
      blur_columns(base);
      block_barrier<4>();
      load_step(base + kRows);
      blur_row(base + warp - radius);
      block_barrier<5>();
    }
  }

  /// kRows rows of this thread's column, 0 outside of the image.
  __device__ __forceinline__ void load_step(int row) {
    const bool in_image =
        static_cast<unsigned>(column) < static_cast<unsigned>(p.width);
    const Span inside = span_of<kRows>(-row, in_image ? p.height - row : 0);
    const auto load_rows = [&](const Image& of,
                               Element type,
                               const char* at,
                               Raw<T>(&raw)[kRows]) {
      load(at + row * of.stride[2], of.stride[2], type, inside, raw);
    };
    load_rows(p.input, this->input_type(), input_at, input_rows);
    load_rows(p.target, this->target_type(), target_at, target_rows);
  }

  /// Vertical phase: the step's rows of s, d, s^2 and d^2, blurred, to `maps`.
  __device__ __forceinline__ void blur_columns(int base) {
    T x[kRows], y[kRows];
    convert_all(this->input_type(), input_rows, x);
    convert_all(this->target_type(), target_rows, y);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      x[i] *= p.inverse_unit;
      y[i] *= p.inverse_unit;
    }
    if (p.partials != nullptr && p.l1_sum) {
      sum_l1(base, x, y);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const T s = (x[i] - sum_pivot) + y[i];
      const T d = (x[i] - y[i]) - difference_pivot;
      map_row(0, i)[place(thread)] = blurs[0].push(s, p.window);
      map_row(1, i)[place(thread)] = blurs[1].push(d, p.window);
      map_row(2, i)[place(thread)] = blurs[2].push(s * s, p.window);
      map_row(3, i)[place(thread)] = blurs[3].push(d * d, p.window);
    }
  }

  __device__ __forceinline__ void sum_l1(
      int base,
      const T (&x)[kRows],
      const T (&y)[kRows]) {
    const int own = column - x0;
    const bool counts =
        own >= 0 && own < own_columns && p.l1_region.has_column(column);
    const Span inside = span_of<kRows>(
        max(y0, p.l1_region.row_begin) - base,
        counts ? min(y1, p.l1_region.row_end) - base : 0);
    Raw<T> raw[kRows];
    T w[kRows];
    this->load_weights(base, column, p.weight.stride[2], inside, raw);
    this->convert_weights(raw, w);
    T sum = T(0);
    const auto add = [&](int i, const T& size) {
      sum += inside.has(i) && w[i] != T(0) ? w[i] * size : T(0);
    };
    if (p.smooth_l1.beta > T(0)) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        add(i, p.smooth_l1.template value<Math>(fabs(x[i] - y[i])));
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        add(i, fabs(x[i] - y[i]));
      }
    }
    this->l1_sum.add(sum);
  }

  /// Horizontal phase: one row of the map, by one warp: adds up (1 - SSIM) /
  /// kValueScale, or writes the map.
  __device__ __forceinline__ void blur_row(int row) {
    const int first = x0 + kLaneColumns * lane;
    if (row < y0 || row >= y1) {
      return;
    }
    const Span own = span_of<kLaneColumns>(
        max(x0, p.map_region.column_begin) - first,
        p.map_region.has_row(row)
            ? min(x0 + own_columns, p.map_region.column_end) - first
            : 0);
    // Weights as memory is read best: this lane's are 32 columns apart.
    Raw<T> raw[kLaneColumns];
    T w[kLaneColumns];
    this->load_weights(
        row,
        x0 + lane,
        kWarpSize * p.weight.stride[3],
        columns_apart(row),
        raw);
    const bool any = first < x0 + own_columns;
    T blurred[4][kLaneColumns];
    if (any) {
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        horizontal_blur<kRadius>(map_row(m, warp), lane, p.window, blurred[m]);
      }
    }
    this->convert_weights(raw, w);
    if (this->has_weights()) {
      to_neighbours(w, any);
    }
    if (!any) {
      return;
    }
    T dssim[kLaneColumns];
    T sum = T(0);
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
      const SSIMPixel<T, Math> pixel(
          {blurred[0][j], blurred[1][j], blurred[2][j], blurred[3][j]},
          {sum_pivot, difference_pivot, p.two_c1, p.two_c2});
      dssim[j] = pixel.dssim_half();
      sum += own.has(j) && w[j] != T(0) ? w[j] * dssim[j] : T(0);
    }
    this->dssim_sum.add(sum);
    if constexpr (kMode == Mode::kMap) {
      store_map(row, first, dssim, w, own);
    }
  }

  /// Of the columns x0 + lane + 32 i of a row those that count.
  __device__ __forceinline__ Span columns_apart(int row) const {
    const auto steps = [this](int at) {
      return (at - x0 - lane + kWarpSize - 1) >> 5;
    };
    return span_of<kLaneColumns>(
        steps(max(x0, p.map_region.column_begin)),
        p.map_region.has_row(row)
            ? steps(min(x0 + own_columns, p.map_region.column_end))
            : 0);
  }

  /// From columns 32 apart to neighbouring ones, by way of the row, which has been read.
  __device__ __forceinline__ void to_neighbours(T (&w)[kLaneColumns], bool any)
      const {
    T* const shared_row = map_row(0, warp);
    warp_barrier<17>();
#pragma unroll
    for (int i = 0; i < P::kThreads / kWarpSize; ++i) {
      shared_row[place(kWarpSize * i) + lane] = w[i];
    }
    warp_barrier<18>();
    if (!any) {
      return;
    }
#pragma unroll
    for (int i = 0; i < kLaneColumns; i += 4) {
      const auto quad = *reinterpret_cast<const Quad<T>*>(
          shared_row + place(kLaneColumns * lane + i));
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        w[i + j] = quad.v[j];
      }
    }
  }

  /// w (l1_weight |d| + dssim_weight (1 - ssim) + constant) at this lane's columns.
  __device__ __forceinline__ void store_map(
      int row,
      int first,
      const T (&dssim)[kLaneColumns],
      const T (&w)[kLaneColumns],
      const Span& own) const {
    T values[kLaneColumns];
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
      values[j] = Math::fma(
          static_cast<T>(p.terms.dssim_weight * kValueScale),
          dssim[j],
          static_cast<T>(p.terms.constant));
    }
    if (p.terms.l1_weight != 0) {
      T x[kLaneColumns], y[kLaneColumns];
      const auto fetch = [&](const Image& of, T(&pixels)[kLaneColumns]) {
        load_values(
            of.at(image, channel, row, first),
            of.stride[3],
            of.element,
            own,
            pixels);
      };
      fetch(p.input, x);
      fetch(p.target, y);
      const bool smooth = p.smooth_l1.beta > T(0);
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) {
        T size = fabs(x[j] - y[j]);
        if (smooth) {
          size = p.smooth_l1.template value<Math>(size * p.inverse_unit) *
              static_cast<T>(p.unit);
        }
        values[j] =
            Math::fma(static_cast<T>(p.terms.l1_weight), size, values[j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
      values[j] = w[j] != T(0) ? values[j] * w[j] : T(0);
    }
    store_values(
        p.map.at(
            image,
            channel,
            row - p.map_region.row_begin,
            first - p.map_region.column_begin),
        p.map.stride[3],
        p.map.element,
        own,
        values);
  }
};

} // namespace fused_ssim::detail::cuda
