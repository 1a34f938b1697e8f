#pragma once

#include <chrono>
#include <cstdint>
#include <string>

/// Progress on standard output: a bar on a terminal, otherwise a line after
/// every tenth of the steps.
class Progress {
 public:
  explicit Progress(std::int64_t steps);
  ~Progress(); // ends the bar's line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void report(std::int64_t step, const std::string& news);
  double seconds() const; // since construction

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t steps_;
  bool terminal_;
  Clock::time_point start_ = Clock::now();
  std::int64_t next_line_ = 0;
};
