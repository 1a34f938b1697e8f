#pragma once

// Rows of images of any element type and stride, read into and written from
// adjacent numbers of the compute type.

#include "../backend.h"
#include "vec.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstdint>
#include <cstring>

namespace fused_ssim::detail::cpu {
namespace {

/// Elements that are converted or gathered at a time, on the stack.
constexpr std::int64_t kPiece = 256;

template <typename T>
constexpr Element kElementOf = sizeof(T) == sizeof(double) ? Element::kFloat64
                                                           : Element::kFloat32;

/// The address of element (image, channel, row, column).
template <typename ViewType>
auto address(
    const ViewType& view,
    std::int64_t image,
    std::int64_t channel,
    std::int64_t row,
    std::int64_t column) {
  const std::int64_t offset = image * view.stride[0] +
      channel * view.stride[1] + row * view.stride[2] + column * view.stride[3];
  using Byte =
      std::conditional_t<std::is_same_v<ViewType, View>, const char, char>;
  return static_cast<Byte*>(view.data) + offset * bytes_of(view.element);
}

/// Copies strided elements of one size; interleaved pixels of 3 and 4 channels
/// have a loop of their own, which the compiler turns into shuffles.
template <typename E, typename From, typename To>
FUSED_SSIM_INLINE void copy_elements(
    const From& from_stride,
    const To& to_stride,
    std::int64_t count,
    const void* from,
    void* to) {
  const E* __restrict source = static_cast<const E*>(from);
  E* __restrict target = static_cast<E*>(to);
  for (std::int64_t i = 0; i < count; ++i) {
    target[i * to_stride] = source[i * from_stride];
  }
}

template <typename E>
void gather(
    const void* from,
    std::int64_t stride,
    std::int64_t count,
    void* to) {
  constexpr std::integral_constant<std::int64_t, 1> adjacent;
  if (stride == 3) {
    constexpr std::integral_constant<std::int64_t, 3> three;
    copy_elements<E>(three, adjacent, count, from, to);
  } else if (stride == 4) {
    constexpr std::integral_constant<std::int64_t, 4> four;
    copy_elements<E>(four, adjacent, count, from, to);
  } else {
    copy_elements<E>(stride, adjacent, count, from, to);
  }
}

template <typename E>
void scatter(
    const void* from,
    std::int64_t stride,
    std::int64_t count,
    void* to) {
  constexpr std::integral_constant<std::int64_t, 1> adjacent;
  copy_elements<E>(adjacent, stride, count, from, to);
}

using CopyElements = void (*)(const void*, std::int64_t, std::int64_t, void*);

inline CopyElements gather_of(Element element) {
  switch (bytes_of(element)) {
    case 8:
      return gather<std::uint64_t>;
    case 4:
      return gather<std::uint32_t>;
    case 2:
      return gather<std::uint16_t>;
    default:
      return gather<std::uint8_t>;
  }
}

inline CopyElements scatter_of(Element element) {
  switch (bytes_of(element)) {
    case 8:
      return scatter<std::uint64_t>;
    case 4:
      return scatter<std::uint32_t>;
    case 2:
      return scatter<std::uint16_t>;
    default:
      return scatter<std::uint8_t>;
  }
}

template <typename From, typename T, typename Convert>
FUSED_SSIM_INLINE void convert_each(
    const void* from,
    std::int64_t count,
    T* to,
    const Convert& convert) {
  const From* __restrict source = static_cast<const From*>(from);
  T* __restrict target = to;
  for (std::int64_t i = 0; i < count; ++i) {
    target[i] = convert(source[i]);
  }
}

/// float16 and bfloat16 to float: at::vec widens vector by vector.
template <typename Half, typename T, typename Widen>
FUSED_SSIM_INLINE void widen(
    const void* from,
    std::int64_t count,
    T* to,
    const Widen& widen_vector) {
  constexpr int kWidth = Vec<Half>::size();
  const Half* source = static_cast<const Half*>(from);
  for (std::int64_t i = 0; i < count; i += kWidth) {
    const int n = static_cast<int>(count - i < kWidth ? count - i : kWidth);
    const auto pair = widen_vector(
        n == kWidth ? Vec<Half>::loadu(source + i)
                    : Vec<Half>::loadu(source + i, n));
    float wide[kWidth];
    std::get<0>(pair).store(wide);
    std::get<1>(pair).store(wide + kWidth / 2);
    for (int k = 0; k < n; ++k) {
      to[i + k] = static_cast<T>(wide[k]);
    }
  }
}

/// `count` adjacent elements to the compute type.
template <typename T>
void convert_from(
    Element element,
    const void* from,
    std::int64_t count,
    T* to) {
  switch (element) {
    case Element::kFloat32:
      convert_each<float>(from, count, to, [](float v) { return T(v); });
      break;
    case Element::kFloat64:
      convert_each<double>(from, count, to, [](double v) { return T(v); });
      break;
    case Element::kFloat16:
      widen<at::Half>(from, count, to, [](const Vec<at::Half>& v) {
        return at::vec::convert_half_float(v);
      });
      break;
    case Element::kBFloat16:
      widen<at::BFloat16>(from, count, to, [](const Vec<at::BFloat16>& v) {
        return at::vec::convert_bfloat16_float(v);
      });
      break;
    case Element::kUInt8:
      convert_each<std::uint8_t>(
          from, count, to, [](std::uint8_t v) { return T(v) / T(255); });
      break;
    case Element::kBool:
      convert_each<std::uint8_t>(
          from, count, to, [](std::uint8_t v) { return T(v != 0); });
      break;
  }
}

/// The compute type to `count` adjacent elements of a floating type.
template <typename T>
void convert_to(
    Element element,
    const T* from, // [count]
    std::int64_t count,
    void* to) {
  constexpr int kWidth = 2 * Vec<float>::size();
  switch (element) {
    case Element::kFloat16:
    case Element::kBFloat16:
      for (std::int64_t i = 0; i < count; i += kWidth) {
        const int n = static_cast<int>(count - i < kWidth ? count - i : kWidth);
        float wide[kWidth] = {};
        for (int k = 0; k < n; ++k) {
          wide[k] = static_cast<float>(from[i + k]);
        }
        const Vec<float> low = load(wide), high = load(wide + kWidth / 2);
        if (element == Element::kFloat16) {
          at::vec::convert_float_half(low, high).store(
              static_cast<at::Half*>(to) + i, n);
        } else {
          at::vec::convert_float_bfloat16(low, high).store(
              static_cast<at::BFloat16*>(to) + i, n);
        }
      }
      break;
    case Element::kFloat64:
      for (std::int64_t i = 0; i < count; ++i) {
        static_cast<double*>(to)[i] = from[i];
      }
      break;
    default:
      for (std::int64_t i = 0; i < count; ++i) {
        static_cast<float*>(to)[i] = static_cast<float>(from[i]);
      }
  }
}

/// One channel of one image of a View.
template <typename T>
class Reader {
 public:
  Reader(const View& view, std::int64_t image, std::int64_t channel)
      : view_(view),
        image_(image),
        channel_(channel) {}

