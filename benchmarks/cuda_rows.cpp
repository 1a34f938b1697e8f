#include "empty_kernel.h"
#include "rows.h"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/cuda/Sleep.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>

namespace fused_ssim::bench {
namespace {

constexpr int kRepetitions = 51; // each of one call

/// The smallest possible training step: it shows the cost of the autograd
/// engine on the host.
class EmptyFunction : public torch::autograd::Function<EmptyFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& input) {
    launch_empty_kernel(c10::cuda::getCurrentCUDAStream());
    context->save_for_backward({at::empty_like(input)});
    return at::empty({}, input.options());
  }
  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list) {
    return {context->get_saved_variables()[0]};
  }
};

Result empty_step(const Problem& problem) {
  // No kernel wrote the value or the gradient, so there is nothing to verify.
  step(problem, [&] { return EmptyFunction::apply(problem.input); });
  return {};
}

/// A training step captured once; each call replays it.
class Replay {
 public:
  Result operator()(const Problem& problem) {
    if (graph_ == nullptr) {
      capture(problem);
    }
    graph_->replay();
    return captured_;
  }

 private:
  void capture(const Problem& problem) {
    graph_ = std::make_shared<at::cuda::CUDAGraph>();
    const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
    torch::cuda::synchronize();
    autograd_step(problem);
    torch::cuda::synchronize();
    graph_->capture_begin();
    captured_ = autograd_step(problem);
    graph_->capture_end();
    torch::cuda::synchronize();
  }

  std::shared_ptr<at::cuda::CUDAGraph> graph_;
  Result captured_;
};

/// Bytes of the caching allocator: now, and the maximum since `resetPeakStats`.
struct DeviceMemory {
  std::int64_t now, highest;
};

DeviceMemory device_memory() {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(
      c10::cuda::current_device());
  const auto all =
      static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return {stats.requested_bytes[all].current, stats.requested_bytes[all].peak};
}

void warm_up(Row& row) {
  const Problem& problem = row.problem();
  row.last = row.run(problem); // the first call sets things up
  row.last = Result();
  c10::cuda::CUDACachingAllocator::resetPeakStats(c10::cuda::current_device());
  const auto before = device_memory().now;
  row.last = row.run(problem);
  const auto extra = device_memory().highest - before - row.last.bytes();
  if (extra >= 0) { // a replay allocates nothing, not even its result
    row.extra_bytes = extra;
  }
  row.warm = true;
}

/// GPU time between two events around one call. The L2 cache is flushed before,
/// as Triton's do_bench does.
void time_on_gpu(benchmark::State& state, Row& row) {
  static const auto flush = torch::empty(
      {256 << 20}, torch::device(torch::kCUDA).dtype(torch::kInt8));
  const Problem& problem = row.problem();
  if (!row.warm) {
    warm_up(row);
  }
  at::cuda::CUDAEvent begin(cudaEventDefault), end(cudaEventDefault);
  for (auto _ : state) {
    row.last = Result();
    // The GPU sleeps for about 5 ms, until the host has queued everything. So
    // the time does not include waiting for the host.
    at::cuda::sleep(10'000'000);
    flush.zero_();
    begin.record();
    row.last = row.run(problem);
    end.record();
    end.synchronize();
    state.SetIterationTime(begin.elapsed_time(end) * 1e-3);
  }
  count(state, row);
}

/// Time that the host takes to queue a call. The queue stays short enough that
/// the host never waits for the GPU.
void time_on_host(benchmark::State& state, Row& row) {
  const Problem& problem = row.problem();
  if (!row.warm) {
    warm_up(row);
  }
  torch::cuda::synchronize();
  for (auto _ : state) {
    row.last = Result();
    row.last = row.run(problem);
  }
  torch::cuda::synchronize();
  state.counters["values"] = static_cast<double>(row.shape.values());
}

