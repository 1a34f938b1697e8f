#pragma once

#include <fused_ssim/options.h>

#include <torch/types.h>

#include <string>

namespace programs {

/// The device of `--device`: "auto" (CUDA where the library has kernels and the
/// machine a device, else the CPU), "cpu", "cuda" or "cuda:N". Throws BadInput
/// for any other word, and for a device that cannot be used here.
torch::Device choose_device(const std::string& name);

/// The value of `--padding`, "same" or "valid". Throws BadInput for any other.
fused_ssim::SSIMOptions::padding_t parse_padding(const std::string& name);

} // namespace programs
