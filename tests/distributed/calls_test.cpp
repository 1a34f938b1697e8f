#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <utility>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;
namespace F = fused_ssim::functional;

/// Images that are the same on all ranks, and this rank's rows of them.
struct Images {
  std::int64_t rows;
  torch::Tensor x, y, own_x, own_y;

  Images(
      const Ranks& ranks,
      std::int64_t rows,
      std::int64_t batch = 1,
      std::int64_t width = 29)
      : rows(rows) {
    torch::manual_seed(7);
    const auto image = [&] {
      return torch::rand({batch, 3, rows * ranks.size(), width})
          .to(ranks.device());
    };
    x = image();
    y = image();
    own_x = own(x, ranks);
    own_y = own(y, ranks);
  }

  torch::Tensor own(const torch::Tensor& image, const Ranks& ranks) const {
    const auto begin = rows * ranks.rank();
    return image.slice(-2, begin, begin + rows);
  }
};

void test_backward_alone(Ranks& ranks) {
  ranks.begin("only the last rank calls backward()");
  const Images images(ranks, 8);
  const auto x = images.own_x.clone().requires_grad_();
  const auto loss = D::l1_dssim_loss(x, images.own_y, ranks.group());
  if (ranks.rank() == ranks.size() - 1) {
    loss.backward();
    const auto whole = F::l1_dssim_value_and_grad(images.x, images.y);
    ranks.expect(
        torch::allclose(x.grad(), images.own(whole.grad, ranks), 1e-5, 1e-9),
        "wrong gradient");
  }
}

void test_retained_graph(Ranks& ranks) {
  ranks.begin("a graph that is retained");
  const Images images(ranks, 5);
  const auto x = images.own_x.clone().requires_grad_();
  const auto loss = D::ssim(x, images.own_y, ranks.group());
  const auto gradient = [&](double upstream, bool retain) {
    x.mutable_grad() = torch::Tensor();
    loss.backward(torch::full_like(loss, upstream), retain);
    return x.grad();
  };
  const auto doubled = gradient(2, true), once = gradient(1, false);
  ranks.expect(torch::equal(doubled, 2 * once), "2 is not twice 1");
}

void test_different_needs(Ranks& ranks) {
  ranks.begin("only the first rank needs a gradient");
  const Images images(ranks, 4);
  const auto x = images.own_x.clone().requires_grad_(ranks.rank() == 0);
  const auto loss = D::l1_dssim_loss(x, images.own_y, ranks.group());
  ranks.expect(
      loss.requires_grad() == x.requires_grad(), "the graph is not as x");
  const auto whole = F::l1_dssim_value_and_grad(images.x, images.y);
  ranks.expect(torch::allclose(loss, whole.loss, 0, 1e-7), "wrong value");
  if (x.requires_grad()) {
    loss.backward();
    ranks.expect(
        torch::allclose(x.grad(), images.own(whole.grad, ranks), 1e-5, 1e-9),
        "wrong gradient");
  }
}

void test_empty_batch(Ranks& ranks) {
  ranks.begin("an empty batch");
  const Images images(ranks, 4, /*batch=*/0);
  const auto mean = D::l1_dssim_value_and_grad(
      images.own_x, images.own_y, ranks.group(), {}, {}, ErrorMap::kLoss);
  ranks.expect(torch::isnan(mean.loss).item<bool>(), "a mean that is no NaN");
  ranks.expect(mean.grad.sizes() == images.own_x.sizes(), "wrong sizes");
  ranks.expect(mean.error_map.sizes() == images.own_x.sizes(), "wrong map");
  const auto sum = D::ssim(
      images.own_x,
      images.own_y,
      ranks.group(),
      SSIMOptions().reduction(torch::kSum));
  ranks.expect(sum.item<double>() == 0, "a sum that is not 0");
}

/// The first rank has `first` rows of `height`; the others share the rest.
std::pair<std::int64_t, std::int64_t> own_rows(
    const Ranks& ranks,
    std::int64_t height,
    std::int64_t first) {
  const auto begin_of = [&](std::int64_t rank) {
    return rank == 0
        ? 0
        : first + (height - first) * (rank - 1) / (ranks.size() - 1);
  };
  return ranks.size() == 1
      ? std::make_pair(std::int64_t(0), height)
      : std::make_pair(begin_of(ranks.rank()), begin_of(ranks.rank() + 1));
}