void add_context() {
  const auto device = c10::cuda::current_device();
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  int kilohertz = 0, driver = 0;
  C10_CUDA_CHECK(
      cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, device));
  C10_CUDA_CHECK(cudaDriverGetVersion(&driver));
  benchmark::AddCustomContext("gpu_name", properties.name);
  benchmark::AddCustomContext(
      "gpu_capability",
      std::to_string(properties.major) + "." +
          std::to_string(properties.minor));
  benchmark::AddCustomContext(
      "gpu_multiprocessors", std::to_string(properties.multiProcessorCount));
  benchmark::AddCustomContext(
      "gpu_clock_hz", std::to_string(kilohertz) + "000");
  benchmark::AddCustomContext("gpu_driver_cuda", std::to_string(driver));
}

} // namespace

void add_cuda_rows(const Scale& scale) {
  add_context();
  const bool is_smoke = scale.repetitions == 1;
  const auto add = [&](const std::string& operation,
                       std::function<Result(const Problem&)> run,
                       const Shape& shape,
                       Variant variant = Variant::kFloat32) {
    add_row(
        {torch::kCUDA, operation, shape, variant, 1, std::move(run)},
        time_on_gpu)
        ->Iterations(1)
        ->Repetitions(is_smoke ? 1 : kRepetitions)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  const auto add_host =
      [&](const std::string& operation, Operation run, const Shape& shape) {
        add_row(
            {torch::kCUDA, operation, shape, Variant::kFloat32, 1, run},
            time_on_host)
            ->Iterations(50)
            ->Repetitions(scale.repetitions)
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      };
  auto shapes = scale.shapes;
  if (!is_smoke) {
    shapes.push_back({5, 5, 1080, 1920});
  }
  for (const Shape& shape : shapes) {
    add("copy", copy, shape);
    add("value", value, shape);
    add("value_and_grad", value_and_grad, shape);
    add("autograd_step", autograd_step, shape);
    add("graph_replay", Replay(), shape);
    add("ssim_step", ssim_step, shape);
    add("ms_ssim_value_and_grad", ms_ssim_value_and_grad, shape);
    add("ms_ssim_step", ms_ssim_step, shape);
    add("composition_value", composition_value, shape);
    add("composition_step", composition_step, shape);
    add("composition_ms_ssim_step", composition_ms_ssim_step, shape);
  }
  // What trainers hand over, at every size.
  for (const Shape& shape : scale.shapes) {
    for (const auto variant :
         {Variant::kPermuted,
          Variant::kMask,
          Variant::kPermutedMask,
          Variant::kPermutedUInt8Target,
          Variant::kPermutedMaskUInt8Target}) {
      add("value_and_grad", value_and_grad, shape, variant);
    }
    for (const auto variant :
         {Variant::kPermuted, Variant::kMask, Variant::kPermutedMask}) {
      add("value", value, shape, variant);
    }
    add("autograd_step", autograd_step, shape, Variant::kBothGradients);
    add("value", value, shape, Variant::kMap);
    add("autograd_step", autograd_step, shape, Variant::kMap);
  }
  for (const auto variant :
       {Variant::kUInt8Target,
        Variant::kUInt8HWC,
        Variant::kUInt8RGBA,
        Variant::kBFloat16,
        Variant::kFloat16,
        Variant::kFloat64,
        Variant::kSmoothL1,
        Variant::kErrorMap,
        Variant::kErrorMapOfLoss,
        Variant::kWindow3,
        Variant::kWindow5,
        Variant::kWindow7,
        Variant::kWindow9,
        Variant::kWindow13,
        Variant::kWindow15,
        Variant::kWindow17,
        Variant::kWindow19,
        Variant::kWindow31}) {
    add("value_and_grad", value_and_grad, scale.variants_at, variant);
    add("value", value, scale.variants_at, variant);
  }
  if (!is_smoke) {
    const Shape batch = {32, 3, 128, 128};
    add("value_and_grad", value_and_grad, batch);
    add("value_and_grad", value_and_grad, batch, Variant::kPermuted);
  }
  for (const Shape& shape : {scale.shapes.front(), scale.variants_at}) {
    add_host("host_autograd_step", autograd_step, shape);
    add_host("host_empty_step", empty_step, shape);
  }
}

} // namespace fused_ssim::bench
