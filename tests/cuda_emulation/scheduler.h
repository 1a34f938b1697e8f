#pragma once

// Runs CUDA kernels on the host, to test their logic where there is no GPU.
//
// NOTE [ Emulated threads ]
//
// Each thread of a block is a fiber. A fiber runs until it returns, or until it
// waits at a block barrier, a warp barrier, a shuffle or a signal. Then a seeded
// random choice decides which of the ready fibers runs next. Each span between
// two block barriers has one of three orders: the choice is among all fibers;
// one warp runs as far as possible before the next one starts; or one warp runs
// only when no other can. A result that depends on the order shows a missing
// barrier.
//
// Shared memory is a heap block of exactly the size of the launch, and each
// block gets a new one. The workspace has exactly the size that was asked for.
// Both are filled with NaN. So AddressSanitizer detects a wrong address, and
// NaN shows an unwritten value.
//
// A wait that cannot end is an error. The message says which threads wait
// where:
// - a block barrier waits for all threads of the block that have not returned,
//   as devices from sm_70 on do;
// - a warp barrier waits for the lanes of its mask that have not returned;
// - a shuffle waits for all lanes of its mask, with the same mask. Its result
//   from a lane that returned, or that never existed, is undefined;
// - a signal waits until another thread raises it.
//
// A thread that is not in its own mask, or that reads from a lane outside of
// it, is an error at once.
//
// The emulation has no weak memory order, no registers, and nothing of a single
// architecture.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

namespace fused_ssim::detail::cuda::emulation {

constexpr unsigned kWarpSize = 32;

/// What an A100 (sm_80) gives a block.
constexpr std::size_t kMaxSharedBytes = 163 * 1024;

/// The settings of launches. Do not change them while a launch runs.
struct Settings {
  /// Seed of the order of blocks and threads. The same seed and the same
  /// launches after `set` give the same orders, for any `host_threads`.
  std::uint64_t seed = 1;
  /// The number of host threads that run blocks.
  int host_threads = 1;
  /// The number of multiprocessors of the emulated device.
  int multiprocessors = 4;
  /// The number of the barrier that does not hold; -1: all barriers hold.
  int missing_barrier = -1;
};

const Settings& settings();

/// Also clears the record of the barriers that were reached.
void set(const Settings& settings);

/// A kernel misused a barrier or a shuffle, or the launch was out of bounds.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Runs `thread` once for each thread of each block. Rethrows an exception of a
/// thread.
void run_grid(
    unsigned blocks,
    unsigned threads,
    std::size_t shared_bytes,
    const std::function<void()>& thread);

// Functions for kernels. They apply to the emulated thread that calls them.

/// [shared_bytes], 16-byte aligned.
char* shared_memory();

void block_barrier();

/// `mask` has a bit for each lane that has to arrive.
void warp_barrier(unsigned mask);

/// Returns the `value` of lane `source`.
std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source);

/// What each lane of the warp gave. Valid until the next operation of the warp.
using Words = std::array<std::uint32_t, 6>;
const Words* exchange(const Words& words); // [kWarpSize]

/// ++raised, and lets those go on that wait for it.
void raise(std::uint32_t& raised);

/// Until the parity of `raised` - 1 is `parity`.
void wait(const std::uint32_t& raised, unsigned parity);

// A barrier with a number from 0 to 63 can be removed, to prove that a test
// detects a missing one.

/// Whether barrier `number`, which the caller has reached, is removed.
bool is_missing(int number);

/// Bit k is set if barrier k was reached after `set`.
std::uint64_t barriers_reached();

} // namespace fused_ssim::detail::cuda::emulation
