// Tests that the emulation detects each kind of mistake that it is for.

#include "emulation_test.h"
#include "fiber_stack.h"

#include <cmath>
#include <vector>

namespace fused_ssim::detail::cuda {
namespace {

using EmulationFaults = Emulation;
using emulation::Settings;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST_F(EmulationFaults, ShowsAMissingBlockBarrier) {
  const auto run = [] { return block_sums<float>(4, /*with_barrier=*/false); };
  EXPECT_GT(count_deviations(run, expected_block_sums(4)), kSeeds / 2);
}

struct RotateParams {
  int* out; // [blockDim]
  int missing; // which of the two barriers a round is missing
};

/// Passes numbers from warp to warp through shared memory, ten times. Barrier 0
/// makes the reads of a round wait for its writes. Barrier 1 makes the writes
/// of the next round wait for the reads.
__global__ void rotate_warps(RotateParams params) {
  auto* row = shared<int>() + threadIdx.x / 32 * 32;
  const auto lane = threadIdx.x % 32;
  auto value = static_cast<int>(threadIdx.x);
  for (int round = 0; round < 10; ++round) {
    row[lane] = value;
    if (params.missing != 0) {
      __syncwarp();
    }
    value = row[(lane + 1) % 32];
    if (params.missing != 1) {
      __syncwarp();
    }
  }
  params.out[threadIdx.x] = value;
}

TEST_F(EmulationFaults, ShowsAMissingWarpBarrier) {
  std::vector<int> expected(kThreads);
  for (int i = 0; i < static_cast<int>(kThreads); ++i) {
    expected[i] = i / 32 * 32 + (i + 10) % 32;
  }
  const auto run = [](int missing) {
    return [missing] {
      std::vector<int> out(kThreads);
      launch(
          rotate_warps,
          1,
          kThreads,
          sizeof(int) * kThreads,
          RotateParams{out.data(), missing});
      return out;
    };
  };
  EXPECT_EQ(count_deviations(run(-1), expected), 0);
  EXPECT_GT(count_deviations(run(0), expected), kSeeds / 2);
  EXPECT_GT(count_deviations(run(1), expected), kSeeds / 2);
}

struct HandOverParams {
  int* out; // [32]
};

/// The last warp reads what the first one wrote. There is a shuffle where a
/// block barrier should be. A shuffle makes the lanes of a warp wait for each
/// other, but not the warps.
__global__ void shuffle_for_barrier(HandOverParams params) {
  const auto lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    shared<int>()[lane] = static_cast<int>(lane);
  }
  __shfl_sync(0xffffffff, 0, 0);
  if (threadIdx.x >= blockDim.x - 32) {
    params.out[lane] = shared<int>()[lane];
  }
}

TEST_F(EmulationFaults, AShuffleIsNoBlockBarrier) {
  std::vector<int> expected(32);
  for (int i = 0; i < 32; ++i) {
    expected[i] = i;
  }
  const auto run = [] {
    std::vector<int> out(32);
    launch(
        shuffle_for_barrier,
        1,
        kThreads,
        sizeof(int) * 32,
        HandOverParams{out.data()});
    return out;
  };
  EXPECT_GT(count_deviations(run, expected), 0);
}

struct NumberedParams {
  int* out; // [blockDim]
};

__global__ void reverse(NumberedParams params) {
  shared<int>()[threadIdx.x] = static_cast<int>(threadIdx.x);
  block_barrier<7>();
  params.out[threadIdx.x] = shared<int>()[blockDim.x - 1 - threadIdx.x];
  warp_barrier<9>();
}

TEST_F(EmulationFaults, TakesOutANumberedBarrier) {
  const auto run = [](int missing_barrier) {
    Settings settings;
    settings.missing_barrier = missing_barrier;
    emulation::set(settings);
    std::vector<int> out(kThreads);
    launch(
        reverse,
        1,
        kThreads,
        sizeof(int) * kThreads,
        NumberedParams{out.data()});
    return out;
  };
  const auto whole = run(-1);
  EXPECT_EQ(emulation::barriers_reached(), (1u << 7) | (1u << 9));
  EXPECT_NE(run(7), whole);
  EXPECT_EQ(run(9), whole);
}

struct UnwrittenParams {
  float* out; // [gridDim]
};

__global__ void read_unwritten(UnwrittenParams params) {
  if (threadIdx.x != 3) {
    shared<float>()[threadIdx.x] = 1;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) {
      sum += shared<float>()[i];
    }
    params.out[blockIdx.x] = sum;
    shared<float>()[3] = 0; // does not help the next block
  }
}

