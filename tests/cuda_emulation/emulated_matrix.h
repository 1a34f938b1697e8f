#pragma once

// The functions that cuda/matrix.cuh expects from the emulation.

#include "emulation.h"

#include <c10/util/Half.h>

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
    double sum = kFirst ? 0 : c[i];
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned lane = k % 8 / 2, part = k / 8;
      const auto left = given[row * 4 + lane][i / 2 + 2 * part];
      const auto right = given[(column + i % 2) * 4 + lane][4 + part];
      sum += double(half_of(left, k % 2)) * double(half_of(right, k % 2));
    }
    c[i] = static_cast<float>(sum);
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
    raised_ = 0;
  }

  void raise() {
    emulation::raise(raised_);
  }

  template <int kNumber>
  void wait(unsigned turn) {
    if (!emulation::is_missing(kNumber)) {
      emulation::wait(raised_, turn & 1);
    }
  }

 private:
  std::uint64_t raised_; // so many times
};

} // namespace fused_ssim::detail::cuda
