#pragma once

#include "backend.h"
#include "objective.h"

#include <fused_ssim/export.h>

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace fused_ssim::detail {

/// The results that a call asks for. Nothing else is computed or allocated.
struct Request {
  bool value = false; // the scalar, or the map if the reduction is none
  bool log = false; // mean L1 and mean SSIM
  bool grad_input = false;
  bool grad_target = false;
  /// Returns the gradients of half types as float32, because they are scaled later. In
  /// float16 the gradient of a mean over a million pixels would be 0, and bfloat16 would
  /// be rounded twice.
  bool wide_gradients = false;
  bool overlaps_last_call = false; // Problem
  std::int64_t pixels_beside = 0; // Problem
  ErrorMap error_map = ErrorMap::kNone; // together with grad_input alone
};

/// The results of a Request. The others are undefined.
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
/// those of the scalar, for an upstream gradient of 1. For a map they are those of its
/// sum, weighted by the mask.
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

// The parts of evaluate(), for split.cpp.

/// The results that `request` asks for, not yet written.
Evaluation allocate(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const Request& request);

/// The sizes of a map of all windows that `input` has.
std::vector<std::int64_t> map_sizes(
    const Objective& objective,
    const torch::Tensor& input); // [N, C, H, W] or [C, H, W]

/// The terms of `error_map`, for a loss of `terms`.
ErrorTerms error_terms(ErrorMap error_map, const Terms& terms);

/// An empty batch: as torch's own losses, a mean of nothing is NaN, a sum 0.
void fill_empty(const Objective& objective, Evaluation& result);

/// The problem of a whole image.
Problem make_problem(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& weight); // as input, or undefined

/// Null for an undefined tensor.
void* scalar_data(const torch::Tensor& tensor); // []

/// The memory of `result`.
Outputs make_outputs(
    const Objective& objective,
    const Request& request,
    const Evaluation& result);

/// Runs the kernels of the device that `input` is on.
void run(
    const Problem& problem,
    const Outputs& outputs,
    const torch::Tensor& input);

} // namespace fused_ssim::detail
