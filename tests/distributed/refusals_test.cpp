#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <functional>
#include <string>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;

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
