// The smallest trainer: it optimises an image toward a target with L1 + D-SSIM and Adam.

#include <fused_ssim/fused_ssim.h>

#include <torch/torch.h>

#include <cstdio>
#include <vector>

int main() {
  torch::manual_seed(0);
  const bool gpu = torch::cuda::is_available() && fused_ssim::has_cuda();
  const torch::Device device(gpu ? torch::kCUDA : torch::kCPU);

  // In a trainer, a photograph: [C, H, W] in [0, 1].
  const auto x = torch::linspace(0, 20, 128, device);
  const auto waves = 0.5 + 0.2 * x.sin() + 0.2 * x.cos().unsqueeze(1);
  const auto target = torch::stack({waves, waves.flip(0), waves.square()});
  // In a trainer, what the renderer returns.
  auto image = torch::rand_like(target).requires_grad_();

  auto loss = fused_ssim::L1DSSIMLoss(/*lambda_dssim=*/0.2);
  torch::optim::Adam optimizer(std::vector<torch::Tensor>{image}, 0.05);
  for (int step = 1; step <= 100; ++step) {
    optimizer.zero_grad();
    const auto value = loss(image, target);
    value.backward();
    optimizer.step();
    if (step % 20 == 0) {
      std::printf("step %3d: loss %.4f\n", step, value.item<double>());
    }
  }

  const torch::NoGradGuard no_grad;
  const auto ssim = fused_ssim::functional::ssim(image, target);
  std::printf("SSIM %.4f\n", ssim.item<double>());
  return ssim.item<double>() > 0.95 ? 0 : 1;
}
