#pragma once

// NOTE [ A strip, row by row of blocks ]
//
// The kernel for windows above 11, and for smaller ones that may not be taken for one of 11
// (fits_wider_window). It takes any strides, any types, weights, and computes the blurs as
// products (NOTE [ Blurs as products of matrices ]), in four stages:
//
//   rows -> columns -> SSIM and its partial derivatives -> rows -> columns -> gradient
//
// A block of threads owns a strip. One of its warps takes a row of 16x16 blocks and
// walks it from left to right, a block a step; the next warp takes the row below, and
// follows as soon as it may. A stage along rows needs the block above, which the warp
// before left in shared memory: once for the whole strip, each row overwrites what the
// one above it left. A stage along columns needs the block to the left, which is still
// in the warp's registers. So no warp computes anything twice, and none waits for a
// barrier of all.
//
// The results of a stage along rows lie eight rows above its newest input, those of one
// along columns eight columns left of it. So the gradient of a step belongs to the block
// above and to the left, whose s and d are at hand: the images are read once. (For
// windows above 17 it is 16 rows and columns, and two blocks.)
//
// float16 ends at 65504, so images must not lie further from the pivot than four times
// the data range; and 0 times NaN is NaN, so that a NaN would reach windows which do not
// contain it. Either leaves a NaN in the sum of 1 - SSIM. Then the kernel for any window
// does the work again (`FirstTry`).

#include "banded_maps.cuh"

namespace fused_ssim::detail::cuda {

template <Mode kMode, int kSpan, typename Images>
class BandedKernel : BandedMaps<kMode, kSpan, Images> {
  using Base = BandedMaps<kMode, kSpan, Images>;
  using Base::all;
  using Base::channel;
  using Base::column;
  using Base::columns;
  using Base::difference_pivot;
  using Base::image;
  using Base::kBoth;
  using Base::kDifferenceScale;
  using Base::kHasGradient;
  using Base::kPartials;
  using Base::kScale;
  using Base::lane;
  using Base::lane_column;
  using Base::lane_row;
  using Base::p;
  using Base::row;
  using Base::sum_pivot;
  using Base::weight_scale;
  using Base::x0;
  using Base::x1;
  using Base::y0;
  using Base::y1;
  using typename Base::Math;
  using typename Base::P;

 public:
  __device__ __forceinline__ explicit BandedKernel(const BandedParams& params)
      : Base(params) {}

  __device__ __forceinline__ void run() {
    if constexpr (kHasGradient) {
      const auto factors = gradient_factors(
          p.terms,
          p.unit,
          p.mean,
          weight_sums<2>(
              p.normaliser, reinterpret_cast<WeightSums*>(shared_memory())));
      ssim_factor = static_cast<float>(factors.ssim);
      l1_factor = static_cast<float>(factors.l1);
    }
    block_barrier<11>();
    let_next_launch_begin();
    this->for_each_row([this](int index, int n) { run_row(index, n); });
    wait_for_last_launch(); // the kernels that follow read what that wrote
    const double l1_scale =
        kHasGradient ? 1.0 / kDifferenceScale : double(p.inverse_unit);
    const TermSums sums = {
        dssim_sum.value() * kValueScale + check, l1_sum.value() * l1_scale};
    const TermSums total =
        block_sum<0>(sums, reinterpret_cast<TermSums*>(shared_memory()));
    if (threadIdx.x == 0) {
      p.partials[blockIdx.x] = total;
    }
  }

 private:
  float ssim_factor, l1_factor; // GradientFactors
  CompensatedSum<float> dssim_sum, l1_sum;
  float check = 0; // NaN: something did not fit

  /// Row `index` of this block of threads, the n-th of the segment.
  __device__ __forceinline__ void run_row(int index, int n) {
    row = y0 - P::kBefore + kBlock * n;
    column = x0 - P::kBefore;
    this->input_next = p.input.at(image, channel, row, column);
    this->target_next = p.target.at(image, channel, row, column);
    this->begin_block(column);
    this->begin_row(index);
    // The row above was raised by the warp before, for the turn-th time.
    const bool first = index == 0;
    const unsigned turn = static_cast<unsigned>((index - 1) / P::kWarps);
    const int count = min(columns, (x1 - x0 + kBlock - 1) / kBlock + P::kLead);
#pragma unroll 1
    for (int b = 0; b < count; ++b, column += kBlock) {
      step(n, b, b + 1 < count, first, turn);
    }
    for (int b = count; b < columns; ++b) { // of a narrower strip than others
      this->wait_forward(b, first, turn);
      this->raise(b);
      if constexpr (kHasGradient) {
        this->wait_backward(b, first, turn);
        this->raise(columns + b);
      }
    }
  }

