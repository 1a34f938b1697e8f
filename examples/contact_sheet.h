#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace programs {

struct Panel {
  std::string caption; // characters that caption.h knows
  torch::Tensor image; // [C, H, W] in [0, 1], C is 1 or 3
};

/// The images side by side, four in a row, each at most 384 pixels wide and high,
/// with its caption above it. [3, H, W] in [0, 1], on the CPU. All images have
/// the same size.
torch::Tensor contact_sheet(const std::vector<Panel>& panels);

/// |image - target|, averaged over the channels and made visible by a power of
/// two, which the caption says.
Panel error_panel(
    const torch::Tensor& image, // [C, H, W]
    const torch::Tensor& target); // [C, H, W]

} // namespace programs