/// Each kind of map, at each cut, against the rows of the whole image's map.
void test_error_map(
    Ranks& ranks,
    torch::ScalarType type,
    const L1DSSIMLossOptions& options,
    bool masked) {
  const std::int64_t height = 22, width = 19;
  torch::manual_seed(8);
  const auto image = [&](at::IntArrayRef sizes) {
    return torch::rand(sizes, torch::kFloat64).to(ranks.device(), type);
  };
  const auto x = image({2, 3, height, width}), y = image(x.sizes());
  const auto mask = masked ? image({height, width}) : torch::Tensor();
  const double tolerance = type == torch::kFloat64 ? 1e-12 : 1e-6;
  const auto cuts = ranks.size() == 1 ? 1 : height - ranks.size() + 1;
  for (std::int64_t cut = 1; cut <= cuts; ++cut) {
    const auto rows = own_rows(ranks, height, cut);
    const auto own = [&](const torch::Tensor& of) {
      return of.defined() ? of.slice(-2, rows.first, rows.second) : of;
    };
    const auto call = [&](ErrorMap kind) {
      return D::l1_dssim_value_and_grad(
          own(x), own(y), ranks.group(), options, own(mask), kind);
    };
    const auto plain = call(ErrorMap::kNone);
    for (const auto kind :
         {ErrorMap::kLoss, ErrorMap::kDSSIM, ErrorMap::kContrastStructure}) {
      std::ostringstream name;
      name << "error map " << int(kind) << " of " << type << ", cut behind row "
           << cut << (masked ? ", mask" : "");
      ranks.begin(name.str());
      const auto split = call(kind);
      ranks.expect(
          torch::equal(split.loss, plain.loss) &&
              torch::equal(split.l1, plain.l1) &&
              torch::equal(split.ssim, plain.ssim) &&
              torch::equal(split.grad, plain.grad),
          "the map changes the result");
      const auto expected = own_map(
          F::l1_dssim_value_and_grad(x, y, options, mask, kind).error_map,
          options,
          rows.first,
          rows.second);
      const auto& map = split.error_map;
      const bool fits = map.sizes() == expected.sizes() &&
          map.scalar_type() == type && map.is_contiguous() &&
          map.device() == x.device() && !map.requires_grad();
      ranks.expect(fits, "wrong form: ", map.toString(), map.sizes());
      if (fits && map.numel() > 0) {
        const auto error =
            ((map - expected).norm() / expected.norm()).item<double>();
        ranks.expect(error <= tolerance, "error ", error);
      }
    }
    ranks.expect(!plain.error_map.defined(), "a map that nobody asked for");
  }
}

void test_error_maps(Ranks& ranks) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const bool masked : {false, true}) {
      auto options = L1DSSIMLossOptions(0.4).window_size(7);
      test_error_map(ranks, type, options, masked);
      test_error_map(ranks, type, options.padding(torch::kValid), masked);
    }
  }
}

/// On CUDA the edges of small strips are not computed apart from the middle.
void test_large_strips(Ranks& ranks) {
  if (!ranks.device().is_cuda()) {
    return;
  }
  ranks.begin("large strips");
  const Images images(ranks, 1800, /*batch=*/1, /*width=*/2400);
  const auto mask = images.x[0][0] > 0.3;
  const auto kind = ErrorMap::kLoss;
  const auto whole =
      F::l1_dssim_value_and_grad(images.x, images.y, {}, mask, kind);
  const auto split = D::l1_dssim_value_and_grad(
      images.own_x,
      images.own_y,
      ranks.group(),
      {},
      images.own(mask, ranks),
      kind);
  ranks.expect(torch::allclose(split.loss, whole.loss, 0, 1e-7), "wrong value");
  const auto gradient = images.own(whole.grad, ranks);
  ranks.expect(
      ((split.grad - gradient).norm() / gradient.norm()).item<double>() <= 1e-6,
      "wrong gradient");
  const auto map = images.own(whole.error_map, ranks);
  ranks.expect(
      ((split.error_map - map).norm() / map.norm()).item<double>() <= 1e-6,
      "wrong map");
}

