// Prints the tables of docs/accuracy.md: errors of float32 against float64 on
// the same float32 images, for the library and for the plain float32
// composition.
//
//   fused_ssim_accuracy_table [cpu|cuda [HEIGHT WIDTH]]

#include "support.h"

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

namespace fused_ssim::test {
namespace {

struct Row {
  double map, above_one, gradient; // max |error|, max(map) - 1, relative L2
};

/// Measures `ssim(x, y, options)` of one implementation.
template <typename SSIM>
Row measure(const ImagePair& pair, torch::Device device, const SSIM& ssim) {
  const auto x = leaf_of(pair.x, device, torch::kFloat32);
  const auto y = pair.y.to(device, torch::kFloat32);
  auto options = SSIMOptions().data_range(pair.data_range);
  ssim(x, y, options).backward();
  const auto gradient = expected(x, y, Spec(options)).grad_input;
  options.reduction(torch::kNone);
  const auto map = ssim(x, y, options).detach();
  return {
      error_of(map, expected(x, y, Spec(options)).value).max,
      map.max().template item<double>() - 1,
      error_of(x.grad(), gradient).relative_l2};
}

void print(const ImagePair& pair, torch::Device device) {
  // The reference keeps its window on the CPU.
  const auto plain = measure(
      pair, torch::kCPU, [](const auto& x, const auto& y, const auto& options) {
        return reference(x, y, Spec(options));
      });
  const auto ours = measure(
      pair, device, [](const auto& x, const auto& y, const auto& options) {
        return F::ssim(x, y, options);
      });
  std::printf(
      "| %s | %.1e | %.1e | %.1e | %.1e | %+.0e | %+.0e |\n",
      pair.name.c_str(),
      plain.map,
      ours.map,
      plain.gradient,
      ours.gradient,
      plain.above_one,
      ours.above_one);
  std::fflush(stdout);
}

void print_table(
    torch::Device device,
    std::int64_t height,
    std::int64_t width) {
  const Sizes sizes = {3, height, width};
  std::printf(
      "| images | map: plain | map: ours | gradient: plain | gradient: ours | "
      "max SSIM - 1: plain | ours |\n|---|---|---|---|---|---|---|\n");
  const auto x = noise(sizes);
  print({"noise, another pair", x, noise(sizes)}, device);
  print({"noise, 1 % apart", x, x + 0.01 * noise(sizes)}, device);
  const auto photo = photograph(sizes);
  print(
      {"synthetic photograph, another pair", photo, disturbed(photo, 0.05)},
      device);
  for (const auto& pair : bright_low_contrast_pairs(sizes)) {
    print(pair, device);
  }
  for (const auto& pair : full_range_pairs(sizes)) {
    print(pair, device);
  }
  // Far outside of the data range.
  const auto y = noise(sizes);
  for (const int factor : {1, 10, 100, 1000, 10000}) {
    const auto name = std::to_string(factor) + " (u - 0.5) against u";
    print({name, factor * (x - 0.5), y}, device);
  }
  for (const int level : {10, 100, 1000}) {
    const auto name = std::to_string(level) + " + u, both";
    print({name, level + x, level + y}, device);
  }
}

} // namespace
} // namespace fused_ssim::test

int main(int argc, char** argv) {
  torch::manual_seed(20240229);
  try {
    const bool sized = argc > 3;
    fused_ssim::test::print_table(
        torch::Device(argc > 1 ? argv[1] : "cpu"),
        sized ? std::stoll(argv[2]) : 400,
        sized ? std::stoll(argv[3]) : 600);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
