#pragma once

// Reading and writing images of any type and strides. A switch on the type costs
// little where it stands around several elements, so all functions here take a few
// at once. Loading is apart from converting, so that a load can be issued long
// before its value is needed.

#include "device.cuh"

#include "backend.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

namespace fused_ssim::detail::cuda {

/// An element as it came from memory, zero-extended.
template <typename T>
struct RawOf;

template <>
struct RawOf<float> {
  using type = std::uint32_t;
};

template <>
struct RawOf<double> {
  using type = std::uint64_t;
};

template <typename T>
using Raw = typename RawOf<T>::type;

/// Which of a few neighbouring elements are meant: first .. last - 1.
struct Span {
  int first, last;

  __device__ __forceinline__ bool has(int i) const {
    return i >= first && i < last;
  }
  /// All of `count` elements.
  __device__ __forceinline__ bool covers(int count) const {
    return first <= 0 && last >= count;
  }
};

/// Positions begin .. end - 1 as seen from `origin`; none unless `any`.
__device__ __forceinline__ Span
span_from(int origin, int begin, int end, bool any) {
  return {opaque(begin - origin), opaque(any ? end - origin : begin - origin)};
}

template <typename U, typename RawType, int kCount>
__device__ __forceinline__ void load_as(
    const char* pointer,
    std::int64_t step_bytes,
    const Span& span,
    RawType (&raw)[kCount]) {
  // From pixel to pixel by an addition: left alone, the compiler multiplies and adds
  // 64-bit numbers for each of them. All or nothing is the usual case, and worth its
  // own branch: it saves the tests and zeros of the other.
  pointer = opaque(pointer);
  if (span.covers(kCount)) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      raw[i] = load_read_only<U>(pointer);
      pointer = opaque(pointer + step_bytes);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    raw[i] = span.has(i) ? load_read_only<U>(pointer) : RawType(0);
    pointer = opaque(pointer + step_bytes);
  }
}

/// raw[i] = the element at pointer + i step_bytes, or 0 outside of the span.
template <typename RawType, int kCount>
__device__ __forceinline__ void load(
    const char* pointer,
    std::int64_t step_bytes,
    Element element,
    const Span& span,
    RawType (&raw)[kCount]) {
  switch (element) {
    case Element::kFloat64:
      if constexpr (sizeof(RawType) == 8) {
        load_as<std::uint64_t>(pointer, step_bytes, span, raw);
      }
      break;
    case Element::kFloat32:
      load_as<std::uint32_t>(pointer, step_bytes, span, raw);
      break;
    case Element::kFloat16:
    case Element::kBFloat16:
      load_as<std::uint16_t>(pointer, step_bytes, span, raw);
      break;
    default:
      load_as<std::uint8_t>(pointer, step_bytes, span, raw);
  }
}

/// value / 255, correctly rounded: the same as the converted image.
template <typename T>
__device__ __forceinline__ T byte_to_unit(unsigned value) {
  using Math = DeviceMath<T>;
  const T x = static_cast<T>(value);
  const T inverse = T(1) / T(255);
  const T quotient = x * inverse;
  return Math::fma(Math::fnma(quotient, T(255), x), inverse, quotient);
}

template <typename T, typename RawType>
__device__ __forceinline__ T convert(Element element, RawType raw) {
  switch (element) {
    case Element::kFloat64:
      if constexpr (sizeof(RawType) == 8) {
        return static_cast<T>(bit_cast<double>(raw));
      }
      return T(0);
    case Element::kFloat32:
      return static_cast<T>(bit_cast<float>(static_cast<std::uint32_t>(raw)));
    case Element::kFloat16:
      return static_cast<T>(static_cast<float>(
          c10::Half(static_cast<std::uint16_t>(raw), c10::Half::from_bits())));
    case Element::kBFloat16:
      return static_cast<T>(
          bit_cast<float>(static_cast<std::uint32_t>(raw) << 16));
    case Element::kUInt8:
      return byte_to_unit<T>(static_cast<unsigned>(raw));
    case Element::kBool:
      return raw != 0 ? T(1) : T(0);
  }
  return T(0);
}

/// values[i] = raw[i] as a number. float32 and float64 cost nothing.
template <typename T, typename RawType, int kCount>
__device__ __forceinline__ void convert_all(
    Element element,
    const RawType (&raw)[kCount],
    T (&values)[kCount]) {
  const auto as = [&](Element known) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      values[i] = convert<T>(known, raw[i]);
    }
  };
  // The switch stands outside of the loop; each branch knows its type.
  switch (element) {
    case Element::kFloat64:
      return as(Element::kFloat64);
    case Element::kFloat32:
      return as(Element::kFloat32);
    case Element::kFloat16:
      return as(Element::kFloat16);
    case Element::kBFloat16:
      return as(Element::kBFloat16);
    case Element::kUInt8:
      return as(Element::kUInt8);
    default:
      return as(Element::kBool);
  }
}

/// The elements at pointer + i step_bytes as numbers, 0 where not in span.
template <typename T, int kCount>
__device__ __forceinline__ void load_values(
    const char* pointer,
    std::int64_t step_bytes,
    Element element,
    const Span& span,
    T (&values)[kCount]) {
  Raw<T> raw[kCount];
  load(pointer, step_bytes, element, span, raw);
  convert_all(element, raw, values);
}

/// The element at pointer + i step_bytes = values[i], in the span.
template <typename T, int kCount>
__device__ __forceinline__ void store_values(
    char* pointer,
    std::int64_t step_bytes,
    Element element,
    const Span& span,
    const T (&values)[kCount]) {
  const auto as = [&](auto example) {
    using U = decltype(example);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (span.has(i)) {
        *reinterpret_cast<U*>(pointer) = static_cast<U>(values[i]);
      }
      pointer = opaque(pointer + step_bytes);
    }
  };
  switch (element) {
    case Element::kFloat32:
      return as(float());
    case Element::kFloat64:
      if constexpr (sizeof(T) == 8) {
        return as(double());
      }
      return;
    case Element::kFloat16:
      if constexpr (sizeof(T) == 4) {
        return as(c10::Half());
      }
      return;
    case Element::kBFloat16:
      if constexpr (sizeof(T) == 4) {
        return as(c10::BFloat16());
      }
      return;
    default:
      return;
  }
}

} // namespace fused_ssim::detail::cuda
