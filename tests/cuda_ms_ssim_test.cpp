// MS-SSIM on a GPU: graphs, memory, size. cuda_test.cpp has what it shares with SSIM.

#include "cuda_test.h"
#include "ms_ssim_test.h"

#include <cuda_runtime_api.h>

namespace fused_ssim::test {
namespace {

/// `x` with noise.
torch::Tensor close_to(const torch::Tensor& x) {
  return (x + 0.3 * torch::rand_like(x)).contiguous();
}

TEST_F(CudaTest, GraphOfMSSSIMValueAndGrad) {
  const auto x = image({2, 3, 177, 301});
  const auto y = close_to(x);
  const auto bytes = (y * 196).to(torch::kUInt8);
  const auto half = x.to(torch::kFloat16);
  F::ValueAndGrad result, of_half;
  at::cuda::CUDAGraph graph;
  capture(graph, [&] {
    result = F::ms_ssim_value_and_grad(x, y);
    of_half = F::ms_ssim_value_and_grad(half, bytes);
  });
  for (int i = 0; i < 3; ++i) {
    x.copy_(image(x.sizes().vec()));
    y.copy_(i < 2 ? close_to(x) : 1 - x); // whose value is 0
    bytes.copy_(close_to(x) * 196);
    half.copy_(x);
    graph.replay();
    torch::cuda::synchronize();
    const auto expected_result = F::ms_ssim_value_and_grad(x, y);
    const auto expected_half = F::ms_ssim_value_and_grad(half, bytes);
    expect_same_bits(result.value, expected_result.value);
    expect_same_bits(result.grad, expected_result.grad);
    expect_same_bits(of_half.value, expected_half.value);
    expect_same_bits(of_half.grad, expected_half.grad);
    EXPECT_EQ(result.value.item<double>() > 0, i < 2);
    EXPECT_GT(of_half.value.item<double>(), 0);
    const auto reference = expected_ms_ssim(x, y, MSSSIMOptions());
    expect_scalar(result.value, reference.value, 1e-6);
    if (i < 2) {
      expect_ms_ssim_gradient(result.grad, reference.grad_input);
    }
  }
}

TEST_F(CudaTest, GraphOfATrainingStepWithMSSSIM) {
  const auto x = image().requires_grad_();
  const auto y = image();
  x.mutable_grad() = torch::zeros_like(x);
  torch::Tensor value;
  at::cuda::CUDAGraph graph;
  capture(graph, [&] {
    x.mutable_grad().zero_();
    value = F::ms_ssim(x, y);
    (1 - value).backward();
  });
  for (int i = 0; i < 3; ++i) {
    const auto x0 = image();
    const auto y0 = close_to(x0);
    {
      const torch::NoGradGuard no_grad;
      x.copy_(x0);
      y.copy_(y0);
    }
    graph.replay();
    torch::cuda::synchronize();
    const auto reference = expected_ms_ssim(x0, y0, MSSSIMOptions());
    expect_scalar(value.detach(), reference.value, 1e-6);
    expect_ms_ssim_gradient(x.grad(), -reference.grad_input);
  }
}

TEST_F(CudaTest, SameBitsInAHundredRunsOfMSSSIM) {
  const auto x = image({3, 545, 980});
  const auto y = close_to(x);
  const auto first = F::ms_ssim_value_and_grad(x, y);
  EXPECT_GT(first.value.item<double>(), 0);
  auto differing = torch::zeros({}, torch::kCUDA);
  for (int i = 0; i < 100; ++i) {
    const auto again = F::ms_ssim_value_and_grad(x, y);
    differing +=
        (again.value != first.value).sum() + (again.grad != first.grad).sum();
  }
  EXPECT_EQ(differing.item<double>(), 0);
}

// The coarser scales have a third of the pixels. So they take a third of an image for
// each of the two images, and for each gradient.
TEST_F(CudaTest, MSSSIMAllocatesOneImageBeyondTheGradient) {
  const auto x = image({3, 1080, 1920});
  const auto y = close_to(x);
  const auto image_bytes = static_cast<std::int64_t>(x.nbytes());
  EXPECT_LE(
      peak_growth([&] { F::ms_ssim(x, y); }), image_bytes * 2 / 3 + 4 * kMiB);
  EXPECT_LE(
      peak_growth([&] { F::ms_ssim_value_and_grad(x, y); }),
      2 * image_bytes + 4 * kMiB);
  EXPECT_LE(
      peak_growth([&] {
        const auto leaf = x.detach().requires_grad_();
        (1 - F::ms_ssim(leaf, y)).backward();
      }),
      2 * image_bytes + 4 * kMiB);
  EXPECT_LE(
      peak_growth([&] {
        const auto a = x.detach().requires_grad_();
        const auto b = y.detach().requires_grad_();
        (1 - F::ms_ssim(a, b)).backward();
      }),
      image_bytes * 10 / 3 + 4 * kMiB);
}

// More planes than a grid's y or z has blocks, and more elements than an int can count.
TEST_F(CudaTest, MSSSIMOfManyImages) {
  constexpr std::int64_t kImages = 70200, kSide = 175;
  static_assert(kImages * kSide * kSide > std::int64_t(1) << 31, "too few");
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  if (free < (std::size_t(24) << 30)) {
    GTEST_SKIP() << "needs 24 GiB of free device memory";
  }
  const auto x = image({1, 1, kSide, kSide});
  const auto y = close_to(x);
  const Sizes sizes = {kImages, 1, kSide, kSide};
  const auto options = MSSSIMOptions().reduction(torch::kSum);
  const auto one = F::ms_ssim_value_and_grad(x, y, options);
  {
    const auto result =
        F::ms_ssim_value_and_grad(x.expand(sizes), y.expand(sizes), options);
    EXPECT_NEAR(
        result.value.item<double>() / (kImages * one.value.item<double>()),
        1,
        1e-5);
    for (const auto& some :
         {result.grad.slice(0, 0, 20), result.grad.slice(0, kImages - 20)}) {
      EXPECT_LE(
          error_of(some, one.grad.expand(some.sizes())).relative_l2, 1e-5);
    }
  }
  c10::cuda::CUDACachingAllocator::emptyCache();
}

// No memory stands behind these images.
TEST_F(CudaTest, MSSSIMOfMoreImagesThanAGridHasBlocksIsRefused) {
  const auto images = torch::zeros({1, 1, 1, 1}, torch::kCUDA)
                          .expand({std::int64_t(1) << 31, 1, 1, 1});
  EXPECT_ERROR(
      F::ms_ssim(images, images, MSSSIMOptions().padding(torch::kSame)),
      testing::HasSubstr("expected at most 2147483647 images times channels on "
                         "CUDA, but got input of shape"));
}

} // namespace
} // namespace fused_ssim::test
