// Tests that need a GPU: streams, graphs, synchronisation, memory, size.

#include "cuda_test.h"

#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

namespace fused_ssim::test {
namespace {

void run_ms_ssim(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& bytes) {
  {
    const torch::NoGradGuard no_grad;
    F::ms_ssim(x, bytes, MSSSIMOptions().reduction(torch::kNone));
  }
  F::ms_ssim_value_and_grad(x.to(torch::kFloat16), bytes);
  const auto a = x.detach().requires_grad_();
  const auto b = y.detach().requires_grad_();
  const auto value = 1 - F::ms_ssim(a, b);
  value.backward({}, /*retain_graph=*/true);
  value.backward();
}

/// Each operation in each of its forms, without looking at a result.
void run_everything(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& bytes,
    const torch::Tensor& mask) {
  const auto none = SSIMOptions().reduction(torch::kNone);
  run_ms_ssim(x, y, bytes);
  for (const auto& weights : {torch::Tensor(), mask, mask > 0.5}) {
    {
      const torch::NoGradGuard no_grad;
      F::ssim(x, y, {}, weights);
      F::ssim(x, y, none, weights);
      F::l1_dssim_loss(x, bytes, {}, weights);
    }
    F::l1_dssim_value_and_grad(
        x, y, L1DSSIMLossOptions().padding(torch::kValid), weights);
    F::l1_dssim_value_and_grad(
        x,
        y,
        L1DSSIMLossOptions().smooth_l1_beta(0.1),
        weights,
        ErrorMap::kLoss);
    const auto a = x.detach().requires_grad_();
    const auto b = y.detach().requires_grad_();
    (F::l1_dssim_loss(a, b, {}, weights) * 3).backward();
    const auto map = F::ssim(a, b, none, weights);
    map.backward(y, /*retain_graph=*/true);
    map.backward(y.select(-1, 0).unsqueeze(-1).expand(map.sizes()));
    for (const auto type : {torch::kFloat16, torch::kFloat64}) {
      F::l1_dssim_value_and_grad(
          x.to(type),
          y.to(type),
          {},
          weights.defined() && weights.is_floating_point() ? weights.to(type)
                                                           : weights);
    }
  }
}

// Trainers keep their targets in pinned memory, which the GPU could even read.
TEST_F(CudaTest, RefusesAPinnedTarget) {
  const auto x = image();
  const auto pinned = noise({3, 200, 300}).to(torch::kFloat32).pin_memory();
  EXPECT_ERROR(
      F::l1_dssim_value_and_grad(x, pinned),
      testing::HasSubstr("expected input and target on the same device, but "
                         "got cuda:0 and cpu"));
}

TEST_F(CudaTest, WorksOnTheCurrentStream) {
  const auto x0 = image();
  const auto y = image();
  const auto slow = torch::rand({4096, 4096}, torch::kCUDA);
  const auto stream = at::cuda::getStreamFromPool();
  torch::cuda::synchronize();
  torch::Tensor x, loss;
  {
    const c10::cuda::CUDAStreamGuard guard(stream);
    // Were the kernels on another stream, they would run before x is there.
    auto product = slow;
    for (int i = 0; i < 20; ++i) {
      product = torch::mm(product, slow).remainder(1);
    }
    x = (x0 + 0 * product.sum()).requires_grad_();
    loss = F::l1_dssim_loss(x, y);
    loss.backward();
  }
  stream.synchronize();
  EXPECT_EQ(at::cuda::getCurrentCUDAStream(), at::cuda::getDefaultCUDAStream());
  const auto reference = expected(x0, y, Spec(L1DSSIMLossOptions()));
  expect_scalar(loss.detach(), reference.value, 1e-6);
  expect_gradient(x.grad(), reference.grad_input);
}

// A training step, captured once and replayed with other images.
TEST_F(CudaTest, GraphOfATrainingStep) {
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto mask = image({200, 300});
  x.mutable_grad() = torch::zeros_like(x);
  torch::Tensor loss;
  const auto step = [&] {
    x.mutable_grad().zero_();
    loss = F::l1_dssim_loss(x, y, {}, mask);
    loss.backward();
    const torch::NoGradGuard no_grad;
    x.sub_(x.grad(), /*alpha=*/1e4);
  };
  at::cuda::CUDAGraph graph;
  capture(graph, step);
  for (int i = 0; i < 3; ++i) {
    const auto x0 = image();
    const auto y0 = image();
    const auto m0 = image({200, 300});
    {
      const torch::NoGradGuard no_grad;
      x.copy_(x0);
      y.copy_(y0);
      mask.copy_(m0);
    }
    graph.replay();
    torch::cuda::synchronize();
    const auto reference = expected(x0, y0, Spec(L1DSSIMLossOptions()), m0);
    expect_scalar(loss.detach(), reference.value, 1e-6);
    expect_gradient(x.grad(), reference.grad_input);
    expect_same_bits(x.detach(), x0.sub(x.grad(), 1e4));
  }
}

TEST_F(CudaTest, SameBitsInAHundredRuns) {
  const auto x = image({3, 545, 980});
  const auto y = image({3, 545, 980});
  const auto mask = image({545, 980});
  const auto first = F::l1_dssim_value_and_grad(x, y, {}, mask);
  auto differing = torch::zeros({}, torch::kCUDA);
  for (int i = 0; i < 100; ++i) {
    const auto again = F::l1_dssim_value_and_grad(x, y, {}, mask);
    differing += (again.loss != first.loss).sum() +
        (again.l1 != first.l1).sum() + (again.ssim != first.ssim).sum() +
        (again.grad != first.grad).sum();
  }
  EXPECT_EQ(differing.item<double>(), 0);
}

/// torch's own sync debug mode, as an error, for the length of a scope.
class NoSynchronisation {
 public:
  NoSynchronisation() {
    c10::cuda::warning_state().set_sync_debug_mode(
        c10::cuda::SyncDebugMode::L_ERROR);
  }
  ~NoSynchronisation() {
    c10::cuda::warning_state().set_sync_debug_mode(
        c10::cuda::SyncDebugMode::L_DISABLED);
  }
};

TEST_F(CudaTest, NothingWaitsForTheDevice) {
  const auto x = image();
  const auto y = image();
  const auto bytes = (x * 255).to(torch::kUInt8);
  const auto mask = image({200, 300});
  const NoSynchronisation guard;
  EXPECT_ANY_THROW(x.sum().item<float>()) << "the guard does not guard";
  EXPECT_NO_THROW(run_everything(x, y, bytes, mask));
}

// The debug mode knows torch's own waits only. A call that waits in another way
// would not come back before the work in front of it is done.
TEST_F(CudaTest, ReturnsBeforeTheDeviceIsDone) {
  const auto x = image();
  const auto y = image();
  const auto bytes = (x * 255).to(torch::kUInt8);
  const auto mask = image({200, 300});
  const auto slow = torch::rand({8192, 8192}, torch::kCUDA);
  run_everything(x, y, bytes, mask); // the allocator has what it needs
  torch::mm(slow, slow);
  torch::cuda::synchronize();
  cudaEvent_t done;
  ASSERT_EQ(cudaEventCreate(&done), cudaSuccess);
  auto product = slow;
  for (int i = 0; i < 60; ++i) {
    product = torch::mm(product, slow);
  }
  const auto stream = at::cuda::getCurrentCUDAStream();
  ASSERT_EQ(cudaEventRecord(done, stream.stream()), cudaSuccess);
  run_everything(x, y, bytes, mask);
  EXPECT_EQ(cudaEventQuery(done), cudaErrorNotReady);
  torch::cuda::synchronize();
  EXPECT_EQ(cudaEventQuery(done), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(done), cudaSuccess);
}

// Value and gradient need the gradient, and no intermediate map.
TEST_F(CudaTest, AllocatesTheGradientAndLittleElse) {
  const auto x = image({3, 1080, 1920});
  const auto y = image({3, 1080, 1920});
  const auto image_bytes = static_cast<std::int64_t>(x.nbytes());
  EXPECT_LE(peak_growth([&] { F::ssim(x, y); }), 4 * kMiB);
  EXPECT_LE(
      peak_growth([&] { F::l1_dssim_value_and_grad(x, y); }),
      image_bytes + 4 * kMiB);
  EXPECT_LE(
      peak_growth([&] {
        const auto leaf = x.detach().requires_grad_();
        F::l1_dssim_loss(leaf, y).backward();
      }),
      image_bytes + 4 * kMiB);
}

TEST_F(CudaTest, AllocatesThroughTheCachingAllocatorOnly) {
  const auto x = image({3, 1080, 1920});
  const auto y = image({3, 1080, 1920});
  const auto bytes = (x * 255).to(torch::kUInt8);
  const auto mask = image({1080, 1920});
  const auto outside = [] {
    torch::cuda::synchronize();
    std::size_t free = 0, total = 0;
    EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
    return static_cast<std::int64_t>(total - free) -
        stats.reserved_bytes[0].current;
  };
  run_everything(x, y, bytes, mask); // modules are loaded at the first call
  const auto before = outside();
  for (int i = 0; i < 10; ++i) {
    run_everything(x, y, bytes, mask);
  }
  // Others may use the device as well; a map would be 24 MiB a call.
  EXPECT_LE(outside() - before, 64 * kMiB);
}

TEST_F(CudaTest, DeviceThatIsNotCurrent) {
  if (torch::cuda::device_count() < 2) {
    GTEST_SKIP() << "needs a second CUDA device";
  }
  const auto x = image().to(torch::Device("cuda:1")).requires_grad_();
  const auto y = image().to(torch::Device("cuda:1"));
  ASSERT_EQ(c10::cuda::current_device(), 0);
  const auto loss = F::l1_dssim_loss(x, y);
  loss.backward();
  EXPECT_EQ(c10::cuda::current_device(), 0);
  EXPECT_EQ(loss.device(), x.device());
  expect_scalar(
      loss.detach(), expected(x, y, Spec(L1DSSIMLossOptions())).value, 1e-6);
  expect_gradient(
      x.grad(), expected(x, y, Spec(L1DSSIMLossOptions())).grad_input);
}

// The kernels count rows and columns in 32 bits; no memory stands behind these.
TEST_F(CudaTest, SidesBeyond32BitsAreRefused) {
  const auto pixel = torch::zeros({1, 1, 1}, torch::kCUDA);
  for (const Sizes& sizes :
       {Sizes{1, 1, std::int64_t(1) << 31}, {1, std::int64_t(1) << 31, 1}}) {
    const auto image = pixel.expand(sizes);
    EXPECT_ERROR(
        F::ssim(image, image),
        testing::HasSubstr("channels, rows and columns on CUDA"));
  }
}

// More elements than an int can count, for real.
TEST_F(CudaTest, MoreThan32BitsOfElements) {
  constexpr std::int64_t kHeight = 46400;
  constexpr std::int64_t kWidth = 46410;
  static_assert(kHeight * kWidth > std::int64_t(1) << 31, "too few");
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  if (free < (std::size_t(24) << 30)) {
    GTEST_SKIP() << "needs 24 GiB of free device memory";
  }
  const auto options =
      torch::TensorOptions(torch::kCUDA).dtype(torch::kFloat16);
  const auto corner = [=](const torch::Tensor& image) {
    return image.slice(-2, kHeight - 90, kHeight)
        .slice(-1, kWidth - 90, kWidth);
  };
  const auto seen = [](const torch::Tensor& image) {
    // Further than two radii from where the corner was cut.
    return image.slice(-2, 10).slice(-1, 10);
  };
  const auto loss_options = L1DSSIMLossOptions().reduction(torch::kSum);
  {
    const auto x = torch::rand({1, kHeight, kWidth}, options);
    const auto y = torch::rand({1, kHeight, kWidth}, options);
    const auto result = F::l1_dssim_value_and_grad(x, y, loss_options);
    const auto reference = expected(corner(x), corner(y), Spec(loss_options));
    expect_within_rounding(
        seen(corner(result.grad)), seen(reference.grad_input));
    const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
    const auto of_corner = expected(
        corner(x), corner(y), Spec(SSIMOptions().reduction(torch::kNone)));
    expect_within_rounding(seen(corner(map)), seen(of_corner.value));
  }
  c10::cuda::CUDACachingAllocator::emptyCache();
}

// A grid's z has 65535 blocks at most.
TEST_F(CudaTest, ManyImages) {
  const auto x = image({1, 1, 3, 5}).expand({70000, 1, 3, 5});
  const auto y = image({1, 1, 3, 5}).expand({70000, 1, 3, 5});
  const auto result = F::l1_dssim_value_and_grad(
      x, y, L1DSSIMLossOptions().reduction(torch::kSum));
  const auto one = F::l1_dssim_value_and_grad(
      x[0], y[0], L1DSSIMLossOptions().reduction(torch::kSum));
  EXPECT_NEAR(
      result.loss.item<double>() / (70000 * one.loss.item<double>()), 1, 1e-5);
  EXPECT_LE(
      (result.grad - one.grad).abs().max().item<double>(),
      1e-6 * one.grad.abs().max().item<double>());
}

} // namespace
} // namespace fused_ssim::test
