#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace fused_ssim::test {

/// Random choices that are the same on every system, and on every rank.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  /// A number in [first, last].
  std::int64_t integer(std::int64_t first, std::int64_t last) {
    const auto count = static_cast<std::uint64_t>(last - first + 1);
    return first + static_cast<std::int64_t>(engine_() % count);
  }
  double real(double first, double last) {
    constexpr std::int64_t kSteps = 1 << 20;
    return first + (last - first) * double(integer(0, kSteps)) / double(kSteps);
  }
  bool one_in(std::int64_t n) {
    return integer(1, n) == 1;
  }
  template <typename T>
  T of(const std::vector<T>& choices) {
    return choices[std::size_t(integer(0, std::int64_t(choices.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

} // namespace fused_ssim::test
