#include "picture.h"
#include "subprocess.h"

#include "files.h"
#include "image_io.h"
#include "program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace programs_test {
namespace {

using programs::BadInput;
using programs::load_image;
using programs::save_image;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// The largest |pixel - sample / maximum|. Ignores channels that the image does
/// not have (alpha).
double largest_error(
    const torch::Tensor& pixels, // [C, H, W]
    const Picture& picture,
    int maximum = 255) {
  const auto values = pixels.to(torch::kFloat64).contiguous();
  const auto at = values.accessor<double, 3>();
  double largest = 0;
  for (int c = 0; c < pixels.size(0); ++c) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        const double expected = double(picture.at(x, y, c)) / maximum;
        largest = std::max(largest, std::abs(at[c][y][x] - expected));
      }
    }
  }
  return largest;
}

std::string truncated(const std::string& path, double part) {
  const auto bytes = read_text(path);
  write_text(path, bytes.substr(0, std::size_t(part * double(bytes.size()))));
  return path;
}

struct PngCase {
  const char* name;
  int channels; // in the file
  PngForm form;
  int64_t read_channels;
  bool warns;
};

void PrintTo(const PngCase& c, std::ostream* stream) {
  *stream << c.name;
}

class PngTest : public testing::TestWithParam<PngCase> {};

TEST_P(PngTest, IsReadExactly) {
  const auto& param = GetParam();
  const int maximum = (1 << param.form.bit_depth) - 1;
  const Folder folder;
  const auto picture = photo_like(37, 23, param.channels, maximum);
  write_png(folder / "a.png", picture, param.form);

  testing::internal::CaptureStderr();
  const auto image = load_image(folder / "a.png", torch::kFloat64);
  const auto warning = testing::internal::GetCapturedStderr();

  EXPECT_EQ(
      image.pixels.sizes(), (torch::IntArrayRef{param.read_channels, 23, 37}));
  EXPECT_TRUE(image.pixels.is_contiguous());
  EXPECT_LE(largest_error(image.pixels, picture, maximum), 1e-15);
  const auto expected_warning = param.warns
      ? (folder / "a.png") + ": the alpha channel is ignored\n"
      : std::string();
  EXPECT_EQ(warning, expected_warning);
}

PngForm transparent(int color_type) {
  PngForm form{color_type};
  form.transparent_color = true;
  return form;
}

