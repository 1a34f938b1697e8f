#pragma once

// NOTE [ Value and gradient ]
//
// A block marches down its strip in steps of kRows rows, one for each of its warps.
// The horizontal blurs stand at both ends and the vertical ones in the middle, so
// that SSIM and its partial derivatives pass from the one vertical blur to the other
// in registers. A step has two phases with a barrier after each.
//
//   horizontal   a warp owns a row of shared memory. It takes what the last step's
//                vertical phase left there, blurred partial derivatives less their
//                horizontal blur, blurs them, and writes a row of the gradient. Then
//                it reads a new row of x and y, leaves s, d, s^2, d^2 in its place,
//                and blurs these. All this is among the lanes of one warp, so no
//                block barrier is needed.
//   vertical     a thread owns a column. It pushes the blurred row's four values
//                into its four vertical blurs, whose partial sums stay in registers;
//                what comes out, `radius` rows later, are the local means, hence
//                SSIM and three (or four) partial derivatives, which go into as
//                many vertical blurs; what comes out of these, another `radius`
//                rows later, replaces the values that were read.
//
// So an image is read (its strips' halos twice, and a second time from the cache for
// the gradient), the gradient is written, and nothing else passes through device
// memory. Columns shrink by `radius` on both sides with each horizontal blur:
//
//   column     image column        shared column   owned by
//   input      x0 - 2 radius + c   c               lanes, 32 columns apart
//   map        x0 -   radius + c   c               thread c
//   gradient   x0            + c   c               lanes, 32 columns apart
//
// A lane blurs eight columns.

#include "gradient_rows.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class GradientKernel : GradientRows<T, kRadius, kMode, Images> {
  using Base = GradientRows<T, kRadius, kMode, Images>;
  using Base::channel;
  using Base::difference_pivot;
  using Base::image;
  using Base::kBoth;
  using Base::kDenseWeights;
  using Base::kMapElements;
  using Base::kOutputs;
  using Base::kPartials;
  using Base::kPitch;
  using Base::kRows;
  using Base::l1_columns;
  using Base::lane;
  using Base::load_columns;
  using Base::load_row;
  using Base::map_column;
  using Base::map_row;
  using Base::maps;
  using Base::output_columns;
  using Base::own_columns;
  using Base::p;
  using Base::pack_columns;
  using Base::radius;
  using Base::scratch;
  using Base::stage_row;
  using Base::store_columns;
  using Base::sum_pivot;
  using Base::thread;
  using Base::warp;
  using Base::x0;
  using Base::y0;
  using Base::y1;
  using typename Base::Math;
  using typename Base::P;

 public:
  static constexpr int kSharedBytes =
      Base::kScratchBytes + 4 * kMapElements * sizeof(T);

  __device__ __forceinline__ GradientKernel(const SSIMParams<T>& params)
      : Base(params) {}

  __device__ __forceinline__ void run() {
    if constexpr (!Images::kMayHaveWeights) {
      find_factors();
    }
    this->for_each_segment([this] { run_segment(); });
    this->store_sums();
  }

 private:
  T ssim_factor = NAN, l1_factor; // GradientFactors; NaN: not found yet
  VerticalBlur<T, kRadius> forward[4];
  VerticalBlur<T, kRadius> backward[kPartials];

  /// With weights they depend on the weights' sums, which may still be computed while a
  /// block marches through its first rows. So this is called as late as can be.
  __device__ __forceinline__ void find_factors() {
    if (!isnan(ssim_factor)) {
      return; // found before
    }
    const auto factors = gradient_factors(
        p.terms,
        p.unit,
        p.mean,
        weight_sums<2>(p.normaliser, reinterpret_cast<WeightSums*>(scratch)));
    ssim_factor = static_cast<T>(factors.ssim);
    l1_factor = static_cast<T>(factors.l1);
  }

  __device__ __forceinline__ void run_segment() {
    pack_columns();
    this->find_pivots(map_column());
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      forward[m].clear();
    }
