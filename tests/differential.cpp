#include "differential.h"

#include "support.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>

namespace fused_ssim::test {
namespace {

enum class Operator { kSSIM, kLoss, kValueAndGrad };

/// Random choices, the same on every system.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  /// In [first, last].
  std::int64_t integer(std::int64_t first, std::int64_t last) {
    const auto count = static_cast<std::uint64_t>(last - first + 1);
    return first + static_cast<std::int64_t>(engine_() % count);
  }
  double real(double first, double last) {
    constexpr double kSteps = 1 << 20;
    return first + (last - first) * integer(0, 1 << 20) / kSteps;
  }
  bool one_in(std::int64_t n) {
    return integer(1, n) == 1;
  }
  template <typename T>
  T of(const std::vector<T>& choices) {
    return choices[integer(0, choices.size() - 1)];
  }

 private:
  std::mt19937_64 engine_;
};

/// All that a case consists of.
struct Case {
  Operator op = Operator::kSSIM;
  SSIMOptions ssim;
  L1DSSIMLossOptions loss;
  std::string contents;
  torch::Tensor x, y, mask, upstream;
  bool of_x = false, of_y = false;

  Spec spec() const {
    return op == Operator::kSSIM ? Spec(ssim) : Spec(loss);
  }
};

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
    options.window_size(2 * draw.integer(1, 15) + 1);
  }
  if (draw.one_in(2)) {
    options.sigma(draw.real(0.6, 6));
  }
  if (draw.one_in(4)) {
    options.k1(draw.real(0.005, 0.05)).k2(draw.real(0.02, 0.1));
  }
  options.data_range(draw.of<double>({1, 1, 1, 2, 255}));
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
  c.x = pair.x * range;
  c.y = pair.y * range;
}

/// Another layout, or an expanded dimension.
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

Case draw_case(Draw& draw, torch::Device device, std::int64_t max_pixels) {
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
    c.loss.crop_l1(c.spec().none || draw.one_in(2));
    if (c.op == Operator::kValueAndGrad && c.spec().none) {
      c.loss.reduction(torch::kMean);
    }
  }
  const auto spec = c.spec();

  const auto least = spec.valid ? spec.window_size : 1;
  Sizes sizes = {draw.of<std::int64_t>({1, 2, 3, 3, 4, 5})};
  if (draw.one_in(2)) {
    sizes.insert(sizes.begin(), draw.integer(1, 3));
  }
  const auto planes = sizes[0] * (sizes.size() > 1 ? sizes[1] : 1);
  const auto height = draw_side(draw, least, max_pixels / planes);
  const auto width = draw_side(draw, least, max_pixels / (planes * height));
  sizes.push_back(height);
  sizes.push_back(width);

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

std::string describe(const torch::Tensor& tensor) {
  std::ostringstream stream;
  if (!tensor.defined()) {
    return "none";
  }
  stream << tensor.scalar_type() << tensor.sizes() << " of strides "
         << tensor.strides();
  return stream.str();
}

