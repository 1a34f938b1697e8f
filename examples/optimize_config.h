#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace CLI {
class App;
} // namespace CLI

namespace programs {

/// The options of optimize_image.
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

/// Reads the command line and the file of --config. The command line overrides
/// the file. Throws CLI::ParseError or BadInput.
OptimizeConfig parse_optimize_config(CLI::App& app, int argc, char** argv);

/// Has the names of the command line, so it can be given to --config again.
nlohmann::ordered_json to_json(const OptimizeConfig& config);

} // namespace programs