#pragma unroll
    for (int m = 0; m < kPartials; ++m) {
      backward[m].clear();
    }
    const int halo = 2 * radius;
    load_row(y0 - halo + warp);
    // Input rows base .. base + kRows - 1; the map's rows lie `radius` above them,
    // the gradient's `halo`.
    for (int base = y0 - halo; base < y1 + halo; base += kRows) {
      stage_row();
      warp_barrier<8>();
      this->template blur_row<4>();
      block_barrier<4>();
      blur_columns(base - radius);
      const bool finishes = base + kRows > y0 + halo;
      if constexpr (Images::kMayHaveWeights) {
        if (finishes) {
          find_factors();
        }
      }
      block_barrier<5>();
      if (finishes) {
        finish_row(base - halo + warp, base + kRows + warp);
      } else {
        load_row(base + kRows + warp);
      }
      // No barrier: of the columns that a lane now overwrites, it was the last to read.
    }
  }

  /// Vertical phase: the map's rows from `row` on.
  __device__ __forceinline__ void blur_columns(int row) {
    if (row + kRows <= y0 - radius) {
      push_columns<false, false>(row); // no gradient needs these rows
    } else if (!p.map_region.has_column(map_column())) {
      clear_columns();
    } else if (
        row >= p.map_region.row_begin && row + kRows <= p.map_region.row_end) {
      push_columns<true, false>(row);
    } else {
      push_columns<true, true>(row);
    }
  }

  __device__ __forceinline__ void clear_columns() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int m = 0; m < kPartials; ++m) {
        maps[m * kMapElements + i * kPitch + place(thread)] = T(0);
      }
    }
  }

  /// kBorder: some of the rows are not the map's.
  template <bool kWithPartials, bool kBorder>
  __device__ __forceinline__ void push_columns(int row) {
    constexpr bool kError = kWithPartials && kMode == Mode::kErrorMap;
    Raw<T> raw[kRows];
    T w[kRows];
    const Span inside = span_of<kRows>(
        p.map_region.row_begin - row, p.map_region.row_end - row);
    const Span own = span_of<kRows>(y0 - row, y1 - row);
    const int own_column = thread - radius;
    const bool is_own_column = own_column >= 0 && own_column < own_columns;
    if constexpr (kWithPartials) {
      this->load_weights(row, map_column(), p.weight.stride[2], inside, raw);
      this->convert_weights(raw, w);
    }
    // The map of errors, of these rows those that are stored.
    const Span stored = {is_own_column ? own.bits & inside.bits : 0};
    T error[kRows];
    if constexpr (kError) {
      find_error_of_l1(row, stored, error);
    }
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      T* const at = maps + i * kPitch + place(thread);
      T blurred[4];
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        blurred[m] = forward[m].push(at[m * kMapElements], p.window);
      }
      if constexpr (kWithPartials) {
        const SSIMPixel<T, Math> pixel(
            {blurred[0], blurred[1], blurred[2], blurred[3]},
            {sum_pivot, difference_pivot, p.two_c1, p.two_c2});
        const bool here = (!kBorder || inside.has(i)) &&
            (!this->has_weights() || w[i] != p.uncounted_weight);
        const T dssim_half = pixel.dssim_half();
        if (here && own.has(i)) {
          sum += w[i] * dssim_half;
        }
        if constexpr (kError) {
          const T part =
              p.error_is_contrast_structure ? pixel.vd_ratio : dssim_half;
          error[i] = p.error_ssim != T(0)
              ? Math::fma(p.error_ssim, part, error[i])
              : error[i];
        }
        const Partials<T> d =
            this->has_weights() ? pixel.partials(w[i]) : pixel.partials();
        const T partials[4] = {d.ms + d.md, d.ss, d.dd, d.ms - d.md};
#pragma unroll
        for (int m = 0; m < kPartials; ++m) {
          const T partial = here ? partials[m] : T(0);
          at[m * kMapElements] = backward[m].push(partial, p.window);
        }
      }
    }
    if constexpr (kWithPartials) {
      this->dssim_sum.add(is_own_column ? sum : T(0));
    }
    if constexpr (kError) {
      store_values(
          p.error_map.at(
              image,
              channel,
              row - p.map_region.row_begin,
              map_column() - p.map_region.column_begin),
          p.error_map.stride[2],
          Images::input(p.error_map.element),
          stored,
          error);
    }
  }

  /// L1's part in the map of errors, in rows from `row` on of this thread's column. The
  /// images are read again, from the cache.
  __device__ __forceinline__ void find_error_of_l1(
      int row,
      const Span& stored,
      T (&error)[kRows]) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      error[i] = T(0);
    }
    if (p.error_l1 == T(0)) {
      return;
    }
    T x[kRows], y[kRows];
    const auto read = [&](const Image& of, Element type, T(&pixels)[kRows]) {
      load_values(
          of.at(image, channel, row, map_column()),
          of.stride[2],
          type,
          stored,
          pixels);
    };
    read(p.input, this->input_type(), x);
    read(p.target, this->target_type(), y);
    const bool smooth = p.smooth_l1.beta > T(0);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const T size = fabs(x[i] * p.inverse_unit - y[i] * p.inverse_unit);
      error[i] =
          p.error_l1 * (smooth ? p.smooth_l1.template value<Math>(size) : size);
    }
  }

  /// A row of the gradient; meanwhile the next step's row is on its way.
  __device__ __forceinline__ void finish_row(int row, int next_row) {
    // The images once more: from the cache.
    Raw<T> input_again[kOutputs], target_again[kOutputs], weights[kOutputs];
    load_columns(
        p.input, this->input_type(), row, x0, output_columns(), input_again);
    load_columns(
        p.target, this->target_type(), row, x0, output_columns(), target_again);
    const bool own_row = row >= y0 && row < y1;
    const bool stored = own_row && p.grad_input.data != nullptr;
    const Span own = {stored ? output_columns().bits : 0};
    const Span in_l1 = {
        own_row && p.l1_region.has_row(row) ? l1_columns().bits : 0};
    this->template load_weights<kDenseWeights>(
        row, x0 + lane, kWarpSize * p.weight.stride[3], in_l1, weights);
    this->template blur_row<kPartials>();

    T x[kOutputs], y[kOutputs], w[kOutputs];
    convert_all(this->input_type(), input_again, x);
    convert_all(this->target_type(), target_again, y);
    this->convert_weights(weights, w);
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
      x[i] *= p.inverse_unit;
      y[i] *= p.inverse_unit;
      w[i] = in_l1.has(i) ? w[i] : T(0);
    }
    const auto add = [&](int i, const T& size) {
      if (!this->has_weights() || w[i] != T(0)) {
        sum = Math::fma(w[i], size, sum);
      }
    };
    if (p.smooth_l1.beta > T(0)) {
      // The slope goes into the weight, for the gradient below.
#pragma unroll
      for (int i = 0; i < kOutputs; ++i) {
        const T size = fabs(x[i] - y[i]);
        add(i, p.smooth_l1.template value<Math>(size));
        w[i] *= p.smooth_l1.template slope<Math>(size);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kOutputs; ++i) {
        add(i, fabs(x[i] - y[i]));
      }
    }
    this->l1_sum.add(sum);
    warp_barrier<9>();
    // Not before the loads above have arrived: waiting for these would mean to wait
    // for all.
    load_row(next_row);

    T grad_x[kOutputs], grad_y[kOutputs];
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
      T blurred[kPartials];