std::string describe(const Case& c) {
  std::ostringstream stream;
  if (c.op == Operator::kSSIM) {
    stream << SSIM(c.ssim);
  } else {
    stream << L1DSSIMLoss(c.loss)
           << (c.op == Operator::kLoss ? "" : " by l1_dssim_value_and_grad");
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

double largest(const torch::Tensor& tensor) {
  return exact(tensor).abs().max().item<double>();
}

/// Collects what is wrong with a case.
class Judge {
 public:
  explicit Judge(const Case& c) : spec_(c.spec()), type_(c.x.scalar_type()) {
    weight_ = spec_.is_loss ? spec_.l1_weight + spec_.dssim_weight : 1;
    if (c.mask.defined()) {
      mask_ = largest(c.mask);
    }
    count_ = static_cast<double>(c.x.numel());
    if (c.upstream.defined()) {
      upstream_ = largest(c.upstream);
    }
  }

  void value(const torch::Tensor& actual, const torch::Tensor& expected) {
    if (actual.sizes() != expected.sizes()) {
      failures_ << "value of shape " << actual.sizes() << " instead of "
                << expected.sizes() << "\n";
      return;
    }
    const auto error = error_of(actual, expected);
    // A sum's terms are of order 1, whatever they come to.
    const double terms = spec_.mean ? 1 : count_ * mask_;
    const double bound = spec_.none
        ? map_bound() * weight_ * mask_ + rounding(actual, expected).max
        : scalar_bound() * std::max(weight_ * terms, largest(expected));
    require(error.max <= bound, "value", error, bound);
  }

  void gradient(
      const char* name,
      const torch::Tensor& actual,
      const torch::Tensor& expected) {
    if (!actual.defined() || actual.sizes() != expected.sizes()) {
      failures_ << "gradient of " << name << " is missing or misshapen\n";
      return;
    }
    const auto error = error_of(actual, expected);
    const double norm = exact(expected).norm().item<double>();
    const double distance =
        (exact(actual) - exact(expected)).norm().item<double>();
    // Where the derivative is all but zero the reference has its own rounding.
    const double terms = spec_.mean ? 0.01 * count_ : 1 / mask_;
    const double floor = 1e-12 * weight_ * upstream_ / spec_.data_range /
        terms * std::sqrt(count_);
    const double bound = gradient_bound() * norm + floor +
        rounding(actual, expected).relative_l2 * norm;
    require(distance <= bound, name, error, norm == 0 ? 0 : bound / norm);
  }

  std::string failures() const {
    return failures_.str();
  }

 private:
  bool wide() const {
    return type_ == torch::kFloat64;
  }
  bool usual_window() const {
    return spec_.window_size == 11 && spec_.sigma == 1.5 && spec_.k2 >= 0.03;
  }

  /// Maps may be few pixels of hard contrast, where each is off by up to map_bound().
  double scalar_bound() const {
    return wide() ? 1e-11 : 3e-5;
  }
  /// A narrow window sees little variance; what float32 loses is that of the
  /// squares, over C2.
  double map_bound() const {
    if (wide()) {
      return 1e-11;
    }
    return usual_window() ? 5e-5 : 1.5e-7 / (spec_.k2 * spec_.k2);
  }
  double gradient_bound() const {
    return wide() ? 1e-11 : usual_window() ? 5e-5 : 2e-4;
  }

  /// Twice what rounding to a half type costs; zero for others.
  static Error rounding(
      const torch::Tensor& actual,
      const torch::Tensor& expected) {
    Error error;
    if (actual.element_size() == 2) {
      error = error_of(
          exact(expected).to(torch::kFloat32).to(actual.dtype()), expected);
      error.max *= 2;
      error.relative_l2 *= 2;
    }
    return error;
  }

  void require(bool held, const char* what, const Error& error, double bound) {
    if (!held) {
      failures_ << what << ": " << error << "; allowed " << bound << "\n";
    }
  }

  Spec spec_;
  torch::ScalarType type_;
  double weight_ = 1, mask_ = 1, count_ = 1, upstream_ = 1;
  std::ostringstream failures_;
};

void compare(const Case& c, Judge& judge) {
  const auto reference = expected(c.x, c.y, c.spec(), c.mask, c.upstream);
  if (c.op == Operator::kValueAndGrad) {
    const auto result = F::l1_dssim_value_and_grad(c.x, c.y, c.loss, c.mask);
    judge.value(result.loss, reference.value);
    judge.gradient("input", result.grad, reference.grad_input);
    return;
  }
  const auto a = c.x.detach().requires_grad_(c.of_x);
  const auto b = c.of_y ? c.y.detach().requires_grad_() : c.y;
  const auto value = c.op == Operator::kSSIM
      ? F::ssim(a, b, c.ssim, c.mask)
      : F::l1_dssim_loss(a, b, c.loss, c.mask);
  judge.value(value, reference.value);
  if (!c.of_x && !c.of_y) {
    return;
  }
  torch::autograd::variable_list images;
  if (c.of_x) {
    images.push_back(a);
  }
  if (c.of_y) {
    images.push_back(b);
  }
  const auto gradients = torch::autograd::grad({value}, images, {c.upstream});
  if (c.of_x) {
    judge.gradient("input", gradients.front(), reference.grad_input);
  }
  if (c.of_y) {
    judge.gradient("target", gradients.back(), reference.grad_target);
  }
}

} // namespace

DifferentialCase run_differential_case(
    std::uint64_t seed,
    torch::Device device,
    std::int64_t max_pixels) {
  torch::manual_seed(seed);
  Draw draw(seed);
  DifferentialCase result;
  const auto drawn = draw_case(draw, device, max_pixels);
  result.description = describe(drawn);
  Judge judge(drawn);
  try {
    compare(drawn, judge);
    result.failure = judge.failures();
  } catch (const std::exception& error) {
    result.failure = std::string("throws ") + error.what() + "\n";
  }
  return result;
}

} // namespace fused_ssim::test
