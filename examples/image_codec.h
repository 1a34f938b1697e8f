#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace programs {

/// Samples as an image file holds them, without colour management or rotation.
struct Pixels {
  std::int64_t width = 0, height = 0;
  int channels = 0; // 1 grey, 3 red green blue
  int bytes_per_sample = 1; // 2: most significant byte first
  bool had_alpha = false; // an alpha channel or a transparent colour, left out
  std::vector<unsigned char> bytes; // [height, width, channels, sample bytes]
};

/// Decodes a PNG (any colour type, bit depth and interlacing) or a JPEG (grey
/// or colour). `name` is the file's name in messages. Throws BadInput for
/// anything else, for damaged or truncated files, and for more than 2^27
/// pixels.
Pixels decode_image(
    const std::vector<unsigned char>& file,
    const std::string& name);

Pixels decode_png(
    const std::vector<unsigned char>& file,
    const std::string& name);
Pixels decode_jpeg(
    const std::vector<unsigned char>& file,
    const std::string& name);

/// Throws BadInput if an image claims to be larger than the limit. The decoders
/// call it before they allocate.
void check_dimensions(const Pixels& pixels, const std::string& name);

/// Encodes a PNG; one byte a sample.
std::vector<unsigned char> encode_png(const Pixels& pixels);

} // namespace programs
