// Optimises an image toward a photograph with L1 + D-SSIM and Adam. A trainer
// of gaussian splatting optimises its renders in the same way. The loop is in
// `optimize`.
//
// The pixels are free parameters and may leave [0, 1]. All figures are those of
// the unclamped image. Only the PNG files are clamped.

#include "contact_sheet.h"
#include "device.h"
#include "files.h"
#include "image_io.h"
#include "optimize_config.h"
#include "program.h"
#include "progress_bar.h"

#include <fused_ssim/fused_ssim.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace programs;
using nlohmann::ordered_json;

volatile std::sig_atomic_t interrupted = 0; // by this signal

/// The first Ctrl-C (or SIGTERM) ends the loop, and the second one ends the
/// program.
void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { interrupted = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct Metrics {
  int64_t step = 0; // of which it is the result; 0: the start
  double loss = 0, l1 = 0, ssim = 0, psnr = 0;
};

struct Stage {
  Metrics metrics;
  torch::Tensor image; // [C, H, W]
};

struct Run {
  std::vector<Metrics> history; // the start first, the result last
  std::vector<Stage> stages; // the start first
  torch::Tensor image; // [C, H, W] the result
  double seconds = 0;
};

/// Reads all figures with one wait for the device.
Metrics measure(
    int64_t step,
    const torch::Tensor& image, // [C, H, W]
    const torch::Tensor& target, // [C, H, W]
    const fused_ssim::L1DSSIMLossOptions& options) {
  const torch::NoGradGuard no_grad;
  const auto result =
      fused_ssim::functional::l1_dssim_value_and_grad(image, target, options);
  const auto figures =
      torch::stack(
          {result.loss, result.l1, result.ssim, torch::mse_loss(image, target)})
          .cpu();
  const auto* figure = figures.data_ptr<float>();
  return {step, figure[0], figure[1], figure[2], psnr(figure[3])};
}

std::string describe(const Metrics& metrics) {
  char text[96];
  std::snprintf(
      text,
      sizeof(text),
      "loss %.5f  SSIM %.5f  PSNR %.2f dB",
      metrics.loss,
      metrics.ssim,
      metrics.psnr);
  return text;
}

Run optimize(
    const OptimizeConfig& config,
    const torch::Tensor& start, // [C, H, W]
    const torch::Tensor& target) { // [C, H, W]
  const auto options = fused_ssim::L1DSSIMLossOptions(config.lambda_dssim)
                           .padding(parse_padding(config.padding));
  auto loss = fused_ssim::L1DSSIMLoss(options);
  auto image = start.clone().requires_grad_();
  // At a constant rate the pixels end up circling around their targets. A
  // longer memory of the gradient than Adam's usual 0.9 makes the circles
  // smaller: after 300 steps toward a portrait of 512 x 512, SSIM is 0.9992
  // instead of 0.9985. The gradient of a pixel is about 1 / number of pixels.
  // For large images that is below Adam's usual epsilon of 1e-8.
  torch::optim::Adam optimizer(
      {image},
      torch::optim::AdamOptions(config.lr).betas({0.95, 0.999}).eps(1e-15));

  // Reading a figure waits for the device, so only some steps do it.
  const auto interval = std::max<int64_t>(1, config.steps / 100);
  const std::set<int64_t> stages = {
      config.steps / 60,
      config.steps / 30,
      config.steps / 15,
      config.steps / 8};
  Run run;
  ProgressBar progress(config.steps);
  const auto record = [&](int64_t step) {
    run.history.push_back(measure(step, image, target, options));
    progress.report(step, describe(run.history.back()));
  };

  record(0);
  run.stages.push_back({run.history.back(), start});
  int64_t step = 0;
  while (step < config.steps && !interrupted) {
    optimizer.zero_grad();
    loss(image, target).backward();
    optimizer.step();

    ++step;
    const bool is_stage = stages.count(step) > 0 && step < config.steps;
    if (step % interval == 0 || step == config.steps || is_stage) {
      record(step);
    }
    if (is_stage) {
      run.stages.push_back({run.history.back(), image.detach().clone()});
    }
    progress.advance(step);
  }
  if (run.history.back().step != step) {
    record(step);
  }
  run.seconds = progress.seconds();
  run.image = image.detach();
  return run;
}

/// The target, and a start image of the same size.
std::pair<Image, Image> load_images(const OptimizeConfig& config) {
  const auto load = [&](const std::string& path) {
    auto image = load_image(path);
    const auto height = image.pixels.size(1), width = image.pixels.size(2);
    const auto extent = std::max(height, width);
    if (config.max_size > 0 && extent > config.max_size) {
      const auto scaled = [&](int64_t length) {
        return std::max<int64_t>(1, length * config.max_size / extent);
      };
      image.pixels = torch::adaptive_avg_pool2d(
          image.pixels, {scaled(height), scaled(width)});
    }
    return image;
  };

  auto target = load(config.target);
  if (config.padding == "valid") {
    check_holds_window(target, fused_ssim::L1DSSIMLossOptions().window_size());
  }
  if (config.init == "noise") {
    // Drawn on the CPU, so that every device gets the same noise.
    torch::manual_seed(static_cast<uint64_t>(config.seed));
    return {target, {torch::rand(target.pixels.sizes()), "noise"}};
  }
  if (config.init == "gray") {
    return {target, {torch::full_like(target.pixels, 0.5), "gray"}};
  }
  auto start = load(config.init);
  check_same_size(start, target);
  return {target, start};
}

ordered_json to_json(const Metrics& metrics, bool with_step) {
  ordered_json object;
  if (with_step) {
    object["step"] = metrics.step;
  }
  object["loss"] = metrics.loss;
  object["l1"] = metrics.l1;
  object["ssim"] = metrics.ssim;
  object["psnr"] = metrics.psnr; // infinite, for equal images: null
  return object;
}

std::string metrics_json(
    const OptimizeConfig& config,
    const torch::Device& device,
    const Run& run) {
  ordered_json object;
  object["config"] = to_json(config);
  object["device"] = device.str();
  object["steps"] = run.history.back().step;
  object["seconds"] = run.seconds;
  object["initial"] = to_json(run.history.front(), false);
  object["final"] = to_json(run.history.back(), false);
  object["history"] = ordered_json::array();
  for (const auto& metrics : run.history) {
    object["history"].push_back(to_json(metrics, true));
  }
  // A file's name need not be UTF-8.
  using Handler = ordered_json::error_handler_t;
  return object.dump(2, ' ', false, Handler::replace) + "\n";
}

torch::Tensor progress_sheet(const Run& run, const torch::Tensor& target) {
  const auto caption = [](const std::string& name, double ssim) {
    char text[64];
    std::snprintf(text, sizeof(text), "%s  ssim %.4f", name.c_str(), ssim);
    return std::string(text);
  };
  std::vector<Panel> panels;
  for (const auto& [metrics, image] : run.stages) {
    const auto name = metrics.step == 0
        ? std::string("start")
        : "step " + std::to_string(metrics.step);
    panels.push_back({caption(name, metrics.ssim), image});
  }
  panels.push_back({caption("result", run.history.back().ssim), run.image});
  panels.push_back({"target", target});
  panels.push_back(error_panel(run.image, target));
  return contact_sheet(panels);
}

int optimize_image(CLI::App& app, int argc, char** argv) {
  const auto config = parse_optimize_config(app, argc, argv);
  parse_padding(config.padding);
  const auto device = choose_device(config.device);
  const auto [target_file, start_file] = load_images(config);
  prepare_output_directory(config.output_dir);

  const auto target = target_file.pixels.to(device);
  std::printf(
      "%s: %ld x %ld on %s\n",
      config.target.c_str(),
      long(target.size(2)),
      long(target.size(1)),
      device.str().c_str());
  catch_interrupts();
  const auto run = optimize(config, start_file.pixels.to(device), target);
  const int stopped_by =
      run.history.back().step < config.steps ? int(interrupted) : 0;
  if (stopped_by != 0) {
    std::printf("stopped after step %ld\n", long(run.history.back().step));
  }

  const auto folder = config.output_dir + "/";
  const auto json = metrics_json(config, device, run);
  save_image(folder + "result.png", run.image);
  save_image(folder + "progress.png", progress_sheet(run, target));
  write_file(folder + "metrics.json", json.data(), json.size());
  std::printf(
      "wrote result.png, progress.png and metrics.json to %s\n",
      config.output_dir.c_str());
  // As shells say it of a program that a signal ended.
  return stopped_by == 0 ? 0 : 128 + stopped_by;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Optimise an image toward a photograph with L1 + D-SSIM and Adam.",
      "optimize_image");
  app.set_version_flag("--version", fused_ssim::version());
  return run_program(app, [&] { return optimize_image(app, argc, argv); });
}
