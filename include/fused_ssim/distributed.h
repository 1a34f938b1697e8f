#pragma once

#include <fused_ssim/distributed_export.h>
#include <fused_ssim/functional.h>
#include <fused_ssim/options.h>

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/torch.h>

/// The functions of functional.h for one image whose rows lie on several ranks of a
/// process group (torch's c10d: Gloo, NCCL). It is a library of its own, with the CMake
/// target `fused_ssim::distributed`.
///
/// `input`, `target`, `mask`: this rank's rows, all of their columns. The rows of rank 0
/// are the uppermost. A rank has one row or more, and the numbers may differ. The images
/// lie on a device that the group has a backend for.
///
/// The result is that of the same call on the whole image, up to rounding. It has the same
/// bits on every rank. The gradient is that of the whole image's result, in this rank's
/// rows: nothing is left to be summed or averaged over the ranks.
///
/// All types, shapes, strides and options of functional.h are taken, with these exceptions.
/// `torch::kNone` is refused, and so are second derivatives (`create_graph`).
///
/// Every rank of the group calls the same function at the same time, as with any collective
/// operation. Each of them gets the same error (`c10::Error`) if the arguments of one are
/// bad, or if sizes (other than the number of rows), types, options or the presence of a
/// mask differ between them. A rank that does not call at all leaves the others waiting
/// until the timeout of the group.
///
/// Communication takes place in the forward call: the ranks compare their arguments, fetch
/// the rows of their neighbours that their windows see (twice the window's radius on each
/// side), and gather the sums. There is none in the backward call. The first step waits for
/// the answer of the other ranks; with a group that has no CPU backend it also waits for the
/// current CUDA stream. docs/performance.md has the costs.
namespace fused_ssim::distributed {

/// SSIM of the whole image, see `functional::ssim`.
FUSED_SSIM_DISTRIBUTED_API torch::Tensor ssim(
    const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
    const torch::Tensor& target, // as input
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const SSIMOptions& options = {},
    const torch::Tensor& mask = {});

/// The loss of the whole image, see `functional::l1_dssim_loss`.
///
/// Example, for the rank that renders the rows from `begin` to `end`:
/// ```
/// auto loss = fused_ssim::distributed::l1_dssim_loss(
///     rendered_rows, target.slice(-2, begin, end), group);
/// loss.backward();
/// ```
FUSED_SSIM_DISTRIBUTED_API torch::Tensor l1_dssim_loss(
    const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
    const torch::Tensor& target, // as input
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const L1DSSIMLossOptions& options = {},
    const torch::Tensor& mask = {});

/// The same loss and its gradient without autograd, see
/// `functional::l1_dssim_value_and_grad`. `loss`, `l1` and `ssim` are of the whole image,
/// `grad` is of this rank's rows.
///
/// `error_map` asks for this rank's rows of the whole image's map of errors. All ranks ask
/// for the same map. With `torch::kValid` these are the rows whose windows lie inside the
/// whole image: window_size / 2 rows less at the upper and at the lower border, and maybe
/// none. The maps of all ranks, one below the other, are the map of the whole image.
FUSED_SSIM_DISTRIBUTED_API functional::L1DSSIMValueAndGrad
l1_dssim_value_and_grad(
    const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
    const torch::Tensor& target, // as input
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const L1DSSIMLossOptions& options = {},
    const torch::Tensor& mask = {},
    ErrorMap error_map = ErrorMap::kNone);

} // namespace fused_ssim::distributed
