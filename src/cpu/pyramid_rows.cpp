#include "pyramid_rows.h"

#include "planes.h"

// CMake defines FUSED_SSIM_CPU_SET = Default, AVX2 or AVX512.
#define FUSED_SSIM_CPU_JOIN_(a, b, c) a##b##c
#define FUSED_SSIM_CPU_JOIN(a, b, c) FUSED_SSIM_CPU_JOIN_(a, b, c)
#define FUSED_SSIM_CPU_TABLE(type) \
  FUSED_SSIM_CPU_JOIN(kPyramid, FUSED_SSIM_CPU_SET, type)

namespace fused_ssim::detail::cpu {
namespace {

/// Numbers of a row that may be touched.
template <typename T>
std::int64_t row_size(std::int64_t width) {
  return round_up(width + 1, 16);
}

/// Two rows, and two of half the length.
template <typename T>
std::size_t scratch_bytes(std::int64_t width) {
  const auto size = static_cast<std::size_t>(row_size<T>(width));
  return 4 * size * sizeof(T);
}

/// A row of one image and channel: in place if it is a row of T, else read to `buffer`.
template <typename T>
const T* row_of(
    const View& view,
    const RowPair& plane, // of it the image and the channel
    std::int64_t row,
    std::int64_t width,
    T* buffer) { // [width]
  if (view.element == kElementOf<T> && view.stride[3] == 1) {
    return reinterpret_cast<const T*>(
        address(view, plane.image, plane.channel, row, 0));
  }
  PlaneReader<T>(view, plane.image, plane.channel).read(row, 0, width, buffer);
  return buffer;
}

/// to[j] = the mean of a[2 j - odd], a[2 j + 1 - odd], and the same of b; what lies left
/// of the rows is 0.
template <typename T>
void halve_row(
    const T* a, // [width]
    const T* b, // [width]
    std::int64_t width,
    T* to) { // [halved(width)]
  constexpr int V = kLanes<T>;
  const std::int64_t odd = width % 2, count = halved(width);
  const T quarter = T(0.25);
  std::int64_t j = 0;
  if (odd != 0) {
    to[j++] = quarter * (a[0] + b[0]);
  }
  a -= odd;
  b -= odd;
  for (; j + V <= count; j += V) {
    const auto pairs = at::vec::deinterleave2(
        load(a + 2 * j) + load(b + 2 * j),
        load(a + 2 * j + V) + load(b + 2 * j + V));
    (Vec<T>(quarter) * (pairs.first + pairs.second)).store(to + j);
  }
  for (; j < count; ++j) {
    to[j] = quarter * ((a[2 * j] + b[2 * j]) + (a[2 * j + 1] + b[2 * j + 1]));
  }
}

template <typename T>
void halve(
    const Halving& halving,
    int which,
    const RowPair& rows,
    void* scratch) {
  const std::int64_t width = halving.width;
  T* const first = static_cast<T*>(scratch);
  T* const second = first + row_size<T>(width);
  const View& from = halving.from[which];
  const std::int64_t row = 2 * rows.row - halving.height % 2;
  const T* below = row_of(from, rows, row + 1, width, second);
  const T* above = first;
  if (row >= 0) {
    above = row_of(from, rows, row, width, first);
  } else {
    for (std::int64_t i = 0; i < width; ++i) {
      first[i] = 0;
    }
  }
  halve_row(
      above,
      below,
      width,
      reinterpret_cast<T*>(
          address(halving.to[which], rows.image, rows.channel, rows.row, 0)));
}

/// to[i] = factor from[i] + next[(i + width % 2) / 2]. `to` may be `from`.
template <typename T>
void add_next(
    const T* from, // [width]
    T factor,
    const T* next, // [halved(width)]
    std::int64_t width,
    T* to) { // [width]
  constexpr int V = kLanes<T>;
  std::int64_t i = 0;
  if (width % 2 != 0) {
    to[0] = factor * from[0] + *next++;
    i = 1;
  }
  for (; i + 2 * V <= width; i += 2 * V, next += V) {
    const Vec<T> each = load(next);
    const auto twice = at::vec::interleave2(each, each);
    const Vec<T> low = load(from + i), high = load(from + i + V);
    VecMath<T>::fma(Vec<T>(factor), low, twice.first).store(to + i);
    VecMath<T>::fma(Vec<T>(factor), high, twice.second).store(to + i + V);
  }
  for (; i < width; i += 2, ++next) {
    to[i] = factor * from[i] + *next;
    to[i + 1] = factor * from[i + 1] + *next;
  }
}

template <typename T>
void multiply(
    const T* from, // [width]
    T factor,
    std::int64_t width,
    T* to) { // [width]
  for (std::int64_t i = 0; i < width; ++i) {
    to[i] = factor * from[i];
  }
}

template <typename T>
T upstream_of(const Descent& descent, std::int64_t image) {
  T upstream(1);
  if (descent.upstream.data != nullptr) {
    const View& view = descent.upstream;
    convert_from(
        view.element, address(view, image, 0, 0, 0), /*count=*/1, &upstream);
  }
  return upstream;
}

template <typename T>
void descend(const Descent& descent, const RowPair& rows, void* scratch) {
  const std::int64_t plane = rows.image * descent.channels + rows.channel;
  std::int64_t width[kMaxScales], row[kMaxScales];
  T factor[kMaxScales];
  std::int64_t height = descent.height, columns = descent.width;
  const T* const factors = static_cast<const T*>(descent.factors);
  T part = upstream_of<T>(descent, rows.image);
  for (int scale = 0; scale < descent.scales; ++scale) {
    // That of scale 1 is given; `height` is that of the scale before.
    row[scale] = scale < 2 ? rows.row : (row[scale - 1] + height % 2) / 2;
    height = scale == 0 ? height : halved(height);
    width[scale] = columns;
    columns = halved(columns);
    factor[scale] =
        part * factors[scale * descent.batch * descent.channels + plane];
    part *= T(0.25);
  }

  const std::int64_t size = row_size<T>(descent.width);
  T* const read = static_cast<T*>(scratch);
  T* const write = read + size;
  T *sum = write + size, *next = sum + size; // of the scales so far
  for (int scale = descent.scales - 1; scale > 0; --scale) {
    const T* from =
        row_of(descent.gradients[scale], rows, row[scale], width[scale], read);
    T* const to = sum;
    if (scale + 1 < descent.scales) {
      add_next(from, factor[scale], next, width[scale], to);
    } else {
      multiply(from, factor[scale], width[scale], to);
    }
    sum = next;
    next = to;
  }
  const PlaneWriter<T> result(descent.result, rows.image, rows.channel);
  const bool in_place =
      descent.result.element == kElementOf<T> && descent.result.stride[3] == 1;
  const std::int64_t first = 2 * rows.row - descent.height % 2;
  for (std::int64_t each = first < 0 ? 0 : first; each < first + 2; ++each) {
    const T* from = row_of(descent.gradients[0], rows, each, width[0], read);
    T* to = write;
    if (in_place) {
      to = reinterpret_cast<T*>(
          address(descent.result, rows.image, rows.channel, each, 0));
    }
    if (descent.scales > 1) {
      add_next(from, factor[0], next, width[0], to);
    } else {
      multiply(from, factor[0], width[0], to);
    }
    if (!in_place) {
      result.write(each, 0, width[0], to);
    }
  }
}

} // namespace

const PyramidRows FUSED_SSIM_CPU_TABLE(Float) = {
    scratch_bytes<float>,
    halve<float>,
    descend<float>};

const PyramidRows FUSED_SSIM_CPU_TABLE(Double) = {
    scratch_bytes<double>,
    halve<double>,
    descend<double>};

} // namespace fused_ssim::detail::cpu
