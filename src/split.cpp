#include "split.h"

#include "backend.h"
#include "passes.h"
#include "views.h"
#include "window.h"

#include <utility>

namespace fused_ssim::detail::split {
namespace {

/// The problem of an image, with `own` and `map` of the piece as regions.
Problem make_problem(const Objective& objective, const Piece& piece) {
  auto problem = detail::make_problem(
      objective,
      piece.input,
      piece.target,
      expanded_mask(piece.mask, piece.input));
  problem.own_region.row_begin = piece.own.begin;
  problem.own_region.row_end = piece.own.end;
  problem.map_region.row_begin = piece.map.begin;
  problem.map_region.row_end = piece.map.end;
  return problem;
}

template <typename Sums>
Sums* sums_of(const torch::Tensor& tensor) { // [2] or [pieces, 2] float64
  static_assert(sizeof(Sums) == 2 * sizeof(double), "its tensors are [.., 2]");
  return static_cast<Sums*>(tensor.mutable_data_ptr());
}

/// A view in which the tensor's first row counts as `first`.
MutableView write_from(std::int64_t first, const torch::Tensor& tensor) {
  auto view = write(tensor);
  view.data = static_cast<char*>(view.data) -
      first * view.stride[2] * bytes_of(view.element);
  return view;
}

torch::Tensor empty_sums(const torch::Tensor& like) {
  return torch::empty({2}, like.options().dtype(torch::kFloat64));
}

} // namespace

torch::Tensor resolved(const torch::Tensor& tensor) {
  return detail::resolved(tensor);
}

Evaluation allocate(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const Request& request,
    std::int64_t map_rows) {
  Request rest = request;
  rest.error_map = ErrorMap::kNone;
  auto result = detail::allocate(objective, input, target, rest);
  if (request.error_map != ErrorMap::kNone) {
    auto sizes = map_sizes(objective, input);
    sizes[sizes.size() - 2] = map_rows;
    result.error_map = torch::empty(sizes, input.options());
  }
  if (input.numel() == 0) {
    fill_empty(objective, result);
  }
  return result;
}

torch::Tensor sum_weights(const Objective& objective, const Piece& piece) {
  auto problem = make_problem(objective, piece);
  const auto sums = empty_sums(piece.input);
  Outputs outputs;
  outputs.weight_sums = sums_of<WeightSums>(sums);
  run(problem, outputs, piece.input);
  return sums;
}

torch::Tensor total_weights(
    const Objective& objective,
    const torch::Tensor& weight_sums) {
  const auto total = empty_sums(weight_sums);
#if defined(FUSED_SSIM_WITH_CUDA)
  if (weight_sums.is_cuda()) {
    Problem problem;
    problem.terms = objective.terms;
    Outputs outputs;
    outputs.weight_sums = sums_of<WeightSums>(total);
    cuda::finish(
        problem,
        outputs,
        /*terms=*/nullptr,
        /*count=*/0,
        sums_of<WeightSums>(weight_sums),
        weight_sums.size(0),
        weight_sums.get_device());
    return total;
  }
#else
  static_cast<void>(objective);
#endif
  WeightSums sums;
  for (std::int64_t i = 0; i < weight_sums.size(0); ++i) {
    const WeightSums& each = sums_of<WeightSums>(weight_sums)[i];
    sums.ssim += each.ssim;
    sums.l1 += each.l1;
  }
  *sums_of<WeightSums>(total) = sums;
  return total;
}

void evaluate(
    const Objective& objective,
    const Piece& piece,
    const Request& request,
    const torch::Tensor& weight_sums,
    const torch::Tensor& grad_input,
    const torch::Tensor& grad_target,
    const torch::Tensor& error_map,
    const torch::Tensor& term_sums) {
  if (grad_target.defined() && !grad_input.defined()) {
    // Both terms are symmetric in the images.
    Piece swapped = piece;
    std::swap(swapped.input, swapped.target);
    return evaluate(
        objective,
        swapped,
        request,
        weight_sums,
        grad_target,
        grad_input,
        error_map,
        term_sums);
  }
  auto problem = make_problem(objective, piece);
  problem.weight_sums = sums_of<WeightSums>(weight_sums);

  // The scalars of the piece alone say nothing, but that they are wanted says which
  // terms to add up.
  const auto scalars = torch::empty({3}, scalar_options(piece.input));
  Outputs outputs;
  if (request.value) {
    outputs.value = scalar_data(scalars[0]);
  }
  if (request.log) {
    outputs.l1 = scalar_data(scalars[1]);
    outputs.ssim = scalar_data(scalars[2]);
  }
  outputs.term_sums = sums_of<TermSums>(term_sums);
  if (grad_input.defined()) {
    outputs.grad_input = write_from(piece.own.begin, grad_input);
  }
  if (grad_target.defined()) {
    outputs.grad_target = write_from(piece.own.begin, grad_target);
  }
  if (error_map.defined() && error_map.numel() > 0) {
    // It starts at the first own window; the kernels count from the first of all.
    const auto first = intersection(piece.own, piece.map).begin;
    outputs.error_map = write_from(first - piece.map.begin, error_map);
    outputs.error = error_terms(request.error_map, objective.terms);
  }
  run(problem, outputs, piece.input);
}

void finish(
    const Objective& objective,
    const torch::Tensor& term_sums,
    const torch::Tensor& weight_sums,
    Evaluation& result) {
  const double unit =
      constants_of(objective.data_range, objective.k1, objective.k2).unit;
  const bool mean = objective.reduction == Reduction::kMean;
#if defined(FUSED_SSIM_WITH_CUDA)
  if (term_sums.is_cuda()) {
    Problem problem;
    const bool wide = result.value.scalar_type() == torch::kFloat64;
    problem.input.element = wide ? Element::kFloat64 : Element::kFloat32;
    problem.constants.unit = unit;
    problem.terms = objective.terms;
    problem.mean = mean;
    return cuda::finish(
        problem,
        make_outputs(objective, Request(), result),
        sums_of<TermSums>(term_sums),
        term_sums.size(0),
        sums_of<WeightSums>(weight_sums),
        /*weight_count=*/1,
        term_sums.get_device());
  }
#endif
  TermSums sums;
  for (std::int64_t i = 0; i < term_sums.size(0); ++i) {
    const TermSums& each = sums_of<TermSums>(term_sums)[i];
    sums.dssim += each.dssim;
    sums.l1 += each.l1;
  }
  const auto scalars = detail::finish(
      objective.terms, unit, mean, sums, *sums_of<WeightSums>(weight_sums));
  const auto store = [](torch::Tensor& scalar, double value) {
    if (scalar.defined()) {
      scalar.fill_(value);
    }
  };
  store(result.value, scalars.value);
  store(result.l1, scalars.l1);
  store(result.ssim, scalars.ssim);
}

} // namespace fused_ssim::detail::split
