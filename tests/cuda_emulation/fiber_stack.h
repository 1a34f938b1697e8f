#pragma once

// Stacks for fibers. They are reused from block to block and have a guard page.
// AddressSanitizer is told about each switch.

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

/// Kernels need a tenth of it; the rest is for the report of an error. A guard
/// page ends it. Untouched pages take no memory.
constexpr std::size_t kStackBytes = 128 * 1024;

/// The state that AddressSanitizer keeps of a stack.
struct StackBounds {
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;
};

#if defined(FUSED_SSIM_ADDRESS_SANITIZER)
constexpr bool kAddressSanitizer = true;

/// Call before a switch from one stack to another.
inline void leave(StackBounds& from, const StackBounds& to) {
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
}

/// Call before a switch that never returns.
inline void leave_for_good(const StackBounds& to) {
  __sanitizer_start_switch_fiber(nullptr, to.bottom, to.size);
}

/// Call after a switch, on the new stack.
inline void arrive(StackBounds& at, StackBounds& from) {
  __sanitizer_finish_switch_fiber(at.fake_stack, &from.bottom, &from.size);
}

/// Removes the state that the last fiber left in the stack.
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

/// A stack from the pool, for the lifetime of this object. For Boost it is an
/// allocator that owns nothing.
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
