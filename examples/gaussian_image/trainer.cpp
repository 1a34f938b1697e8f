#include "trainer.h"

#include "gaussians.h"
#include "progress.h"
#include "renderer.h"

#include <fused_ssim/fused_ssim.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <set>

namespace {

/// Adds the time since the last call to one part of the time of a step.
class Stopwatch {
 public:
  explicit Stopwatch(const torch::Device& device)
      : on_cuda_(device.is_cuda()) {}

  void lap(double* part) {
    if (on_cuda_) {
      torch::cuda::synchronize(); // otherwise only launches are timed
    }
    const auto now = Clock::now();
    if (part) {
      *part += std::chrono::duration<double>(now - last_).count();
    }
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool on_cuda_;
  Clock::time_point last_ = Clock::now();
};

struct Rate {
  torch::Tensor* parameter;
  double start; // at the first step
};

/// Adam's rates, in the units of each parameter. They all fall to 5 % of the
/// start.
std::vector<Rate> rates(Gaussians& g) {
  return {
      {&g.position, 0.3},
      {&g.log_scale, 0.02},
      {&g.rotation, 0.02},
      {&g.opacity, 0.02},
      {&g.color, 0.01}};
}

torch::optim::Adam make_optimizer(const std::vector<Rate>& rates) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const auto& rate : rates) {
    // Gradients are about 1 / number of pixels, which is near Adam's usual
    // epsilon of 1e-8.
    groups.emplace_back(
        std::vector<torch::Tensor>{*rate.parameter},
        std::make_unique<torch::optim::AdamOptions>(
            torch::optim::AdamOptions(rate.start).eps(1e-15)));
  }
  return torch::optim::Adam(groups, torch::optim::AdamOptions());
}

} // namespace

Training train(
    const Config& config,
    const torch::Tensor& photo, // [3, H, W] on the CPU
    const torch::Device& device) {
  auto gaussians = Gaussians::from_image(
      photo, config.gaussians, static_cast<uint64_t>(config.seed));
  const auto parameters = rates(gaussians);
  for (const auto& rate : parameters) {
    *rate.parameter = rate.parameter->to(device).requires_grad_();
  }
  const auto target = photo.to(device);
  Renderer renderer(photo.size(1), photo.size(2), config.per_tile, device);
  auto loss = fused_ssim::L1DSSIMLoss(config.lambda_dssim);
  auto optimizer = make_optimizer(parameters);

  Training training;
  auto& split = training.split;
  Progress progress(config.steps);
  const auto record = [&](int64_t step, bool keep_image) {
    const torch::NoGradGuard no_grad;
    renderer.assign(gaussians);
    const auto image = renderer.render(gaussians);
    const auto value = loss(image, target).item<double>();
    const auto ssim =
        fused_ssim::functional::ssim(image.clamp(0, 1), target).item<double>();
    char news[64];
    std::snprintf(news, sizeof(news), "loss %.4f  SSIM %.4f", value, ssim);
    progress.report(step, news);
    training.stages.push_back(
        {step, value, ssim, keep_image ? image.cpu() : torch::Tensor()});
  };

  constexpr int64_t reassign_interval = 25;
  const auto interval = std::max<int64_t>(1, config.steps / 25);
  const std::set<int64_t> frames = {
      config.steps / 50, config.steps / 10, config.steps};
  record(0, true);
  Stopwatch watch(device);
  for (int64_t step = 0; step < config.steps; ++step) {
    const auto decay = std::pow(0.05, double(step) / double(config.steps));
    for (size_t i = 0; i < parameters.size(); ++i) {
      optimizer.param_groups()[i].options().set_lr(parameters[i].start * decay);
    }
    watch.lap(nullptr);

    if (step % reassign_interval == 0) {
      renderer.assign(gaussians);
    }
    const auto image = renderer.render(gaussians);
    watch.lap(&split.render);

    const auto value = loss(image, target);
    // The fused loss computes its gradient in the call above. Its part of the
    // backward pass ends when the gradient of the image arrives.
    image.register_hook([&](const torch::Tensor&) { watch.lap(&split.loss); });
    optimizer.zero_grad();
    value.backward();
    watch.lap(&split.backward);

    optimizer.step();
    watch.lap(&split.optimizer);

    const auto done = step + 1;
    const bool is_frame = frames.count(done) > 0;
    if (is_frame || done % interval == 0) {
      record(done, is_frame);
    }
  }
  training.seconds = progress.seconds();
  return training;
}
