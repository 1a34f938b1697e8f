#pragma once

// Runs CUDA kernels on the host, to test their logic where there is no GPU.
//
// NOTE [ Emulated threads ]
//
// Each thread of a block is a fiber. A fiber runs until it waits, at a block
// barrier, a warp barrier or a shuffle, or returns; then a seeded random choice
// decides which of those that may run is next. In half of the spans between two
// block barriers the choice is among all, in the other half one warp runs as far as
// it gets before the next one starts. A result that depends on the order shows a
// missing barrier.
//
// Shared memory is a heap block of exactly the launch's size, made anew for each
// block, and the workspace one of exactly the size asked for; both are filled with
// NaN. So AddressSanitizer sees a wrong address, and NaN shows an unwritten value.
//
// A wait that cannot end is an error that says who waits where:
//  - a block barrier waits for all threads of the block that have not returned, as
//    devices from sm_70 on do;
//  - a warp barrier waits for the lanes of its mask that have not returned;
//  - a shuffle waits for all lanes of its mask, with the same mask: what it gets
//    from a lane that returned, or that never was, is undefined.
// It is an error at once if a thread is not in its own mask or reads from a lane
// that is not.
//
// Not emulated: weak memory order, registers, anything of one architecture.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

namespace fused_ssim::detail::cuda::emulation {

constexpr unsigned kWarpSize = 32;

/// What a launch does. Not to be changed while one runs.
struct Settings {
  /// Of the order of blocks and threads. Same seed, same launches since it was
  /// set, same orders, whatever `host_threads`.
  std::uint64_t seed = 1;
  /// Blocks run on so many host threads.
  int host_threads = 1;
  /// As many does the emulated device have.
  int multiprocessors = 4;
  /// The barrier that lets everybody pass; -1: all barriers hold.
  int missing_barrier = -1;
};

const Settings& settings();

/// Also forgets which barriers were reached.
void set(const Settings& settings);

/// A kernel misused a barrier or a shuffle, or the launch was out of bounds.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Runs `thread` once for each thread of each block. What one of them throws
/// arrives here.
void run_grid(
    unsigned blocks,
    unsigned threads,
    std::size_t shared_bytes,
    const std::function<void()>& thread);

// For kernels, of the thread that calls them.

/// [shared_bytes], 16-byte aligned.
char* shared_memory();

void block_barrier();

/// `mask` has a bit for each lane that has to arrive.
void warp_barrier(unsigned mask);

/// The `value` that lane `source` came with.
std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source);

// A barrier with a number from 0 to 63 can be taken out, to prove that a test
// would see it missing.

/// Whether barrier `number`, which the caller has reached, is taken out.
bool is_missing(int number);

/// Bit k: barrier k was reached since `set`.
std::uint64_t barriers_reached();

} // namespace fused_ssim::detail::cuda::emulation
