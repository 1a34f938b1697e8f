#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace programs {

struct Panel {
  std::string caption; // characters that caption.h knows
  torch::Tensor image; // [C, H, W] in [0, 1], C is 1 or 3
};

/// The images side by side, four in a row. Each is at most 384 pixels wide and
/// high and has its caption above it. All images have the same size. Returns
/// [3, H, W] in [0, 1], on the CPU.
torch::Tensor contact_sheet(const std::vector<Panel>& panels);

/// |image - target|, averaged over the channels and multiplied by a power of two
/// to make it visible. The caption shows the factor.
Panel error_panel(
    const torch::Tensor& image, // [C, H, W]
    const torch::Tensor& target); // [C, H, W]

} // namespace programs
