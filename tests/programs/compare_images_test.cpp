#include "picture.h"
#include "subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>

namespace programs_test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) {
    names.push_back(item.key());
  }
  return names;
}

json compare(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), COMPARE_IMAGES);
  arguments.push_back("--json");
  const auto finished = run(arguments);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(finished.err, "");
  return json::parse(finished.out, nullptr, false);
}

TEST(CompareImages, PrintsOneJsonObject) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  write_jpeg(folder / "b.jpg", photo_like(40, 30), 80);
  const auto finished = run(
      {COMPARE_IMAGES,
       folder / "a.png",
       folder / "b.jpg",
       "--json",
       "--device",
       "cpu"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.err, "");
  const auto object = nlohmann::ordered_json::parse(finished.out);
  EXPECT_THAT(
      keys(object),
      ElementsAre(
          "ssim",
          "dssim",
          "l1",
          "psnr",
          "width",
          "height",
          "channels",
          "padding",
          "device"));
  EXPECT_EQ(object["width"], 40);
  EXPECT_EQ(object["height"], 30);
  EXPECT_EQ(object["channels"], 3);
  EXPECT_EQ(object["padding"], "same");
  EXPECT_EQ(object["device"], "cpu");
  const double ssim = object["ssim"];
  EXPECT_GT(ssim, 0.5);
  EXPECT_LT(ssim, 0.999);
  EXPECT_NEAR(object["dssim"].get<double>(), 1 - ssim, 1e-9);
}

TEST(CompareImages, ConstantImagesGiveTheClosedForm) {
  const Folder folder;
  write_png(folder / "a.png", constant(20, 16, 100));
  write_png(folder / "b.png", constant(20, 16, 120));
  const double a = 100 / 255.0, b = 120 / 255.0, c1 = 1e-4;
  const double expected = (2 * a * b + c1) / (a * a + b * b + c1);
  for (const auto& window :
       {std::vector<std::string>{"--window-size", "5", "--sigma", "0.7"}, {}}) {
    std::vector<std::string> arguments = {
        folder / "a.png", folder / "b.png", "--padding", "valid"};
    arguments.insert(arguments.end(), window.begin(), window.end());
    const auto object = compare(arguments);
    EXPECT_NEAR(object["ssim"].get<double>(), expected, 1e-9);
    EXPECT_NEAR(object["l1"].get<double>(), b - a, 1e-9);
    EXPECT_NEAR(object["psnr"].get<double>(), -20 * std::log10(b - a), 1e-7);
    EXPECT_EQ(object["padding"], "valid");
  }
}

/// The pair "close" of scripts/make_golden.py.
std::array<Picture, 2> golden_pair() {
  const auto hash = [](std::uint64_t seed, int index) {
    constexpr std::uint64_t kMask = 0xFFFFFFFF;
    std::uint64_t value =
        (static_cast<std::uint64_t>(index) + seed * 1000003) * 2654435761 &
        kMask;
    value ^= value >> 15;
    value = value * 2246822519 & kMask;
    value ^= value >> 13;
    return static_cast<int>(value & 255);
  };
  std::array<Picture, 2> pair = {constant(47, 33, 0), constant(47, 33, 0)};
  for (int y = 0; y < 33; ++y) {
    for (int x = 0; x < 47; ++x) {
      for (int c = 0; c < 3; ++c) {
        const auto at = static_cast<std::size_t>((y * 47 + x) * 3 + c);
        const int index = (c * 33 + y) * 47 + x;
        const int first = hash(1, index) + 3 * (4 * x % 256);
        pair[0].samples[at] = static_cast<std::uint16_t>(first / 4);
        pair[1].samples[at] =
            static_cast<std::uint16_t>((first + hash(2, index) / 32) / 4);
      }
    }
  }
  return pair;
}

TEST(CompareImages, ReflectGivesTheNumberOfTorchmetricsAndKornia) {
  const Folder folder;
  const auto pair = golden_pair();
  write_png(folder / "a.png", pair[0]);
  write_png(folder / "b.png", pair[1]);
  const auto with = [&](const char* padding) {
    return compare({folder / "a.png", folder / "b.png", "--padding", padding});
  };
  const auto reflect = with("reflect");
  // tests/golden/torchmetrics.json and kornia.json
  EXPECT_NEAR(reflect["ssim"].get<double>(), 0.9992740077, 1e-9);
  EXPECT_EQ(reflect["padding"], "reflect");
  // The padding has no part in L1 and PSNR, nor in the size.
  for (const auto* key : {"l1", "psnr", "width", "height"}) {
    EXPECT_EQ(reflect[key], with("same")[key]) << key;
  }
  EXPECT_GT(std::abs(with("same")["ssim"].get<double>() - 0.9992740077), 1e-6);
}

TEST(CompareImages, WindowAndSigmaCount) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  write_jpeg(folder / "b.jpg", photo_like(40, 30), 50);
  const std::vector<std::string> images = {folder / "a.png", folder / "b.jpg"};
  const auto with = [&](const char* option, const char* value) {
    return compare({images[0], images[1], option, value})["ssim"].get<double>();
  };
  const double standard = compare(images)["ssim"];
  EXPECT_EQ(with("--window-size", "11"), standard);
  EXPECT_EQ(with("--sigma", "1.5"), standard);
  EXPECT_GT(std::abs(with("--window-size", "5") - standard), 1e-4);
  EXPECT_GT(std::abs(with("--sigma", "3") - standard), 1e-4);
}

