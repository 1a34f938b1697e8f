#pragma once

#include <fused_ssim/options.h>

#include <torch/types.h>

#include <string>

namespace programs {

/// The device of `--device`: "auto", "cpu", "cuda" or "cuda:N". "auto" is CUDA
/// if the library has CUDA kernels and the machine a CUDA device, and otherwise
/// the CPU. Throws BadInput for another word, and for a device that cannot be
/// used here.
torch::Device choose_device(const std::string& name);

/// The value of `--padding`: "same" or "valid". Throws BadInput for another
/// word.
fused_ssim::SSIMOptions::padding_t parse_padding(const std::string& name);

} // namespace programs
