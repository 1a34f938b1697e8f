#pragma once

// The blur, horizontal and vertical, forward and adjoint: there is only this one.

#include "../backend.h"
#include "ring.h"

namespace fused_ssim::detail::cpu {
namespace {

/// kRadius of code that takes the radius at run time.
constexpr int kAnyRadius = 0;

/// Vectors that the processor has.
#if defined(CPU_CAPABILITY_AVX512) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

template <typename T>
struct Taps {
  Taps(const Window& window, double factor) : radius(window.radius) {
    for (int k = 0; k <= kMaxRadius; ++k) {
      tap[k] = Vec<T>(static_cast<T>(window.taps[k] * factor));
    }
  }

  int radius;
  Vec<T> tap[kMaxRadius + 1]; // by distance
};

/// out[k] = sum over t of tap(t - radius) * in(k + t), for k < kOutputs and
/// t <= 2 radius, where `in(u)` is the address of the u-th vector.
///
/// The inputs at equal distance are added first: half of the multiplications become
/// additions, which many processors carry out beside them, and the loads fold into
/// the additions. The sum begins with the smallest taps: its rounding errors are those
/// of its last partial sums, of which all but one are small then. That is a third off
/// the errors of map and gradient.
template <int kRadius, int kOutputs, typename T, typename In>
FUSED_SSIM_INLINE void blur(
    const In& in,
    const Taps<T>& taps,
    Vec<T>* out /* [kOutputs] */) {
  using Math = VecMath<T>;
  if constexpr (
      kRadius == kAnyRadius && kOutputs > 1 && 3 * kOutputs + 2 > kRegisters) {
    constexpr int kHalf = kOutputs / 2;
    blur<kRadius, kHalf>(in, taps, out);
    blur<kRadius, kOutputs - kHalf>(
        [&](int u) FUSED_SSIM_INLINE_LAMBDA { return in(u + kHalf); },
        taps,
        out + kHalf);
  } else if constexpr (kRadius == kAnyRadius) {
    // Distance after distance. Of the inputs at each, all but one below and one above
    // were those of the last: they stay in registers. Output k has its input below in
    // place k + step modulo kOutputs, and the one above in place k - step.
    const int radius = taps.radius;
    if (radius == 0) {
      FUSED_SSIM_UNROLL
      for (int k = 0; k < kOutputs; ++k) {
        out[k] = load(in(k)) * taps.tap[0];
      }
      return;
    }
    Vec<T> below[kOutputs], above[kOutputs];
    FUSED_SSIM_UNROLL
    for (int k = 0; k < kOutputs; ++k) {
      below[k] = load(in(k));
      above[k] = load(in(k + 2 * radius));
      out[k] = (below[k] + above[k]) * taps.tap[radius];
    }
    int distance = radius - 1;
    while (distance > 0) {
      FUSED_SSIM_UNROLL
      for (int i = 0; i < kOutputs; ++i) {
        if (distance == 0) {
          break;
        }
        below[i] = load(in(kOutputs - 1 + radius - distance));
        above[kOutputs - 1 - i] = load(in(radius + distance));
        FUSED_SSIM_UNROLL
        for (int k = 0; k < kOutputs; ++k) {
          out[k] = Math::fma(
              below[(k + 1 + i) % kOutputs] +
                  above[(k + kOutputs - 1 - i) % kOutputs],
              taps.tap[distance],
              out[k]);
        }
        --distance;
      }
    }
    FUSED_SSIM_UNROLL
    for (int k = 0; k < kOutputs; ++k) {
      out[k] = Math::fma(load(in(k + radius)), taps.tap[0], out[k]);
    }
  } else {
    FUSED_SSIM_UNROLL
    for (int u = kOutputs + 2 * kRadius - 1; u >= kRadius; --u) {
      const Vec<T> v = load(in(u));
      FUSED_SSIM_UNROLL
      for (int k = 0; k < kOutputs; ++k) {
        const int distance = u - kRadius - k;
        if (distance == kRadius) {
          out[k] = (v + load(in(u - 2 * distance))) * taps.tap[distance];
        } else if (distance > 0 && distance < kRadius) {
          out[k] = Math::fma(
              v + load(in(u - 2 * distance)), taps.tap[distance], out[k]);
        } else if (distance == 0) {
          out[k] = Math::fma(v, taps.tap[0], out[k]);
        }
      }
    }
  }
}

/// Blurs vertically: kBlockRows outputs of each quantity at one position.
template <int kRadius, typename T, int kQuantities>
FUSED_SSIM_NO_INLINE void blur_vertically(
    const Ring<T, kQuantities>& ring,
    std::int64_t position,
    const Taps<T>& taps,
    T* out) { // [kQuantities][kBlockRows][lane]
  using ChunkType = Chunk<T, kQuantities>;
  const auto blur_quantity = [&](int q,
                                 const auto& in) FUSED_SSIM_INLINE_LAMBDA {
    Vec<T> result[kBlockRows];
    blur<kRadius, kBlockRows>(in, taps, result);
    FUSED_SSIM_UNROLL
    for (int t = 0; t < kBlockRows; ++t) {
      result[t].store(out + (q * kBlockRows + t) * kLanes<T>);
    }
  };
  if constexpr (kRadius == kAnyRadius) {
    const std::int64_t place = position * ChunkType::kPosition;
    FUSED_SSIM_NO_UNROLL
    for (int q = 0; q < kQuantities; ++q) {
      const std::int64_t offset = place + q * kLanes<T>;
      blur_quantity(q, [&](int u) FUSED_SSIM_INLINE_LAMBDA {
        return static_cast<const T*>(ring.at(0, u)) + offset;
      });
    }
  } else {
    constexpr int kChunks = kBlockChunks + history_chunks(kRadius);
    const T* base[kChunks];
    FUSED_SSIM_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      base[c] = ring.chunk(c).at(position, 0);
    }
    FUSED_SSIM_UNROLL
    for (int q = 0; q < kQuantities; ++q) {
      blur_quantity(q, [&](int u) FUSED_SSIM_INLINE_LAMBDA {
        const int row = u + unread_rows(kRadius);
        return base[row / kChunkRows] + row % kChunkRows * ChunkType::kRow +
            q * kLanes<T>;
      });
    }
  }
}

/// Blurs rows `row_begin` .. kChunkRows of one chunk horizontally into another, whose
/// quantity `to_quantity` takes the blur of quantity 0.
template <int kRadius, typename T, int kFrom, int kTo>
FUSED_SSIM_NO_INLINE void blur_horizontally(
    const Chunk<T, kFrom>& from,
    const Chunk<T, kTo>& to,
    int to_quantity,
    int row_begin,
    const LaneLayout<T>& lanes,
    const Taps<T>& taps) {
  constexpr int kOutputs = 8;
  const auto outputs = [&](std::int64_t position,
                           auto count) FUSED_SSIM_INLINE_LAMBDA {
    constexpr int kCount = decltype(count)::value;
    const T* in = from.at(position - taps.radius, row_begin);
    T* out = to.at(position, row_begin, to_quantity);
    for (int row = row_begin; row < kChunkRows; ++row) {
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kFrom; ++q) {
        Vec<T> result[kCount];
        blur<kRadius, kCount>(
            [&](int u) FUSED_SSIM_INLINE_LAMBDA {
              return in + u * Chunk<T, kFrom>::kPosition;
            },
            taps,
            result);
        FUSED_SSIM_UNROLL
        for (int k = 0; k < kCount; ++k) {
          result[k].store(out + k * Chunk<T, kTo>::kPosition);
        }
        in += kLanes<T>;
        out += kLanes<T>;
      }
      out += (kTo - kFrom) * kLanes<T>;
    }
  };
  const std::int64_t L = lanes.positions;
  if (L < kOutputs) {
    for (std::int64_t i = 0; i < L; ++i) {
      outputs(i, std::integral_constant<int, 1>());
    }
    return;
  }
  // The last group overlaps the one before, where L is no multiple of it.
  for (std::int64_t i = 0; i < L; i += kOutputs) {
    outputs(
        i < L - kOutputs ? i : L - kOutputs,
        std::integral_constant<int, kOutputs>());
  }
}

