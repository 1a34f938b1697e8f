#pragma once

#include <cstddef>

namespace programs {

/// Returns the orientation tag, 1 to 8, of an Exif block, which begins with its
/// TIFF header. Returns 1, which is upright, if there is no tag or the block is
/// damaged.
int exif_orientation(const unsigned char* block, std::size_t size);

} // namespace programs
