#pragma once

// The parts of an evaluation whose image is split by rows. fused_ssim::distributed calls
// them in this order: allocate(), sum_weights() and total_weights() if there is a mask,
// evaluate() for each piece, finish(). The shared library exports these functions for it.

#include "evaluate.h"

#include <fused_ssim/export.h>

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>

namespace fused_ssim::detail::split {

struct Rows {
  std::int64_t begin = 0, end = 0;

  std::int64_t size() const {
    return end > begin ? end - begin : 0;
  }
  Rows from(std::int64_t first) const {
    return {begin - first, end - first};
  }
};

inline Rows intersection(const Rows& a, const Rows& b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

/// Some rows of an image. All rows below count from the first of them.
struct Piece {
  torch::Tensor input; // [N, C, rows, W] or [C, rows, W]
  torch::Tensor target; // as input
  torch::Tensor mask; // expandable to input, or undefined
  Rows own; // that the piece answers for
  Rows map; // that are centres of windows
};

/// Undefined, or as its memory says: see evaluate().
FUSED_SSIM_API torch::Tensor resolved(const torch::Tensor& tensor);

/// What `request` asks for, not yet written, for images of which these are all own rows.
FUSED_SSIM_API Evaluation allocate(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const Request& request,
    std::int64_t map_rows); // own rows that are centres of windows

/// The sums of the mask's weights over the own rows: a WeightSums as [2] float64.
FUSED_SSIM_API torch::Tensor sum_weights(
    const Objective& objective,
    const Piece& piece);

/// Adds them up in their order.
FUSED_SSIM_API torch::Tensor total_weights( // [2] float64
    const Objective& objective,
    const torch::Tensor& weight_sums); // [pieces, 2] float64

/// Writes the gradients of the whole image's objective in the piece's own rows, the map
/// of errors of its own windows, and what the piece adds to the terms.
FUSED_SSIM_API void evaluate(
    const Objective& objective,
    const Piece& piece,
    const Request& request,
    const torch::Tensor& weight_sums, // [2] float64, of the whole image
    const torch::Tensor& grad_input, // [N, C, own rows, W], or undefined
    const torch::Tensor& grad_target, // as grad_input, or undefined
    const torch::Tensor&
        error_map, // [N, C, own rows that are in map, W'], or undefined
    const torch::Tensor& term_sums); // [2] float64: a TermSums

/// Writes the scalars of `result`.
FUSED_SSIM_API void finish(
    const Objective& objective,
    const torch::Tensor&
        term_sums, // [pieces, 2] float64, added up in their order
    const torch::Tensor& weight_sums, // [2] float64, of the whole image
    Evaluation& result);

} // namespace fused_ssim::detail::split
