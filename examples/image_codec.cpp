#include "image_codec.h"

#include "program.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace programs {

namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 27;

template <std::size_t N>
bool starts_with(
    const std::vector<unsigned char>& file,
    const std::array<unsigned char, N>& magic) {
  return file.size() >= N &&
      std::equal(magic.begin(), magic.end(), file.begin());
}

} // namespace

Pixels decode_image(
    const std::vector<unsigned char>& file,
    const std::string& name) {
  constexpr std::array<unsigned char, 8> png = {
      0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::array<unsigned char, 3> jpeg = {0xff, 0xd8, 0xff};
  if (starts_with(file, png)) {
    return decode_png(file, name);
  }
  if (starts_with(file, jpeg)) {
    return decode_jpeg(file, name);
  }
  throw BadInput(name + ": not a PNG or JPEG image");
}

bool is_srgb_profile(const unsigned char* profile, std::size_t size) {
  std::string text(profile, profile + size);
  text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
  return text.find("sRGB") != std::string::npos;
}

void check_dimensions(const Pixels& pixels, const std::string& name) {
  // A division instead of a product, because a PNG may claim 2^31 x 2^31.
  if (pixels.width > kMaxPixels / pixels.height) {
    throw BadInput(
        name + ": expected at most " + std::to_string(kMaxPixels) +
        " pixels, but got " + std::to_string(pixels.width) + " x " +
        std::to_string(pixels.height));
  }
}

} // namespace programs
