#include "differential_case.h"

#include "draw.h"

#include <algorithm>
#include <sstream>

namespace fused_ssim::test {
namespace {

std::int64_t draw_side(Draw& draw, std::int64_t least, std::int64_t most) {
  const auto side = draw.of<std::int64_t>(
      {draw.integer(1, 14), draw.integer(10, 70), draw.integer(110, 150)});
  return std::clamp(side, least, std::max(least, most));
}

template <typename Options>
void draw_options(Draw& draw, Options& options) {
  options.padding(
      draw.of<SSIMOptions::padding_t>({torch::kSame, torch::kValid}));
  options.reduction(draw.of<SSIMOptions::reduction_t>(
      {torch::kMean, torch::kMean, torch::kSum, torch::kNone}));
  if (draw.one_in(2)) {
    options.window_size(2 * draw.integer(1, 16) + 1);
  }
  if (draw.one_in(2)) {
    options.sigma(draw.real(0.6, 6));
  }
  if (draw.one_in(4)) {
    options.k1(draw.real(0.005, 0.05)).k2(draw.real(0.02, 0.1));
  }
  options.data_range(draw.of<double>({1, 1, 1, 2, 255}));
}

/// [C, H, W] or [N, C, H, W], with sides of `least` or more.
Sizes draw_sizes(
    Draw& draw,
    std::int64_t channels,
    std::int64_t least,
    std::int64_t max_pixels) {
  Sizes sizes = {channels};
  if (draw.one_in(2)) {
    sizes.insert(sizes.begin(), draw.integer(1, 3));
  }
  const auto planes = sizes[0] * (sizes.size() > 1 ? sizes[1] : 1);
  const auto height = draw_side(draw, least, max_pixels / planes);
  const auto width = draw_side(draw, least, max_pixels / (planes * height));
  sizes.push_back(height);
  sizes.push_back(width);
  return sizes;
}

/// A pair of pictures, float64, within `range`.
void draw_contents(Draw& draw, const Sizes& sizes, double range, Case& c) {
  const auto pair = [&] {
    const auto random = noise(sizes);
    switch (draw.integer(0, 6)) {
      case 0:
      case 1:
        return ImagePair{"random", random, noise(sizes)};
      case 2: {
        const auto photo = photograph(sizes);
        return ImagePair{"photographs", photo, disturbed(photo, 0.05)};
      }
      case 3:
        return ImagePair{"1 % apart", random, 0.99 * random};
      case 4:
        return ImagePair{
            "bright", 0.9 + 0.01 * random, 0.9 + 0.01 * noise(sizes)};
      case 5: {
        const auto half = half_dark_half_bright(sizes);
        return ImagePair{"half dark", half, disturbed(half, 0.02)};
      }
      default:
        const auto board = checkerboard(sizes);
        return ImagePair{"checkerboard", board, disturbed(board, 0.1)};
    }
  }();
  c.contents = pair.name;
  c.hard = pair.name == "half dark" || pair.name == "checkerboard";
  c.x = pair.x * range;
  c.y = pair.y * range;
}

/// Changes the layout, or expands a dimension.
torch::Tensor draw_layout(Draw& draw, const torch::Tensor& image) {
  if (draw.one_in(8)) {
    const auto dim = draw.integer(0, image.dim() - 1);
    return image.narrow(dim, 0, 1).expand(image.sizes());
  }
  return lay_out(image, draw.of(kLayouts));
}

torch::Tensor draw_mask(Draw& draw, const torch::Tensor& x) {
  const auto plane = Sizes{x.size(-2), x.size(-1)};
  Sizes sizes = plane;
  const auto kind = draw.integer(0, 4);
  const auto prepend = [&](std::int64_t size) {
    sizes.insert(sizes.begin(), size);
  };
  if (kind >= 1) {
    prepend(kind == 2 || kind == 4 ? x.size(-3) : 1);
  }
  if (kind >= 3 && x.dim() == 4) {
    prepend(x.size(0));
  }
  auto mask = draw.one_in(20) ? torch::zeros(sizes, torch::kFloat64)
                              : noise(sizes) * draw.real(0.1, 3);
  const bool binary = draw.one_in(2);
  mask = mask.to(x.device());
  mask = binary ? mask > 0.3 : mask.to(x.scalar_type());
  if (sizes.size() >= 3 && draw.one_in(2)) {
    mask = lay_out(mask, draw.of(kLayouts));
  }
  return mask;
}

torch::Tensor draw_upstream(Draw& draw, const Case& c) {
  const auto spec = c.spec();
  const auto options = torch::TensorOptions(c.x.device());
  if (!spec.none) {
    const bool wide = c.x.scalar_type() == torch::kFloat64;
    return torch::full(
        {},
        draw.of<double>({1, 1, draw.real(-4, 4), 1024}),
        options.dtype(wide ? torch::kFloat64 : torch::kFloat32));
  }
  auto sizes = c.x.sizes().vec();
  if (spec.valid) {
    sizes[sizes.size() - 2] -= spec.window_size - 1;
    sizes[sizes.size() - 1] -= spec.window_size - 1;
  }
  const auto map = (noise(sizes) - 0.3).to(options.dtype(c.x.scalar_type()));
  return draw_layout(draw, map);
}

std::string describe(const torch::Tensor& tensor) {
  std::ostringstream stream;
  if (!tensor.defined()) {
    return "none";
  }
  stream << tensor.scalar_type() << tensor.sizes() << " of strides "
         << tensor.strides();
  return stream.str();
}

Case draw_ms_ssim_case(
    Draw draw,
    torch::Device device,
    std::int64_t max_pixels) {
  Case c;
  c.op = Operator::kMSSSIM;
  draw_options(draw, c.ms_ssim);
  std::vector<double> weights(draw.integer(1, 5));
  for (double& weight : weights) {
    weight = draw.real(0.05, 0.8);
  }
  c.ms_ssim.weights(weights).window_size(2 * draw.integer(1, 5) + 1);
  const bool valid = c.spec().valid;
  const auto least =
      valid ? ((c.ms_ssim.window_size() - 1) << (weights.size() - 1)) + 1 : 1;
  const auto sizes =
      draw_sizes(draw, draw.of<std::int64_t>({1, 2, 3, 3}), least, max_pixels);
  draw_contents(draw, sizes, c.spec().data_range, c);
  const auto type = draw.of<torch::ScalarType>(
      {torch::kFloat32,
       torch::kFloat32,
       torch::kFloat64,
       torch::kFloat16,
       torch::kBFloat16});
  c.x = draw_layout(draw, c.x.to(device, type));
  const bool bytes = c.spec().data_range == 1 && draw.one_in(4);
  c.y = bytes ? (c.y * 255).round().to(device, torch::kUInt8)
              : c.y.to(device, type);
  c.y = draw_layout(draw, c.y);
  c.of_x = draw.one_in(2);
  c.of_y = !bytes && draw.one_in(3);
  const bool for_each = c.spec().none && sizes.size() == 4;
  c.upstream =
      (noise(for_each ? Sizes{sizes[0]} : Sizes{}) * 3 - 1)
          .to(device,
              type == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
  return c;
}

} // namespace

Case draw_case(
    std::uint64_t seed,
    torch::Device device,
    std::int64_t max_pixels) {
  torch::manual_seed(seed);
  Draw draw(seed);
  if (seed % 6 == 5) {
    return draw_ms_ssim_case(draw, device, max_pixels);
  }
  Case c;
  c.op = draw.of<Operator>(
      {Operator::kSSIM, Operator::kLoss, Operator::kValueAndGrad});
  if (c.op == Operator::kSSIM) {
    draw_options(draw, c.ssim);
  } else {
    c.loss = L1DSSIMLossOptions(draw.of<double>({0.2, 0.2, 0, 1, 0.7}));
    if (draw.one_in(3)) {
      c.loss.l1_weight(draw.real(0, 3)).dssim_weight(draw.real(0, 3));
    }
    draw_options(draw, c.loss);
    if (draw.one_in(3)) {
      c.loss.smooth_l1_beta(draw.real(0.001, 0.5) * c.loss.data_range());
    }
    c.loss.crop_l1(c.spec().none || draw.one_in(2));
    if (c.op == Operator::kValueAndGrad && c.spec().none) {
      c.loss.reduction(torch::kMean);
    }
    if (c.op == Operator::kValueAndGrad) {
      c.error_map = draw.of<ErrorMap>(
          {ErrorMap::kNone,
           ErrorMap::kLoss,
           ErrorMap::kDSSIM,
           ErrorMap::kContrastStructure});
    }
  }
  const auto spec = c.spec();

  const auto least = spec.valid ? spec.window_size : 1;
  const auto sizes = draw_sizes(
      draw, draw.of<std::int64_t>({1, 2, 3, 3, 4, 5}), least, max_pixels);

  draw_contents(draw, sizes, spec.data_range, c);
  const auto type = draw.of<torch::ScalarType>(
      {torch::kFloat32,
       torch::kFloat32,
       torch::kFloat32,
       torch::kFloat64,
       torch::kFloat16,
       torch::kBFloat16});
  c.x = draw_layout(draw, c.x.to(device, type));
  const bool bytes = spec.data_range == 1 && draw.one_in(4);
  c.y = bytes ? (c.y * 255).round().to(device, torch::kUInt8)
              : c.y.to(device, type);
  c.y = draw_layout(draw, c.y);
  if (draw.one_in(2)) {
    c.mask = draw_mask(draw, c.x);
  }
  c.of_x = draw.one_in(2);
  c.of_y = !bytes && draw.one_in(3);
  if (c.op == Operator::kValueAndGrad) {
    c.of_x = true;
    c.of_y = false;
  } else {
    c.upstream = draw_upstream(draw, c);
  }
  return c;
}

std::string describe(const Case& c) {
  std::ostringstream stream;
  if (c.op == Operator::kSSIM) {
    stream << SSIM(c.ssim);
  } else if (c.op == Operator::kMSSSIM) {
    stream << MSSSIM(c.ms_ssim);
  } else {
    stream << L1DSSIMLoss(c.loss)
           << (c.op == Operator::kLoss ? "" : " by l1_dssim_value_and_grad");
    if (c.error_map != ErrorMap::kNone) {
      stream << " with error map " << static_cast<int>(c.error_map);
    }
  }
  stream << "\n  " << c.contents << "\n  input " << describe(c.x)
         << "\n  target " << describe(c.y) << "\n  mask " << describe(c.mask)
         << "\n  gradient of" << (c.of_x ? " input" : "")
         << (c.of_y ? " target" : "") << (c.of_x || c.of_y ? "" : " none")
         << ", upstream " << describe(c.upstream);
  if (c.upstream.defined() && c.upstream.dim() == 0) {
    stream << " = " << c.upstream.item<double>();
  }
  return stream.str();
}

} // namespace fused_ssim::test
