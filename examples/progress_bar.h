#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace programs {

/// Progress on standard output: a bar that redraws itself on a terminal, a plain
/// line every tenth of the way where the output goes to a file or a pipe.
class ProgressBar {
 public:
  explicit ProgressBar(std::int64_t steps);
  /// Ends the bar's line.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Says how far the work is; cheap enough for every step.
  void advance(std::int64_t step);
  /// The same with news to show, such as "loss 0.01".
  void report(std::int64_t step, const std::string& news);

  double seconds() const; // since construction

 private:
  std::string speed(std::int64_t step) const;
  void draw(std::int64_t step);

  using Clock = std::chrono::steady_clock;

  std::int64_t steps_;
  bool terminal_;
  Clock::time_point start_ = Clock::now();
  double drawn_ = 0; // seconds() of the last drawing
  std::int64_t next_line_ = 0;
  std::string news_;
};

} // namespace programs
