#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace CLI {
class App;
} // namespace CLI

namespace programs {

/// What optimize_image is asked to do.
struct OptimizeConfig {
  std::string target;
  std::string init = "noise";
  std::int64_t steps = 300;
  double lr = 0.02;
  double lambda_dssim = 0.2;
  std::string padding = "same";
  std::string device = "auto";
  std::int64_t max_size = 0;
  std::int64_t seed = 0;
  std::string output_dir = "out";
};

/// Reads the command line and the file of --config, where the command line does
/// not say the same thing. Throws CLI::ParseError or BadInput.
OptimizeConfig parse_optimize_config(CLI::App& app, int argc, char** argv);

/// With the names of the command line, fit to be given to --config again.
nlohmann::ordered_json to_json(const OptimizeConfig& config);

} // namespace programs
