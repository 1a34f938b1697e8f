#include "picture.h"
#include "subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

namespace programs_test {
namespace {

/// Starts a run that would take days, from `folder`/a.png to `folder`/out, and returns
/// when it has begun.
std::unique_ptr<Process> start_long_run(const Folder& folder) {
  write_png(folder / "a.png", photo_like(40, 30));
  auto process = std::make_unique<Process>(std::vector<std::string>{
      OPTIMIZE_IMAGE,
      "--target",
      folder / "a.png",
      "--steps",
      "100000000",
      "--output-dir",
      folder / "out"});
  EXPECT_TRUE(process->wait_for_output("step 0/100000000"));
  return process;
}

TEST(OptimizeImage, AnInterruptStopsItWithWhatItHas) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Folder folder;
    const auto process = start_long_run(folder);
    process->send(signal);
    const auto finished = process->wait();
    EXPECT_EQ(finished.status, signal == SIGINT ? 130 : 143);
    EXPECT_EQ(finished.err, "");
    EXPECT_THAT(finished.out, testing::HasSubstr("stopped after step "));

    const auto metrics =
        nlohmann::json::parse(read_text(folder / "out/metrics.json"));
    const std::int64_t steps = metrics["steps"];
    EXPECT_LT(steps, 100000000);
    EXPECT_EQ(metrics["history"].back()["step"], steps);
    EXPECT_EQ(metrics["config"]["steps"], 100000000);
    EXPECT_EQ(metrics["final"]["loss"], metrics["history"].back()["loss"]);
    EXPECT_EQ(read_png(folder / "out/result.png").width, 40);
    EXPECT_GT(read_png(folder / "out/progress.png").width, 0);
    EXPECT_EQ(folder.list().size(), 5u);
  }
}

TEST(OptimizeImage, KilledBeforeTheEndItLeavesNoFile) {
  const Folder folder;
  const auto process = start_long_run(folder);
  process->send(SIGKILL);
  EXPECT_EQ(process->wait().status, -1);
  EXPECT_THAT(folder.list(), testing::ElementsAre("a.png", "out"));
}

} // namespace
} // namespace programs_test
