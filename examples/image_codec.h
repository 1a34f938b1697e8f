#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace programs {

/// Samples as an image file holds them, without colour management or rotation,
/// and what the file says about both.
struct Pixels {
  std::int64_t width = 0, height = 0;
  int channels = 0; // 1 grey, 3 red green blue
  int bytes_per_sample = 1; // 2: most significant byte first
  bool had_alpha = false; // an alpha channel or a transparent colour, left out
  int orientation = 1; // of Exif: 1 upright, 2 .. 8 mirrored or turned
  std::string foreign_colour; // what says that it is not sRGB, if anything
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

/// Whether an ICC profile names itself sRGB, in 8-bit or 16-bit characters.
bool is_srgb_profile(const unsigned char* profile, std::size_t size);

/// Throws BadInput if an image claims to be larger than the limit. The decoders
/// call it before they allocate.
void check_dimensions(const Pixels& pixels, const std::string& name);

/// Encodes a PNG; one byte a sample.
std::vector<unsigned char> encode_png(const Pixels& pixels);

} // namespace programs
