#pragma once

// The functions that cuda/matrix.cuh expects from the emulation.

#include "emulation.h"

#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace fused_ssim::detail::cuda {

inline int uniform(int value) {
  return value;
}

inline float half_of(std::uint32_t pair, int which) {
  return c10::Half(
      static_cast<std::uint16_t>(pair >> 16 * which), c10::Half::from_bits());
}

inline std::uint32_t half_pair(float a, float b) {
  return c10::Half(a).x | std::uint32_t(c10::Half(b).x) << 16;
}

inline void split(float a, float b, std::uint32_t& high, std::uint32_t& low) {
  high = half_pair(a, b);
  low = half_pair(a - half_of(high, 0), b - half_of(high, 1));
}

inline float2 joined(std::uint32_t high, std::uint32_t low) {
  return make_float2(
      half_of(high, 0) + half_of(low, 0), half_of(high, 1) + half_of(low, 1));
}

/// A sum as a tensor core computes it. The products are exact. Each term loses what lies
/// more than 25 bits below the largest term's first bit. The sum of the terms is exact,
/// and loses what float32 cannot hold. All losses are toward 0. These are the rules of
/// sm_90 (Khattak and Mikaitis, "Accurate Models of NVIDIA Tensor Cores", 2025). sm_80
/// keeps one bit less and adds eight products at a time.
class TruncatedSum {
 public:
  static constexpr int kTerms = 17; // 16 products and what was there

  void add(double a, double b) {
    terms_[count_++] = a * b;
    largest_ = std::max(largest_, exponent_of(a) + exponent_of(b));
  }

  float value() const {
    double plain = 0;
    for (int i = 0; i < count_; ++i) {
      plain += terms_[i];
    }
    if (plain == 0 || !std::isfinite(plain)) {
      return static_cast<float>(plain);
    }
    constexpr int kKeptBits = 25;
    const double scale = power_of_two(kKeptBits - largest_);
    std::int64_t sum = 0;
    for (int i = 0; i < count_; ++i) {
      sum += static_cast<std::int64_t>(terms_[i] * scale);
    }
    return toward_zero(
        static_cast<double>(sum) * power_of_two(largest_ - kKeptBits));
  }

 private:
  static int exponent_of(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<int>(bits >> 52 & 2047) - 1023;
  }

  static double power_of_two(int exponent) {
    const std::uint64_t bits = std::uint64_t(exponent + 1023) << 52;
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  static float toward_zero(double value) {
    const float nearest = static_cast<float>(value);
    return std::fabs(double(nearest)) > std::fabs(value)
        ? std::nextafter(nearest, 0.0f)
        : nearest;
  }

  double terms_[kTerms];
  int count_ = 0;
  int largest_ = -1000;
};

/// Lane (g, t) = (lane / 4, lane % 4) holds rows g and g + 8 of a and c, columns 2t,
/// 2t + 1 of c, column g of b, and of the inner dimension 2t, 2t + 1 and eight on.
template <bool kFirst>
void multiply_add(
    float (&c)[4],
    const std::uint32_t (&a)[4],
    std::uint32_t b0,
    std::uint32_t b1) {
  const auto* const given =
      emulation::exchange({a[0], a[1], a[2], a[3], b0, b1});
  const unsigned row = emulation::lane() / 4,
                 column = 2 * (emulation::lane() % 4);
  for (unsigned i = 0; i < 4; ++i) {
    TruncatedSum sum;
    sum.add(kFirst ? 0 : c[i], 1);
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned lane = k % 8 / 2, part = k / 8;
      const auto left = given[row * 4 + lane][i / 2 + 2 * part];
      const auto right = given[(column + i % 2) * 4 + lane][4 + part];
      sum.add(half_of(left, k % 2), half_of(right, k % 2));
    }
    c[i] = sum.value();
  }
  __syncwarp(); // given may be overwritten
}

template <int kBytes>
void begin_copy(
    void* to, // [kBytes]
    const void* from, // [kBytes]
    bool inside) {
  if (inside) {
    std::memcpy(to, from, kBytes);
  } else {
    std::memset(to, 0, kBytes);
  }
}

inline void end_copies() {}

class Signal {
 public:
  void init() {
    lanes_ = raised_ = 0;
  }

  void raise() {
    if (++lanes_ == kWarpSize) {
      lanes_ = 0;
      emulation::raise(raised_);
    }
  }

  template <int kNumber>
  void wait(unsigned turn) {
    if (!emulation::is_missing(kNumber)) {
      emulation::wait(raised_, turn & 1);
    }
  }

 private:
  std::uint32_t lanes_; // that raised it since
  std::uint32_t raised_; // so many times
};

} // namespace fused_ssim::detail::cuda
