#pragma once

// The rows of the gradient kernel: reading and writing them, and their horizontal blurs.
// NOTE [ Value and gradient ] is in gradient_kernel.cuh.

#include "strip.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class GradientRows : protected Strip<T, kRadius, kMode, Images> {
  using Base = Strip<T, kRadius, kMode, Images>;

 protected:
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
  using typename Base::P;

  static constexpr bool kBoth = kMode == Mode::kBothGradients;
  static constexpr int kPartials = kBoth ? 4 : 3;
  /// Elements between a lane's columns, 0: not known. Of images, of weights.
  static constexpr int kDense = Images::kPixelStride * kWarpSize;
  static constexpr int kDenseWeights = kDense > 0 ? kWarpSize : 0;
  /// Pixels of a row for each lane: of the input, of the gradient.
  static constexpr int kInputs =
      (P::kThreads + 2 * (kRadius > 0 ? kRadius : kMaxRadius) + kWarpSize - 1) /
      kWarpSize;
  static constexpr int kOutputs = P::kThreads / kWarpSize;
  static constexpr int kPitch = pitch_of(kInputs * kWarpSize);
  static constexpr int kMapElements = kRows * kPitch;

  T* const row_maps; // [4, .., kPitch], this warp's row
  unsigned columns; // pack_columns()
  Raw<T> input_row[kInputs], target_row[kInputs]; // the next step's

  __device__ __forceinline__ GradientRows(const SSIMParams<T>& params)
      : Base(params),
        row_maps(maps + warp * kPitch) {}

  __device__ __forceinline__ T* map_row(int map) const {
    return row_maps + map * kMapElements;
  }

  /// Of a pixel; not to be read unless it lies in the image.
  template <typename ImageType>
  __device__ __forceinline__ auto address(
      const ImageType& of,
      int row,
      int at_column) const {
    if constexpr (kDense > 0) {
      // 64 bits for the block and 32 for the thread, which the instruction adds.
      // Columns begin a little above 0, since the strip does a little below.
      constexpr int kAbove = 2 * kWarpSize;
      const auto plane = of.at(image, channel, 0, -kAbove);
      const unsigned offset =
          static_cast<unsigned>(row) * static_cast<unsigned>(of.stride[2]) +
          static_cast<unsigned>(at_column + kAbove) *
              static_cast<unsigned>(of.stride[3]);
      return plane + offset;
    } else {
      return of.at(image, channel, row, at_column);
    }
  }

  /// Of this lane's columns, lane + 32 i, those from `begin` to `end` - 1.
  template <int kCount>
  __device__ __forceinline__ Span lane_span(int begin, int end) const {
    const auto steps = [this](int position) {
      return (position - lane + kWarpSize - 1) >> 5; // rounded up, also below 0
    };
    return span_of<kCount>(steps(begin), steps(end));
  }

  /// Which of this lane's columns lie in the image, and which L1 counts. All in one
  /// register: each of three would be spilled, and come back behind the images.
  __device__ __forceinline__ void pack_columns() {
    const int input_x0 = x0 - 2 * radius;
    const Span input = lane_span<kInputs>(-input_x0, p.width - input_x0);
    const Span output = lane_span<kOutputs>(0, own_columns);
    const Span l1 = lane_span<kOutputs>(
        p.l1_region.column_begin - x0,
        min(own_columns, p.l1_region.column_end - x0));
    columns = opaque(
        input.bits | output.bits << kInputs | l1.bits << (kInputs + kOutputs));
  }

  __device__ __forceinline__ Span input_columns() const {
    return {columns & ((1u << kInputs) - 1)};
  }

  __device__ __forceinline__ Span output_columns() const {
    return {columns >> kInputs & ((1u << kOutputs) - 1)};
  }

  __device__ __forceinline__ Span l1_columns() const {
    return {columns >> (kInputs + kOutputs)};
  }

  /// This thread's.
  __device__ __forceinline__ int map_column() const {
    return x0 - radius + thread;
  }

  /// A row of an image, this lane's columns from `first` on, 0 outside of it.
  template <int kCount>
  __device__ __forceinline__ void load_columns(
      const Image& of,
      Element type,
      int row,
      int first,
      const Span& in_image, // of these columns
      Raw<T> (&raw)[kCount]) const {
    const bool any =
        static_cast<unsigned>(row) < static_cast<unsigned>(p.height);
    const Span inside = {any ? in_image.bits : 0};
    load<kDense>(
        address(of, row, first + lane),
        kWarpSize * of.stride[3],
        type,
        inside,
        raw);
  }

  __device__ __forceinline__ void load_row(int row) {
    const int first = x0 - 2 * radius;
    load_columns(
        p.input, this->input_type(), row, first, input_columns(), input_row);
    load_columns(
        p.target, this->target_type(), row, first, input_columns(), target_row);
  }

  /// Leaves s, d, s^2 and d^2 of the row that was loaded.
  __device__ __forceinline__ void stage_row() {
    T x[kInputs], y[kInputs];
    convert_all(this->input_type(), input_row, x);
    convert_all(this->target_type(), target_row, y);
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
      const T a = x[i] * p.inverse_unit, b = y[i] * p.inverse_unit;
      const T s = (a - sum_pivot) + b;
      const T d = (a - b) - difference_pivot;
      const int c = place(kWarpSize * i) + lane;
      map_row(0)[c] = s;
      map_row(1)[c] = d;
      map_row(2)[c] = s * s;
      map_row(3)[c] = d * d;
    }
  }

  /// Blurs the first kMaps maps of this warp's row in place.
  template <int kMaps>
  __device__ __forceinline__ void blur_row() {
    // Of a block for float64 there are fewer columns than the lanes have room for.
    const bool any = kLaneColumns * lane < P::kThreads;
#pragma unroll
    for (int m = 0; m < kMaps; ++m) {
      T blurred[kLaneColumns];
      if (any) {
        horizontal_blur<kRadius>(map_row(m), lane, p.window, blurred);
      }
      warp_barrier<10>();
      if (any) {
        store_lane_columns(map_row(m), lane, blurred);
      }
    }
  }

  __device__ __forceinline__ void store_columns(
      const MutableImage& to,
      int row,
      const Span& columns,
      const T (&values)[kOutputs]) const {
    store_values<kDense>(
        address(to, row, x0 + lane),
        kWarpSize * to.stride[3],
        this->gradient_type(to),
        columns,
        values);
  }
};

} // namespace fused_ssim::detail::cuda