/// The blurs of a tile by one radius. They are functions of their own, so that the
/// rest of a tile's code is compiled once, not once for each radius. A call does 60
/// vectors of arithmetic and more: its own cost is not seen.
template <typename T>
struct Blurs {
  template <int kQuantities>
  using Vertical = void (*)(
      const Ring<T, kQuantities>& ring,
      std::int64_t position,
      const Taps<T>& taps,
      T* out);
  template <int kFrom, int kTo>
  using Horizontal = void (*)(
      const Chunk<T, kFrom>& from,
      const Chunk<T, kTo>& to,
      int to_quantity,
      int row_begin,
      const LaneLayout<T>& lanes,
      const Taps<T>& taps);

  Vertical<3> vertical_3;
  Vertical<4> vertical_4;
  Horizontal<2, 4> horizontal_2;
  Horizontal<3, 3> horizontal_3;
  Horizontal<4, 4> horizontal_4;

  template <int kQuantities>
  Vertical<kQuantities> vertical() const {
    if constexpr (kQuantities == 3) {
      return vertical_3;
    } else {
      return vertical_4;
    }
  }
  template <int kFrom>
  auto horizontal() const {
    if constexpr (kFrom == 2) {
      return horizontal_2;
    } else if constexpr (kFrom == 3) {
      return horizontal_3;
    } else {
      return horizontal_4;
    }
  }
};

template <int kRadius, typename T>
constexpr Blurs<T> blurs_by() {
  return {
      blur_vertically<kRadius, T, 3>,
      blur_vertically<kRadius, T, 4>,
      blur_horizontally<kRadius, T, 2, 4>,
      blur_horizontally<kRadius, T, 3, 3>,
      blur_horizontally<kRadius, T, 4, 4>};
}

/// Windows 11, the usual one, and 7 have code that knows the radius.
template <typename T>
Blurs<T> blurs_by(int radius) {
  switch (radius) {
    case 5:
      return blurs_by<5, T>();
    case 3:
      return blurs_by<3, T>();
    default:
      return blurs_by<kAnyRadius, T>();
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
