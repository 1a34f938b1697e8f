#include "problem.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace fused_ssim::bench {
namespace {

/// Noise: the time does not depend on the content of an image.
struct Images {
  torch::Tensor input; // [C, H, W] or [N, C, H, W] float32
  torch::Tensor bytes; // as input, uint8
};

const Images& images(const Shape& shape) {
  static std::map<std::string, Images> made;
  const auto [entry, is_new] = made.try_emplace(shape.name());
  if (is_new) {
    std::vector<std::int64_t> sizes = {
        shape.channels, shape.height, shape.width};
    if (shape.batch > 1) {
      sizes.insert(sizes.begin(), shape.batch);
    }
    torch::manual_seed(0);
    auto& [input, bytes] = entry->second;
    bytes = torch::randint(0, 256, sizes, torch::kUInt8);
    input = bytes.to(torch::kFloat32) / 255 * 0.8 + 0.2 * torch::rand(sizes);
  }
  return entry->second;
}

torch::ScalarType type_of(Variant variant) {
  switch (variant) {
    case Variant::kBFloat16:
      return torch::kBFloat16;
    case Variant::kFloat16:
      return torch::kFloat16;
    case Variant::kFloat64:
      return torch::kFloat64;
    default:
      return torch::kFloat32;
  }
}

/// The image as it comes from an [..., H, W, C] tensor through permute().
torch::Tensor channels_innermost(const torch::Tensor& image) {
  return image.movedim(-3, -1).contiguous().movedim(-1, -3);
}

Problem make_problem(
    const Shape& shape,
    Variant variant,
    torch::Device device) {
  const auto type = type_of(variant);
  const auto& [input, bytes] = images(shape);
  Problem result;
  result.input = input.to(device, type, /*non_blocking=*/false, /*copy=*/true);
  result.target = (bytes.to(torch::kFloat32) / 255).to(device, type);
  switch (variant) {
    case Variant::kUInt8Target:
      result.target = bytes.to(device);
      break;
    case Variant::kPermuted:
      result.input = channels_innermost(result.input);
      result.target = channels_innermost(result.target);
      break;
    case Variant::kMask:
      torch::manual_seed(1);
      result.mask = torch::rand({shape.height, shape.width}).to(device);
      break;
    case Variant::kBothGradients:
      result.target.requires_grad_();
      break;
    case Variant::kWindow7:
      result.options.window_size(7);
      break;
    case Variant::kWindow31:
      // The largest sigma that makes sense for this window.
      result.options.window_size(31).sigma(4.5);
      break;
    case Variant::kBFloat16:
    case Variant::kFloat16:
      // In float16, the gradient of a mean over millions of values is 0.
      result.options.reduction(torch::kSum);
      break;
    case Variant::kFloat32:
    case Variant::kFloat64:
      break;
  }
  result.input.requires_grad_();
  return result;
}

} // namespace

std::string Shape::name() const {
  if (values() == 0) {
    return "none";
  }
  const auto plane = std::to_string(height) + "x" + std::to_string(width);
  if (batch == 1 && channels == 3) {
    return plane;
  }
  return std::to_string(batch) + "x" + std::to_string(channels) + "x" + plane;
}

const char* name(Variant variant) {
  switch (variant) {
    case Variant::kFloat32:
      return "float32";
    case Variant::kUInt8Target:
      return "uint8_target";
    case Variant::kPermuted:
      return "permuted";
    case Variant::kBFloat16:
      return "bfloat16";
    case Variant::kFloat16:
      return "float16";
    case Variant::kFloat64:
      return "float64";
    case Variant::kMask:
      return "mask";
    case Variant::kBothGradients:
      return "both_gradients";
    case Variant::kWindow7:
      return "window_7";
    case Variant::kWindow31:
      return "window_31";
  }
  return "";
}

SSIMOptions Problem::ssim_options() const {
  return SSIMOptions()
      .window_size(options.window_size())
      .sigma(options.sigma())
      .reduction(options.reduction());
}

MSSSIMOptions Problem::ms_ssim_options() const {
  auto result = MSSSIMOptions()
                    .window_size(options.window_size())
                    .sigma(options.sigma())
                    .reduction(options.reduction());
  const auto smaller_side = std::min(input.size(-2), input.size(-1));
  const auto halvings = result.weights().size() - 1;
  if (smaller_side <= (options.window_size() - 1) << halvings) {
    result.padding(torch::kSame); // it has no window at the coarsest scale
  }
  return result;
}

const Problem& problem(Shape shape, Variant variant, torch::Device device) {
  using Key = std::tuple<std::string, Variant, std::string>;
  static std::map<Key, Problem> made;
  const auto [entry, is_new] =
      made.try_emplace({shape.name(), variant, device.str()});
  if (is_new) {
    entry->second = make_problem(shape, variant, device);
  }
  return entry->second;
}

} // namespace fused_ssim::bench