INSTANTIATE_TEST_SUITE_P(
    ,
    PngTest,
    testing::Values(
        PngCase{"Grey1", 1, {PNG_COLOR_TYPE_GRAY, 1}, 1, false},
        PngCase{"Grey4", 1, {PNG_COLOR_TYPE_GRAY, 4}, 1, false},
        PngCase{"Grey8", 1, {PNG_COLOR_TYPE_GRAY, 8}, 1, false},
        PngCase{"Grey16", 1, {PNG_COLOR_TYPE_GRAY, 16}, 1, false},
        PngCase{"GreyAlpha8", 2, {PNG_COLOR_TYPE_GRAY_ALPHA, 8}, 1, true},
        PngCase{"GreyAlpha16", 2, {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, 1, true},
        PngCase{"Rgb8", 3, {PNG_COLOR_TYPE_RGB, 8}, 3, false},
        PngCase{"Rgb16", 3, {PNG_COLOR_TYPE_RGB, 16}, 3, false},
        PngCase{"Rgba8", 4, {PNG_COLOR_TYPE_RGB_ALPHA, 8}, 3, true},
        PngCase{"Rgba16", 4, {PNG_COLOR_TYPE_RGB_ALPHA, 16}, 3, true},
        PngCase{"RgbInterlaced", 3, {PNG_COLOR_TYPE_RGB, 8, true}, 3, false},
        PngCase{
            "Rgba16Interlaced",
            4,
            {PNG_COLOR_TYPE_RGB_ALPHA, 16, true},
            3,
            true},
        PngCase{
            "GreyWithTransparentColor",
            1,
            transparent(PNG_COLOR_TYPE_GRAY),
            1,
            true},
        PngCase{
            "RgbWithTransparentColor",
            3,
            transparent(PNG_COLOR_TYPE_RGB),
            3,
            true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ImageIo, PaletteBecomesRgb) {
  const std::vector<std::uint8_t> palette = {
      0, 0, 0, 255, 10, 20, 30, 255, 40, 50, 60, 255};
  for (const bool transparent_color : {false, true}) {
    for (const int bit_depth : {2, 8}) {
      const Folder folder;
      const auto indices = photo_like(19, 8, 1, 3);
      write_png(
          folder / "a.png",
          indices,
          {PNG_COLOR_TYPE_PALETTE,
           bit_depth,
           false,
           palette,
           transparent_color});
      Picture expected{19, 8, 3, {}};
      for (const auto index : indices.samples) {
        for (const std::size_t c : {0, 1, 2}) {
          expected.samples.push_back(palette[std::size_t{index} * 3 + c]);
        }
      }
      testing::internal::CaptureStderr();
      const auto image = load_image(folder / "a.png", torch::kFloat64);
      EXPECT_EQ(
          testing::internal::GetCapturedStderr().empty(), !transparent_color);
      ASSERT_EQ(image.pixels.sizes(), (torch::IntArrayRef{3, 8, 19}));
      EXPECT_LE(largest_error(image.pixels, expected), 1e-15);
    }
  }
}

TEST(ImageIo, JpegIsReadWithinItsOwnLoss) {
  for (const int channels : {1, 3}) {
    for (const bool progressive : {false, true}) {
      const Folder folder;
      // Smooth, because JPEG stores the colours at half the resolution.
      auto picture = photo_like(40, 24, channels);
      for (int y = 0; y < 24; ++y) {
        for (int x = 0; x < 40; ++x) {
          for (int c = 0; c < channels; ++c) {
            const auto index = std::size_t((y * 40 + x) * channels + c);
            picture.samples[index] =
                static_cast<std::uint16_t>(60 + 2 * x + 3 * y + 20 * c);
          }
        }
      }
      write_jpeg(folder / "a.jpg", picture, 98, progressive);
      const auto image = load_image(folder / "a.jpg", torch::kFloat64);
      ASSERT_EQ(image.pixels.sizes(), (torch::IntArrayRef{channels, 24, 40}));
      EXPECT_LE(largest_error(image.pixels, picture), 4.0 / 255);
    }
  }
}

TEST(ImageIo, SavesAndLoadsEveryValue) {
  for (const int64_t channels : {1, 3}) {
    const Folder folder;
    const auto values = torch::arange(channels * 256, torch::kFloat32)
                            .remainder(256)
                            .view({channels, 8, 32})
                            .div(255);
    save_image(folder / "a.png", values);
    EXPECT_TRUE(load_image(folder / "a.png").pixels.equal(values));
    EXPECT_EQ(folder.list(), std::vector<std::string>{"a.png"});
  }
}

TEST(ImageIo, SavingClampsAndRounds) {
  const Folder folder;
  constexpr auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto image = torch::tensor({-3.f, 1.5f, nan, 10.4f / 255, 10.6f / 255})
                         .view({1, 1, 5});
  // Neither the type nor the layout matters.
  save_image(folder / "a.png", image.to(torch::kFloat64).expand({3, 4, 5}));
  const auto saved = read_png(folder / "a.png");
  EXPECT_EQ(saved.channels, 3);
  EXPECT_EQ(saved.height, 4);
  for (const int c : {0, 1, 2}) {
    EXPECT_EQ(saved.at(0, 3, c), 0);
    EXPECT_EQ(saved.at(1, 3, c), 255);
    EXPECT_EQ(saved.at(2, 3, c), 0);
    EXPECT_EQ(saved.at(3, 3, c), 10);
    EXPECT_EQ(saved.at(4, 3, c), 11);
  }
}

TEST(ImageIo, CutFilesAreRefusedWhereverTheyEnd) {
  for (const double part : {0.05, 0.3, 0.9, 0.999}) {
    const Folder folder;
    write_png(folder / "a.png", photo_like(64, 48));
    write_jpeg(folder / "a.jpg", photo_like(64, 48), 90);
    write_jpeg(folder / "b.jpg", photo_like(64, 48), 90, true);
    for (const auto* name : {"a.png", "a.jpg", "b.jpg"}) {
      const auto path = truncated(folder / name, part);
      EXPECT_THAT(
          [&] { load_image(path); },
          ThrowsMessage<BadInput>(HasSubstr(path + ": damaged")));
    }
  }
}

TEST(ImageIo, DamagedDataIsRefused) {
  const Folder folder;
  write_png(folder / "a.png", photo_like(64, 48));
  auto bytes = read_text(folder / "a.png");
  bytes[bytes.size() / 2] = static_cast<char>(~bytes[bytes.size() / 2]);
  write_text(folder / "a.png", bytes);
  EXPECT_THAT(
      [&] { load_image(folder / "a.png"); },
      ThrowsMessage<BadInput>(HasSubstr("damaged PNG image")));
}

TEST(ImageIo, BytesAfterTheImageAreHarmless) {
  const Folder folder;
  const auto picture = photo_like(20, 10);
  write_png(folder / "a.png", picture);
  write_text(folder / "a.png", read_text(folder / "a.png") + "more");
  EXPECT_LE(largest_error(load_image(folder / "a.png").pixels, picture), 1e-7);
}

TEST(ImageIo, OtherKindsOfFileAreRefused) {
  const Folder folder;
  write_jpeg(folder / "cmyk.jpg", photo_like(16, 16, 4), 90);
  write_text(folder / "text.png", "not an image");
  write_text(folder / "empty.png", "");
  EXPECT_THAT(
      [&] { load_image(folder / "cmyk.jpg"); },
      ThrowsMessage<BadInput>(HasSubstr("cmyk.jpg: expected a grey or RGB")));
  for (const auto* name : {"text.png", "empty.png"}) {
    EXPECT_THAT(
        [&] { load_image(folder / name); },
        ThrowsMessage<BadInput>(folder / name + ": not a PNG or JPEG image"));
  }
}

TEST(ImageIo, FailedWritingLeavesNothing) {
  const Folder folder;
  write_text(folder / "file", "");
  const auto path = folder / "file/a.png";
  EXPECT_THAT(
      [&] {
        save_image(path, torch::zeros({1, 4, 4}));
      },
      ThrowsMessage<BadInput>(HasSubstr(path + ": cannot be written")));
  // A folder has this name already, so renaming fails.
  programs::prepare_output_directory(folder / "taken/inside");
  EXPECT_THAT(
      [&] {
        save_image(folder / "taken", torch::zeros({1, 4, 4}));
      },
      ThrowsMessage<BadInput>(HasSubstr("taken: cannot be written")));
  EXPECT_EQ(
      folder.list(),
      (std::vector<std::string>{"file", "taken", "taken/inside"}));
}

} // namespace
} // namespace programs_test