  /// The row's elements where they are, if possible, or else read to `buffer`.
  const T* row(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      T* buffer) const { // [count]
    if (view_.element == kElementOf<T> && view_.stride[3] == 1) {
      return reinterpret_cast<const T*>(
          address(view_, image_, channel_, row, column));
    }
    read(row, column, count, buffer);
    return buffer;
  }

  void read(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      T* to) const { // [count]
    const char* from = address(view_, image_, channel_, row, column);
    if (view_.stride[3] == 1) {
      convert_from(view_.element, from, count, to);
      return;
    }
    const int size = bytes_of(view_.element);
    const CopyElements gather = gather_of(view_.element);
    if (view_.element == kElementOf<T>) {
      gather(from, view_.stride[3], count, to);
      return;
    }
    alignas(64) char piece[kPiece * sizeof(double)];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      gather(from + i * view_.stride[3] * size, view_.stride[3], n, piece);
      convert_from(view_.element, piece, n, to + i);
    }
  }

 private:
  View view_;
  std::int64_t image_, channel_;
};

/// One channel of one image of a MutableView.
template <typename T>
class Writer {
 public:
  Writer(const MutableView& view, std::int64_t image, std::int64_t channel)
      : view_(view),
        image_(image),
        channel_(channel) {}

  void write(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      const T* from) const { // [count]
    char* to = address(view_, image_, channel_, row, column);
    if (view_.stride[3] == 1) {
      convert_to(view_.element, from, count, to);
      return;
    }
    const int size = bytes_of(view_.element);
    const CopyElements scatter = scatter_of(view_.element);
    if (view_.element == kElementOf<T>) {
      scatter(from, view_.stride[3], count, to);
      return;
    }
    alignas(64) char piece[kPiece * sizeof(double)];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      convert_to(view_.element, from + i, n, piece);
      scatter(piece, view_.stride[3], n, to + i * view_.stride[3] * size);
    }
  }

 private:
  MutableView view_;
  std::int64_t image_, channel_;
};

} // namespace
} // namespace fused_ssim::detail::cpu
