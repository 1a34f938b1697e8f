#include "program.h"

#include <CLI/CLI.hpp>
#include <c10/util/Exception.h>

#include <iostream>
#include <string>

namespace programs {

namespace {

int fail(const CLI::App& app, const std::string& message, int status) {
  const auto line = message.substr(0, message.find('\n'));
  std::cerr << app.get_name() << ": " << line << std::endl;
  return status;
}

} // namespace

int run_program(const CLI::App& app, const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::Error& error) {
    return fail(app, error.what(), 2);
  } catch (const BadInput& error) {
    return fail(app, error.what(), 2);
  } catch (const c10::Error& error) {
    return fail(app, error.what_without_backtrace(), 1);
  } catch (const std::exception& error) {
    return fail(app, error.what(), 1);
  }
}

} // namespace programs
