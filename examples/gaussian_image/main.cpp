// Fits a few thousand anisotropic 2-D Gaussians to a photograph, with fused_ssim's
// L1DSSIMLoss and Adam, and shows where the time of a step goes.

#include "config.h"
#include "image_io.h"
#include "trainer.h"

#include <fused_ssim/fused_ssim.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using nlohmann::ordered_json;

torch::Device choose_device(const std::string& name) {
  const bool usable = fused_ssim::has_cuda() && torch::cuda::is_available();
  if (name == "auto") {
    return usable ? torch::kCUDA : torch::kCPU;
  }
  const bool is_cuda = name.rfind("cuda", 0) == 0;
  if (name != "cpu" && !is_cuda) {
    throw std::runtime_error(
        "--device: expected auto, cpu, cuda or cuda:N, but got " + name);
  }
  const torch::Device device(name);
  const auto count = usable ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (is_cuda && std::max<int>(0, device.index()) >= count) {
    throw std::runtime_error(
        "--device " + name + ": LibTorch and fused_ssim can use " +
        std::to_string(count) + " CUDA devices here");
  }
  return device;
}

ordered_json milliseconds_per_step(const TimeSplit& split, double steps) {
  const auto per_step = [&](double seconds) { return 1e3 * seconds / steps; };
  ordered_json object;
  object["render"] = per_step(split.render);
  object["loss"] = per_step(split.loss);
  object["backward"] = per_step(split.backward);
  object["optimizer"] = per_step(split.optimizer);
  return object;
}

void print_split(const ordered_json& milliseconds) {
  double total = 0;
  for (const auto& item : milliseconds.items()) {
    total += item.value().get<double>();
  }
  std::printf("time of a step: %.1f ms\n", total);
  for (const auto& item : milliseconds.items()) {
    const auto value = item.value().get<double>();
    std::printf(
        "  %-10s %8.2f ms  %5.1f %%\n",
        item.key().c_str(),
        value,
        100 * value / total);
  }
  std::puts(
      "  (loss: its value and its gradient with respect to the image; "
      "backward: "
      "from there to the parameters)");
}

void write_results(
    const Config& config,
    const torch::Device& device,
    const torch::Tensor& target, // [3, H, W] on the CPU
    const Training& training,
    const ordered_json& split) {
  ordered_json object;
  object["config"] = to_json(config);
  object["device"] = device.str();
  object["seconds"] = training.seconds;
  object["milliseconds_per_step"] = split;
  std::vector<torch::Tensor> panels;
  for (const auto& stage : training.stages) {
    ordered_json entry = {
        {"step", stage.step}, {"loss", stage.loss}, {"ssim", stage.ssim}};
    object["history"].push_back(entry);
    if (stage.image.defined()) {
      char name[32];
      std::snprintf(name, sizeof(name), "/step_%06ld.png", long(stage.step));
      save_png(config.output_dir + name, stage.image);
      panels.push_back(stage.image);
    }
  }
  object["initial"] = object["history"].front();
  object["final"] = object["history"].back();
  panels.push_back(target);
  panels.push_back(4 * (training.stages.back().image - target).abs());
  save_png(config.output_dir + "/contact_sheet.png", contact_sheet(panels, 3));
  using Handler = ordered_json::error_handler_t; // a path need not be UTF-8
  write_text(
      config.output_dir + "/metrics.json",
      object.dump(2, ' ', false, Handler::replace) + "\n");
}

void run(CLI::App& app, int argc, char** argv) {
  const auto config = parse_config(app, argc, argv);
  const auto device = choose_device(config.device);
  const auto target = load_png(config.target);
  prepare_folder(config.output_dir);
  std::printf(
      "%s: %ld x %ld, %ld Gaussians, on %s\n",
      config.target.c_str(),
      long(target.size(2)),
      long(target.size(1)),
      long(config.gaussians),
      device.str().c_str());

  const auto training = train(config, target, device);
  const auto split =
      milliseconds_per_step(training.split, double(config.steps));
  write_results(config, device, target, training, split);
  print_split(split);
  const auto ssim = training.stages.back().ssim;
  std::printf(
      "SSIM %.4f after %.0f s; results in %s\n",
      ssim,
      training.seconds,
      config.output_dir.c_str());
  if (ssim < config.min_ssim) {
    throw std::runtime_error(
        "--min-ssim: expected at least " + std::to_string(config.min_ssim) +
        ", but got " + std::to_string(ssim));
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("Fit 2-D Gaussians to a photograph.", "gaussian_image");
  try {
    run(app, argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
      throw std::runtime_error("standard output: cannot be written");
    }
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const c10::Error& error) {
    std::cerr << app.get_name() << ": " << error.what_without_backtrace()
              << "\n";
  } catch (const std::exception& error) {
    std::cerr << app.get_name() << ": " << error.what() << "\n";
  }
  return 1;
}
