#pragma once

#include "config.h"

#include <torch/types.h>

#include <cstdint>
#include <vector>

/// How long the parts of all steps took, in seconds.
struct TimeSplit {
  double render = 0; // with choosing the tiles' Gaussians
  double loss = 0; // value and gradient with respect to the image
  double backward = 0; // through the renderer, to the parameters
  double optimizer = 0;
};

struct Stage {
  std::int64_t step = 0; // of which it is the result; 0: the start
  double loss = 0;
  double ssim = 0; // of the image, clamped to [0, 1]
  torch::Tensor image; // [3, H, W]; undefined where the figures are enough
};

struct Training {
  std::vector<Stage> stages; // the start first, the result last
  TimeSplit split;
  double seconds = 0;
};

/// Fits Gaussians to the photograph.
Training train(
    const Config& config,
    const torch::Tensor& target, // [3, H, W] on the CPU
    const torch::Device& device);