  /// The block `b` of the row, the n-th of its segment.
  __device__ __forceinline__ void step(
      int n,
      int b,
      bool more,
      bool first,
      unsigned turn) {
    LaneValues<> s, d;
    this->end_block(s, d);
    if (more) {
      this->begin_block(column + kBlock);
    }
    if constexpr (!kHasGradient) {
      if (kMode == Mode::kSums && p.l1_sum) {
        sum_l1(s, d);
      }
    }
    const bool has_map = n >= Base::kFirstMap && b >= Base::kFirstMap;
    Raw<float> raw[2][4];
    if (this->has_weights() && has_map) {
      this->load_lane(p.weight, row - P::kHalf, column - P::kHalf, raw);
    }
    const float scale = kScale * p.inverse_unit;
    const float d_scale = kDifferenceScale * p.inverse_unit;
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        const float x = s[j][k], y = d[j][k];
        s[j][k] = fmaf(y, scale, fmaf(x, scale, -sum_pivot));
        d[j][k] = fmaf(x - y, d_scale, -difference_pivot);
      }
    }
    this->wait_forward(b, first, turn);
    Product blurred[4];
    this->template blur_maps<0>(s, d, n, b, blurred);
    this->template blur_maps<2>(s, d, n, b, blurred);
    this->raise(b);
    if (!has_map) {
      if (kHasGradient && b >= Base::kFirstMap) {
        this->wait_backward(b, first, turn);
        this->raise(columns + b);
      }
      return;
    }
    LaneValues<> w;
    this->weights_of(raw, w);
    LaneValues<> partials[kPartials];
    compute_pixels(blurred, w, partials);
    if constexpr (kHasGradient) {
      this->wait_backward(b, first, turn);
      Product sums[kPartials];
      this->template blur_partials<0, 2>(partials, n, b, sums);
      this->template blur_partials<2, kPartials - 2>(partials, n, b, sums);
      this->raise(columns + b);
      if (n >= Base::kFirstGradient && b >= Base::kFirstGradient) {
        finish_gradient(b, sums);
      }
    }
  }

  /// Value and map: this lane's pixels of the newest block.
  __device__ __forceinline__ void sum_l1(
      const LaneValues<>& x,
      const LaneValues<>& y) {
    Raw<float> raw[2][4];
    LaneValues<> w;
    if (this->has_weights()) {
      this->load_lane(p.weight, row, column, raw);
    }
    this->weights_of(raw, w);
    const int first_row = max(y0, p.l1_region.row_begin);
    const int end_row = min(y1, p.l1_region.row_end);
    const int first_column = max(x0, p.l1_region.column_begin);
    const int end_column = min(x1, p.l1_region.column_end);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        const int at_y = row + lane_row + j, at_x = column + lane_column + k;
        const bool counts = at_y >= first_row && at_y < end_row &&
            at_x >= first_column && at_x < end_column;
        const float size =
            this->l1_of(fabsf(x[j][k] - y[j][k]), p.inverse_unit);
        sum += counts && w[j][k] != 0 ? w[j][k] * size : 0.0f;
      }
    }
    l1_sum.add(sum);
  }

  /// SSIM, and what follows from it, at the map's block.
  __device__ __forceinline__ void compute_pixels(
      const Product (&blurred)[4],
      const LaneValues<>& w,
      LaneValues<> (&partials)[kPartials]) {
    const int top = row - P::kHalf, begin = column - P::kHalf;
    const int own_top = max(y0, p.map_region.row_begin);
    const int own_begin = max(x0, p.map_region.column_begin);
    const int own_bottom = min(y1, p.map_region.row_end);
    const int own_end = min(x1, p.map_region.column_end);
    const auto counts = [&](int j, int k) {
      return p.map_region.has_row(top + lane_row + j) &&
          p.map_region.has_column(begin + lane_column + k);
    };
    const auto owned = [&](int j, int k) {
      const int y = top + lane_row + j, x = begin + lane_column + k;
      return y >= own_top && y < own_bottom && x >= own_begin && x < own_end;
    };
    if (top >= own_top && top + kBlock <= own_bottom && begin >= own_begin &&
        begin + kBlock <= own_end) {
      for_each_pixel(
          blurred,
          w,
          partials,
          [](int, int) { return true; },
          [](int, int) { return true; });
    } else {
      for_each_pixel(blurred, w, partials, counts, owned);
    }
  }

  template <typename Counts, typename Owned>
  __device__ __forceinline__ void for_each_pixel(
      const Product (&blurred)[4],
      const LaneValues<>& w,
      LaneValues<> (&partials)[kPartials],
      const Counts& counts,
      const Owned& owned) {
    constexpr bool kError = kMode == Mode::kErrorMap;
    const SSIMConstants<float> constants = {
        sum_pivot,
        difference_pivot * (kScale / kDifferenceScale),
        p.two_c1 * (kScale * kScale),
        p.two_c2 * (kScale * kScale)};
    float sum = 0;
    [[maybe_unused]] LaneValues<> halves;
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        const SSIMPixel<float, Math> pixel(
            {result(blurred[0], j, k),
             result(blurred[1], j, k) * (kScale / kDifferenceScale),
             result(blurred[2], j, k),
             result(blurred[3], j, k)},
            constants);
        const float half = pixel.dssim_half();
        check = fmaf(half, 0.0f, check);
        if (owned(j, k)) {
          sum = this->has_weights() ? fmaf(w[j][k], half, sum) : sum + half;
        }
        if constexpr (kMode == Mode::kMap) {
          halves[j][k] = half;
        } else if constexpr (kError) {
          halves[j][k] = p.error_is_contrast_structure ? pixel.vd_ratio : half;
        }
        if constexpr (kHasGradient) {
          const float factor = this->has_weights()
              ? w[j][k] * (all.partial_scale * weight_scale)
              : all.partial_scale;
          const Partials<float> of = pixel.partials(factor);
          const bool here = counts(j, k);
          partials[0][j][k] = here ? of.ms + of.md : 0.0f;
          partials[1][j][k] = here ? of.ss : 0.0f;
          partials[2][j][k] = here ? of.dd : 0.0f;
          if constexpr (kBoth) {
            partials[kPartials - 1][j][k] = here ? of.ms - of.md : 0.0f;
          }
        }
      }
    }
    dssim_sum.add(sum);
    if constexpr (kMode == Mode::kMap) {
      this->store_map(halves, w);
    } else if constexpr (kError) {
      this->store_error(halves);
    }
  }

  /// The gradient of the block kBehind above and to the left.
  __device__ __forceinline__ void finish_gradient(
      int b,
      const Product (&sums)[kPartials]) {
    const int top = row - 2 * P::kHalf, begin = column - 2 * P::kHalf;
    LaneValues<> s, d, w;
    Operand kept;
    load(this->stash_of(b - P::kBehind), lane, kept);
    values_of(kept, s);
    load(this->stash_of(b - P::kBehind) + kOperandBytes, lane, kept);
    values_of(kept, d);
    Raw<float> raw[2][4];
    if (this->has_weights()) {
      this->load_lane(p.weight, top, begin, raw);
    }
    this->weights_of(raw, w);
    const int l1_top = max(y0, p.l1_region.row_begin);
    const int l1_bottom = min(y1, p.l1_region.row_end);
    const int l1_begin = max(x0, p.l1_region.column_begin);
    const int l1_end = min(x1, p.l1_region.column_end);
    const bool all_l1 = top >= l1_top && top + kBlock <= l1_bottom &&
        begin >= l1_begin && begin + kBlock <= l1_end;
    float factor = ssim_factor * kScale / all.partial_scale;
    if (this->has_weights()) {
      factor /= weight_scale;
    }
    LaneValues<> grad_x, grad_y;
    float sum = 0;
    const auto counts_in_l1 = [&](int j, int k) {
      const int y = top + lane_row + j, x = begin + lane_column + k;
      return all_l1 ||
          (y >= l1_top && y < l1_bottom && x >= l1_begin && x < l1_end);
    };
    if (p.smooth_l1.beta > 0) {
      // The slope goes into the weight. What that changes in the sum of L1 comes first.
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
        for (int k = 0; k < kLanePairs; ++k) {
          const float size = fabsf(d[j][k] + difference_pivot);
          const float slope =
              p.smooth_l1.template slope<Math>(size / kDifferenceScale);
          const float value = this->l1_of(size, 1 / kDifferenceScale);
          sum += counts_in_l1(j, k) ? w[j][k] * (value - slope * size) : 0.0f;
          w[j][k] *= slope;
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        const bool in_l1 = counts_in_l1(j, k);
        const float difference = d[j][k] + difference_pivot;
        const float weight = in_l1 ? w[j][k] : 0.0f;
        sum = fmaf(fabsf(difference), weight, sum);
        const float l1_part = difference > 0 ? weight * l1_factor
            : difference < 0                 ? -(weight * l1_factor)
                                             : 0.0f;
        const float ds = d[j][k] * (kScale / kDifferenceScale);
        const float square = result(sums[2], j, k);
        const float mean = result(sums[0], j, k);
        const float shared = result(sums[1], j, k);
        grad_x[j][k] = fmaf(
            factor, fmaf(ds, square, fmaf(s[j][k], shared, mean)), l1_part);
        check = fmaf(grad_x[j][k], 0.0f, check);
        if constexpr (kBoth) {
          const float other = result(sums[kPartials - 1], j, k);
          grad_y[j][k] = fmaf(
              factor,
              fmaf(-ds, square, fmaf(s[j][k], shared, other)),
              -l1_part);
          check = fmaf(grad_y[j][k], 0.0f, check);
        }
      }
    }
    l1_sum.add(sum);
    this->store_block(p.grad_input, top, begin, grad_x);
    if constexpr (kBoth) {
      this->store_block(p.grad_target, top, begin, grad_y);
    }
  }
};

} // namespace fused_ssim::detail::cuda
