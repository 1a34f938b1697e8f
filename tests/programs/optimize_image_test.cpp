#include "picture.h"
#include "subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace programs_test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kOutputs = {
    "metrics.json",
    "progress.png",
    "result.png"};

/// Runs optimize_image with these arguments and `--output-dir out`. Returns
/// metrics.json.
json optimize(const std::string& out, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {OPTIMIZE_IMAGE, "--output-dir", out});
  const auto finished = run(arguments);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.err, "");
  return json::parse(read_text(out + "/metrics.json"), nullptr, false);
}

void expect_figures(const json& figures) {
  for (const auto* name : {"loss", "l1", "ssim", "psnr"}) {
    EXPECT_TRUE(figures[name].is_number()) << name;
  }
}

TEST(OptimizeImage, ReachesTheTargetAndSaysHow) {
  const Folder folder;
  const auto target = photo_like(96, 64);
  write_png(folder / "target.png", target);
  write_png(folder / "start.png", constant(96, 64, 30));
  const auto metrics = optimize(
      folder / "out",
      {"--target",
       folder / "target.png",
       "--init",
       folder / "start.png",
       "--steps",
       "150",
       "--device",
       "cpu"});

  EXPECT_THAT(
      folder.list(),
      ElementsAre(
          "out",
          "out/metrics.json",
          "out/progress.png",
          "out/result.png",
          "start.png",
          "target.png"));

  EXPECT_EQ(metrics.size(), 7u);
  EXPECT_EQ(
      metrics["config"],
      (json{
          {"target", folder / "target.png"},
          {"init", folder / "start.png"},
          {"steps", 150},
          {"lr", 0.02},
          {"lambda-dssim", 0.2},
          {"padding", "same"},
          {"device", "cpu"},
          {"max-size", 0},
          {"seed", 0},
          {"output-dir", folder / "out"}}));
  EXPECT_EQ(metrics["device"], "cpu");
  EXPECT_EQ(metrics["steps"], 150);
  EXPECT_GT(metrics["seconds"].get<double>(), 0);
  expect_figures(metrics["initial"]);
  expect_figures(metrics["final"]);
  EXPECT_EQ(metrics["initial"].size(), 4u);

  const auto& history = metrics["history"];
  ASSERT_GE(history.size(), 20u);
  for (std::size_t i = 0; i < history.size(); ++i) {
    expect_figures(history[i]);
    EXPECT_EQ(history[i].size(), 5u);
    if (i > 0) {
      EXPECT_GT(history[i]["step"], history[i - 1]["step"]);
    }
  }
  auto first = history.front(), last = history.back();
  EXPECT_EQ(first["step"], 0);
  EXPECT_EQ(last["step"], 150);
  first.erase("step");
  last.erase("step");
  EXPECT_EQ(first, metrics["initial"]);
  EXPECT_EQ(last, metrics["final"]);

  // The figures are those of the written pictures.
  const auto start = constant(96, 64, 30);
  EXPECT_NEAR(
      metrics["initial"]["l1"].get<double>(),
      mean_absolute_error(start, target),
      1e-6);
  EXPECT_NEAR(
      metrics["initial"]["psnr"].get<double>(), psnr(start, target), 1e-4);
  EXPECT_NEAR(
      metrics["initial"]["loss"].get<double>(),
      0.8 * metrics["initial"]["l1"].get<double>() +
          0.2 * (1 - metrics["initial"]["ssim"].get<double>()),
      1e-6);
  EXPECT_GT(metrics["final"]["ssim"].get<double>(), 0.995);
  EXPECT_GT(metrics["final"]["psnr"].get<double>(), 45);

  const auto result = read_png(folder / "out/result.png");
  ASSERT_EQ(result.width, 96);
  ASSERT_EQ(result.height, 64);
  ASSERT_EQ(result.channels, 3);
  // Rounding to 8 bits changes the PSNR of such close pictures in either
  // direction.
  EXPECT_GT(psnr(result, target), 45);

  // Pictures smaller than 192 pixels are shown enlarged.
  const auto sheet = read_png(folder / "out/progress.png");
  EXPECT_TRUE(contains(sheet, enlarged(start, 2)));
  EXPECT_TRUE(contains(sheet, enlarged(target, 2)));
  EXPECT_TRUE(contains(sheet, enlarged(result, 2)));
  EXPECT_FALSE(contains(sheet, enlarged(constant(96, 64, 31), 2)));
  // Start, four stages, result, target and error map, four in a row.
  EXPECT_GT(sheet.width, 4 * 192);
  EXPECT_GT(sheet.height, 2 * 128);
}

