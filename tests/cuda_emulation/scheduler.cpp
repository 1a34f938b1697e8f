#include "scheduler.h"

#include "block.h"
#include "emulation.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

namespace fused_ssim::detail::cuda::emulation {
namespace {

// Limits of a launch on every device from sm_80 on.
constexpr unsigned kMaxThreads = 1024;

Settings current_settings;
std::atomic<std::uint64_t> launches{0}; // after the seed was set
std::atomic<std::uint64_t> reached{0};

/// The random generator of the order in one block, or, for block = blocks, of
/// the order of the blocks.
std::mt19937 make_random(std::uint64_t launch, unsigned block) {
  const auto seed = current_settings.seed;
  std::seed_seq sequence{
      static_cast<std::uint32_t>(seed),
      static_cast<std::uint32_t>(seed >> 32),
      static_cast<std::uint32_t>(launch),
      static_cast<std::uint32_t>(block)};
  return std::mt19937(sequence);
}

void check_launch(unsigned blocks, unsigned threads, std::size_t shared_bytes) {
  if (blocks == 0 || threads == 0 || threads > kMaxThreads ||
      shared_bytes > kMaxSharedBytes) {
    std::ostringstream message;
    message << "expected at least one block and 1 to " << kMaxThreads
            << " threads with at most " << kMaxSharedBytes
            << " bytes of shared memory, as every device takes them, but got "
            << blocks << " blocks of " << threads << " threads with "
            << shared_bytes << " bytes";
    throw Error(message.str());
  }
}

} // namespace

const Settings& settings() {
  return current_settings;
}

void set(const Settings& settings) {
  current_settings = settings;
  launches = 0;
  reached = 0;
}

void run_grid(
    unsigned blocks,
    unsigned threads,
    std::size_t shared_bytes,
    const std::function<void()>& thread) {
  check_launch(blocks, threads, shared_bytes);
  const auto launch = launches++;
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), make_random(launch, blocks));

  std::atomic<unsigned> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;
  const auto work = [&] {
    Block block(threads, thread);
    blockDim.x = threads;
    gridDim.x = blocks;
    try {
      for (unsigned i = next++; i < blocks; i = next++) {
        blockIdx.x = order[i];
        auto random = make_random(launch, order[i]);
        block.run(shared_bytes, random);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex);
      error = std::current_exception();
      next = blocks;
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < current_settings.host_threads; ++i) {
    helpers.emplace_back(work);
  }
  work();
  for (auto& helper : helpers) {
    helper.join();
  }
  if (error) {
    std::rethrow_exception(error);
  }
}

char* shared_memory() {
  return Block::current().shared_memory();
}

void block_barrier() {
  Block::current().block_barrier();
}

void warp_barrier(unsigned mask) {
  Block::current().warp_barrier(mask);
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source) {
  return Block::current().shuffle(mask, value, source);
}

const Words* exchange(const Words& words) {
  return Block::current().exchange(words);
}

void raise(std::uint32_t& raised) {
  Block::current().raise(raised);
}

void wait(const std::uint32_t& raised, unsigned parity) {
  Block::current().wait(raised, parity);
}

bool is_missing(int number) {
  reached |= std::uint64_t(1) << number;
  return number == current_settings.missing_barrier;
}

std::uint64_t barriers_reached() {
  return reached;
}

} // namespace fused_ssim::detail::cuda::emulation
