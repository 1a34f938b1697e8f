#include "block.h"

#include "emulation.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <sstream>
#include <utility>

namespace fused_ssim::detail::cuda::emulation {
namespace {

/// Thrown in the other threads, to end them, after an error in one thread.
struct Cancelled {};

unsigned lowest_bit(unsigned bits) {
  return static_cast<unsigned>(__builtin_ctz(bits));
}

/// The position of a set bit. Each set bit is equally likely.
unsigned random_bit(unsigned bits, std::mt19937& random) {
  auto skip = random() % static_cast<unsigned>(__builtin_popcount(bits));
  for (; skip > 0; --skip) {
    bits &= bits - 1;
  }
  return lowest_bit(bits);
}

thread_local Block* this_block = nullptr;

} // namespace

Block& Block::current() {
  return *this_block;
}

void Block::run(std::size_t shared_bytes, std::mt19937& random) {
  constexpr std::align_val_t alignment{16}; // what cuda/device.cuh asks for
  shared_ = static_cast<char*>(::operator new(shared_bytes, alignment));
  std::memset(shared_, 0xff, shared_bytes);
  live_ = static_cast<unsigned>(threads_.size());
  new_span_ = true;
  this_block = this;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    start(i);
  }
  while (live_ > 0 && !error_) {
    unsigned next = 0;
    if (choose(next, random)) {
      resume(next);
    } else {
      error_ = std::make_exception_ptr(Error(describe()));
    }
  }
  cancel();
  this_block = nullptr;
  ::operator delete(shared_, alignment);
  if (error_) {
    std::rethrow_exception(error_);
  }
}

void Block::start(unsigned index) {
  auto& thread = threads_[index];
  make_ready(index);
  clean(thread.bounds);
  thread.fiber = boost::context::fiber(
      std::allocator_arg,
      thread.stack.allocator(),
      [this, index](boost::context::fiber&& scheduler) {
        auto& self = threads_[index];
        self.scheduler = std::move(scheduler);
        arrive(self.bounds, host_);
        try {
          if (!cancelled_) {
            kernel_();
          }
        } catch (const Cancelled&) {
        } catch (...) {
          error_ = std::current_exception();
        }
        exit(index);
        leave_for_good(host_);
        return std::move(self.scheduler);
      });
}

void Block::resume(unsigned index) {
  auto& thread = threads_[index];
  current_ = index;
  threadIdx.x = index;
  leave(host_, thread.bounds);
  thread.fiber = std::move(thread.fiber).resume();
  arrive(host_, thread.bounds);
}

bool Block::choose(unsigned& index, std::mt19937& random) {
  unsigned warps = 0; // that have a thread to run
  for (unsigned warp = 0; warp < ready_.size(); ++warp) {
    warps |= ready_[warp] != 0 ? 1u << warp : 0u;
  }
  if (warps == 0) {
    return false;
  }
  if (std::exchange(new_span_, false)) {
    order_ = static_cast<Order>(random() % 3);
    last_warp_ = random() % static_cast<unsigned>(ready_.size());
  }
  unsigned warp = current_ / kWarpSize;
  if (order_ == Order::kOneWarpLast && warps != 1u << last_warp_) {
    warps &= ~(1u << last_warp_);
  }
  if (order_ != Order::kOneWarpFirst || ready_[warp] == 0) {
    warp = random_bit(warps, random);
  }
  const unsigned lane = random_bit(ready_[warp], random);
  ready_[warp] &= ~(1u << lane);
  index = warp * kWarpSize + lane;
  return true;
}

/// Ends the threads that still wait, or that never ran, so that the objects on
/// their stacks are destroyed.
void Block::cancel() {
  cancelled_ = true;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    if (threads_[i].state != State::kExited) {
      resume(i);
    }
  }
  cancelled_ = false;
}

void Block::wait(State state, unsigned mask) {
  auto& self = threads_[current_];
  self.state = state;
  self.mask = mask;
  if (state == State::kBlockBarrier) {
    ++at_barrier_;
    release_block();
  } else if (state != State::kSignal) {
    release_warp(current_ / kWarpSize, state, mask);
  }
  leave(self.bounds, host_);
  self.scheduler = std::move(self.scheduler).resume();
  arrive(self.bounds, host_);
  if (cancelled_) {
    throw Cancelled();
  }
}

