#include "device.h"

#include "program.h"

#include <fused_ssim/version.h>

#include <torch/cuda.h>

#include <regex>

namespace programs {

torch::Device choose_device(const std::string& name) {
  if (name == "cpu") {
    return torch::kCPU;
  }
  if (name == "auto") {
    const bool usable = fused_ssim::has_cuda() && torch::cuda::is_available();
    return usable ? torch::Device(torch::kCUDA, 0) : torch::kCPU;
  }
  std::smatch match;
  if (!std::regex_match(name, match, std::regex("cuda(?::([0-9]{1,2}))?"))) {
    throw BadInput(
        "--device: expected auto, cpu, cuda or cuda:N, but got " + name);
  }
  if (!fused_ssim::has_cuda()) {
    throw BadInput(
        "--device " + name +
        ": this build of fused_ssim has no CUDA kernels; rebuild it with "
        "FUSED_SSIM_CUDA=ON, or use --device cpu");
  }
  const int index = match[1].matched ? std::stoi(match[1]) : 0;
  const int count = static_cast<int>(torch::cuda::device_count());
  if (index >= count) {
    throw BadInput(
        "--device " + name + ": this machine has " + std::to_string(count) +
        " CUDA devices that LibTorch can use");
  }
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
}

fused_ssim::SSIMOptions::padding_t parse_padding(const std::string& name) {
  if (name == "same") {
    return torch::kSame;
  }
  if (name == "valid") {
    return torch::kValid;
  }
  throw BadInput("--padding: expected same or valid, but got " + name);
}

} // namespace programs
