#pragma once

#include <string>

namespace programs {

constexpr int kGlyphWidth = 5;
constexpr int kGlyphHeight = 8; // of which the lowest row is for descenders

/// Whether the pixel (x, y) of a character has ink. It knows digits, space,
/// '.', and the lower-case letters of the captions. Other characters are blank.
bool glyph_pixel(char character, int x, int y);

} // namespace programs
