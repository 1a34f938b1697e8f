#pragma once

#include <functional>
#include <stdexcept>

namespace CLI {
class App;
} // namespace CLI

namespace programs {

/// The user's mistake: the message names the thing, what was expected, and what
/// came, in one line.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs `body`, and turns what it throws into one line on standard error and an
/// exit status: 0 done (also --help and --version), 2 bad input, 1 any other
/// failure, such as a device out of memory.
int run_program(const CLI::App& app, const std::function<void()>& body);

} // namespace programs