#pragma unroll
      for (int m = 0; m < kPartials; ++m) {
        blurred[m] = map_row(m)[place(kWarpSize * i) + lane];
      }
      T s = (x[i] - sum_pivot) + y[i];
      const T d = x[i] - y[i];
      T shifted_d = d - difference_pivot;
      if (this->has_weights() && blurred[1] == T(0) && blurred[2] == T(0)) {
        // No window that counts has this pixel, which may be NaN.
        s = shifted_d = T(0);
      }
      const T sign = static_cast<T>(d > T(0)) - static_cast<T>(d < T(0));
      const T l1_part = sign * (w[i] * l1_factor);
      const T mean_part = Math::fma(s, blurred[1], blurred[0]);
      grad_x[i] = Math::fma(
          ssim_factor, Math::fma(shifted_d, blurred[2], mean_part), l1_part);
      if constexpr (kBoth) {
        const T other_part = Math::fma(s, blurred[1], blurred[3]);
        grad_y[i] = Math::fma(
            ssim_factor,
            Math::fnma(shifted_d, blurred[2], other_part),
            -l1_part);
      }
    }
    store_columns(p.grad_input, row, own, grad_x);
    if constexpr (kBoth) {
      store_columns(p.grad_target, row, own, grad_y);
    }
  }
};

} // namespace fused_ssim::detail::cuda
