#include "program.h"

#include <CLI/CLI.hpp>
#include <c10/util/Exception.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>

namespace programs {

namespace {

int fail(const CLI::App& app, const std::string& message, int status) {
  const auto line = message.substr(0, message.find('\n'));
  std::cerr << app.get_name() << ": " << line << std::endl;
  return status;
}

int run(const CLI::App& app, const std::function<int()>& body) {
  try {
    return body();
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::Error& error) {
    return fail(app, error.what(), 2);
  } catch (const BadInput& error) {
    return fail(app, error.what(), 2);
  } catch (const c10::Error& error) {
    return fail(app, error.what_without_backtrace(), 1);
  } catch (const std::bad_alloc&) {
    return fail(app, "out of memory", 1);
  } catch (const std::exception& error) {
    return fail(app, error.what(), 1);
  }
}

} // namespace

std::string integer_error(
    const std::string& text,
    std::int64_t minimum,
    std::int64_t maximum) {
  errno = 0;
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  const bool is_integer = end != text.c_str() && *end == '\0' && errno == 0;
  if (is_integer && value >= minimum && value <= maximum) {
    return "";
  }
  return "expected an integer from " + std::to_string(minimum) + " to " +
      std::to_string(maximum) + ", but got " + text;
}

int run_program(const CLI::App& app, const std::function<int()>& body) {
  const int status = run(app, body);
  // A full disk may show only now.
  std::cout.flush();
  const bool written =
      std::fflush(stdout) == 0 && !std::ferror(stdout) && !std::cout.fail();
  if (status == 0 && !written) {
    return fail(app, "standard output: cannot be written", 1);
  }
  return status;
}

} // namespace programs
