#include "verify.h"

#include <map>
#include <sstream>
#include <tuple>

namespace fused_ssim::bench {
namespace {

/// The results of the composition. Each takes seconds, so it is computed once.
const Result& expected(
    const Shape& shape,
    Variant variant,
    torch::Device device,
    Operation composition) {
  using Key = std::tuple<std::string, Variant, std::string, Operation>;
  static std::map<Key, Result> computed;
  const auto [entry, is_new] =
      computed.try_emplace({shape.name(), variant, device.str(), composition});
  if (is_new) {
    entry->second = composition(problem(shape, variant, device));
  }
  return entry->second;
}

/// The relative L2 distance of two tensors.
double distance(const torch::Tensor& a, const torch::Tensor& b) {
  const auto wide = b.to(torch::kFloat64);
  return ((a.to(torch::kFloat64) - wide).norm() / wide.norm()).item<double>();
}

} // namespace

std::string verify(
    const Result& result,
    Operation composition,
    Shape shape,
    Variant variant,
    torch::Device device) {
  const Problem& of = problem(shape, variant, device);
  const auto type = of.input.scalar_type();
  // The tolerance of float32 is the rounding error of the composition. A
  // gradient in a half type has its own rounding error.
  const double value_tolerance = type == torch::kFloat64 ? 1e-11 : 1e-4;
  const double gradient_tolerance = type == torch::kFloat64 ? 1e-10
      : type == torch::kFloat32                             ? 1e-4
                                                            : 1e-2;
  std::ostringstream wrong;
  const auto compare = [&](const char* what,
                           const torch::Tensor& seen,
                           const torch::Tensor& wanted,
                           double tolerance) {
    if (!seen.defined()) {
      return;
    }
    const double off = distance(seen, wanted.detach());
    if (!(off <= tolerance)) {
      wrong << what << " is off by " << off << ", where " << tolerance
            << " is allowed; ";
    }
  };
  if (result.image.defined()) {
    compare("the copy", result.image, of.input, 0);
    return wrong.str();
  }
  const Result& wanted = expected(shape, variant, device, composition);
  compare("the value", result.value, wanted.value, value_tolerance);
  compare(
      "the gradient to the input",
      result.grad_input,
      wanted.grad_input,
      gradient_tolerance);
  compare(
      "the gradient to the target",
      result.grad_target,
      wanted.grad_target,
      gradient_tolerance);
  return wrong.str();
}

} // namespace fused_ssim::bench
