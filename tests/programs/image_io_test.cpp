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

/// `count` bytes of a number, the most significant first.
std::string big_endian(std::uint32_t number, int count) {
  std::string bytes;
  for (int i = count - 1; i >= 0; --i) {
    bytes += static_cast<char>((number >> (8 * i)) & 255);
  }
  return bytes;
}

/// A chunk of a PNG, with its length and checksum.
std::string png_chunk(const std::string& type, const std::string& data) {
  std::uint32_t crc = 0xffffffffu;
  for (const char byte : type + data) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
  }
  const auto size = static_cast<std::uint32_t>(data.size());
  return big_endian(size, 4) + type + data + big_endian(~crc, 4);
}

constexpr std::size_t kPngHeaderEnd = 33; // of the signature and the IHDR chunk

/// A PNG that claims a size. Its checksum is right, and it has no data.
std::string huge_png() {
  const Folder folder;
  write_png(folder / "a.png", photo_like(4, 4));
  auto bytes = read_text(folder / "a.png");
  auto header = bytes.substr(16, 13);
  header[0] = header[4] = 0x7f; // of width and height, most significant byte
  return bytes.replace(8, kPngHeaderEnd - 8, png_chunk("IHDR", header));
}

/// The PNG or JPEG file `bytes` with a chunk or segment after its header, or, of a
/// PNG, at its end.
std::string with_chunk(
    std::string bytes,
    const std::string& type,
    const std::string& data,
    bool at_end = false) {
  const auto end_chunk = png_chunk("IEND", "").size();
  return bytes.insert(
      at_end ? bytes.size() - end_chunk : kPngHeaderEnd, png_chunk(type, data));
}

std::string with_segment(
    std::string bytes,
    int application, // APP0 .. APP15
    const std::string& data) {
  const auto size = static_cast<std::uint32_t>(data.size()) + 2;
  return bytes.insert(
      2,
      big_endian(0xffe0u + static_cast<unsigned>(application), 2) +
          big_endian(size, 2) + data);
}

/// An Exif block with a description and the orientation.
std::string exif_block(int orientation, bool little_endian) {
  const auto number = [&](std::uint32_t value, int count) {
    auto bytes = big_endian(value, count);
    if (little_endian) {
      std::reverse(bytes.begin(), bytes.end());
    }
    return bytes;
  };
  const auto value = static_cast<std::uint32_t>(orientation);
  return std::string(little_endian ? "II" : "MM") + number(42, 2) +
      number(8, 4) + // where the directory is
      number(2, 2) + // entries: tag, type, count, value
      number(0x10e, 2) + number(2, 2) + number(4, 4) + "abc" + '\0' +
      number(0x112, 2) + number(3, 2) + number(1, 4) + number(value, 2) +
      number(0, 2) + number(0, 4);
}

std::string exif_segment(const std::string& block) {
  return std::string("Exif\0\0", 6) + block;
}

struct Loaded {
  torch::Tensor pixels; // [C, H, W]
  std::string warnings;
};

Loaded load_bytes(const std::string& bytes) {
  const Folder folder;
  write_text(folder / "image", bytes);
  testing::internal::CaptureStderr();
  const auto pixels = load_image(folder / "image", torch::kFloat64).pixels;
  auto warnings = testing::internal::GetCapturedStderr();
  const auto name = warnings.find("image: ");
  return {pixels, name == std::string::npos ? warnings : warnings.substr(name)};
}

std::string png_bytes(const PngForm& form = {PNG_COLOR_TYPE_RGB}) {
  const Folder folder;
  const int channels = form.color_type == PNG_COLOR_TYPE_GRAY ? 1 : 3;
  write_png(folder / "a.png", photo_like(23, 17, channels), form);
  return read_text(folder / "a.png");
}

std::string jpeg_bytes() {
  const Folder folder;
  write_jpeg(folder / "a.jpg", photo_like(23, 17), 90);
  return read_text(folder / "a.jpg");
}

/// The pixel of the file that is seen at (y, x) of an image turned upright.
std::pair<int64_t, int64_t> in_file(
    int orientation,
    int64_t y,
    int64_t x,
    int64_t height, // of the file's image
    int64_t width) {
  const auto up = height - 1, left = width - 1;
  switch (orientation) {
    case 2:
      return {y, left - x};
    case 3:
      return {up - y, left - x};
    case 4:
      return {up - y, x};
    case 5:
      return {x, y};
    case 6:
      return {up - x, y};
    case 7:
      return {up - x, left - y};
    case 8:
      return {x, left - y};
    default:
      return {y, x};
  }
}

void expect_turned(
    const torch::Tensor& image, // [C, H, W] or [C, W, H]
    const torch::Tensor& stored, // [C, H, W]
    int orientation) {
  const auto height = stored.size(1), width = stored.size(2);
  const bool swapped = orientation >= 5;
  ASSERT_EQ(image.size(1), swapped ? width : height) << orientation;
  ASSERT_EQ(image.size(2), swapped ? height : width) << orientation;
  EXPECT_TRUE(image.is_contiguous());
  for (int64_t y = 0; y < image.size(1); ++y) {
    for (int64_t x = 0; x < image.size(2); ++x) {
      const auto [v, u] = in_file(orientation, y, x, height, width);
      ASSERT_TRUE(image.select(1, y).select(1, x).equal(
          stored.select(1, v).select(1, u)))
          << orientation << " at " << y << ", " << x;
    }
  }
}

