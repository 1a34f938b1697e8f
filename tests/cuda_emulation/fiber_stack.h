#pragma once

// Stacks for fibers: used again from block to block, with a guard page, and
// switched under the eyes of AddressSanitizer, which has to be told.

#include <boost/context/protected_fixedsize_stack.hpp>

#include <cstddef>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define FUSED_SSIM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUSED_SSIM_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(FUSED_SSIM_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace fused_ssim::detail::cuda::emulation {

/// Kernels take a tenth of it; the rest is for the report of an error. A guard page
/// ends it, and only touched pages take memory.
constexpr std::size_t kStackBytes = 128 * 1024;

/// What AddressSanitizer knows of a stack.
struct StackBounds {
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;
};

#if defined(FUSED_SSIM_ADDRESS_SANITIZER)
constexpr bool kAddressSanitizer = true;

/// Before the switch from one stack to another...
inline void leave(StackBounds& from, const StackBounds& to) {
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
}

/// ... that will never return, and ...
inline void leave_for_good(const StackBounds& to) {
  __sanitizer_start_switch_fiber(nullptr, to.bottom, to.size);
}

/// ... after it, on the other one.
inline void arrive(StackBounds& at, StackBounds& from) {
  __sanitizer_finish_switch_fiber(at.fake_stack, &from.bottom, &from.size);
}

/// Forgets what the last fiber left behind.
inline void clean(StackBounds& stack) {
  ASAN_UNPOISON_MEMORY_REGION(stack.bottom, stack.size);
  stack.fake_stack = nullptr;
}

#else
constexpr bool kAddressSanitizer = false;

inline void leave(StackBounds&, const StackBounds&) {}
inline void leave_for_good(const StackBounds&) {}
inline void arrive(StackBounds&, StackBounds&) {}
inline void clean(StackBounds&) {}

#endif

/// A stack from the pool, for as long as this lives. To Boost it is an allocator
/// that owns nothing.
class FiberStack {
 public:
  FiberStack() : context_(pool().take()) {}

  ~FiberStack() {
    pool().give_back(context_);
  }

  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;

  StackBounds bounds() const {
    return {
        static_cast<char*>(context_.sp) - context_.size,
        context_.size,
        nullptr};
  }

  struct Allocator {
    boost::context::stack_context context;

    boost::context::stack_context allocate() {
      return context;
    }
    void deallocate(boost::context::stack_context&) noexcept {}
  };

  Allocator allocator() const {
    return {context_};
  }

 private:
  class Pool {
   public:
    ~Pool() {
      for (auto& stack : free_) {
        boost::context::protected_fixedsize_stack(kStackBytes)
            .deallocate(stack);
      }
    }

    boost::context::stack_context take() {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (free_.empty()) {
        return boost::context::protected_fixedsize_stack(kStackBytes)
            .allocate();
      }
      const auto stack = free_.back();
      free_.pop_back();
      return stack;
    }

    void give_back(const boost::context::stack_context& stack) {
      const std::lock_guard<std::mutex> lock(mutex_);
      free_.push_back(stack);
    }

   private:
    std::mutex mutex_;
    std::vector<boost::context::stack_context> free_;
  };

  static Pool& pool() {
    static Pool pool;
    return pool;
  }

  boost::context::stack_context context_;
};

} // namespace fused_ssim::detail::cuda::emulation
