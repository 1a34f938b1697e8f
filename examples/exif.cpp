#include "exif.h"

#include <cstdint>

namespace programs {

int exif_orientation(const unsigned char* block, std::size_t size) {
  constexpr int upright = 1;
  if (size < 8 || block[0] != block[1] ||
      (block[0] != 'I' && block[0] != 'M')) {
    return upright;
  }
  const bool little_endian = block[0] == 'I';
  // The number in `count` bytes at `at`. The caller checks that they exist.
  const auto number = [&](std::size_t at, std::size_t count) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value = value << 8 | block[at + (little_endian ? count - 1 - i : i)];
    }
    return value;
  };

  // The first directory: the number of its entries, then 12 bytes for each.
  constexpr std::uint32_t orientation_tag = 0x112, short_type = 3;
  const std::size_t directory = number(4, 4);
  if (directory > size - 2) {
    return upright;
  }
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > size) {
      return upright;
    }
    if (number(entry, 2) == orientation_tag &&
        number(entry + 2, 2) == short_type) {
      const auto value = static_cast<int>(number(entry + 8, 2));
      return value >= 1 && value <= 8 ? value : upright;
    }
  }
  return upright;
}

} // namespace programs
