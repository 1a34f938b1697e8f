#include "rows.h"

#include "memory.h"
#include "peak.h"
#include "verify.h"

#include <ATen/Parallel.h>

#include <iostream>
#include <memory>

namespace fused_ssim::bench {
namespace {

constexpr double kOneCall = 1e-9; // s; every call takes longer

std::vector<std::unique_ptr<Row>>& rows() {
  static std::vector<std::unique_ptr<Row>> all;
  return all;
}

/// The time is that of a later step of a training loop: the threads run, the
/// caches are warm, and the heap has its pages (memory.h).
void time_on_cpu(benchmark::State& state, Row& row) {
  at::set_num_threads(row.threads);
  const Problem& problem = row.problem();
  if (!row.warm) {
    row.last = row.run(problem); // the first call sets things up
    row.last = Result();
    const auto peak = peak_memory_of([&] { row.last = row.run(problem); });
    if (peak.has_value()) {
      row.extra_bytes = *peak - row.last.bytes();
    }
    row.warm = true;
  }
  // Another row may have trimmed the heap to measure its memory. So each
  // repetition warms it again.
  row.last = Result();
  row.last = row.run(problem);
  for (auto _ : state) {
    row.last = Result();
    row.last = row.run(problem);
  }
  count(state, row);
}

void time_multiply_adds(benchmark::State& state, Row& row) {
  at::set_num_threads(row.threads);
  run_multiply_adds();
  std::int64_t operations = 0;
  for (auto _ : state) {
    operations = run_multiply_adds();
  }
  state.counters["operations"] = static_cast<double>(operations);
}

/// Every implementation has to read both images and to write the gradients.
std::int64_t least_traffic(const Row& row) {
  const Problem& problem = row.problem();
  const auto images = problem.input.nbytes() +
      (row.last.image.defined() ? 0 : problem.target.nbytes());
  return static_cast<std::int64_t>(images) + row.last.bytes();
}

Operation composition_of(const Row& row) {
  if (row.operation == "ssim_step") {
    return composition_ssim_step;
  }
  if (row.operation == "ms_ssim_value_and_grad") {
    return composition_ms_ssim_value_and_grad;
  }
  if (row.operation == "ms_ssim_step") {
    return composition_ms_ssim_step;
  }
  return row.last.grad_input.defined() ? composition_step : composition_value;
}

} // namespace

std::optional<Scale> scale_named(const std::string& name) {
  const Shape tiny = {1, 3, 64, 64}, small = {1, 3, 256, 256},
              medium = {1, 3, 545, 980}, odd = {1, 3, 1085, 1471},
              full_hd = {1, 3, 1080, 1920}, ultra_hd = {1, 3, 2160, 3840};
  if (name == "full") {
    return Scale{
        {tiny, small, medium, odd, full_hd, ultra_hd}, full_hd, 15, 3, 0.04};
  }
  if (name == "quick") {
    return Scale{{tiny, medium, full_hd}, full_hd, 5, 1, 0.02};
  }
  if (name == "smoke") {
    return Scale{{{1, 3, 41, 67}, tiny}, tiny, 1, 1, kOneCall};
  }
  return std::nullopt;
}

std::string Row::name() const {
  return (device.is_cuda() ? "cuda/" : "cpu/") + operation + "/" +
      shape.name() + "/" + bench::name(variant) +
      "/threads:" + std::to_string(threads);
}

const Problem& Row::problem() const {
  return bench::problem(shape, variant, device);
}

benchmark::internal::Benchmark* add_row(
    Row row,
    void (*time)(benchmark::State& state, Row& row)) {
  rows().push_back(std::make_unique<Row>(std::move(row)));
  Row* const added = rows().back().get();
  return benchmark::RegisterBenchmark(
      added->name().c_str(),
      [added, time](benchmark::State& state) { time(state, *added); });
}

void count(benchmark::State& state, const Row& row) {
  state.counters["values"] = static_cast<double>(row.shape.values());
  state.counters["bytes"] = static_cast<double>(least_traffic(row));
  if (row.extra_bytes.has_value()) {
    state.counters["extra_bytes"] = static_cast<double>(*row.extra_bytes);
  }
  if (row.last.value.defined() && row.last.value.dim() == 0) {
    state.counters["result"] = row.last.value.item<double>();
  }
}

void add_cpu_rows(const Scale& scale) {
  const auto add = [&](const std::string& operation,
                       Operation run,
                       const Shape& shape,
                       int threads,
                       Variant variant = Variant::kFloat32) {
    const bool slow =
        operation.rfind("composition", 0) == 0 && shape.values() > 1'000'000;
    add_row({torch::kCPU, operation, shape, variant, threads, run}, time_on_cpu)
        ->Repetitions(slow ? scale.slow_repetitions : scale.repetitions)
        ->MinTime(slow ? kOneCall : scale.min_time)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  const auto float32 = Variant::kFloat32;
  for (const int threads : {1, 2}) {
    add_row(
        {torch::kCPU, "multiply_add", {0, 0, 0, 0}, float32, threads, nullptr},
        time_multiply_adds)
        ->Repetitions(scale.repetitions)
        ->MinTime(scale.min_time)
        ->UseRealTime();
    for (const Shape& shape : scale.shapes) {
      add("copy", copy, shape, threads);
      add("value", value, shape, threads);
      add("value_and_grad", value_and_grad, shape, threads);
      add("autograd_step", autograd_step, shape, threads);
      add("ssim_step", ssim_step, shape, threads);
      add("ms_ssim_value_and_grad", ms_ssim_value_and_grad, shape, threads);
      add("ms_ssim_step", ms_ssim_step, shape, threads);
      add("composition_value", composition_value, shape, threads);
      add("composition_step", composition_step, shape, threads);
      add("composition_ms_ssim_step", composition_ms_ssim_step, shape, threads);
    }
    for (const auto variant :
         {Variant::kUInt8Target,
          Variant::kUInt8HWC,
          Variant::kUInt8RGBA,
          Variant::kPermuted,
          Variant::kBFloat16,
          Variant::kFloat16,
          Variant::kFloat64,
          Variant::kMask,
          Variant::kSmoothL1,
          Variant::kErrorMap,
          Variant::kErrorMapOfLoss,
          Variant::kWindow7,
          Variant::kWindow31}) {
      add("value_and_grad",
          value_and_grad,
          scale.variants_at,
          threads,
          variant);
    }
    add("autograd_step",
        autograd_step,
        scale.variants_at,
        threads,
        Variant::kBothGradients);
    add("composition_step",
        composition_step,
        scale.variants_at,
        threads,
        Variant::kFloat64);
  }
}

bool verify_rows() {
  at::set_num_threads(at::intraop_default_num_threads());
  int verified = 0, wrong = 0;
  for (const auto& row : rows()) {
    const bool has_result =
        row->last.value.defined() || row->last.image.defined();
    const bool is_composition = row->operation.rfind("composition", 0) == 0;
    if (!has_result || is_composition) {
      continue;
    }
    const auto what = verify(
        row->last, composition_of(*row), row->shape, row->variant, row->device);
    ++verified;
    if (!what.empty()) {
      ++wrong;
      std::cerr << "fused_ssim_benchmark: " << row->name() << ": " << what
                << "\n";
    }
  }
  std::cerr << "fused_ssim_benchmark: " << verified - wrong << " of "
            << verified << " rows agree with the plain composition\n";
  return wrong == 0;
}

} // namespace fused_ssim::bench
