// Tests that the emulation computes the same as a device.

#include "emulation_test.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <stdexcept>
#include <vector>

namespace fused_ssim::detail::cuda {
namespace {

using emulation::Settings;
using ::testing::ThrowsMessage;

struct IndexParams {
  unsigned* out; // [gridDim, blockDim, 4]
};

__global__ void write_indices(IndexParams params) {
  auto* out = params.out + 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  out[0] = blockIdx.x;
  out[1] = threadIdx.x;
  out[2] = gridDim.x;
  out[3] = blockDim.x;
}

TEST_F(Emulation, RunsEachThreadOfEachBlockOnce) {
  constexpr unsigned kBlocks = 5;
  std::vector<unsigned> out(4 * kBlocks * kThreads, 1000);
  launch(write_indices, kBlocks, kThreads, 0, IndexParams{out.data()});
  for (unsigned block = 0; block < kBlocks; ++block) {
    for (unsigned thread = 0; thread < kThreads; ++thread) {
      const auto* index = &out[4 * (block * kThreads + thread)];
      ASSERT_EQ(index[0], block);
      ASSERT_EQ(index[1], thread);
      ASSERT_EQ(index[2], kBlocks);
      ASSERT_EQ(index[3], kThreads);
    }
  }
}

TEST_F(Emulation, ReducesABlock) {
  const auto expected = expected_block_sums(7);
  EXPECT_EQ(count_deviations([] { return block_sums<float>(7); }, expected), 0);
  EXPECT_EQ(
      count_deviations([] { return block_sums<double>(7); }, expected), 0);
}

TEST_F(Emulation, GivesTheSameResultOnSeveralHostThreads) {
  Settings settings;
  settings.host_threads = 3;
  emulation::set(settings);
  EXPECT_EQ(block_sums<float>(50), expected_block_sums(50));
}

struct ShuffleParams {
  int* out; // [4, 32]
};

__global__ void shuffle_lanes(ShuffleParams params) {
  const auto lane = threadIdx.x;
  const auto value = static_cast<int>(lane);
  params.out[lane] = __shfl_sync(0xffffffff, value, 5);
  params.out[32 + lane] = __shfl_sync(0xffffffff, value, 3, 8);
  params.out[64 + lane] = __shfl_down_sync(0xffffffff, value, 3, 16);
  params.out[96 + lane] = __shfl_xor_sync(0xffffffff, value, 9, 8);
}

TEST_F(Emulation, ShufflesWithinGroups) {
  std::vector<int> out(4 * 32, -1);
  launch(shuffle_lanes, 1, 32, 0, ShuffleParams{out.data()});
  for (int lane = 0; lane < 32; ++lane) {
    ASSERT_EQ(out[lane], 5);
    ASSERT_EQ(out[32 + lane], lane / 8 * 8 + 3);
    ASSERT_EQ(out[64 + lane], lane % 16 + 3 < 16 ? lane + 3 : lane);
    // For lanes 0-7 and 16-23, lane ^ 9 lies in a later group of 8. For the
    // other lanes it lies in an earlier group, which may be read.
    ASSERT_EQ(out[96 + lane], lane / 8 % 2 == 0 ? lane : lane ^ 9);
  }
}

struct HalvesParams {
  int* out; // [32]
};

/// The two halves of the warp take different branches.
__global__ void shuffle_halves(HalvesParams params) {
  const auto lane = threadIdx.x;
  int value = static_cast<int>(lane);
  if (lane < 16) {
    for (int step = 8; step > 0; step /= 2) {
      value += __shfl_xor_sync(0x0000ffff, value, step, 16);
    }
  } else {
    value = __shfl_sync(0xffff0000, value, 15, 16);
    __syncwarp(0xffff0000);
  }
  params.out[lane] = value;
}

TEST_F(Emulation, ShufflesDisjointPartsOfAWarp) {
  std::vector<int> expected(32, 31);
  std::fill_n(expected.begin(), 16, 120);
  const auto run = [] {
    std::vector<int> out(32);
    launch(shuffle_halves, 1, 32, 0, HalvesParams{out.data()});
    return out;
  };
  EXPECT_EQ(count_deviations(run, expected), 0);
}

struct LeaveParams {
  unsigned* out; // [blockDim]
};

/// Odd threads return before the barriers. The barriers do not wait for them.
__global__ void leave_early(LeaveParams params) {
  if (threadIdx.x % 2 == 1) {
    return;
  }
  shared<unsigned>()[threadIdx.x] = threadIdx.x;
  __syncwarp();
  __syncthreads();
  params.out[threadIdx.x] = shared<unsigned>()[(threadIdx.x + 2) % blockDim.x];
}

TEST_F(Emulation, BarriersDoNotWaitForThreadsThatReturned) {
  std::vector<unsigned> expected(kThreads, 0);
  for (unsigned i = 0; i < kThreads; i += 2) {
    expected[i] = (i + 2) % kThreads;
  }
  const auto run = [] {
    std::vector<unsigned> out(kThreads, 0);
    launch(
        leave_early,
        1,
        kThreads,
        sizeof(unsigned) * kThreads,
        LeaveParams{out.data()});
    return out;
  };
  EXPECT_EQ(count_deviations(run, expected), 0);
}

struct OrderParams {
  std::vector<unsigned>* order; // of blockIdx * blockDim + threadIdx
};

__global__ void note_order(OrderParams params) {
  for (int span = 0; span < 2; ++span) {
    params.order->push_back(blockIdx.x * blockDim.x + threadIdx.x);
    __syncthreads();
  }
}

std::vector<unsigned> order_of(int seed, int launches) {
  set_seed(seed);
  std::vector<unsigned> order;
  for (int i = 0; i < launches; ++i) {
    order.clear();
    launch(note_order, 3, kThreads, 0, OrderParams{&order});
  }
  return order;
}

TEST_F(Emulation, OrderDependsOnSeedAndLaunchAlone) {
  std::set<std::vector<unsigned>> orders;
  for (int seed = 0; seed < 4; ++seed) {
    for (int launches = 1; launches < 4; ++launches) {
      const auto order = order_of(seed, launches);
      EXPECT_EQ(order, order_of(seed, launches));
      orders.insert(order);
    }
  }
  EXPECT_EQ(orders.size(), 12u);
}

struct NothingParams {};

__global__ void write_nothing(NothingParams /*params*/) {}

TEST_F(Emulation, RefusesALaunchThatADeviceWouldRefuse) {
  const auto run = [](unsigned blocks, unsigned threads, std::size_t bytes) {
    return
        [=] { launch(write_nothing, blocks, threads, bytes, NothingParams()); };
  };
  EXPECT_NO_THROW(run(1, 1024, emulation::kMaxSharedBytes)());
  EXPECT_THROW(run(1, 1025, 0)(), emulation::Error);
  EXPECT_THROW(run(0, 32, 0)(), emulation::Error);
  EXPECT_THROW(run(1, 32, emulation::kMaxSharedBytes + 1)(), emulation::Error);
}

struct ThrowParams {
  std::atomic<int>* alive;
};

struct Alive {
  explicit Alive(std::atomic<int>* count) : count(count) {
    ++*count;
  }
  ~Alive() {
    --*count;
  }
  std::atomic<int>* count;
};

__global__ void throw_one(ThrowParams params) {
  const Alive alive(params.alive);
  __syncthreads();
  if (threadIdx.x == 50 && blockIdx.x == 2) {
    throw std::runtime_error("thread 50");
  }
  __syncthreads();
}

TEST_F(Emulation, PassesAnExceptionOnAndEndsTheOtherThreads) {
  for (const int host_threads : {1, 3}) {
    Settings settings;
    settings.host_threads = host_threads;
    emulation::set(settings);
    std::atomic<int> alive{0};
    EXPECT_THAT(
        [&] { launch(throw_one, 4, kThreads, 0, ThrowParams{&alive}); },
        ThrowsMessage<std::runtime_error>("thread 50"));
    EXPECT_EQ(alive, 0);
  }
}

} // namespace
} // namespace fused_ssim::detail::cuda
