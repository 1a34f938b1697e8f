// SSIM, MS-SSIM, L1 and PSNR of two image files.

#include "device.h"
#include "image_io.h"
#include "program.h"

#include <fused_ssim/fused_ssim.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace {

using namespace programs;

struct CompareConfig {
  std::string a, b;
  std::string padding = "same";
  int64_t window_size = 11;
  double sigma = 1.5;
  std::string device = "auto";
  std::string map;
  bool ms_ssim = false;
  bool json = false;
};

struct Comparison {
  double ssim, l1, psnr;
  std::optional<double> ms_ssim;
  torch::Tensor map; // [C, H, W]; without the border for padding valid
};

/// Returns the error message for the value of --window-size, empty if it is good.
std::string odd_window_size(const std::string& text) {
  const bool good =
      integer_error(text, 3, 33).empty() && std::stoi(text) % 2 == 1;
  return good ? "" : "expected an odd number from 3 to 33, but got " + text;
}

CompareConfig parse(CLI::App& app, int argc, char** argv) {
  CompareConfig config;
  app.add_option("A", config.a, "Image: PNG or JPEG")->required();
  app.add_option("B", config.b, "Image of the same size")->required();
  app.add_option(
         "--padding",
         config.padding,
         "same (zeros), valid (only windows inside the images) or reflect "
         "(mirrored, as torchmetrics and kornia do)")
      ->capture_default_str();
  app.add_option(
         "--window-size", config.window_size, "Odd number of pixels, 3 .. 33")
      ->check(odd_window_size)
      ->capture_default_str();
  app.add_option("--sigma", config.sigma, "Of the Gaussian window, in pixels")
      ->capture_default_str();
  app.add_option("--device", config.device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  app.add_option(
      "--map",
      config.map,
      "Write the SSIM map, 1 being white, to this PNG file");
  app.add_flag(
      "--ms-ssim",
      config.ms_ssim,
      "Print MS-SSIM too: 5 scales, windows inside the images only");
  app.add_flag("--json", config.json, "Print one JSON object");
  app.parse(argc, argv);

  if (config.padding != "same" && config.padding != "valid" &&
      config.padding != "reflect") {
    throw BadInput(
        "--padding: expected same, valid or reflect, but got " +
        config.padding);
  }
  if (!(config.sigma > 0 && std::isfinite(config.sigma))) {
    throw BadInput(
        "--sigma: expected a finite number > 0, but got " +
        std::to_string(config.sigma));
  }
  return config;
}

/// Throws BadInput if the image is too small to be mirrored by half a window.
void check_can_be_mirrored(const Image& image, int64_t radius) {
  const auto height = image.pixels.size(1), width = image.pixels.size(2);
  if (std::min(height, width) <= radius) {
    throw BadInput(
        image.path + ": expected more than " + std::to_string(radius) +
        " pixels on each side, half the SSIM window, with --padding reflect, "
        "but got " +
        std::to_string(width) + " x " + std::to_string(height));
  }
}

torch::Tensor mirrored(
    const torch::Tensor& image, // [C, H, W]
    int64_t border) {
  return torch::nn::functional::pad(
      image,
      torch::nn::functional::PadFuncOptions({border, border, border, border})
          .mode(torch::kReflect));
}

Comparison compare(
    const torch::Tensor& a, // [C, H, W]
    const torch::Tensor& b, // [C, H, W]
    const CompareConfig& config) {
  auto options = fused_ssim::SSIMOptions()
                     .window_size(config.window_size)
                     .sigma(config.sigma);
  if (config.padding != "same") {
    options.padding(torch::kValid);
  }
  // Reflection: then the windows inside the mirrored images are those of all pixels.
  const auto border = config.padding == "reflect" ? config.window_size / 2 : 0;
  const auto x = border == 0 ? a : mirrored(a, border);
  const auto y = border == 0 ? b : mirrored(b, border);

  std::optional<double> ms_ssim;
  if (config.ms_ssim) {
    ms_ssim = fused_ssim::functional::ms_ssim(
                  a,
                  b,
                  fused_ssim::MSSSIMOptions()
                      .window_size(config.window_size)
                      .sigma(config.sigma))
                  .item<double>();
  }
  const auto error = a - b;
  const auto mean_squared_error = error.square().mean().item<double>();
  const auto ssim = fused_ssim::functional::ssim(x, y, options).item<double>();
  return {
      ssim,
      error.abs().mean().item<double>(),
      psnr(mean_squared_error),
      ms_ssim,
      fused_ssim::functional::ssim(x, y, options.reduction(torch::kNone))};
}

/// MS-SSIM needs a window at the coarsest scale.
void check_holds_scales(const Image& image, int64_t window_size) {
  const auto halvings = fused_ssim::MSSSIMOptions().weights().size() - 1;
  const int64_t least = ((window_size - 1) << halvings) + 1;
  const auto height = image.pixels.size(1), width = image.pixels.size(2);
  if (std::min(height, width) < least) {
    const auto size = std::to_string(least);
    throw BadInput(
        image.path + ": expected at least " + size + " x " + size +
        " pixels with --ms-ssim, but got " + std::to_string(width) + " x " +
        std::to_string(height));
  }
}

/// Rounded to 9 significant digits.
double rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return std::strtod(text, nullptr);
}

