#include "picture.h"
#include "subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace programs_test {
namespace {

using testing::HasSubstr;

/// Creates a folder with the images that the cases need. "@" in the arguments
/// of a case stands for this folder.
class BadInput : public testing::Test {
 protected:
  BadInput() {
    write_png(folder_ / "good.png", photo_like(40, 30));
    write_png(folder_ / "larger.png", photo_like(41, 30));
    write_png(folder_ / "grey.png", photo_like(40, 30, 1));
    write_png(folder_ / "small.png", photo_like(40, 10));
    write_jpeg(folder_ / "good.jpg", photo_like(40, 30), 90);
    write_jpeg(folder_ / "cmyk.jpg", photo_like(40, 30, 4), 90);
    write_text(folder_ / "text.png", "hello\n");
    for (const std::string type : {"png", "jpg"}) {
      const auto bytes = read_text(folder_ / ("good." + type));
      write_text(folder_ / ("cut." + type), bytes.substr(0, bytes.size() / 2));
    }
  }

  /// Runs the program. Expects status 2, one line on standard error that
  /// contains `named`, nothing on standard output, and no change to the folder.
  void expect_refused(
      const char* program,
      const std::vector<std::string>& arguments,
      const std::string& named) {
    std::vector<std::string> command = {program};
    for (auto argument : arguments) {
      const auto at = argument.find('@');
      if (at != std::string::npos) {
        argument.replace(at, 1, folder_ / "");
      }
      command.push_back(argument);
    }
    const auto before = folder_.list();
    const auto finished = run(command);
    const auto what = "for " + testing::PrintToString(arguments);
    EXPECT_EQ(finished.status, 2) << what;
    EXPECT_EQ(finished.out, "") << what;
    EXPECT_THAT(finished.err, HasSubstr(named)) << what;
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1)
        << what << ": " << finished.err;
    EXPECT_EQ(folder_.list(), before) << what;
  }

  /// Runs optimize_image on a good target with bad `arguments`.
  void expect_optimize_refused(
      std::vector<std::string> arguments,
      const std::string& named) {
    arguments.insert(arguments.end(), {"--output-dir", "@out"});
    expect_refused(OPTIMIZE_IMAGE, arguments, named);
  }

  void expect_config_refused(
      const std::string& text,
      const std::string& named) {
    write_text(folder_ / "run.json", text);
    expect_optimize_refused(
        {"--target", "@good.png", "--config", "@run.json"}, named);
  }

  Folder folder_;
};

TEST_F(BadInput, OptimizeRefusesUnreadableTargets) {
  expect_optimize_refused({}, "--target is required");
  expect_optimize_refused(
      {"--target", "@none.png"}, "none.png: cannot be opened: No such file");
  expect_optimize_refused({"--target", "@"}, "cannot be read: Is a directory");
  expect_optimize_refused(
      {"--target", "@text.png"}, "text.png: not a PNG or JPEG image");
  expect_optimize_refused(
      {"--target", "@cut.png"}, "cut.png: damaged PNG image");
  expect_optimize_refused(
      {"--target", "@cut.jpg"}, "cut.jpg: damaged JPEG image");
  expect_optimize_refused({"--target", "@cmyk.jpg"}, "but got a CMYK one");
}

TEST_F(BadInput, DevicesAndHugeFilesAreRefusedAsInput) {
  write_text(folder_ / "huge.png", "");
  ASSERT_EQ(truncate((folder_ / "huge.png").c_str(), off_t{1} << 40), 0);
  for (const auto& [file, named] :
       std::vector<std::pair<std::string, std::string>>{
           {"/dev/zero", "/dev/zero: expected a file, but got a device"},
           {"@huge.png",
            "huge.png: expected at most 1090519040 bytes, but got more"}}) {
    expect_optimize_refused({"--target", file}, named);
    expect_refused(COMPARE_IMAGES, {"@good.png", file}, named);
  }
  expect_optimize_refused(
      {"--target", "@good.png", "--config", "/dev/zero"},
      "/dev/zero: expected a file, but got a device");
  expect_optimize_refused(
      {"--target", "@good.png", "--config", "@huge.png"},
      "huge.png: expected at most 1048576 bytes");
}

