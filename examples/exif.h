#pragma once

#include <cstddef>

namespace programs {

/// The orientation tag of an Exif block, which begins with its TIFF header: 1 to 8,
/// as they are numbered there; 1, upright, where there is none or it is damaged.
int exif_orientation(const unsigned char* block, std::size_t size);

} // namespace programs