void print_json(
    const CompareConfig& config,
    const torch::Tensor& image, // [C, H, W]
    const Comparison& result) {
  nlohmann::ordered_json object;
  object["ssim"] = rounded(result.ssim);
  object["dssim"] = rounded(1 - result.ssim);
  if (result.ms_ssim) {
    object["ms_ssim"] = rounded(*result.ms_ssim);
  }
  object["l1"] = rounded(result.l1);
  object["psnr"] = rounded(result.psnr); // infinite, for equal images: null
  object["width"] = image.size(2);
  object["height"] = image.size(1);
  object["channels"] = image.size(0);
  object["padding"] = config.padding;
  object["device"] = image.device().str();
  std::puts(object.dump().c_str());
}

void print_table(
    const CompareConfig& config,
    const torch::Tensor& image, // [C, H, W]
    const Comparison& result) {
  std::printf("SSIM     %.9g\n", result.ssim);
  std::printf("D-SSIM   %.9g\n", 1 - result.ssim);
  if (result.ms_ssim) {
    std::printf("MS-SSIM  %.9g\n", *result.ms_ssim);
  }
  std::printf("L1       %.9g\n", result.l1);
  std::printf("PSNR     %.9g dB\n", result.psnr);
  std::printf(
      "size     %ld x %ld %s\n",
      long(image.size(2)),
      long(image.size(1)),
      image.size(0) == 1 ? "grey" : "RGB");
  std::printf("padding  %s\n", config.padding.c_str());
  std::printf("device   %s\n", image.device().str().c_str());
}

int compare_images(CLI::App& app, int argc, char** argv) {
  const auto config = parse(app, argc, argv);
  const auto device = choose_device(config.device);
  // float64, so that the 9 printed digits are right.
  const auto a = load_image(config.a, torch::kFloat64);
  const auto b = load_image(config.b, torch::kFloat64);
  check_same_size(b, a);
  if (config.padding == "valid") {
    check_holds_window(a, config.window_size);
  } else if (config.padding == "reflect") {
    check_can_be_mirrored(a, config.window_size / 2);
  }
  if (config.ms_ssim) {
    check_holds_scales(a, config.window_size);
  }

  const auto pixels = a.pixels.to(device);
  const auto result = compare(pixels, b.pixels.to(device), config);
  if (!config.map.empty()) {
    save_image(config.map, result.map.mean(0, true));
  }
  if (config.json) {
    print_json(config, pixels, result);
  } else {
    print_table(config, pixels, result);
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Compare two image files by SSIM, MS-SSIM, L1 and PSNR.",
      "compare_images");
  app.set_version_flag("--version", fused_ssim::version());
  return run_program(app, [&] { return compare_images(app, argc, argv); });
}
