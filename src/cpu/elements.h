#pragma once

// Elements of any type and stride, from and to adjacent numbers of the compute type.

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

/// Copies strided elements of one size to adjacent ones.
template <typename E>
void gather(
    const void* from,
    std::int64_t stride,
    std::int64_t count,
    void* to) {
  const E* __restrict source = static_cast<const E*>(from);
  E* __restrict target = static_cast<E*>(to);
  for (std::int64_t i = 0; i < count; ++i) {
    target[i] = source[i * stride];
  }
}

/// Copies adjacent elements of one size to strided ones.
template <typename E>
void scatter(
    const void* from,
    std::int64_t stride,
    std::int64_t count,
    void* to) {
  const E* __restrict source = static_cast<const E*>(from);
  E* __restrict target = static_cast<E*>(to);
  for (std::int64_t i = 0; i < count; ++i) {
    target[i * stride] = source[i];
  }
}

/// Pixels of kChannels adjacent numbers to one row of each channel. The compiler
/// turns these loops into shuffles.
template <int kChannels, typename T>
void deinterleave(
    const T* from, // [count][kChannels]
    std::int64_t count,
    T* const* to) { // [kChannels][count]
  T* __restrict a = to[0];
  T* __restrict b = to[1];
  T* __restrict c = to[2];
  T* __restrict d = kChannels == 4 ? to[kChannels - 1] : nullptr;
  for (std::int64_t i = 0; i < count; ++i) {
    a[i] = from[i * kChannels];
    b[i] = from[i * kChannels + 1];
    c[i] = from[i * kChannels + 2];
    if (kChannels == 4) {
      d[i] = from[i * kChannels + 3];
    }
  }
}

/// The inverse.
template <int kChannels, typename T>
void interleave(
    const T* const* from, // [kChannels][count]
    std::int64_t count,
    T* __restrict to) { // [count][kChannels]
  const T* __restrict a = from[0];
  const T* __restrict b = from[1];
  const T* __restrict c = from[2];
  const T* __restrict d = kChannels == 4 ? from[kChannels - 1] : nullptr;
  for (std::int64_t i = 0; i < count; ++i) {
    to[i * kChannels] = a[i];
    to[i * kChannels + 1] = b[i];
    to[i * kChannels + 2] = c[i];
    if (kChannels == 4) {
      to[i * kChannels + 3] = d[i];
    }
  }
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

} // namespace
} // namespace fused_ssim::detail::cpu