TEST_F(EmulationFaults, AnUnwrittenSharedValueIsNaNInEveryBlock) {
  std::vector<float> out(3, 0);
  launch(
      read_unwritten,
      3,
      kThreads,
      sizeof(float) * kThreads,
      UnwrittenParams{out.data()});
  for (const auto value : out) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST_F(EmulationFaults, TheWorkspaceIsNaN) {
  Workspace workspace(4 * sizeof(double));
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(std::isnan(static_cast<double*>(workspace.data())[i]));
  }
}

struct DivergentParams {
  int mistake;
};

__global__ void diverge(DivergentParams params) {
  const auto lane = threadIdx.x % 32;
  switch (params.mistake) {
    case 0: // a block barrier for some, a warp barrier for others
      if (threadIdx.x < 40) {
        __syncthreads();
      } else if (lane < 31) {
        __syncwarp();
      } else {
        __syncwarp(1u << 31);
        __syncthreads();
      }
      break;
    case 1: // a shuffle without lane 4, which returned
      if (lane != 4) {
        __shfl_xor_sync(0xffffffff, 1, 0);
      }
      break;
    case 2: // different masks
      __shfl_sync(lane < 16 ? 0xffffffff : 0xffff0000, 1, 20);
      break;
    case 3: // not in the own mask
      __syncwarp(0x7fffffff);
      break;
    case 4: // a source outside of the mask
      if (lane < 16) {
        __shfl_down_sync(0x0000ffff, 1, 1);
      }
      break;
    default:
      break;
  }
}

TEST_F(EmulationFaults, ReportsDivergence) {
  const auto run = [](int mistake, unsigned threads = 64) {
    return [=] { launch(diverge, 1, threads, 0, DivergentParams{mistake}); };
  };
  EXPECT_THAT(
      run(0),
      ThrowsMessage<emulation::Error>("block 0: no thread can go on: 0 to 39 "
                                      "wait at a block barrier; 40 to "
                                      "62 wait at a warp barrier, mask "
                                      "0xffffffff; 63 to 63 wait at a block "
                                      "barrier"));
  EXPECT_THAT(
      run(1, 32),
      ThrowsMessage<emulation::Error>(
          "block 0: no thread can go on: 0 to 3 wait at a shuffle, mask "
          "0xffffffff; 4 to 4 have returned; 5 to 31 wait at a shuffle, mask "
          "0xffffffff"));
  EXPECT_THAT(
      run(2, 32),
      ThrowsMessage<emulation::Error>(AllOf(
          HasSubstr("0 to 15 wait at a shuffle, mask 0xffffffff"),
          HasSubstr("16 to 31 have returned"))));
  EXPECT_THAT(
      run(3),
      ThrowsMessage<emulation::Error>(HasSubstr(
          "lane 31 is not in the mask 0x7fffffff of the warp operation")));
  EXPECT_THAT(
      run(4),
      ThrowsMessage<emulation::Error>(HasSubstr(
          "lane 16 is not in the mask 0xffff of the warp operation")));
}

struct OutOfRangeParams {
  float* out; // [blockDim]
  int shared_excess, global_excess;
};

__global__ void write_out_of_range(OutOfRangeParams params) {
  const auto thread = static_cast<int>(threadIdx.x);
  shared<float>()[thread + params.shared_excess] = 0;
  __syncthreads();
  params.out[thread + params.global_excess] = shared<float>()[thread];
}

TEST_F(EmulationFaults, AddressSanitizerSeesAWrongAddress) {
  if (!emulation::kAddressSanitizer) {
    GTEST_SKIP() << "built without AddressSanitizer (the asan preset has it)";
  }
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [](int shared_excess, int global_excess) {
    Workspace workspace(sizeof(float) * kThreads);
    launch(
        write_out_of_range,
        1,
        kThreads,
        sizeof(float) * kThreads,
        OutOfRangeParams{
            static_cast<float*>(workspace.data()),
            shared_excess,
            global_excess});
  };
  run(0, 0);
  EXPECT_DEATH(run(1, 0), "AddressSanitizer: heap-buffer-overflow");
  EXPECT_DEATH(run(-1, 0), "AddressSanitizer: heap-buffer-overflow");
  EXPECT_DEATH(run(0, 1), "AddressSanitizer: heap-buffer-overflow");
  EXPECT_DEATH(run(0, -1), "AddressSanitizer: heap-buffer-overflow");
}

} // namespace
} // namespace fused_ssim::detail::cuda
