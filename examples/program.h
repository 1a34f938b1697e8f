#pragma once

#include <functional>
#include <stdexcept>

namespace CLI {
class App;
} // namespace CLI

namespace programs {

/// A mistake of the user. The message has one line and names the argument, what
/// was expected, and what came.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs `body`, and turns an exception into one line on standard error and an
/// exit status: 0 for success (also --help and --version), 2 for bad input, 1
/// for any other failure, such as a device out of memory.
int run_program(const CLI::App& app, const std::function<void()>& body);

} // namespace programs
