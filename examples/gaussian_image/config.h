#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace CLI {
class App;
} // namespace CLI

/// The options of the program.
struct Config {
  std::string target;
  std::int64_t gaussians = 2000;
  std::int64_t per_tile = 16;
  std::int64_t steps = 500;
  double lambda_dssim = 0.2;
  double min_ssim = 0;
  std::string device = "auto";
  std::int64_t seed = 0;
  std::string output_dir = "out";
};

/// Reads the command line and the JSON file of --config. The command line
/// overrides the file. Throws CLI::Error or std::runtime_error.
Config parse_config(CLI::App& app, int argc, char** argv);

/// Has the names of the command line, so it can be given to --config again.
nlohmann::ordered_json to_json(const Config& config);
