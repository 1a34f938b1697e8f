#pragma once

#include "operations.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fused_ssim::bench {

/// The size of a run.
struct Scale {
  std::vector<Shape> shapes;
  Shape variants_at; // one of them
  int repetitions; // of a row; the row's figure is their median
  int slow_repetitions; // of the composition on large images: seconds
  double min_time; // s, of a repetition on the CPU
};

/// "full", "quick" or "smoke"; nullopt for another name.
std::optional<Scale> scale_named(const std::string& name);

/// One measurement. Its name is DEVICE/OPERATION/SHAPE/VARIANT/threads:N.
struct Row {
  torch::Device device;
  std::string operation;
  Shape shape;
  Variant variant;
  int threads;
  std::function<Result(const Problem& problem)> run;

  std::string name() const;
  const Problem& problem() const;

  /// The results of the last timed call, and the memory that a call takes
  /// beyond them.
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

/// Sets the counters of a timed row, for one call: "values" and "bytes" of its
/// images, "extra_bytes", and "result". report.py computes shares and ratios,
/// because it has the medians of all rows.
void count(benchmark::State& state, const Row& row);

/// Compares the results of all rows that ran with the composition. Prints the
/// errors, and returns whether there are none.
bool verify_rows();

} // namespace fused_ssim::bench