void test_zero_mask(Ranks& ranks) {
  ranks.begin("a mask of zeros");
  const Images images(ranks, 6);
  const auto zero = torch::zeros({6, 29}, images.x.options());
  const auto nothing = D::l1_dssim_value_and_grad(
      images.own_x, images.own_y, ranks.group(), {}, zero);
  ranks.expect(nothing.loss.item<double>() == 0, "the loss is not 0");
  ranks.expect(nothing.ssim.item<double>() == 1, "SSIM is not 1");
  ranks.expect(nothing.grad.eq(0).all().item<bool>(), "the gradient is not 0");
}

void test_zero_tensor(Ranks& ranks) {
  ranks.begin("a tensor without memory");
  const Images images(ranks, 6);
  const auto zero =
      torch::_efficientzerotensor(images.own_y.sizes(), images.own_y.options());
  const auto split = D::ssim(images.own_x, zero, ranks.group());
  const auto whole = F::ssim(images.x, torch::zeros_like(images.y));
  ranks.expect(torch::allclose(split, whole, 0, 1e-7), "wrong value");
}

} // namespace

void test_calls(Ranks& ranks) {
  test_backward_alone(ranks);
  test_retained_graph(ranks);
  test_different_needs(ranks);
  test_empty_batch(ranks);
  test_error_maps(ranks);
  test_large_strips(ranks);
  test_zero_mask(ranks);
  test_zero_tensor(ranks);
}

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ refusals ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

namespace {

/// A call whose arguments a test changes on some ranks.
struct Arguments {
  torch::Tensor input, target, mask;
  L1DSSIMLossOptions options;

  explicit Arguments(const Images& images)
      : input(images.own_x),
        target(images.own_y) {}
};

void expect_refused(
    Ranks& ranks,
    const std::string& name,
    const std::string& part, // of the message
    const std::function<void()>& call) {
  ranks.begin(name);
  std::string message = "no error";
  try {
    call();
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  }
  ranks.expect(
      message.find(part) != std::string::npos,
      "expected \"",
      part,
      "\" in the message, but it is \"",
      message,
      '"');
  ranks.expect(ranks.agree_on(message), "another message: \"", message, '"');
}

} // namespace