TEST(ImageIo, ImagesAreTurnedAsExifSays) {
  const auto png = png_bytes(), jpeg = jpeg_bytes();
  const auto stored_png = load_bytes(png).pixels;
  const auto stored_jpeg = load_bytes(jpeg).pixels;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const bool even = orientation % 2 == 0;
    const auto block = exif_block(orientation, even);
    const auto from_png = load_bytes(with_chunk(png, "eXIf", block, even));
    const auto from_jpeg =
        load_bytes(with_segment(jpeg, 1, exif_segment(block)));
    expect_turned(from_png.pixels, stored_png, orientation);
    expect_turned(from_jpeg.pixels, stored_jpeg, orientation);
    EXPECT_EQ(from_png.warnings + from_jpeg.warnings, "");
  }
}

TEST(ImageIo, ADamagedExifBlockTurnsNothing) {
  const auto jpeg = jpeg_bytes();
  const auto stored = load_bytes(jpeg).pixels;
  const auto expect_upright = [&](const std::string& segment) {
    const auto loaded = load_bytes(with_segment(jpeg, 1, segment));
    EXPECT_TRUE(loaded.pixels.equal(stored));
    EXPECT_EQ(loaded.warnings, "");
  };
  for (const int orientation : {0, 9, 0x106}) {
    expect_upright(exif_segment(exif_block(orientation, false)));
  }
  for (const bool little_endian : {false, true}) {
    const auto block = exif_block(6, little_endian);
    // Cut anywhere before the orientation's value ends.
    for (std::size_t size = 0; size < 32; ++size) {
      expect_upright(exif_segment(block.substr(0, size)));
    }
    auto far = block;
    far.replace(4, 4, std::string(4, '\xff')); // where the directory is
    expect_upright(exif_segment(far));
  }
  expect_upright("http://ns.adobe.com/xap/1.0/");
  expect_upright("");
}

/// The least profile that libpng takes: a header, and one tag, the description. It has
/// to be some hundred bytes long when compressed.
std::vector<std::uint8_t> profile_with(std::string text) {
  text.resize((text.size() + 3) / 4 * 4);
  for (int i = 0; i < 100; ++i) {
    text += static_cast<char>(128 + i);
  }
  std::string bytes(128, '\0');
  bytes.replace(8, 4, std::string("\x02\x10\0\0", 4)); // version
  bytes.replace(12, 12, "mntrRGB XYZ ");
  bytes.replace(36, 4, "acsp");
  bytes.replace(68, 12, std::string("\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d", 12));
  const auto size = static_cast<std::uint32_t>(text.size());
  bytes += big_endian(1, 4) + "desc" + big_endian(144, 4) +
      big_endian(size, 4) + text;
  bytes.replace(0, 4, big_endian(static_cast<std::uint32_t>(bytes.size()), 4));
  return {bytes.begin(), bytes.end()};
}

TEST(ImageIo, ColoursOtherThanSrgbAreWarnedOf) {
  const auto expect_warning = [](const std::string& bytes,
                                 const std::string& by) {
    const auto expected = by.empty()
        ? ""
        : "image: its colours are not sRGB by " + by + ", which is ignored\n";
    EXPECT_EQ(load_bytes(bytes).warnings, expected);
  };
  const auto gamma = [](std::uint32_t value) {
    return with_chunk(png_bytes(), "gAMA", big_endian(value, 4));
  };
  expect_warning(gamma(45455), "");
  expect_warning(gamma(100000), "a gAMA chunk");
  expect_warning(with_chunk(gamma(100000), "sRGB", std::string(1, '\0')), "");
  const auto primaries = [](std::initializer_list<std::uint32_t> values) {
    std::string data;
    for (const auto value : values) {
      data += big_endian(value, 4);
    }
    return with_chunk(png_bytes(), "cHRM", data);
  };
  expect_warning(
      primaries({31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000}), "");
  expect_warning(
      primaries({31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000}),
      "a cHRM chunk");

  const std::string srgb_in_utf16("\0s\0R\0G\0B", 8);
  const auto profile = [](const std::string& text) {
    PngForm form{PNG_COLOR_TYPE_RGB};
    form.profile = profile_with(text);
    return png_bytes(form);
  };
  expect_warning(profile("Display P3"), "an iCCP profile");
  expect_warning(profile("sRGB IEC61966-2.1"), "");
  expect_warning(profile(srgb_in_utf16), "");

  const auto segment = [](const std::string& part, const std::string& text) {
    return with_segment(
        jpeg_bytes(), 2, std::string("ICC_PROFILE\0", 12) + part + text);
  };
  expect_warning(segment("\1\1", "Display P3"), "an ICC profile");
  expect_warning(segment("\1\1", "sRGB IEC61966-2.1"), "");
  expect_warning(segment("\1\1", srgb_in_utf16), "");
  expect_warning(with_segment(jpeg_bytes(), 2, "MPF"), "");
}

TEST(ImageIo, HugeSizesAreRefusedBeforeAnythingIsAllocated) {
  const Folder folder;
  write_text(folder / "a.png", huge_png());
  EXPECT_THAT(
      [&] { load_image(folder / "a.png"); },
      ThrowsMessage<BadInput>(HasSubstr(
          "expected at most 134217728 pixels, but got 2130706436 x")));

  write_jpeg(folder / "a.jpg", photo_like(8, 8), 90);
  auto bytes = read_text(folder / "a.jpg");
  const auto frame = bytes.find("\xff\xc0"); // length, bits, height, width
  for (const std::size_t i : {5, 6, 7, 8}) {
    bytes[frame + i] = static_cast<char>(0xf0);
  }
  write_text(folder / "a.jpg", bytes);
  EXPECT_THAT(
      [&] { load_image(folder / "a.jpg"); },
      ThrowsMessage<BadInput>(HasSubstr("but got 61680 x 61680")));
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
