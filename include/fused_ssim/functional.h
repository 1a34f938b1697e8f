#pragma once

#include <fused_ssim/export.h>
#include <fused_ssim/options.h>

#include <torch/torch.h>

/// What all functions here have in common.
///
/// `input`, `target`: [C, H, W] or [N, C, H, W]. Both have the same shape and device
/// and any strides. An [H, W, C] image is passed as `image.permute({2, 0, 1})`; nothing
/// is copied. The type is float32, float64, float16 or bfloat16, the same in both.
/// `target` may be uint8 instead; it is then read as value / 255.
///
/// `mask`: undefined, or weights that are finite and >= 0, of the type of `input` or
/// bool. Its shape is [H, W], [1, H, W] or [N, 1, H, W], or [C, H, W] or [N, C, H, W]
/// for weights per channel. It weighs the maps after the statistics. A mean divides by
/// the sum of the weights over all N x C maps. Where the whole mask is zero, mean SSIM
/// is 1, and the loss and its gradient are 0. With `torch::kValid` the mask is cropped
/// like the map. No gradient flows to the mask. Negative, infinite and NaN weights are
/// refused on the CPU. CUDA does not check for them, since that would wait for the
/// device.
///
/// A pixel of weight 0 does not count, even if an image is NaN or infinite there. Such a
/// value reaches the result only through a window of positive weight that contains it.
///
/// SSIM is that of Wang et al. 2004, "Image quality assessment: from error visibility
/// to structural similarity", with a Gaussian window and population statistics
/// (sigma^2 = E[x^2] - mu^2). Nothing is clamped: identical images give exactly 1 and
/// a gradient of exactly 0.
///
/// Scalars are float32 for half types, and of the type of `input` otherwise. Maps and
/// gradients have the type of `input`. float16 and bfloat16 are computed in float32.
/// The gradient of a mean over many pixels is tiny: in float16 it underflows unless
/// the loss is scaled, for example by 1024, before `backward()`.
/// docs/accuracy.md states the accuracy of float32.
///
/// The same call on the same device gives the same bits. On CUDA all work goes to the
/// current stream, nothing waits for the device, and every call can be captured in a
/// CUDA graph. An empty batch gives NaN for a mean and 0 for a sum, as torch's own
/// losses do.
///
/// A call that needs a gradient saves that gradient. It also keeps handles of the
/// images until the backward call, for the gradient of a map and for second
/// derivatives (`create_graph`). A handle is no copy, but it keeps a temporary image
/// alive, as torch's own losses do.
///
/// Every function throws `c10::Error` for types, devices, shapes or options outside of
/// the above, and for a window larger than the image with `torch::kValid`. The message
/// names the argument, what was expected and what came.
namespace fused_ssim::functional {

/// SSIM of two batches of images: its mean or sum (scalar) or its map
/// [N, C, H, W] ([C, H, W] for input without batch), by `options.reduction()`.
/// It is differentiable in `input`, in `target`, or in both, and twice (`create_graph`,
/// through plain tensor operations). Where no gradient is needed, nothing is saved and
/// only the value is computed.
///
/// The SSIM of each image of a batch is the mean of its map:
/// `ssim(a, b, SSIMOptions().reduction(torch::kNone)).mean({1, 2, 3})`.
///
/// Example:
/// ```
/// namespace F = fused_ssim::functional;
/// torch::Tensor value = F::ssim(rendered, target);
/// ```
FUSED_SSIM_API torch::Tensor ssim(
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const SSIMOptions& options = {},
    const torch::Tensor& mask = {});

/// The photometric loss of gaussian splatting (Kerbl et al. 2023),
///
///     l1_weight * mean|input - target| + dssim_weight * (1 - mean SSIM),
///
/// its sum, or its map, by `options.reduction()`. Value and gradient are computed in
/// one pass during the forward call. With `options.smooth_l1_beta()` above 0, smooth L1
/// takes the place of |input - target|, here and in everything below.
///
/// Example:
/// ```
/// namespace F = fused_ssim::functional;
/// F::l1_dssim_loss(rendered, target).backward();
/// ```
FUSED_SSIM_API torch::Tensor l1_dssim_loss(
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const L1DSSIMLossOptions& options = {},
    const torch::Tensor& mask = {});

/// The result of `l1_dssim_value_and_grad`. None of it is part of a graph.
struct L1DSSIMValueAndGrad {
  torch::Tensor loss; ///< [] by `options.reduction()`, mean or sum
  torch::Tensor
      l1; ///< [] mean of the loss's L1 (or smooth L1) term, for the log
  torch::Tensor ssim; ///< [] mean SSIM, for the log
  torch::Tensor grad; ///< d loss / d input: shape, type and layout of input
  /// Undefined, or [N, C, H', W'] ([C, H', W']), the type of input: the map that was
  /// asked for, for each pixel and channel.
  torch::Tensor error_map;
};

/// The same loss and its gradient in one pass, outside autograd: for trainers
/// that drive the backward themselves (`rendered.backward(result.grad)`).
/// `loss` and `grad` equal those of `l1_dssim_loss` bit for bit.
/// `options.reduction()` is `torch::kMean` or `torch::kSum`.
///
/// `error_map` asks for a map of errors, for example for densification. It is written
/// in the same pass and changes no bit of `loss` and `grad`. The mask does not weigh it.
/// It covers the windows of SSIM: the image, or its inner region with `torch::kValid`.
/// The mean of the channels is `result.error_map.mean(-3)`.
///
/// Example:
/// ```
/// auto result = F::l1_dssim_value_and_grad(
///     rendered, target, 0.2, {}, fused_ssim::ErrorMap::kDSSIM);
/// torch::Tensor error = result.error_map.mean(-3); // [H, W] for [C, H, W]
/// ```
FUSED_SSIM_API L1DSSIMValueAndGrad l1_dssim_value_and_grad(
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const L1DSSIMLossOptions& options = {},
    const torch::Tensor& mask = {},
    ErrorMap error_map = ErrorMap::kNone);

/// Multi-scale SSIM of two batches of images (Wang et al. 2003, "Multiscale structural
/// similarity for image quality assessment"): a scalar, or with reduction
/// `torch::kNone` the value of each image, [N] ([] for input without batch), in the
/// type of a scalar. There is no mask. Derivatives and inference are as with `ssim`.
///
/// Each scale but the last gives the mean of the contrast-structure term over the map,
/// and the last one gives the mean of SSIM, for each image and channel. The means to
/// the power of their weights are multiplied, and the mean over the channels of an
/// image is taken. The next scale is the mean of 2 x 2 pixels. An image of odd height
/// gets a row of zeros above it for that, and one of odd width a column of zeros on its
/// left. These are the semantics of pytorch-msssim 1.0.0.
///
/// Where the mean of a scale is <= 0 the product is 0, and so is its gradient: they are
/// never NaN for images without NaN.
///
/// Example:
/// ```
/// namespace F = fused_ssim::functional;
/// (1 - F::ms_ssim(decoded, image)).backward();
/// ```
FUSED_SSIM_API torch::Tensor ms_ssim(
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const MSSSIMOptions& options = {});

/// A value and its gradient. Neither is part of a graph.
struct ValueAndGrad {
  torch::Tensor value; ///< []
  torch::Tensor grad; ///< d value / d input: shape, type and layout of input
};

/// The same value and its gradient, outside autograd. `options.reduction()` is
/// `torch::kMean` or `torch::kSum`.
FUSED_SSIM_API ValueAndGrad ms_ssim_value_and_grad(
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const MSSSIMOptions& options = {});

} // namespace fused_ssim::functional
