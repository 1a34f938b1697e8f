#include "image_io.h"

#include <png.h>
#include <sys/stat.h>

#include <torch/torch.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace {

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw std::runtime_error(path + ": " + reason);
}

} // namespace

torch::Tensor load_png(const std::string& path) {
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&png, path.c_str())) {
    fail(path, std::string("cannot be read as PNG: ") + png.message);
  }
  constexpr int64_t largest = 8192;
  const int64_t height = png.height, width = png.width;
  if (height > largest || width > largest) {
    png_image_free(&png);
    fail(
        path,
        "expected at most 8192 x 8192 pixels, but got " +
            std::to_string(width) + " x " + std::to_string(height));
  }
  png.format = PNG_FORMAT_RGB;
  auto samples = torch::zeros({height, width, 3}, torch::kUInt8);
  if (!png_image_finish_read(
          &png, nullptr, samples.data_ptr<uint8_t>(), 0, nullptr)) {
    fail(path, std::string("cannot be read as PNG: ") + png.message);
  }
  return samples.permute({2, 0, 1}).to(torch::kFloat32).div_(255).contiguous();
}

void save_png(
    const std::string& path,
    const torch::Tensor& image) { // [3, H, W]
  const auto samples = image.detach()
                           .cpu()
                           .clamp(0, 1)
                           .mul(255)
                           .round()
                           .to(torch::kUInt8)
                           .permute({1, 2, 0})
                           .contiguous(); // [H, W, 3]
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.height = static_cast<png_uint_32>(samples.size(0));
  png.width = static_cast<png_uint_32>(samples.size(1));
  png.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(
          &png, path.c_str(), 0, samples.data_ptr<uint8_t>(), 0, nullptr)) {
    fail(path, std::string("cannot be written: ") + png.message);
  }
}

torch::Tensor contact_sheet(
    const std::vector<torch::Tensor>& images, // [3, H, W] each
    int64_t columns) {
  constexpr int64_t margin = 8;
  const auto count = static_cast<int64_t>(images.size());
  const auto rows = (count + columns - 1) / columns;
  const auto height = images[0].size(1), width = images[0].size(2);
  auto sheet = torch::ones(
      {3,
       rows * (height + margin) + margin,
       columns * (width + margin) + margin});
  for (int64_t i = 0; i < count; ++i) {
    sheet.narrow(1, margin + i / columns * (height + margin), height)
        .narrow(2, margin + i % columns * (width + margin), width)
        .copy_(images[static_cast<size_t>(i)].detach());
  }
  return sheet;
}

// Not std::filesystem: the LibTorch of PyPI exports a std::filesystem of
// another compiler. The program would call that one and may crash.
void prepare_folder(const std::string& path) {
  for (auto end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) {
      fail(part, std::string("cannot be made a folder: ") + strerror(errno));
    }
    if (end == std::string::npos) {
      break;
    }
  }
  // An error now is better than one after a long run.
  write_text(path + "/metrics.json", "");
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) {
    fail(path, std::string("cannot be written: ") + strerror(errno));
  }
}
