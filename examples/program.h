#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

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

/// Returns the error message for `text` as an integer from `minimum` to
/// `maximum`. It is empty if `text` is such an integer.
std::string integer_error(
    const std::string& text,
    std::int64_t minimum,
    std::int64_t maximum = std::numeric_limits<std::int64_t>::max());

/// Runs `body`, which returns the exit status, and turns an exception into one
/// line on standard error and an exit status: 0 for --help and --version, 2 for
/// bad input, 1 for any other failure, such as a device out of memory or a
/// standard output that cannot be written.
int run_program(const CLI::App& app, const std::function<int()>& body);

} // namespace programs
