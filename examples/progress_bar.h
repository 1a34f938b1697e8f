#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace programs {

/// Progress on standard output. On a terminal it is a bar that redraws itself.
/// In a file or a pipe it is a plain line after every tenth of the steps.
class ProgressBar {
 public:
  explicit ProgressBar(std::int64_t steps);
  /// Ends the bar's line.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Sets the current step. It is cheap enough to be called at every step.
  void advance(std::int64_t step);
  /// The same with a text to show, such as "loss 0.01".
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
