#include "../draw.h"
#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <cmath>
#include <sstream>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;
namespace F = fused_ssim::functional;

enum class Operator { kSSIM, kLoss, kValueAndGrad };

/// One call on the whole image, and how its rows are spread.
struct Case {
  Operator op;
  SSIMOptions ssim;
  L1DSSIMLossOptions loss;
  torch::Tensor x, y, mask; // the whole images, on the device
  bool of_x, of_y; // which gradients
  double upstream; // gradient of the value
  ErrorMap error_map; // of kValueAndGrad
  std::vector<std::int64_t> rows; // of each rank
  std::int64_t begin, end; // rows of this rank
};

template <typename Options>
void draw_options(Draw& draw, Options& options) {
  options.window_size(draw.of<std::int64_t>({3, 5, 7, 11, 11, 11, 17, 33}));
  options.padding(
      draw.of<SSIMOptions::padding_t>({torch::kSame, torch::kValid}));
  options.reduction(draw.of<SSIMOptions::reduction_t>(
      {torch::kMean, torch::kMean, torch::kSum}));
  if (draw.one_in(3)) {
    options.sigma(draw.of<double>({0.7, 2.5})).k1(0.02).k2(0.05);
  }
  options.data_range(draw.of<double>({1, 1, 1, 2}));
}

/// The same values with other strides.
torch::Tensor lay_out(const torch::Tensor& image, std::int64_t layout) {
  switch (layout) {
    case 0: // [H, W, C]
      return image.movedim(-3, -1).contiguous().movedim(-1, -3);
    case 1: // transposed
      return image.transpose(-2, -1).contiguous().transpose(-2, -1);
    case 2: { // each second column of a wider image
      auto sizes = image.sizes().vec();
      sizes.back() *= 2;
      auto wide = torch::zeros(sizes, image.options());
      wide.slice(-1, 1, {}, 2).copy_(image);
      return wide.slice(-1, 1, {}, 2);
    }
    default:
      return image;
  }
}

Case draw_case(std::uint64_t seed, const Ranks& ranks) {
  Draw draw(seed);
  torch::manual_seed(seed);
  Case drawn;
  drawn.op = draw.of<Operator>(
      {Operator::kSSIM,
       Operator::kLoss,
       Operator::kLoss,
       Operator::kValueAndGrad});
  draw_options(draw, drawn.ssim);
  draw_options(draw, drawn.loss);
  drawn.loss.l1_weight(draw.of<double>({0.8, 0.8, 0, 3}))
      .dssim_weight(draw.of<double>({0.2, 0.2, 0.2, 0}))
      .crop_l1(draw.one_in(2));

  std::int64_t height = 0;
  for (std::int64_t rank = 0; rank < ranks.size(); ++rank) {
    drawn.rows.push_back(draw.of<std::int64_t>(
        {1,
         1,
         3,
         3,
         draw.integer(1, 12),
         draw.integer(10, 30),
         draw.integer(60, 140)}));
    if (rank == ranks.rank()) {
      drawn.begin = height;
      drawn.end = height + drawn.rows.back();
    }
    height += drawn.rows.back();
  }
  std::int64_t width = draw.of<std::int64_t>({1, 9, 16, 33, 40, 67});
  const auto fit = [&](auto& options) {
    if (height < options.window_size() || width < options.window_size()) {
      options.padding(torch::kSame);
    }
  };
  fit(drawn.ssim);
  fit(drawn.loss);

  std::vector<std::int64_t> sizes = {draw.integer(1, 4), height, width};
  if (draw.one_in(2)) {
    sizes.insert(sizes.begin(), draw.integer(1, 2));
  }
  const auto type = draw.of<torch::ScalarType>(
      {torch::kFloat32,
       torch::kFloat32,
       torch::kFloat32,
       torch::kFloat64,
       torch::kFloat16,
       torch::kBFloat16});
  auto x = torch::rand(sizes, torch::kFloat64);
  auto y = (x + 0.1 * torch::randn(sizes, torch::kFloat64)).clamp(0, 1);
  drawn.x = lay_out(x.to(type), draw.integer(0, 5)).to(ranks.device());
  drawn.y = lay_out(
                draw.one_in(4) ? (y * 255).to(torch::kUInt8) : y.to(type),
                draw.integer(0, 5))
                .to(ranks.device());
  if (draw.one_in(2)) {
    std::vector<std::int64_t> mask_sizes = {height, width};
    const auto dims = draw.integer(2, std::int64_t(sizes.size()));
    if (dims > 2) {
      mask_sizes.insert(
          mask_sizes.begin(), draw.one_in(2) ? 1 : sizes[sizes.size() - 3]);
    }
    if (dims > 3) {
      mask_sizes.insert(mask_sizes.begin(), sizes[0]);
    }
    auto mask = torch::rand(mask_sizes, torch::kFloat64);
    mask.masked_fill_(mask < 0.3, 0);
    drawn.mask = draw.one_in(2) ? mask > 0 : mask.to(type);
    drawn.mask = drawn.mask.to(ranks.device());
  }
  drawn.of_x = !draw.one_in(4);
  drawn.of_y = drawn.y.scalar_type() != torch::kUInt8 && draw.one_in(3);
  drawn.upstream = draw.of<double>({1, 1, -0.5});
  drawn.loss.smooth_l1_beta(draw.of<double>({0, 0, 0.05}));
  drawn.error_map = draw.of<ErrorMap>(
      {ErrorMap::kNone,
       ErrorMap::kLoss,
       ErrorMap::kDSSIM,
       ErrorMap::kContrastStructure});
  return drawn;
}

