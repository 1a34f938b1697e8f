#pragma once

#include <torch/types.h>

#include <string>

namespace programs {

/// An image read from a file.
struct Image {
  torch::Tensor pixels; // [C, H, W] in [0, 1], C is 1 (grey) or 3
  std::string path;
};

/// Reads a PNG or JPEG file: 8-bit samples as value / 255, 16-bit ones as value
/// / 65535. It rotates the image as the Exif orientation says. It ignores an
/// alpha channel and a colour space other than sRGB, each with a line on
/// standard error. Throws BadInput; see decode_image.
Image load_image(const std::string& path, torch::Dtype dtype = torch::kFloat32);

/// Writes an 8-bit PNG, clamped to [0, 1]. If it cannot be written, throws
/// BadInput and leaves no file.
void save_image(
    const std::string& path,
    const torch::Tensor& image); // [C, H, W], C is 1 or 3, any floating type

/// Throws BadInput, with both sizes, if width, height or channels differ.
void check_same_size(const Image& image, const Image& expected);

/// Throws BadInput if the image is smaller than one window.
void check_holds_window(const Image& image, int64_t window_size);

/// Peak signal-to-noise ratio in dB of images in [0, 1]. Infinite for equal
/// images.
double psnr(double mean_squared_error);

} // namespace programs
