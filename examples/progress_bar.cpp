#include "progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace programs {

ProgressBar::ProgressBar(std::int64_t steps)
    : steps_(steps),
      terminal_(isatty(STDOUT_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (terminal_) {
    std::puts("");
  }
}

double ProgressBar::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string ProgressBar::speed(std::int64_t step) const {
  char text[32];
  const double rate = static_cast<double>(step) / std::max(seconds(), 1e-9);
  std::snprintf(text, sizeof(text), "  %.*f steps/s", rate < 100 ? 1 : 0, rate);
  return step > 0 ? text : "";
}

void ProgressBar::advance(std::int64_t step) {
  if (terminal_ && seconds() - drawn_ > 0.1) {
    draw(step);
  }
}

void ProgressBar::report(std::int64_t step, const std::string& news) {
  news_ = news;
  if (terminal_) {
    draw(step);
  } else if (step >= next_line_ || step == steps_) {
    const auto text = news_ + speed(step);
    std::printf("step %ld/%ld  %s\n", long(step), long(steps_), text.c_str());
    // The reader of a pipe wants to see the line now.
    std::fflush(stdout);
    next_line_ = step + std::max<std::int64_t>(1, steps_ / 10);
  }
}

void ProgressBar::draw(std::int64_t step) {
  constexpr int width = 12;
  const auto done = static_cast<std::size_t>(width * step / steps_);
  auto line = "[" + std::string(done, '#') + std::string(width - done, '.') +
      "] " + std::to_string(step) + "/" + std::to_string(steps_) + "  " +
      news_ + speed(step);
  // A line that wraps could not be overwritten.
  winsize window = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
    line = line.substr(0, window.ws_col - 1);
  }
  std::printf("\r\033[K%s", line.c_str());
  std::fflush(stdout);
  drawn_ = seconds();
}

} // namespace programs
