#include "optimize_config.h"

#include "files.h"
#include "program.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <sstream>
#include <vector>

namespace programs {

namespace {

using nlohmann::json;

/// Visits each option once, for the command line, the JSON file and
/// metrics.json. An integer comes with its smallest valid value.
template <typename Config, typename Visitor>
void for_each_option(Config& config, const Visitor& visit) {
  visit("target", config.target, "Photograph to reach: PNG or JPEG");
  visit("init", config.init, "Start from noise, gray, or an image FILE");
  visit("steps", config.steps, "Number of optimisation steps", 1);
  visit("lr", config.lr, "Learning rate of Adam: 0 .. 1");
  visit(
      "lambda-dssim",
      config.lambda_dssim,
      "Weight of 1 - SSIM in the loss, the rest being L1: 0 .. 1");
  visit("padding", config.padding, "Padding of SSIM: same or valid");
  visit("device", config.device, "auto, cpu, cuda or cuda:N");
  visit(
      "max-size",
      config.max_size,
      "Average the images down to this width and height at most; 0: do not",
      0);
  visit("seed", config.seed, "Seed of the noise", 0);
  visit("output-dir", config.output_dir, "Folder for the results");
}

std::string words(const json& value) {
  return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

[[noreturn]] void refuse_type(
    const std::string& key,
    const char* expected,
    const json& value) {
  throw BadInput(
      key + ": expected " + expected + ", but got " + value.type_name() + " " +
      words(value));
}

void assign(const std::string& key, const json& value, std::string& field) {
  if (!value.is_string()) {
    refuse_type(key, "a string", value);
  }
  field = value.get<std::string>();
}

void assign(
    const std::string& key,
    const json& value,
    std::int64_t& field,
    std::int64_t minimum) {
  const auto error = integer_error(words(value), minimum);
  if (!error.empty()) {
    throw BadInput(key + ": " + error);
  }
  field = value.get<std::int64_t>();
}

void assign(const std::string& key, const json& value, double& field) {
  if (!value.is_number()) {
    refuse_type(key, "a number", value);
  }
  field = value.get<double>();
}

void apply_file(
    const std::string& path,
    const CLI::App& app,
    OptimizeConfig& config) {
  json file;
  try {
    constexpr std::size_t largest_file = 1 << 20;
    file = json::parse(read_file(path, largest_file));
  } catch (const json::exception& error) {
    throw BadInput(path + ": not valid JSON: " + error.what());
  }
  if (!file.is_object()) {
    throw BadInput(
        path + ": expected a JSON object, but got " + file.type_name());
  }
  std::vector<std::string> names;
  for_each_option(config, [&](auto* name, auto& field, auto*, auto... minimum) {
    names.push_back(name);
    const auto found = file.find(name);
    if (found == file.end()) {
      return;
    }
    // A wrong type is an error even if the command line overrides the value.
    auto value = field;
    assign(path + ": " + name, *found, value, minimum...);
    if (app.count(std::string("--") + name) == 0) {
      field = value;
    }
  });
  for (const auto& item : file.items()) {
    if (std::find(names.begin(), names.end(), item.key()) == names.end()) {
      throw BadInput(
          path + ": unknown key " + json(item.key()).dump() +
          "; the keys are " + CLI::detail::join(names, ", "));
    }
  }
}

template <typename Value>
void check(bool good, const char* name, const char* expected, Value value) {
  if (!good) {
    std::ostringstream message;
    message << name << ": expected " << expected << ", but got " << value;
    throw BadInput(message.str());
  }
}

void check_ranges(const OptimizeConfig& c) {
  if (c.target.empty()) {
    throw BadInput("--target is required: the photograph to reach");
  }
  check(c.lr > 0 && c.lr <= 1, "--lr", "a number in (0, 1]", c.lr);
  check(
      c.lambda_dssim >= 0 && c.lambda_dssim <= 1,
      "--lambda-dssim",
      "a number in [0, 1]",
      c.lambda_dssim);
}

} // namespace

OptimizeConfig parse_optimize_config(CLI::App& app, int argc, char** argv) {
  OptimizeConfig config;
  std::string file;
  for_each_option(
      config, [&](auto* name, auto& field, auto* help, auto... minimum) {
        auto* option = app.add_option(std::string("--") + name, field, help);
        option->capture_default_str();
        if constexpr (sizeof...(minimum) > 0) {
          option->check([=](const std::string& text) {
            return integer_error(text, minimum...);
          });
        }
      });
  app.add_option(
      "--config",
      file,
      "JSON file of the same names without dashes; the command line wins");
  app.parse(argc, argv);
  if (app.count("--config") > 0) {
    apply_file(file, app, config);
  }
  check_ranges(config);
  return config;
}

nlohmann::ordered_json to_json(const OptimizeConfig& config) {
  nlohmann::ordered_json object;
  for_each_option(config, [&](auto* name, const auto& field, auto&&...) {
    object[name] = field;
  });
  return object;
}

} // namespace programs
