#pragma once

#include <cstddef>
#include <cstdint>

namespace fused_ssim::detail::cpu {
namespace {

/// Hands out aligned pieces of scratch; with a null base it only counts.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<char*>(base)) {}

  template <typename T>
  T* take(std::int64_t count) {
    const std::size_t offset = used_;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + offset);
  }
  std::size_t used() const {
    return used_;
  }

 private:
  static constexpr std::size_t kAlignment = 64;

  char* base_;
  std::size_t used_ = 0;
};

} // namespace
} // namespace fused_ssim::detail::cpu