TEST_F(BadInput, ThePlaceOfAPipeIsNotTakenByAFile) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  expect_refused(
      COMPARE_IMAGES,
      {"@good.png", "@good.png", "--map", "@pipe"},
      "pipe: cannot be written: it is not a regular file");
}

TEST_F(BadInput, OptimizeRefusesUnfitImages) {
  expect_optimize_refused(
      {"--target", "@small.png", "--padding", "valid"},
      "small.png: expected at least 11 x 11 pixels");
  expect_optimize_refused(
      {"--target", "@good.png", "--padding", "valid", "--max-size", "10"},
      "but got 10 x 7 RGB");
  expect_optimize_refused(
      {"--target", "@good.png", "--init", "@larger.png"},
      "larger.png: expected 40 x 30 RGB");
  expect_optimize_refused(
      {"--target", "@good.png", "--init", "@grey.png"}, "but got 40 x 30 grey");
  expect_optimize_refused(
      {"--target", "@good.png", "--init", "nose"}, "nose: cannot be opened");
}

TEST_F(BadInput, OptimizeRefusesUnknownAndMistypedOptions) {
  const auto refuse = [&](const char* option,
                          const char* value,
                          const char* named) {
    expect_optimize_refused({"--target", "@good.png", option, value}, named);
  };
  refuse("--stepz", "3", "--stepz");
  refuse("--steps", "many", "--steps");
  refuse("--steps", "3.5", "--steps");
  refuse(
      "--steps",
      "0",
      "--steps: expected an integer from 1 to 9223372036854775807, but got 0");
  const std::string but_got = " to 9223372036854775807, but got ";
  for (const char* option : {"--steps", "--max-size", "--seed"}) {
    for (const char* value : {"18446744073709551615", "-1", "2.5"}) {
      refuse(option, value, (but_got + value).c_str());
    }
  }
  refuse("--lr", "-0.1", "--lr: expected a number in (0, 1], but got -0.1");
  refuse("--lr", "nan", "--lr: expected a number in (0, 1], but got nan");
  refuse("--lr", "1e300", "--lr: expected a number in (0, 1]");
  refuse(
      "--lambda-dssim", "1.5", "--lambda-dssim: expected a number in [0, 1]");
  refuse("--lambda-dssim", "nan", "--lambda-dssim: expected");
  refuse("--padding", "full", "--padding: expected same or valid");
  expect_optimize_refused({"--target", "@good.png", "word"}, "word");
}

TEST_F(BadInput, OptimizeRefusesDevicesItCannotUse) {
  for (const std::string name : {"tpu", "cuda:", "cuda:x", "cuda1", "cpu:0"}) {
    expect_optimize_refused(
        {"--target", "@good.png", "--device", name},
        "--device: expected auto, cpu, cuda or cuda:N, but got " + name);
  }
  expect_optimize_refused(
      {"--target", "@good.png", "--device", "cuda:99"},
      "--device cuda:99: this");

  const auto finished = run(
      {COMPARE_IMAGES, folder_ / "good.png", folder_ / "good.png", "--json"});
  if (nlohmann::json::parse(finished.out)["device"] == "cpu") {
    expect_optimize_refused(
        {"--target", "@good.png", "--device", "cuda"}, "--device cuda: this");
  }
}

