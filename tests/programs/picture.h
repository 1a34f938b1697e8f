#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Image files for the tests, written and read back with libpng and libjpeg, apart
// from the code under test.
namespace programs_test {

/// Samples, [height, width, channels]; of 8 bits unless a test says otherwise.
struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint16_t> samples;

  std::uint16_t at(int x, int y, int channel) const {
    const auto index = (y * width + x) * channels + channel;
    return samples[static_cast<std::size_t>(index)];
  }
};

/// Something like a photograph: slow gradients, edges, fine texture.
Picture photo_like(int width, int height, int channels = 3, int maximum = 255);
Picture constant(int width, int height, int value);

/// How a PNG stores its samples. Packs samples of less than 8 bits.
struct PngForm {
  int color_type; // PNG_COLOR_TYPE_...
  int bit_depth = 8;
  bool interlaced = false;
  /// [colours, 3], for PNG_COLOR_TYPE_PALETTE
  std::vector<std::uint8_t> palette = {};
  bool transparent_color = false; // a tRNS chunk
  std::vector<std::uint8_t> profile = {}; // an iCCP chunk
};

/// With the channels that the colour type has, 8 bits a sample.
void write_png(const std::string& path, const Picture& picture);
void write_png(
    const std::string& path,
    const Picture& picture,
    const PngForm& form);
/// Grey, RGB or CMYK, by the number of channels.
void write_jpeg(
    const std::string& path,
    const Picture& picture,
    int quality,
    bool progressive = false);

/// Reads an 8-bit grey or RGB PNG without alpha; throws for any other file.
Picture read_png(const std::string& path);

double psnr(const Picture& a, const Picture& b);
double mean_absolute_error(const Picture& a, const Picture& b); // in [0, 1]

/// Every pixel becomes factor x factor pixels, RGB.
Picture enlarged(const Picture& picture, int factor);
/// Whether `part` is somewhere inside `whole`, sample for sample.
bool contains(const Picture& whole, const Picture& part);

} // namespace programs_test
