#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Reads and writes image files for the tests with libpng and libjpeg. It shares
// no code with the programs under test.
namespace programs_test {

/// Samples, [height, width, channels]. They have 8 bits unless a test says
/// otherwise.
struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint16_t> samples;

  std::uint16_t at(int x, int y, int channel) const {
    const auto index = (y * width + x) * channels + channel;
    return samples[static_cast<std::size_t>(index)];
  }
};

/// An image like a photograph, with slow gradients, edges and fine texture.
Picture photo_like(int width, int height, int channels = 3, int maximum = 255);
Picture constant(int width, int height, int value);

/// The format of a PNG. Samples of less than 8 bits are packed.
struct PngForm {
  int color_type; // PNG_COLOR_TYPE_...
  int bit_depth = 8;
  bool interlaced = false;
  /// [colours, 3], for PNG_COLOR_TYPE_PALETTE
  std::vector<std::uint8_t> palette = {};
  bool transparent_color = false; // a tRNS chunk
  std::vector<std::uint8_t> profile = {}; // an iCCP chunk
};

/// Writes a PNG. Without `form` it has 8 bits a sample, and the number of
/// channels gives its colour type.
void write_png(const std::string& path, const Picture& picture);
void write_png(
    const std::string& path,
    const Picture& picture,
    const PngForm& form);
/// Writes grey, RGB or CMYK, by the number of channels.
void write_jpeg(
    const std::string& path,
    const Picture& picture,
    int quality,
    bool progressive = false);

/// Reads an 8-bit grey or RGB PNG without alpha. Throws for any other file.
Picture read_png(const std::string& path);

double psnr(const Picture& a, const Picture& b);
double mean_absolute_error(const Picture& a, const Picture& b); // in [0, 1]

/// Enlarges each pixel to factor x factor pixels, in RGB.
Picture enlarged(const Picture& picture, int factor);
/// Whether `whole` contains `part`, sample for sample.
bool contains(const Picture& whole, const Picture& part);

} // namespace programs_test
