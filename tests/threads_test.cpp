#include "support.h"

#include <ATen/Parallel.h>

#include <dirent.h>

#include <fstream>
#include <map>
#include <thread>

namespace fused_ssim::test {
namespace {

class ThreadsTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes = {3, 40, 75}) const {
    return noise(sizes).to(device(), torch::kFloat32);
  }
};

TEST_P(ThreadsTest, BackwardFromAnotherThread) {
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto loss = F::l1_dssim_loss(x, y);
  std::thread([&] { loss.backward(); }).join();
  expect_gradient(
      x.grad(), expected(x, y, Spec(L1DSSIMLossOptions())).grad_input);
}

// Like the mapping threads of a SLAM system: each has its own images and
// options.
TEST_P(ThreadsTest, EachThreadWithItsOwnLoss) {
  constexpr int kThreads = 8;
  struct Work {
    torch::Tensor x, y;
    L1DSSIMLossOptions options;
    torch::Tensor loss, gradient; // alone
    bool same = true;
  };
  std::vector<Work> all;
  const auto run = [](const Work& work) {
    const auto leaf = work.x.clone().requires_grad_();
    const auto loss = F::l1_dssim_loss(leaf, work.y, work.options);
    loss.backward();
    return std::make_pair(loss.detach(), leaf.grad());
  };
  for (int i = 0; i < kThreads; ++i) {
    Work work;
    work.x = image({1 + i % 3, 25 + 3 * i, 60 + 5 * i});
    work.y = image({1 + i % 3, 25 + 3 * i, 60 + 5 * i});
    work.options = L1DSSIMLossOptions(0.1 * i)
                       .window_size(3 + 2 * i)
                       .sigma(1 + 0.1 * i)
                       .data_range(1 + i);
    std::tie(work.loss, work.gradient) = run(work);
    all.push_back(work);
  }
  std::vector<std::thread> threads;
  for (auto& work : all) {
    threads.emplace_back([&work, &run] {
      for (int i = 0; i < 10; ++i) {
        const auto [loss, gradient] = run(work);
        work.same =
            work.same && loss.equal(work.loss) && gradient.equal(work.gradient);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& work : all) {
    EXPECT_TRUE(work.same) << L1DSSIMLoss(work.options);
  }
}

FUSED_SSIM_ON_EACH_DEVICE(ThreadsTest);

/// Sets at::set_num_threads for a scope.
class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(at::get_num_threads()) {
    at::set_num_threads(count);
  }
  ~ThreadCount() {
    at::set_num_threads(before_);
  }

 private:
  int before_;
};

class CpuThreadsTest : public SeededTest {};

/// CPU time in nanoseconds of each thread of this process, by its id.
std::map<std::string, double> cpu_time_of_threads() {
  std::map<std::string, double> times;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) {
    return times;
  }
  while (const dirent* task = readdir(tasks)) {
    std::ifstream file(
        std::string("/proc/self/task/") + task->d_name + "/schedstat");
    double nanoseconds = 0;
    if (file >> nanoseconds) {
      times[task->d_name] = nanoseconds;
    }
  }
  closedir(tasks);
  return times;
}

// Without OpenMP, at::parallel_for is compiled as a serial loop, without a
// warning. So each of two threads has to do a good part of the work. The test
// measures CPU time, which other processes do not change.
// OMP_WAIT_POLICY=passive keeps waiting threads from counting.
TEST_F(CpuThreadsTest, TwoThreadsWork) {
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  if (policy == nullptr || std::string(policy) != "passive") {
    GTEST_SKIP() << "needs OMP_WAIT_POLICY=passive, as ctest sets it";
  }
  if (cpu_time_of_threads().empty()) {
    GTEST_SKIP() << "this system does not tell the CPU time of a thread";
  }
  const ThreadCount two(2);
  const auto x = torch::rand({3, 400, 600});
  const auto y = torch::rand({3, 400, 600});
  const std::vector<std::function<void()>> operations = {
      [&] { F::ssim(x, y); },
      [&] { F::ssim(x, y, SSIMOptions().reduction(torch::kNone)); },
      [&] { F::l1_dssim_value_and_grad(x, y); }};
  for (const auto& operation : operations) {
    operation();
    const auto before = cpu_time_of_threads();
    for (int i = 0; i < 30; ++i) {
      operation();
    }
    std::vector<double> spent;
    double total = 0;
    for (const auto& [id, time] : cpu_time_of_threads()) {
      const auto known = before.find(id);
      spent.push_back(time - (known == before.end() ? 0 : known->second));
      total += spent.back();
    }
    std::sort(spent.rbegin(), spent.rend());
    ASSERT_GE(spent.size(), 2u);
    EXPECT_GT(spent[1], 0.25 * total);
  }
}

TEST_F(CpuThreadsTest, SameBitsForEachThreadCount) {
  const auto x = torch::rand({3, 150, 310});
  const auto y = torch::rand({3, 150, 310});
  const auto run = [&](int threads) {
    const ThreadCount count(threads);
    return F::l1_dssim_value_and_grad(x, y);
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 7}) {
    SCOPED_TRACE(threads);
    const auto more = run(threads);
    expect_same_bits(more.loss, one.loss);
    expect_same_bits(more.l1, one.l1);
    expect_same_bits(more.ssim, one.ssim);
    expect_same_bits(more.grad, one.grad);
  }
}

TEST_F(CpuThreadsTest, InsideAParallelRegion) {
  const ThreadCount two(2);
  const auto x = torch::rand({4, 3, 30, 50});
  const auto y = torch::rand({4, 3, 30, 50});
  std::vector<torch::Tensor> inside(4);
  at::parallel_for(0, 4, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      inside[i] = F::l1_dssim_value_and_grad(x[i], y[i]).grad;
    }
  });
  for (std::int64_t i = 0; i < 4; ++i) {
    expect_same_bits(inside[i], F::l1_dssim_value_and_grad(x[i], y[i]).grad);
  }
}

} // namespace
} // namespace fused_ssim::test
