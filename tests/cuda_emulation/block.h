#pragma once

// The threads of a block, as fibers. NOTE [ Emulated threads ]

#include "fiber_stack.h"
#include "scheduler.h"

#include <boost/context/fiber.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace fused_ssim::detail::cuda::emulation {

enum class State {
  kReady,
  kBlockBarrier,
  kWarpBarrier,
  kShuffle,
  kSignal,
  kExited
};

/// Which warp runs next.
enum class Order { kRandom, kOneWarpFirst, kOneWarpLast };

struct Thread {
  FiberStack stack;
  StackBounds bounds = stack.bounds();
  boost::context::fiber fiber; // continues this thread
  boost::context::fiber scheduler; // continues the scheduler
  State state = State::kReady;
  unsigned mask = 0; // of the warp operation that it waits at
  unsigned source = 0; // lane, of the shuffle that it waits at
  std::uint64_t value = 0; // given to the shuffle
  const std::uint32_t* raised = nullptr; // of the signal that it waits for
  unsigned parity = 0; // of the signal that it waits for
  std::uint64_t result = 0; // received from the shuffle
};

/// Runs blocks one after the other, on the host thread that created it.
class Block {
 public:
  /// The instance of this host thread, and the emulated thread that it runs.
  static Block& current();

  Block(unsigned threads, const std::function<void()>& kernel)
      : kernel_(kernel),
        threads_(threads),
        words_(threads),
        ready_((threads + kWarpSize - 1) / kWarpSize) {}

  void run(std::size_t shared_bytes, std::mt19937& random);

  char* shared_memory() {
    return shared_;
  }

  void block_barrier() {
    wait(State::kBlockBarrier, 0);
  }

  void warp_barrier(unsigned mask) {
    require_in_mask(current_ % kWarpSize, mask);
    wait(State::kWarpBarrier, mask);
  }

  std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source) {
    require_in_mask(current_ % kWarpSize, mask);
    require_in_mask(source, mask);
    auto& thread = threads_[current_];
    thread.value = value;
    thread.source = source;
    wait(State::kShuffle, mask);
    return thread.result;
  }

  const Words* exchange(const Words& words) {
    words_[current_] = words;
    warp_barrier(0xffffffff);
    return &words_[current_ - current_ % kWarpSize];
  }

  void raise(std::uint32_t& raised);
  void wait(const std::uint32_t& raised, unsigned parity);

 private:
  void start(unsigned index);
  void resume(unsigned index);
  bool choose(unsigned& index, std::mt19937& random);
  void cancel();

  void wait(State state, unsigned mask);
  void exit(unsigned index);
  void make_ready(unsigned index);
  void release_block();
  void release_warp(unsigned warp, State state, unsigned mask);

  void require_in_mask(unsigned lane, unsigned mask) const;
  std::string describe() const;

  const std::function<void()>& kernel_;
  std::vector<Thread> threads_;
  std::vector<Words> words_; // [threads]
  std::vector<unsigned> ready_; // [warp], a bit for each lane that may run
  StackBounds host_;

  char* shared_ = nullptr; // [shared_bytes]
  unsigned current_ = 0; // the thread that runs
  unsigned live_ = 0; // threads that have not returned
  unsigned at_barrier_ = 0; // threads at the block barrier
  bool new_span_ = false; // the block barrier has just released all threads
  Order order_ = Order::kRandom; // of this span
  unsigned last_warp_ = 0; // for Order::kOneWarpLast
  bool cancelled_ = false;
  std::exception_ptr error_;
};

} // namespace fused_ssim::detail::cuda::emulation