void Block::raise(std::uint32_t& raised) {
  ++raised;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    if (threads_[i].state == State::kSignal && threads_[i].raised == &raised &&
        threads_[i].parity != (raised & 1)) {
      make_ready(i);
    }
  }
}

void Block::wait(const std::uint32_t& raised, unsigned parity) {
  if (parity == (raised & 1)) {
    threads_[current_].raised = &raised;
    threads_[current_].parity = parity;
    wait(State::kSignal, 0);
  }
}

void Block::exit(unsigned index) {
  threads_[index].state = State::kExited;
  --live_;
  if (cancelled_) {
    return;
  }
  release_block();
  const unsigned first = index - index % kWarpSize;
  const auto end = std::min<std::size_t>(first + kWarpSize, threads_.size());
  for (unsigned i = first; i < end; ++i) {
    if (threads_[i].state == State::kWarpBarrier) {
      release_warp(first / kWarpSize, State::kWarpBarrier, threads_[i].mask);
    }
  }
}

void Block::make_ready(unsigned index) {
  threads_[index].state = State::kReady;
  ready_[index / kWarpSize] |= 1u << index % kWarpSize;
}

void Block::release_block() {
  if (at_barrier_ < live_) {
    return;
  }
  at_barrier_ = 0;
  new_span_ = true;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    if (threads_[i].state == State::kBlockBarrier) {
      make_ready(i);
    }
  }
}

/// Lets the lanes of `mask` go on if all of them wait at the same operation.
void Block::release_warp(unsigned warp, State state, unsigned mask) {
  const unsigned first = warp * kWarpSize;
  unsigned waiting = 0;
  for (unsigned bits = mask; bits != 0; bits &= bits - 1) {
    const unsigned index = first + lowest_bit(bits);
    const bool exited =
        index >= threads_.size() || threads_[index].state == State::kExited;
    if (exited && state == State::kWarpBarrier) {
      continue;
    }
    if (exited || threads_[index].state != state ||
        threads_[index].mask != mask) {
      return;
    }
    waiting |= 1u << index % kWarpSize;
  }
  for (unsigned bits = waiting; bits != 0; bits &= bits - 1) {
    auto& thread = threads_[first + lowest_bit(bits)];
    if (state == State::kShuffle) {
      thread.result = threads_[first + thread.source].value;
    }
    make_ready(first + lowest_bit(bits));
  }
}

void Block::require_in_mask(unsigned lane, unsigned mask) const {
  if ((mask >> lane & 1) == 0) {
    std::ostringstream message;
    message << "block " << blockIdx.x << ", thread " << current_ << ": lane "
            << lane << " is not in the mask 0x" << std::hex << mask
            << " of the warp operation";
    throw Error(message.str());
  }
}

/// Says which threads wait where. Neighbouring threads that wait at the same
/// place are one entry.
std::string Block::describe() const {
  const auto what = [this](std::size_t i) {
    std::ostringstream text;
    switch (threads_[i].state) {
      case State::kBlockBarrier:
        text << "wait at a block barrier";
        break;
      case State::kWarpBarrier:
        text << "wait at a warp barrier, mask 0x" << std::hex
             << threads_[i].mask;
        break;
      case State::kShuffle:
        text << "wait at a shuffle, mask 0x" << std::hex << threads_[i].mask;
        break;
      case State::kSignal:
        text << "wait for a signal";
        break;
      default:
        text << "have returned";
    }
    return text.str();
  };
  std::ostringstream message;
  message << "block " << blockIdx.x << ": no thread can go on:";
  for (std::size_t begin = 0, end = 0; begin < threads_.size(); begin = end) {
    while (end < threads_.size() && what(end) == what(begin)) {
      ++end;
    }
    message << (begin == 0 ? " " : "; ") << begin << " to " << end - 1 << " "
            << what(begin);
  }
  return message.str();
}

} // namespace fused_ssim::detail::cuda::emulation
