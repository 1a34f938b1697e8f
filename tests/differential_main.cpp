// The randomised differential test. It compares the library with the float64
// reference.

#include "differential.h"
#include "support.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <iostream>

int main(int argc, char** argv) {
  using namespace fused_ssim::test;

  std::uint64_t seed = 1;
  std::int64_t cases = 500;
  std::int64_t max_pixels = kEmulated ? 4000 : 40000;
  std::string device_name = "cpu";
  bool verbose = false;
  CLI::App app("Compares fused_ssim with a float64 reference on random cases.");
  app.add_option("--cases", cases, "number of cases")->capture_default_str();
  app.add_option(
         "--seed", seed, "seed of the first case; the next has seed + 1")
      ->capture_default_str();
  app.add_option("--device", device_name, "cpu, cuda or cuda:1")
      ->capture_default_str();
  app.add_option("--max-pixels", max_pixels, "of all planes of an image")
      ->capture_default_str();
  app.add_flag("--verbose", verbose, "print each case");
  CLI11_PARSE(app, argc, argv);

  const char* capability = std::getenv("FUSED_SSIM_CPU_CAPABILITY");
  if (capability != nullptr && !has_cpu_capability(capability)) {
    std::cout << "skipped: this processor has no " << capability << "\n";
    return kSkipped;
  }
  const torch::Device device(device_name);
  if (device.is_cuda() && !why_no_cuda().empty()) {
    std::cout << "skipped: " << why_no_cuda() << "\n";
    return kSkipped;
  }

  const auto start = std::chrono::steady_clock::now();
  std::int64_t failed = 0;
  for (std::int64_t i = 0; i < cases; ++i) {
    const auto result = run_differential_case(seed + i, device, max_pixels);
    if (verbose || !result.failure.empty()) {
      std::cout << (result.failure.empty() ? "case" : "FAILED")
                << " --cases 1 --seed " << seed + i << " --device "
                << device_name << " --max-pixels " << max_pixels << "\n  "
                << result.description << "\n"
                << result.failure << std::flush;
    }
    failed += !result.failure.empty();
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  std::cout << cases << " cases on " << device_name << ", seeds " << seed
            << " to " << seed + cases - 1 << ": " << failed << " failed; "
            << took.count() << " s\n";
  return failed == 0 ? 0 : 1;
}
