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

/// The user's mistake: the message names the thing, what was expected, and what
/// came, in one line.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What is wrong with `text` as an integer from `minimum` to `maximum`, in the words
/// of an error message; empty if nothing is.
std::string integer_error(
    const std::string& text,
    std::int64_t minimum,
    std::int64_t maximum = std::numeric_limits<std::int64_t>::max());

/// Runs `body`, which returns the exit status, and turns what it throws into one line
/// on standard error and an exit status: 0 for --help and --version, 2 for bad input,
/// 1 for any other failure, such as a device out of memory, or a standard output that
/// did not take all that was written.
int run_program(const CLI::App& app, const std::function<int()>& body);

} // namespace programs
