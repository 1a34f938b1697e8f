#pragma once

#include "objective.h"

#include <fused_ssim/export.h>

#include <torch/torch.h>

namespace fused_ssim::detail {

/// What is wanted of an evaluation; nothing else is computed or allocated.
struct Request {
  bool value = false; // the scalar, or the map if the reduction is none
  bool log = false; // mean L1 and mean SSIM
  bool grad_input = false;
  bool grad_target = false;
  /// Half types' gradients as float32, for one that is yet to be scaled: of a mean
  /// over a million pixels nothing would be left in float16, and bfloat16 would be
  /// rounded twice.
  bool wide_gradients = false;
  ErrorMap error_map = ErrorMap::kNone; // together with grad_input alone
};

/// What was asked for; the rest is undefined.
struct Evaluation {
  torch::Tensor value; // [], or [N, C, H', W'] ([C, H', W']) for a map
  torch::Tensor l1; // []
  torch::Tensor ssim; // []
  torch::Tensor plane_sums; // [N, C, parts] float64, if `per_plane`
  torch::Tensor grad_input; // shape and layout of input
  torch::Tensor grad_target; // shape and layout of target
  torch::Tensor error_map; // [N, C, H', W'] ([C, H', W'])
};

/// Runs the kernels of the images' device on checked arguments. The gradients are
/// those of the scalar for an upstream gradient of 1. For a map they are those of its
/// sum, hence of any map weighted by `weight`.
///
/// This is the one door to the kernels: tensors that are not what their memory says are
/// resolved() here.
Evaluation evaluate(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask, // see functional.h; may be undefined
    const Request& request);

/// `tensor` as its memory says. The imaginary part of a conjugate is negated lazily,
/// and a zero tensor has no memory at all. Undefined stays undefined.
torch::Tensor resolved(const torch::Tensor& tensor);

/// `mask` with the shape of `input`: expanded, no copy. Undefined stays undefined.
torch::Tensor expanded_mask(
    const torch::Tensor& mask, // see functional.h; may be undefined
    const torch::Tensor& input); // [N, C, H, W] or [C, H, W]

/// gradient * factor as `type`, where `factor` is a scalar on the same device: in
/// place, if `gradient` may be overwritten and has the type. Then the usual factor of
/// 1 costs no pass over memory, and on CUDA nothing waits for the device.
/// Exported for fused_ssim::distributed.
FUSED_SSIM_API torch::Tensor scale(
    torch::Tensor gradient, // dense, any shape
    const torch::Tensor& factor, // []
    torch::ScalarType type,
    bool overwrite);

} // namespace fused_ssim::detail
