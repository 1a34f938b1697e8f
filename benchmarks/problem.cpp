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

/// What a variant is made of.
struct Form {
  const char* name;
  bool permuted = false, mask = false, bytes = false, both = false;
  bool permuted_target = false, alpha = false; // the target alone, as bytes
  torch::ScalarType type = torch::kFloat32;
  std::int64_t window = 11;
  double sigma = 1.5;
  bool sum = false, map = false; // instead of the mean
  double smooth_l1_beta = 0;
  ErrorMap error_map = ErrorMap::kNone;
};

Form form_of(Variant variant) {
  Form form{};
  const auto windowed = [&](const char* name, std::int64_t size) {
    form.name = name;
    form.window = size;
    // Above 11 the largest sigma that makes sense for the window.
    form.sigma = size > 11 ? 4.5 / 31 * static_cast<double>(size) : 1.5;
  };
  switch (variant) {
    case Variant::kFloat32:
      form.name = "float32";
      break;
    case Variant::kUInt8Target:
      form.name = "uint8_target";
      form.bytes = true;
      break;
    case Variant::kPermuted:
      form.name = "permuted";
      form.permuted = true;
      break;
    case Variant::kBFloat16:
      form.name = "bfloat16";
      form.type = torch::kBFloat16;
      // In float16, the gradient of a mean over millions of values is 0.
      form.sum = true;
      break;
    case Variant::kFloat16:
      form.name = "float16";
      form.type = torch::kFloat16;
      form.sum = true;
      break;
    case Variant::kFloat64:
      form.name = "float64";
      form.type = torch::kFloat64;
      break;
    case Variant::kMask:
      form.name = "mask";
      form.mask = true;
      break;
    case Variant::kPermutedMask:
      form.name = "permuted_mask";
      form.permuted = form.mask = true;
      break;
    case Variant::kPermutedUInt8Target:
      form.name = "permuted_uint8_target";
      form.permuted = form.bytes = true;
      break;
    case Variant::kPermutedMaskUInt8Target:
      form.name = "permuted_mask_uint8_target";
      form.permuted = form.mask = form.bytes = true;
      break;
    case Variant::kUInt8HWC:
      form.name = "uint8_hwc";
      form.bytes = form.permuted_target = true;
      break;
    case Variant::kUInt8RGBA:
      form.name = "uint8_rgba";
      form.bytes = form.alpha = true;
      break;
    case Variant::kSmoothL1:
      form.name = "smooth_l1";
      form.smooth_l1_beta = 0.1;
      break;
    case Variant::kErrorMap:
      form.name = "error_map";
      form.error_map = ErrorMap::kDSSIM;
      break;
    case Variant::kErrorMapOfLoss:
      form.name = "error_map_of_loss";
      form.error_map = ErrorMap::kLoss;
      break;
    case Variant::kBothGradients:
      form.name = "both_gradients";
      form.both = true;
      break;
    case Variant::kMap:
      form.name = "map";
      form.map = true;
      break;
    case Variant::kWindow3:
      windowed("window_3", 3);
      break;
    case Variant::kWindow5:
      windowed("window_5", 5);
      break;
    case Variant::kWindow7:
      windowed("window_7", 7);
      break;
    case Variant::kWindow9:
      windowed("window_9", 9);
      break;
    case Variant::kWindow13:
      windowed("window_13", 13);
      break;
    case Variant::kWindow15:
      windowed("window_15", 15);
      break;
    case Variant::kWindow17:
      windowed("window_17", 17);
      break;
    case Variant::kWindow19:
      windowed("window_19", 19);
      break;
    case Variant::kWindow31:
      windowed("window_31", 31);
      break;
  }
  return form;
}

/// The image as it comes from an [..., H, W, C] tensor through permute().
torch::Tensor channels_innermost(const torch::Tensor& image) {
  return image.movedim(-3, -1).contiguous().movedim(-1, -3);
}

Problem make_problem(
    const Shape& shape,
    Variant variant,
    torch::Device device) {
  const Form form = form_of(variant);
  const auto& [input, bytes] = images(shape);
  Problem result;
  result.input =
      input.to(device, form.type, /*non_blocking=*/false, /*copy=*/true);
  result.target = form.bytes
      ? bytes.to(device)
      : (bytes.to(torch::kFloat32) / 255).to(device, form.type);
  if (form.alpha) {
    const auto alpha = torch::full_like(result.target.narrow(-3, 0, 1), 255);
    result.target = channels_innermost(torch::cat({result.target, alpha}, -3))
                        .narrow(-3, 0, shape.channels);
  } else if (form.permuted_target) {
    result.target = channels_innermost(result.target);
  }
  if (form.permuted) {
    result.input = channels_innermost(result.input);
    result.target = channels_innermost(result.target);
  }
  if (form.mask) {
    torch::manual_seed(1);
    result.mask = torch::rand({shape.height, shape.width}).to(device);
  }
  if (form.both) {
    result.target.requires_grad_();
  }
  result.options.window_size(form.window).sigma(form.sigma);
  if (form.sum) {
    result.options.reduction(torch::kSum);
  }
  if (form.map) {
    result.options.reduction(torch::kNone);
  }
  result.options.smooth_l1_beta(form.smooth_l1_beta);
  result.error_map = form.error_map;
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
  return form_of(variant).name;
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