std::string describe(std::uint64_t seed, const Case& drawn) {
  std::ostringstream text;
  const bool is_ssim = drawn.op == Operator::kSSIM;
  text << "seed " << seed << ", "
       << (is_ssim                           ? "ssim"
               : drawn.op == Operator::kLoss ? "loss"
                                             : "value and grad")
       << ", window "
       << (is_ssim ? drawn.ssim.window_size() : drawn.loss.window_size())
       << (std::holds_alternative<torch::enumtype::kValid>(
               is_ssim ? drawn.ssim.padding() : drawn.loss.padding())
               ? ", valid"
               : "")
       << ", " << drawn.x.scalar_type() << drawn.x.sizes() << ", rows "
       << drawn.rows << (drawn.mask.defined() ? ", mask" : "");
  if (drawn.op == Operator::kValueAndGrad) {
    text << ", error map " << int(drawn.error_map);
  }
  return text.str();
}

/// Value, gradients and logs of one call; what is not wanted is undefined.
struct Result {
  torch::Tensor value, l1, ssim, grad_x, grad_y, error_map;
};

/// `call` is the function of either namespace for an operator.
template <typename SSIM, typename Loss, typename ValueAndGrad>
Result evaluate(
    const Case& drawn,
    const torch::Tensor& x_values,
    const torch::Tensor& y_values,
    const SSIM& ssim,
    const Loss& loss,
    const ValueAndGrad& value_and_grad) {
  Result result;
  if (drawn.op == Operator::kValueAndGrad) {
    const auto all = value_and_grad(x_values, y_values);
    return {all.loss, all.l1, all.ssim, all.grad, {}, all.error_map};
  }
  const auto x = x_values.detach().requires_grad_(drawn.of_x);
  const auto y = drawn.of_y ? y_values.detach().requires_grad_() : y_values;
  const auto value = drawn.op == Operator::kSSIM ? ssim(x, y) : loss(x, y);
  if (value.requires_grad()) {
    value.backward(torch::full_like(value, drawn.upstream));
  }
  return {value.detach(), {}, {}, x.grad(), y.grad(), {}};
}

double tolerance(const torch::Tensor& image) {
  switch (image.scalar_type()) {
    case torch::kFloat64:
      return 1e-12;
    case torch::kFloat16: // one element may be rounded the other way
      return 1e-3;
    case torch::kBFloat16:
      return 8e-3;
    default: // one column in zeros: the variance is a difference of large numbers
      return image.size(-1) == 1 ? 1e-5 : 1e-6;
  }
}

double length(const torch::Tensor& tensor) {
  return tensor.to(torch::kFloat64).norm().item<double>();
}

/// The relative error of float32 in the whole image, from the same call in float64. Where
/// it is large, a split image may be that much off, too.
double rounding(const torch::Tensor& whole, const torch::Tensor& exact) {
  if (!whole.defined() || whole.scalar_type() != torch::kFloat32) {
    return 0;
  }
  const auto size = length(exact);
  return size == 0 ? 0 : length(whole.to(torch::kFloat64) - exact) / size;
}

void compare(
    Ranks& ranks,
    const char* what,
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double tolerance) {
  ranks.expect(
      actual.defined() == expected.defined(),
      what,
      " is there: ",
      actual.defined(),
      ", expected: ",
      expected.defined());
  if (!actual.defined() || !expected.defined()) {
    return;
  }
  ranks.expect(
      actual.scalar_type() == expected.scalar_type() &&
          actual.sizes() == expected.sizes() &&
          actual.device() == expected.device(),
      what,
      ": ",
      actual.toString(),
      actual.sizes(),
      ", expected ",
      expected.toString(),
      expected.sizes());
  const auto error =
      length(actual.to(torch::kFloat64) - expected.to(torch::kFloat64));
  const auto size = length(expected);
  // The smallest numbers have a few bits only.
  const double least = actual.scalar_type() == torch::kFloat16 ? 2e-7 : 1e-40;
  ranks.expect(
      error <=
          least + tolerance * (actual.dim() == 0 ? std::max(size, 1.0) : size),
      what,
      ": error ",
      error,
      " of ",
      size);
}

