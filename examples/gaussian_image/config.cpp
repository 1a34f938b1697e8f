#include "config.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <vector>

namespace {

/// Visits each option once, for the command line, the JSON file and
/// metrics.json: visit(name, field, smallest, largest, help). Strings have no
/// bounds.
template <typename Config, typename Visitor>
void for_each_option(Config& c, const Visitor& visit) {
  constexpr double many = 1e9;
  visit("target", c.target, 0, 0, "Photograph to fit: PNG");
  visit("gaussians", c.gaussians, 1, 1e6, "Number of Gaussians");
  visit("per-tile", c.per_tile, 1, 1024, "Gaussians that reach one tile");
  visit("steps", c.steps, 1, many, "Number of training steps");
  visit("lambda-dssim", c.lambda_dssim, 0, 1, "Weight of 1 - SSIM; rest: L1");
  visit("min-ssim", c.min_ssim, -1, 1, "Fail where the result has less");
  visit("device", c.device, 0, 0, "auto, cpu, cuda or cuda:N");
  visit("seed", c.seed, 0, many, "Seed of the start");
  visit("output-dir", c.output_dir, 0, 0, "Folder for the results");
}

void add_option(
    CLI::App& app,
    const std::string& name,
    std::string& field,
    double,
    double,
    const char* help) {
  app.add_option("--" + name, field, help)->capture_default_str()->take_last();
}

template <typename Number>
void add_option(
    CLI::App& app,
    const std::string& name,
    Number& field,
    double smallest,
    double largest,
    const char* help) {
  const auto low = static_cast<Number>(smallest);
  const auto high = static_cast<Number>(largest);
  app.add_option("--" + name, field, help)
      ->check(CLI::Range(low, high))
      ->capture_default_str()
      ->take_last();
}

/// The options of the file as arguments. They are put before those of the
/// command line: both pass the same checks, and the last one counts.
std::vector<std::string> arguments_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(path + ": cannot be opened");
  }
  nlohmann::ordered_json object;
  try {
    object = nlohmann::ordered_json::parse(file);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(path + ": not valid JSON: " + error.what());
  }
  if (!object.is_object()) {
    throw std::runtime_error(
        path + ": expected a JSON object, but got " + object.type_name());
  }
  std::vector<std::string> arguments;
  for (const auto& [name, value] : object.items()) {
    if (!value.is_string() && !value.is_number()) {
      throw std::runtime_error(
          path + ": " + name + ": expected a string or a number, but got " +
          value.dump());
    }
    arguments.push_back(
        "--" + name + "=" +
        (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return arguments;
}

} // namespace

Config parse_config(CLI::App& app, int argc, char** argv) {
  Config config;
  std::string file;
  for_each_option(
      config, [&](auto&&... option) { add_option(app, option...); });
  app.add_option(
         "--config", file, "JSON file of the same names, without dashes")
      ->take_last();
  app.parse(argc, argv);
  if (!file.empty()) {
    auto arguments = arguments_of(file);
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    std::reverse(arguments.begin(), arguments.end()); // as CLI11 wants them
    config = Config();
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      // The command line has passed the parser before.
      throw std::runtime_error(file + ": " + error.what());
    }
  }
  if (config.target.empty()) {
    throw std::runtime_error("--target is required: the photograph to fit");
  }
  return config;
}

nlohmann::ordered_json to_json(const Config& config) {
  nlohmann::ordered_json object;
  for_each_option(config, [&](const char* name, const auto& field, auto&&...) {
    object[name] = field;
  });
  return object;
}
