// A trainer that uses the library: the loss as a module, the loss without
// autograd, and an exception from the library that the program catches.
#include <fused_ssim/fused_ssim.h>

#include <cmath>
#include <cstdio>
#include <sstream>

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (!holds) {
    std::printf("failed: %s\n", what);
    ++failures;
  }
}

} // namespace

int main() {
  torch::manual_seed(0);
  const auto target = torch::rand({3, 20, 24});
  auto image = torch::rand({3, 20, 24}, torch::requires_grad());

  auto loss = fused_ssim::L1DSSIMLoss(
      fused_ssim::L1DSSIMLossOptions(0.2).padding(torch::kValid));
  torch::optim::Adam adam({image}, torch::optim::AdamOptions(0.05));
  const double before = loss(image, target).item<double>();
  for (int step = 0; step < 50; ++step) {
    adam.zero_grad();
    loss(image, target).backward();
    adam.step();
  }
  const double after = loss(image, target).item<double>();
  expect(after < 0.5 * before, "50 steps halve the loss");

  std::ostringstream printed;
  printed << loss;
  expect(
      printed.str().find("L1DSSIMLoss") != std::string::npos,
      "the module prints its name");

  const auto result = fused_ssim::functional::l1_dssim_value_and_grad(
      image.detach(), target, loss->options);
  expect(
      std::abs(result.loss.item<double>() - after) < 1e-6,
      "value_and_grad gives the loss of the module");
  expect(
      fused_ssim::functional::ssim(target, target).item<double>() == 1,
      "SSIM of an image with itself is 1");

  bool caught = false;
  try {
    fused_ssim::functional::ssim(target, torch::rand({3, 20, 25}));
  } catch (const c10::Error&) {
    caught = true;
  }
  expect(caught, "unequal shapes throw c10::Error");
  return failures == 0 ? 0 : 1;
}