TEST_F(BadInput, OptimizeRefusesBadConfigFiles) {
  expect_optimize_refused(
      {"--target", "@good.png", "--config", "@none.json"},
      "none.json: cannot be opened");
  expect_config_refused("{\"steps\": 3", "run.json: not valid JSON");
  expect_config_refused("", "run.json: not valid JSON");
  expect_config_refused("[1]", "run.json: expected a JSON object");
  expect_config_refused("{\"step\": 3}", "run.json: unknown key \"step\"");
  expect_config_refused(
      "{\"lambda_dssim\": 0.2}", "unknown key \"lambda_dssim\"");
  expect_config_refused("{\"config\": \"a\"}", "unknown key \"config\"");
  expect_config_refused("{\"a\\nb\": 1}", "unknown key \"a\\nb\"");
  expect_config_refused(
      "{\"steps\": \"3\"}", "run.json: steps: expected an integer");
  expect_config_refused(
      "{\"steps\": 3.0}", "run.json: steps: expected an integer");
  expect_config_refused("{\"steps\": true}", "run.json: steps: expected");
  expect_config_refused("{\"lr\": null}", "run.json: lr: expected a number");
  expect_config_refused("{\"init\": 3}", "run.json: init: expected a string");
  expect_config_refused(
      "{\"target\": [1]}", "run.json: target: expected a string");
  for (const std::string key : {"steps", "max-size", "seed"}) {
    for (const std::string value : {"18446744073709551615", "1e+20"}) {
      expect_config_refused(
          "{\"" + key + "\": " + value + "}",
          "to 9223372036854775807, but got " + value);
    }
  }
  expect_config_refused(
      "{\"steps\": 0}", "run.json: steps: expected an integer from 1 to");
  expect_config_refused(
      "{\"padding\": \"full\"}", "--padding: expected same or valid");
}

TEST_F(BadInput, OptimizeRefusesOutputFoldersItCannotWriteTo) {
  const auto refuse = [&](const char* folder, const char* named) {
    expect_refused(
        OPTIMIZE_IMAGE,
        {"--target", "@good.png", "--steps", "1000000", "--output-dir", folder},
        named);
  };
  refuse("@text.png", "text.png: cannot be made a folder: Not a directory");
  refuse("@text.png/out", "text.png/out: cannot be made a folder");
  refuse("", "'': cannot be made a folder");
  if (geteuid() != 0) { // root may write anywhere
    ASSERT_EQ(mkdir((folder_ / "closed").c_str(), 0500), 0);
    refuse("@closed", "closed: cannot be written to: Permission denied");
    refuse("@closed/out", "closed/out: cannot be made a folder");
  }
}

TEST_F(BadInput, CompareRefuses) {
  const auto refuse = [&](const std::vector<std::string>& arguments,
                          const char* named) {
    expect_refused(COMPARE_IMAGES, arguments, named);
  };
  refuse({}, "A");
  refuse({"@good.png"}, "B");
  refuse({"@good.png", "@good.png", "@good.png"}, "good.png");
  refuse({"@good.png", "@none.png"}, "none.png: cannot be opened");
  refuse({"@text.png", "@good.png"}, "text.png: not a PNG or JPEG image");
  refuse({"@good.png", "@cut.jpg"}, "cut.jpg: damaged JPEG image");
  refuse(
      {"@good.png", "@larger.png", "--map", "@map.png"},
      "larger.png: expected 40 x 30 RGB");
  refuse({"@good.png", "@grey.png"}, "grey.png: expected 40 x 30 RGB");
  refuse(
      {"@small.png", "@small.png", "--padding", "valid"},
      "small.png: expected at least 11 x 11 pixels");
  refuse(
      {"@small.png", "@small.png", "--ms-ssim"},
      "small.png: expected at least 161 x 161 pixels with --ms-ssim");
  refuse(
      {"@small.png",
       "@small.png",
       "--padding",
       "reflect",
       "--window-size",
       "21"},
      "small.png: expected more than 10 pixels on each side");
  refuse(
      {"@good.png", "@good.png", "--padding", "full"},
      "--padding: expected same, valid or reflect, but got full");
  refuse(
      {"@good.png", "@good.png", "--window-size", "10"},
      "--window-size: expected an odd number");
  refuse(
      {"@good.png", "@good.png", "--window-size", "35"},
      "--window-size: expected an odd number");
  refuse(
      {"@good.png", "@good.png", "--window-size", "18446744073709551627"},
      "--window-size: expected an odd number from 3 to 33, but got 1844674");
  refuse({"@good.png", "@good.png", "--sigma", "0"}, "--sigma: expected");
  refuse({"@good.png", "@good.png", "--device", "gpu"}, "--device: expected");
  refuse({"@good.png", "@good.png", "--maps", "x"}, "--maps");
  refuse(
      {"@good.png", "@good.png", "--json", "--map", "@none/map.png"},
      "none/map.png: cannot be written: No such file");
}

} // namespace
} // namespace programs_test