TEST(CompareImages, PrintsNineDigits) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  write_png(folder / "b.png", constant(40, 30, 128));
  const auto object = compare({folder / "a.png", folder / "b.png"});
  for (const auto* key : {"ssim", "dssim", "l1", "psnr"}) {
    const double value = object[key];
    char nine[32];
    std::snprintf(nine, sizeof(nine), "%.9g", value);
    EXPECT_EQ(std::strtod(nine, nullptr), value) << key;
  }
}

TEST(CompareImages, AnImageWithItself) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30, 1));
  const auto object = compare({folder / "a.png", folder / "a.png"});
  EXPECT_EQ(object["ssim"], 1.0);
  EXPECT_EQ(object["dssim"], 0.0);
  EXPECT_EQ(object["l1"], 0.0);
  EXPECT_TRUE(object["psnr"].is_null());
  EXPECT_EQ(object["channels"], 1);

  const auto table = run({COMPARE_IMAGES, folder / "a.png", folder / "a.png"});
  EXPECT_EQ(table.status, 0);
  EXPECT_THAT(table.out, HasSubstr("SSIM     1\n"));
  EXPECT_THAT(table.out, HasSubstr("PSNR     inf dB\n"));
  EXPECT_THAT(table.out, HasSubstr("size     40 x 30 grey\n"));
}

TEST(CompareImages, PrintsMSSSIMWhereItIsAskedFor) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(200, 161));
  write_jpeg(folder / "b.jpg", photo_like(200, 161), 50);
  const auto object =
      compare({folder / "a.png", folder / "b.jpg", "--ms-ssim"});
  const double ms_ssim = object["ms_ssim"];
  EXPECT_GT(ms_ssim, object["ssim"].get<double>());
  EXPECT_LT(ms_ssim, 0.9999);
  EXPECT_FALSE(
      compare({folder / "a.png", folder / "b.jpg"}).contains("ms_ssim"));
  const auto table =
      run({COMPARE_IMAGES, folder / "a.png", folder / "a.png", "--ms-ssim"});
  EXPECT_THAT(table.out, HasSubstr("MS-SSIM  1\n"));
}

TEST(CompareImages, WritesTheMap) {
  const Folder folder;
  auto other = photo_like(40, 30);
  // One corner differs. The map is white everywhere else.
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8 * 3; ++x) {
      auto& sample = other.samples[std::size_t(y * 40 * 3 + x)];
      sample = static_cast<std::uint16_t>(255 - sample);
    }
  }
  write_png(folder / "a.png", photo_like(40, 30));
  write_png(folder / "b.png", other);
  for (const std::string padding : {"same", "valid", "reflect"}) {
    const auto path = folder / (padding + ".png");
    compare(
        {folder / "a.png",
         folder / "b.png",
         "--padding",
         padding,
         "--map",
         path});
    const auto map = read_png(path);
    const int border = padding == "valid" ? 5 : 0;
    ASSERT_EQ(map.width, 40 - 2 * border);
    ASSERT_EQ(map.height, 30 - 2 * border);
    EXPECT_EQ(map.channels, 1);
    EXPECT_LT(map.at(5 - border, 5 - border, 0), 100);
    EXPECT_EQ(map.at(map.width - 1, map.height - 1, 0), 255);
  }
}

TEST(CompareImages, IgnoresAlphaWithAWord) {
  const Folder folder;
  write_png(folder / "rgba.png", photo_like(40, 30, 4));
  const auto finished =
      run({COMPARE_IMAGES, folder / "rgba.png", folder / "rgba.png", "--json"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(json::parse(finished.out)["channels"], 3);
  EXPECT_THAT(
      finished.err, HasSubstr("rgba.png: the alpha channel is ignored"));
}

TEST(CompareImages, ReadsPipes) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  const auto finished = run_in_shell(
      "cat \"$1\" | \"$0\" /dev/stdin \"$1\" --json",
      {COMPARE_IMAGES, folder / "a.png"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(json::parse(finished.out)["ssim"], 1.0);
}

TEST(CompareImages, AFullDiskIsAFailure) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(40, 30));
  for (const std::string option : {"--json", "--padding=same", "--help"}) {
    const auto finished = run_in_shell(
        "\"$0\" \"$1\" \"$1\" \"$2\" > /dev/full",
        {COMPARE_IMAGES, folder / "a.png", option});
    EXPECT_EQ(finished.status, 1) << option;
    EXPECT_EQ(
        finished.err, "compare_images: standard output: cannot be written\n");
  }
}

TEST(CompareImages, ExplainsItself) {
  const auto finished = run({COMPARE_IMAGES, "--help"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.err, "");
  for (const auto* option :
       {"--padding",
        "--window-size",
        "--sigma",
        "--device",
        "--map",
        "--ms-ssim",
        "--json"}) {
    EXPECT_THAT(finished.out, HasSubstr(option));
  }
}

} // namespace
} // namespace programs_test
