#include "image_io.h"

#include "files.h"
#include "image_codec.h"
#include "program.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace programs {

namespace {

std::string describe_size(const Image& image) {
  const auto& pixels = image.pixels;
  return std::to_string(pixels.size(2)) + " x " +
      std::to_string(pixels.size(1)) + (pixels.size(0) == 1 ? " grey" : " RGB");
}

/// Rotates and mirrors the image to upright.
torch::Tensor upright(
    torch::Tensor image, // [C, H, W]
    int orientation) { // of Exif, 1 .. 8
  const int bits = orientation - 1;
  if (bits & 4) {
    image = image.transpose(1, 2);
  }
  if (bits & 2) {
    image = image.flip(1);
  }
  if ((bits + 1) & 2) {
    image = image.flip(2);
  }
  return image.contiguous();
}

} // namespace

Image load_image(const std::string& path, torch::Dtype dtype) {
  // 2^27 pixels of the largest kind, four samples of 16 bits, are 2^30 bytes.
  constexpr std::size_t largest_file = (std::size_t{1} << 30) + (1 << 24);
  Pixels pixels = decode_image(read_file(path, largest_file), path);
  if (pixels.had_alpha) {
    std::cerr << path << ": the alpha channel is ignored" << std::endl;
  }
  if (!pixels.foreign_colour.empty()) {
    std::cerr << path << ": its colours are not sRGB by "
              << pixels.foreign_colour << ", which is ignored" << std::endl;
  }
  const auto samples =
      torch::from_blob(
          pixels.bytes.data(),
          {pixels.height,
           pixels.width,
           pixels.channels,
           pixels.bytes_per_sample},
          torch::kUInt8)
          .permute({2, 0, 1, 3}); // [C, H, W, bytes of a sample]
  auto values = samples.select(3, 0).to(dtype);
  if (pixels.bytes_per_sample == 2) {
    values.mul_(256).add_(samples.select(3, 1)).div_(65535);
  } else {
    values.div_(255);
  }
  return {upright(values, pixels.orientation), path};
}

void save_image(
    const std::string& path,
    const torch::Tensor& image) { // [C, H, W]
  const auto samples = image.detach()
                           .cpu()
                           .to(torch::kFloat32)
                           .nan_to_num(0)
                           .clamp(0, 1)
                           .mul(255)
                           .round()
                           .to(torch::kUInt8)
                           .permute({1, 2, 0})
                           .contiguous(); // [H, W, C]
  Pixels pixels;
  pixels.height = samples.size(0);
  pixels.width = samples.size(1);
  pixels.channels = static_cast<int>(samples.size(2));
  const auto* data = samples.data_ptr<uint8_t>();
  pixels.bytes.assign(data, data + samples.numel());
  const auto file = encode_png(pixels);
  write_file(path, file.data(), file.size());
}

void check_same_size(const Image& image, const Image& expected) {
  if (image.pixels.sizes() != expected.pixels.sizes()) {
    throw BadInput(
        image.path + ": expected " + describe_size(expected) +
        ", the size of " + expected.path + ", but got " + describe_size(image));
  }
}

void check_holds_window(const Image& image, int64_t window_size) {
  if (std::min(image.pixels.size(1), image.pixels.size(2)) < window_size) {
    const auto size = std::to_string(window_size);
    throw BadInput(
        image.path + ": expected at least " + size + " x " + size +
        " pixels, the SSIM window, with --padding valid, but got " +
        describe_size(image));
  }
}

double psnr(double mean_squared_error) {
  return -10 * std::log10(mean_squared_error);
}

} // namespace programs
