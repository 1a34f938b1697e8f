#pragma once

// The maps that the banded kernel writes: of the loss or SSIM, and of errors.
// NOTE [ A strip, row by row of blocks ] is in banded_kernel.cuh.

#include "banded_stages.cuh"

namespace fused_ssim::detail::cuda {

template <Mode kMode, int kSpan, typename Images>
class BandedMaps : protected BandedStages<kMode, kSpan, Images> {
  using Base = BandedStages<kMode, kSpan, Images>;

 protected:
  using Base::channel;
  using Base::column;
  using Base::image;
  using Base::lane_column;
  using Base::lane_row;
  using Base::p;
  using Base::row;
  using Base::x0;
  using Base::x1;
  using Base::y0;
  using Base::y1;
  using typename Base::Math;
  using typename Base::P;

  __device__ __forceinline__ explicit BandedMaps(const BandedParams& params)
      : Base(params) {}

  /// L1, or smooth L1, of |d|, which is `in_units` times as large in units.
  __device__ __forceinline__ float l1_of(float size, float in_units) const {
    return p.smooth_l1.beta > 0
        ? p.smooth_l1.template value<Math>(size * in_units) / in_units
        : size;
  }

  /// L1 of the map's block, in the units of the images.
  __device__ __forceinline__ void find_l1(LaneValues<>& l1) const {
    const int top = row - P::kHalf, begin = column - P::kHalf;
    LaneValues<> a, b;
    Raw<float> raw[2][4];
    this->load_lane(p.input, top, begin, raw);
    this->convert_lane(p.input.element, raw, a);
    this->load_lane(p.target, top, begin, raw);
    this->convert_lane(p.target.element, raw, b);
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        l1[j][k] = l1_of(fabsf(a[j][k] - b[j][k]), p.inverse_unit);
      }
    }
  }

  /// Of the map's block what lies in this strip and in the map.
  __device__ __forceinline__ void store_map_block(
      const MutableImage& to,
      const LaneValues<>& values) const {
    const int y = row - P::kHalf + lane_row;
    const int x = column - P::kHalf + lane_column;
    const int top = max(y0, p.map_region.row_begin) - y;
    const int bottom = min(y1, p.map_region.row_end) - y;
    const int begin = max(x0, p.map_region.column_begin) - x;
    const int end = min(x1, p.map_region.column_end) - x;
#pragma unroll
    for (int k = 0; k < kLanePairs; ++k) {
      float lane_values[kLaneRows];
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        lane_values[j] = values[j][k];
      }
      store_values(
          to.at(
              image,
              channel,
              y - p.map_region.row_begin,
              x + k - p.map_region.column_begin),
          to.stride[2],
          to.element,
          span_of<kLaneRows>(top, k >= begin && k < end ? bottom : top),
          lane_values);
    }
  }

  /// The map of errors (ErrorTerms).
  __device__ __forceinline__ void store_error(const LaneValues<>& halves)
      const { // (1 - SSIM) or (1 - cs) / kValueScale
    LaneValues<> values{};
    if (p.error_l1 != 0) {
      find_l1(values);
    }
    const float l1_weight = p.error_l1 * p.inverse_unit;
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        values[j][k] *= l1_weight;
        if (p.error_ssim != 0) {
          values[j][k] = fmaf(p.error_ssim, halves[j][k], values[j][k]);
        }
      }
    }
    store_map_block(p.error_map, values);
  }

  /// w (l1_weight |d| + dssim_weight (1 - ssim) + constant).
  __device__ __forceinline__ void store_map(
      const LaneValues<>& halves, // (1 - SSIM) / kValueScale
      const LaneValues<>& w) const {
    LaneValues<> l1, values;
    if (p.terms.l1_weight != 0) {
      find_l1(l1);
    }
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
      for (int k = 0; k < kLanePairs; ++k) {
        float value = fmaf(
            static_cast<float>(p.terms.dssim_weight * kValueScale),
            halves[j][k],
            static_cast<float>(p.terms.constant));
        if (p.terms.l1_weight != 0) {
          value = fmaf(static_cast<float>(p.terms.l1_weight), l1[j][k], value);
        }
        values[j][k] = w[j][k] != 0 ? value * w[j][k] : 0.0f;
      }
    }
    store_map_block(p.map, values);
  }
};

} // namespace fused_ssim::detail::cuda