void test_case(Ranks& ranks, std::uint64_t seed) {
  const auto drawn = draw_case(seed, ranks);
  ranks.begin(describe(seed, drawn));
  const auto own = [&](const torch::Tensor& image) {
    return image.defined() ? image.slice(-2, drawn.begin, drawn.end) : image;
  };
  const auto& mask = drawn.mask;
  const auto whole = [&](const torch::Tensor& x_values,
                         const torch::Tensor& y_values,
                         const torch::Tensor& weights) {
    return evaluate(
        drawn,
        x_values,
        y_values,
        [&](auto& x, auto& y) { return F::ssim(x, y, drawn.ssim, weights); },
        [&](auto& x, auto& y) {
          return F::l1_dssim_loss(x, y, drawn.loss, weights);
        },
        [&](auto& x, auto& y) {
          return F::l1_dssim_value_and_grad(
              x, y, drawn.loss, weights, drawn.error_map);
        });
  };
  const auto expected = whole(drawn.x, drawn.y, mask);
  const auto wide = [](const torch::Tensor& image) {
    return image.defined() && image.is_floating_point()
        ? image.to(torch::kFloat64)
        : image;
  };
  const auto exact = whole(wide(drawn.x), wide(drawn.y), wide(mask));
  const auto& group = ranks.group();
  const auto actual = evaluate(
      drawn,
      own(drawn.x),
      own(drawn.y),
      [&](auto& x, auto& y) {
        return D::ssim(x, y, group, drawn.ssim, own(mask));
      },
      [&](auto& x, auto& y) {
        return D::l1_dssim_loss(x, y, group, drawn.loss, own(mask));
      },
      [&](auto& x, auto& y) {
        return D::l1_dssim_value_and_grad(
            x, y, group, drawn.loss, own(mask), drawn.error_map);
      });
  const auto type = drawn.x.scalar_type();
  // One unit in the last place of float32 is at most 1.2e-7. For one column, see
  // tolerance().
  const double last_place = type == torch::kFloat64 ? 1e-12
      : drawn.x.size(-1) == 1                       ? 1e-6
                                                    : 1.2e-7;
  const auto compare_scalar = [&](const char* what,
                                  torch::Tensor Result::*scalar) {
    compare(
        ranks,
        what,
        actual.*scalar,
        expected.*scalar,
        last_place + 2 * rounding(expected.*scalar, exact.*scalar));
  };
  compare_scalar("value", &Result::value);
  compare_scalar("l1", &Result::l1);
  compare_scalar("ssim", &Result::ssim);
  const auto bits = [&](const torch::Tensor& scalar) {
    return !scalar.defined() || ranks.agree_on(scalar);
  };
  ranks.expect(
      bits(actual.value) && bits(actual.l1) && bits(actual.ssim),
      "the ranks have different bits, here ",
      actual.value);
  const auto compare_image = [&](const char* what,
                                 torch::Tensor Result::*image,
                                 const auto& own,
                                 double factor = 1) {
    const auto& all = expected.*image;
    compare(
        ranks,
        what,
        actual.*image,
        own(all),
        std::max(
            factor * tolerance(drawn.x),
            3 *
                std::max(
                    rounding(all, exact.*image),
                    rounding(own(all), own(exact.*image)))));
  };
  compare_image("gradient in input", &Result::grad_x, own);
  compare_image("gradient in target", &Result::grad_y, own);
  // A rank's few pixels are not evened out by a window: 1.3e-6 was seen on CUDA.
  compare_image(
      "map of errors",
      &Result::error_map,
      [&](const torch::Tensor& map) {
        return map.defined() ? own_map(map, drawn.loss, drawn.begin, drawn.end)
                             : map;
      },
      /*factor=*/3);
  if (drawn.op == Operator::kValueAndGrad) {
    ranks.expect(
        actual.grad_x.strides() == torch::empty_like(own(drawn.x)).strides(),
        "gradient in input has strides ",
        actual.grad_x.strides());
  }
}

} // namespace

void test_values(Ranks& ranks, std::int64_t cases, std::uint64_t first_seed) {
  for (std::int64_t i = 0; i < cases; ++i) {
    test_case(ranks, first_seed + std::uint64_t(i));
  }
}

} // namespace fused_ssim::test
