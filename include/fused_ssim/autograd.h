#pragma once

#include <fused_ssim/export.h>
#include <fused_ssim/options.h>

#include <torch/torch.h>

#include <optional>

namespace fused_ssim {

/// The differentiable operation behind `functional::ssim`; arguments and result
/// are described there. Use it directly only when a gradient is needed: it
/// computes and saves one for each of the two images that requires grad.
class FUSED_SSIM_API SSIMFunction
    : public torch::autograd::Function<SSIMFunction> {
 public:
  static torch::Tensor apply(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const SSIMOptions& options = {},
      const torch::Tensor& mask = {});

  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const SSIMOptions& options,
      const std::optional<torch::Tensor>& mask);
  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list grad_outputs);
};

/// The differentiable operation behind `functional::l1_dssim_loss`.
class FUSED_SSIM_API L1DSSIMFunction
    : public torch::autograd::Function<L1DSSIMFunction> {
 public:
  static torch::Tensor apply(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const L1DSSIMLossOptions& options = {},
      const torch::Tensor& mask = {});

  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const L1DSSIMLossOptions& options,
      const std::optional<torch::Tensor>& mask);
  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list grad_outputs);
};

/// The differentiable operation behind `functional::ms_ssim`.
class FUSED_SSIM_API MSSSIMFunction
    : public torch::autograd::Function<MSSSIMFunction> {
 public:
  static torch::Tensor apply(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const MSSSIMOptions& options = {});

  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const MSSSIMOptions& options);
  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list grad_outputs);
};

} // namespace fused_ssim
