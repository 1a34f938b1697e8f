#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

Progress::Progress(std::int64_t steps)
    : steps_(steps),
      terminal_(isatty(STDOUT_FILENO) == 1) {}

Progress::~Progress() {
  if (terminal_) {
    std::puts("");
  }
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::report(std::int64_t step, const std::string& news) {
  if (terminal_) {
    constexpr int width = 16;
    const auto done = static_cast<std::size_t>(width * step / steps_);
    const auto bar = std::string(done, '#') + std::string(width - done, '.');
    std::printf("\r\033[K[%s] ", bar.c_str());
  } else if (step < next_line_ && step != steps_) {
    return;
  }
  std::printf(
      "%ld/%ld  %s  %.0f s%s",
      long(step),
      long(steps_),
      news.c_str(),
      seconds(),
      terminal_ ? "" : "\n");
  std::fflush(stdout);
  next_line_ = step + std::max<std::int64_t>(1, steps_ / 10);
}