void test_refusals(Ranks& ranks) {
  const Images images(ranks, 6);
  const auto device = torch::TensorOptions(ranks.device());
  const auto call = [&](const Arguments& arguments) {
    D::l1_dssim_loss(
        arguments.input,
        arguments.target,
        ranks.group(),
        arguments.options,
        arguments.mask);
  };
  /// `change` makes the arguments of the last rank bad.
  const auto bad = [&](const std::string& name,
                       const std::string& part,
                       const std::function<void(Arguments&)>& change) {
    expect_refused(ranks, name, part, [&] {
      Arguments arguments(images);
      if (ranks.rank() == ranks.size() - 1) {
        change(arguments);
      }
      call(arguments);
    });
  };
  bad("an undefined input", "expected input to be a tensor", [](auto& a) {
    a.input = torch::Tensor();
  });
  bad("no rows", "expected one row or more on each rank", [](auto& a) {
    a.input = a.input.slice(-2, 0, 0);
    a.target = a.target.slice(-2, 0, 0);
  });
  bad("another shape", "input and target of the same shape", [](auto& a) {
    a.target = a.target.slice(-1, 1);
  });
  bad("an even window", "expected window_size to be odd", [](auto& a) {
    a.options.window_size(4);
  });
  bad("a mask that does not fit", "expected mask of shape", [&](auto& a) {
    a.mask = torch::ones({3, 3}, device);
  });
  bad("the rank of the mistake",
      "(on rank " + std::to_string(ranks.size() - 1) + " of " +
          std::to_string(ranks.size()) + ")",
      [](auto& a) { a.options.sigma(-1); });
  const auto devices = ranks.group()->getDeviceTypes();
  if (std::find(devices.begin(), devices.end(), torch::Device(torch::kCPU)) ==
      devices.end()) {
    bad("images on the CPU",
        "that the process group has a backend for",
        [](auto& a) {
          a.input = a.input.cpu();
          a.target = a.target.cpu();
        });
  }
  if (ranks.device().is_cpu()) {
    bad("a negative weight", "finite weights >= 0", [](auto& a) {
      a.mask = torch::full({6, 29}, -1.0);
    });
  }
  expect_refused(ranks, "no reduction", "but got kNone", [&] {
    Arguments arguments(images);
    arguments.options.reduction(torch::kNone);
    call(arguments);
  });
  expect_refused(
      ranks, "an image below the window", "with padding kValid", [&] {
        Arguments arguments(images);
        arguments.options.window_size(31).padding(torch::kValid);
        call(arguments);
      });
  expect_refused(
      ranks, "a map that there is not", "expected error_map kNone, kLoss", [&] {
        const bool last = ranks.rank() == ranks.size() - 1;
        D::l1_dssim_value_and_grad(
            images.own_x,
            images.own_y,
            ranks.group(),
            {},
            {},
            last ? static_cast<ErrorMap>(7) : ErrorMap::kLoss);
      });
  expect_refused(ranks, "create_graph", "without create_graph", [&] {
    const auto x = images.own_x.clone().requires_grad_();
    const auto loss = D::ssim(x, images.own_y, ranks.group());
    torch::autograd::grad(
        {loss}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true);
  });
  expect_refused(ranks, "no group", "expected a process group", [&] {
    D::ssim(images.own_x, images.own_y, Group());
  });

  if (ranks.size() == 1) {
    return;
  }
  /// `change` makes the arguments of the last rank differ.
  const auto differ = [&](const std::string& what,
                          const std::function<void(Arguments&)>& change) {
    bad("different " + what,
        "expected the same " + what + " on all ranks",
        change);
  };
  differ("window_size", [](auto& a) { a.options.window_size(7); });
  differ("sigma", [](auto& a) { a.options.sigma(2); });
  differ("data_range", [](auto& a) { a.options.data_range(2); });
  differ("k1", [](auto& a) { a.options.k1(0.02); });
  differ("k2", [](auto& a) { a.options.k2(0.02); });
  differ("padding", [](auto& a) {
    a.options.window_size(11).padding(torch::kValid);
  });
  differ("reduction", [](auto& a) { a.options.reduction(torch::kSum); });
  differ("l1_weight", [](auto& a) { a.options.l1_weight(0.5); });
  differ("dssim_weight", [](auto& a) { a.options.dssim_weight(0.5); });
  differ("smooth_l1_beta", [](auto& a) { a.options.smooth_l1_beta(0.1); });
  differ("crop_l1", [](auto& a) { a.options.crop_l1(true); });
  differ("type of input", [](auto& a) {
    a.input = a.input.to(torch::kFloat64);
    a.target = a.target.to(torch::kFloat64);
  });
  differ("type of target", [](auto& a) {
    a.target = (a.target * 255).to(torch::kUInt8);
  });
  differ("batch size", [](auto& a) {
    a.input = a.input.squeeze(0);
    a.target = a.target.squeeze(0);
  });
  differ("number of channels", [](auto& a) {
    a.input = a.input.slice(1, 0, 2);
    a.target = a.target.slice(1, 0, 2);
  });
  differ("width", [](auto& a) {
    a.input = a.input.slice(-1, 1);
    a.target = a.target.slice(-1, 1);
  });
  differ("type of mask", [&](auto& a) {
    a.mask = torch::ones({6, 29}, device);
  });
  expect_refused(ranks, "different masks", "channels of mask", [&] {
    Arguments arguments(images);
    arguments.mask = torch::ones({6, 29}, device);
    if (ranks.rank() == 0) {
      arguments.mask = arguments.mask.unsqueeze(0);
    }
    call(arguments);
  });
  const auto last = ranks.size() - 1;
  expect_refused(
      ranks,
      "different maps",
      "expected the same error_map on all ranks, but got kNone on rank 0 and "
      "kDSSIM on rank " +
          std::to_string(last),
      [&] {
        D::l1_dssim_value_and_grad(
            images.own_x,
            images.own_y,
            ranks.group(),
            {},
            {},
            ranks.rank() == last ? ErrorMap::kDSSIM : ErrorMap::kNone);
      });
  expect_refused(
      ranks, "different functions", "expected the same function", [&] {
        if (ranks.rank() == 0) {
          D::ssim(images.own_x, images.own_y, ranks.group());
        } else {
          D::l1_dssim_loss(images.own_x, images.own_y, ranks.group());
        }
      });
}

} // namespace fused_ssim::test
