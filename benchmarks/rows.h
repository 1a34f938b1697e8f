#pragma once

#include "operations.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fused_ssim::bench {

/// How much is measured.
struct Scale {
  std::vector<Shape> shapes;
  Shape variants_at; // one of them
  int repetitions; // of a row; the row's figure is their median
  int slow_repetitions; // of the composition on large images: seconds
  double min_time; // s, of a repetition on the CPU
};

/// "full", "quick" or "smoke"; nullopt for another name.
std::optional<Scale> scale_named(const std::string& name);

/// What is measured. Its name is DEVICE/OPERATION/SHAPE/VARIANT/threads:N.
struct Row {
  torch::Device device;
  std::string operation;
  Shape shape;
  Variant variant;
  int threads;
  std::function<Result(const Problem& problem)> run;

  std::string name() const;
  const Problem& problem() const;

  /// What the last timed call left, and the memory that a call takes beyond it.
  Result last = {};
  std::optional<std::int64_t> extra_bytes = std::nullopt;
  bool warm = false;
};

/// Adds a row to those that Google Benchmark runs, timed by `time`.
benchmark::internal::Benchmark* add_row(
    Row row,
    void (*time)(benchmark::State& state, Row& row));

void add_cpu_rows(const Scale& scale);
void add_cuda_rows(const Scale& scale); // where it was built with CUDA

/// The counters of a row, once it is timed: of one call, "values" and "bytes" of
/// its images, "extra_bytes", and the "result". What they come to (shares, ratios)
/// is left to report.py, which has the medians of all rows.
void count(benchmark::State& state, const Row& row);

/// Compares what the rows that ran left behind with the composition. Prints what is
/// wrong, and returns whether nothing is.
bool verify_rows();

} // namespace fused_ssim::bench
