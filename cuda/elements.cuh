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

/// Which of a few elements in line are meant: a bit for each, which an instruction
/// tests in one go.
struct Span {
  unsigned bits;

  __device__ __forceinline__ bool has(int i) const {
    return (bits & (1u << i)) != 0;
  }
  /// All of `count` elements.
  __device__ __forceinline__ bool covers(int count) const {
    return bits == (1u << count) - 1;
  }
};

/// Of `kCount` elements those from `begin` to `end` - 1.
template <int kCount>
__device__ __forceinline__ Span span_of(int begin, int end) {
  static_assert(kCount < 32);
  const auto below = [](int i) { return (1u << min(max(i, 0), kCount)) - 1; };
  return {opaque(below(end) & ~below(begin))};
}

/// From an element of type U to the next one that is meant: kDense elements on if
/// that is positive, hence a constant that instructions hold; else step_bytes, by an
/// addition: left alone, the compiler multiplies and adds 64-bit numbers each time.
template <typename U, int kDense, typename Data>
__device__ __forceinline__ Data* next(Data* pointer, std::int64_t step_bytes) {
  if constexpr (kDense > 0) {
    return pointer + kDense * sizeof(U);
  } else {
    return opaque(pointer + step_bytes);
  }
}

template <typename U, int kDense, typename RawType, int kCount>
__device__ __forceinline__ void load_as(
    const char* pointer,
    std::int64_t step_bytes,
    const Span& span,
    RawType (&raw)[kCount]) {
  // All or nothing is the usual case, and worth its own branch: it saves the tests
  // and zeros of the other.
  if constexpr (kDense == 0) {
    pointer = opaque(pointer);
  }
  if (span.covers(kCount)) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      raw[i] = load_read_only<U>(pointer);
      pointer = next<U, kDense>(pointer, step_bytes);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    raw[i] = span.has(i) ? load_read_only<U>(pointer) : RawType(0);
    pointer = next<U, kDense>(pointer, step_bytes);
  }
}

/// raw[i] = the element at pointer + i step_bytes, or 0 outside of the span.
template <int kDense = 0, typename RawType, int kCount>
__device__ __forceinline__ void load(
    const char* pointer,
    std::int64_t step_bytes,
    Element element,
    const Span& span,
    RawType (&raw)[kCount]) {
  switch (element) {
    case Element::kFloat64:
      if constexpr (sizeof(RawType) == 8) {
        load_as<std::uint64_t, kDense>(pointer, step_bytes, span, raw);
      }
      break;
    case Element::kFloat32:
      load_as<std::uint32_t, kDense>(pointer, step_bytes, span, raw);
      break;
    case Element::kFloat16:
    case Element::kBFloat16:
      load_as<std::uint16_t, kDense>(pointer, step_bytes, span, raw);
      break;
    default:
      load_as<std::uint8_t, kDense>(pointer, step_bytes, span, raw);
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
template <int kDense = 0, typename T, int kCount>
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
      pointer = next<U, kDense>(pointer, step_bytes);
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
