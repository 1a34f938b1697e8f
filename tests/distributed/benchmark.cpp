#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;
namespace F = fused_ssim::functional;

void synchronize(const Ranks& ranks) {
  if (ranks.device().is_cuda()) {
    torch::cuda::synchronize(ranks.device().index());
  }
}

double seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Microseconds of one call: the median with a wait for the device after each call, and
/// the mean of calls one after the other.
struct Times {
  double alone, in_a_row;
};

Times measure(
    const Ranks& ranks,
    std::int64_t repetitions,
    const std::function<void()>& call) {
  for (int i = 0; i < 5; ++i) {
    call();
  }
  std::vector<double> alone;
  for (std::int64_t i = 0; i < repetitions; ++i) {
    ranks.barrier();
    synchronize(ranks);
    const double start = seconds();
    call();
    synchronize(ranks);
    alone.push_back(seconds() - start);
  }
  ranks.barrier();
  synchronize(ranks);
  const double start = seconds();
  for (std::int64_t i = 0; i < repetitions; ++i) {
    call();
  }
  synchronize(ranks);
  const double in_a_row = (seconds() - start) / double(repetitions);
  std::nth_element(alone.begin(), alone.begin() + repetitions / 2, alone.end());
  return {1e6 * alone[std::size_t(repetitions / 2)], 1e6 * in_a_row};
}

} // namespace

void benchmark(
    Ranks& ranks,
    const std::string& label,
    std::int64_t height,
    std::int64_t width,
    std::int64_t repetitions) {
  torch::manual_seed(1);
  const auto x = torch::rand({3, height, width}).to(ranks.device());
  const auto y = torch::rand({3, height, width}).to(ranks.device());
  const auto begin = height * ranks.rank() / ranks.size();
  const auto end = height * (ranks.rank() + 1) / ranks.size();
  const auto own_x = x.slice(-2, begin, end).contiguous();
  const auto own_y = y.slice(-2, begin, end).contiguous();
  const auto mask = torch::ones({end - begin, width}, own_x.options());
  const auto& group = ranks.group();

  const auto print = [&](const char* what, const Times& times) {
    if (ranks.rank() == 0) {
      std::printf(
          "| %s | %s | %.0f | %.0f |\n",
          label.c_str(),
          what,
          times.alone,
          times.in_a_row);
    }
  };
  const auto time = [&](const char* what, const std::function<void()>& call) {
    print(what, measure(ranks, repetitions, call));
  };
  if (ranks.rank() == 0) {
    std::printf(
        "\n%ld ranks, %s, 3x%ldx%ld float32, us a call on rank 0\n"
        "| group | call | alone | in a row |\n|---|---|---|---|\n",
        long(ranks.size()),
        ranks.device().is_cuda() ? "CUDA" : "CPU",
        long(height),
        long(width));
  }
  time("whole image on each rank, value + gradient", [&] {
    F::l1_dssim_value_and_grad(x, y);
  });
  time("own rows alone, value + gradient", [&] {
    F::l1_dssim_value_and_grad(own_x, own_y);
  });
  time("split image, value + gradient", [&] {
    D::l1_dssim_value_and_grad(own_x, own_y, group);
  });
  time("split image, value + gradient, mask", [&] {
    D::l1_dssim_value_and_grad(own_x, own_y, group, {}, mask);
  });
  time("whole image on each rank, value", [&] { F::l1_dssim_loss(x, y); });
  time("split image, value", [&] { D::l1_dssim_loss(own_x, own_y, group); });

  // What the transport alone takes: the rows of both neighbours, and a small message.
  const std::int64_t row_bytes =
      2 * 3 * 10 * width * std::int64_t(sizeof(float));
  std::vector<std::int64_t> counts(std::size_t(ranks.size()), 0);
  for (const auto neighbour : {ranks.rank() - 1, ranks.rank() + 1}) {
    if (neighbour >= 0 && neighbour < ranks.size()) {
      counts[std::size_t(neighbour)] = row_bytes;
    }
  }
  std::int64_t bytes = 0;
  for (const auto count : counts) {
    bytes += count;
  }
  const auto options = own_x.options().dtype(torch::kUInt8);
  auto sent = torch::zeros({bytes}, options);
  auto received = torch::zeros({bytes}, options);
  time("exchange of the rows alone", [&] {
    group->alltoall_base(received, sent, counts, counts)->wait();
  });
  auto own_sums = torch::zeros({6}, own_x.options().dtype(torch::kFloat64));
  auto sums = torch::zeros({6 * ranks.size()}, own_sums.options());
  time("gathering of the sums alone", [&] {
    group->_allgather_base(sums, own_sums)->wait();
  });
  if (ranks.rank() == 0) {
    std::printf("%ld bytes of rows are sent by rank 0\n", long(bytes));
    std::fflush(stdout);
  }
}

} // namespace fused_ssim::test
