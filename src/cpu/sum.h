#pragma once

#include "vec.h"

namespace fused_ssim::detail::cpu {
namespace {

/// Sums many vectors: in T over a few of them, in double over all.
template <typename T>
class Sum {
 public:
  FUSED_SSIM_INLINE void add(Vec<T> v) {
    part_ = part_ + v;
    if (++count_ == kFlush) {
      flush();
    }
  }
  double total() {
    flush();
    double total = 0;
    for (const double lane : lanes_) {
      total += lane;
    }
    return total;
  }

 private:
  void flush() {
    T part[kLanes<T>];
    part_.store(part);
    for (int j = 0; j < kLanes<T>; ++j) {
      lanes_[j] += part[j];
    }
    part_ = Vec<T>(T(0));
    count_ = 0;
  }

  static constexpr int kFlush = 8;
  Vec<T> part_{T(0)};
  int count_ = 0;
  double lanes_[kLanes<T>] = {};
};

} // namespace
} // namespace fused_ssim::detail::cpu