TEST(OptimizeImage, TheSeedDecidesTheNoise) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const auto go = [&](const std::string& out, const char* seed) {
    return optimize(
        folder / out,
        {"--target", folder / "a.png", "--steps", "5", "--seed", seed});
  };
  const auto one = go("one", "1"), again = go("again", "1"),
             two = go("two", "2");
  EXPECT_EQ(one["history"], again["history"]);
  EXPECT_EQ(
      read_text(folder / "one/result.png"),
      read_text(folder / "again/result.png"));
  EXPECT_NE(one["initial"], two["initial"]);
  // Uniform noise in [0, 1].
  EXPECT_GT(one["initial"]["l1"], 0.2);
  EXPECT_LT(one["initial"]["ssim"], 0.3);
}

TEST(OptimizeImage, StartsFromGray) {
  const Folder folder;
  write_png(folder / "a.png", constant(40, 30, 204));
  const auto metrics = optimize(
      folder / "out",
      {"--target", folder / "a.png", "--init", "gray", "--steps", "1"});
  EXPECT_NEAR(metrics["initial"]["l1"].get<double>(), 0.3, 1e-6);
  // The first step of Adam is as long as the learning rate.
  EXPECT_NEAR(metrics["final"]["l1"].get<double>(), 0.28, 1e-4);
}

TEST(OptimizeImage, StartsFromTheTargetItself) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const auto metrics = optimize(
      folder / "out",
      {"--target",
       folder / "a.png",
       "--init",
       folder / "a.png",
       "--steps",
       "3"});
  for (const auto* when : {"initial", "final"}) {
    EXPECT_EQ(metrics[when]["loss"], 0.0);
    EXPECT_EQ(metrics[when]["ssim"], 1.0);
    EXPECT_TRUE(metrics[when]["psnr"].is_null());
  }
}

TEST(OptimizeImage, PaddingCounts) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const auto initial = [&](const std::string& padding) {
    const auto metrics = optimize(
        folder / padding,
        {"--target", folder / "a.png", "--steps", "1", "--padding", padding});
    return metrics["initial"];
  };
  const auto same = initial("same"), valid = initial("valid");
  EXPECT_EQ(same["l1"], valid["l1"]);
  EXPECT_NE(same["ssim"], valid["ssim"]);
}

TEST(OptimizeImage, KeepsGreyGrey) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30, 1));
  optimize(folder / "out", {"--target", folder / "a.png", "--steps", "2"});
  EXPECT_EQ(read_png(folder / "out/result.png").channels, 1);
}

TEST(OptimizeImage, MaxSizeAveragesDown) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(80, 40));
  const auto go = [&](const std::string& size) {
    optimize(
        folder / size,
        {"--target", folder / "a.png", "--steps", "1", "--max-size", size});
    return read_png(folder / (size + "/result.png"));
  };
  EXPECT_EQ(go("80").width, 80);
  EXPECT_EQ(go("20").width, 20);
  EXPECT_EQ(go("20").height, 10);

  // Each pixel becomes the mean of 2 x 2 pixels. A target of one colour does
  // not change.
  write_png(folder / "flat.png", constant(60, 60, 77));
  const auto metrics = optimize(
      folder / "flat",
      {"--target",
       folder / "flat.png",
       "--init",
       folder / "flat.png",
       "--steps",
       "1",
       "--max-size",
       "30"});
  EXPECT_EQ(metrics["initial"]["loss"], 0.0);
  const auto sheet = read_png(folder / "flat/progress.png");
  EXPECT_TRUE(contains(sheet, enlarged(constant(30, 30, 77), 6)));
}

TEST(OptimizeImage, TheCommandLineWinsOverTheConfigFile) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const json file = {
      {"target", folder / "a.png"},
      {"steps", 7},
      {"lr", 1}, // an integer is a number
      {"lambda-dssim", 0.5},
      {"padding", "valid"},
      {"output-dir", folder / "unused"}};
  write_text(folder / "run.json", file.dump());
  const auto metrics = optimize(
      folder / "out", {"--config", folder / "run.json", "--steps", "3"});
  EXPECT_EQ(metrics["steps"], 3);
  EXPECT_EQ(metrics["config"]["steps"], 3);
  EXPECT_EQ(metrics["config"]["lr"], 1.0);
  EXPECT_EQ(metrics["config"]["lambda-dssim"], 0.5);
  EXPECT_EQ(metrics["config"]["padding"], "valid");
  EXPECT_EQ(metrics["config"]["seed"], 0);
  EXPECT_EQ(metrics["config"]["output-dir"], folder / "out");

  // metrics.json contains a config file for the same run.
  write_text(folder / "again.json", metrics["config"].dump());
  const auto again =
      optimize(folder / "again", {"--config", folder / "again.json"});
  EXPECT_EQ(again["history"], metrics["history"]);
}

