#include "picture.h"
#include "subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>

namespace programs_test {
namespace {

TEST(OptimizeImage, AnInterruptStopsItWithWhatItHas) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Folder folder;
    write_png(folder / "a.png", photo_like(40, 30));
    Process process(
        {OPTIMIZE_IMAGE,
         "--target",
         folder / "a.png",
         "--steps",
         "100000000",
         "--output-dir",
         folder / "out"});
    ASSERT_TRUE(process.wait_for_output("step 0/100000000"));
    process.send(signal);
    const auto finished = process.wait();
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
  write_png(folder / "a.png", photo_like(40, 30));
  Process process(
      {OPTIMIZE_IMAGE,
       "--target",
       folder / "a.png",
       "--steps",
       "100000000",
       "--output-dir",
       folder / "out"});
  ASSERT_TRUE(process.wait_for_output("step 0/100000000"));
  process.send(SIGKILL);
  EXPECT_EQ(process.wait().status, -1);
  EXPECT_THAT(folder.list(), testing::ElementsAre("a.png", "out"));
}

} // namespace
} // namespace programs_test