TEST(OptimizeImage, ReplacesEarlierResults) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  ASSERT_EQ(mkdir((folder / "out").c_str(), 0777), 0);
  for (const auto& name : kOutputs) {
    write_text(folder / ("out/" + name), "old");
  }
  const auto metrics =
      optimize(folder / "out", {"--target", folder / "a.png", "--steps", "2"});
  EXPECT_EQ(metrics["steps"], 2);
  EXPECT_EQ(read_png(folder / "out/result.png").width, 40);
  EXPECT_EQ(folder.list().size(), 2 + kOutputs.size());
}

TEST(OptimizeImage, AFullDiskIsAFailureButLosesNoResult) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const auto finished = run_in_shell(
      "\"$0\" --target \"$1\" --steps 3 --output-dir \"$2\" > /dev/full",
      {OPTIMIZE_IMAGE, folder / "a.png", folder / "out"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(
      finished.err, "optimize_image: standard output: cannot be written\n");
  EXPECT_EQ(folder.list().size(), 2 + kOutputs.size());
}

TEST(OptimizeImage, PrintsPlainLinesToAPipeAndABarToATerminal) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const std::vector<std::string> arguments = {
      OPTIMIZE_IMAGE,
      "--target",
      folder / "a.png",
      "--steps",
      "50",
      "--output-dir",
      folder / "out"};
  const auto piped = run(arguments);
  EXPECT_EQ(piped.status, 0);
  EXPECT_THAT(piped.out, Not(HasSubstr("\r")));
  EXPECT_THAT(piped.out, HasSubstr("step 0/50  loss "));
  EXPECT_THAT(piped.out, HasSubstr("step 25/50  loss "));
  EXPECT_THAT(
      piped.out,
      testing::ContainsRegex("step 50/50  loss [0-9.]+  SSIM [0-9.]+  PSNR "
                             "[0-9.]+ dB  [0-9.]+ steps/s\n"));
  EXPECT_THAT(piped.out, HasSubstr("wrote result.png"));

  const auto terminal = run_on_terminal(arguments);
  EXPECT_EQ(terminal.status, 0);
  EXPECT_THAT(terminal.out, HasSubstr("\r\033[K[######......] 25/50  loss "));
  EXPECT_THAT(terminal.out, HasSubstr("[############] 50/50  loss "));
  EXPECT_THAT(terminal.out, Not(HasSubstr("step 0/50")));
}

TEST(Photograph, IsReachedWithinThreeHundredSteps) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const auto photo =
      (cache ? std::string(cache) : std::string(home ? home : "") + "/.cache") +
      "/fused_ssim/astronaut.png";
  if (access(photo.c_str(), R_OK) != 0) {
    GTEST_SKIP() << "no photograph at " << photo
                 << "; scripts/setup.sh --photo puts it there";
  }
  const Folder folder;
  const auto metrics = optimize(
      folder / "out",
      {"--target", photo, "--steps", "300", "--lr", "0.02", "--device", "cpu"});
  EXPECT_GE(metrics["final"]["ssim"].get<double>(), 0.999);
  EXPECT_GE(metrics["final"]["psnr"].get<double>(), 50);

  const auto result = read_png(folder / "out/result.png");
  const auto target = read_png(photo);
  EXPECT_GE(psnr(result, target), 50);
  const auto compared =
      run({COMPARE_IMAGES, photo, folder / "out/result.png", "--json"});
  EXPECT_EQ(compared.status, 0);
  const auto figures = json::parse(compared.out);
  EXPECT_GE(figures["ssim"].get<double>(), 0.999);
  EXPECT_NEAR(figures["psnr"].get<double>(), psnr(result, target), 1e-6);
  const auto sheet = read_png(folder / "out/progress.png");
  EXPECT_GT(sheet.width, 4 * 384);
  EXPECT_GT(sheet.height, 2 * 384);
}

TEST(Cuda, RunsOnTheDeviceAsOnTheCpu) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(96, 64));
  const std::vector<std::string> target = {
      "--target", folder / "a.png", "--steps", "100"};
  const auto automatic = optimize(folder / "auto", target);
  if (automatic["device"] == "cpu") {
    GTEST_SKIP() << "no CUDA device, or no kernels for it";
  }
  const auto with = [&](const std::string& device) {
    auto arguments = target;
    arguments.insert(arguments.end(), {"--device", device});
    return optimize(folder / device, arguments);
  };
  const auto cuda = with("cuda"), first = with("cuda:0"), cpu = with("cpu");
  EXPECT_EQ(cuda["device"], "cuda:0");
  EXPECT_EQ(cuda["history"], automatic["history"]);
  EXPECT_EQ(cuda["history"], first["history"]);
  EXPECT_EQ(cpu["device"], "cpu");
  for (const auto* figure : {"loss", "l1", "ssim"}) {
    EXPECT_NEAR(
        cuda["initial"][figure].get<double>(),
        cpu["initial"][figure].get<double>(),
        1e-6);
  }
  EXPECT_GT(cuda["final"]["ssim"].get<double>(), 0.99);
}

} // namespace
} // namespace programs_test
