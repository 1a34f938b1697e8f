#include "picture.h"

// jpeglib.h uses FILE and size_t without including their headers.
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

namespace programs_test {

namespace {

struct Close {
  void operator()(std::FILE* file) const {
    std::fclose(file);
  }
};

std::unique_ptr<std::FILE, Close> create(const std::string& path) {
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "wb"));
  if (!file) {
    throw std::runtime_error("cannot write " + path);
  }
  return file;
}

void on_png_error(png_structp, png_const_charp message) {
  throw std::logic_error(message);
}

} // namespace

Picture photo_like(int width, int height, int channels, int maximum) {
  Picture picture{width, height, channels, {}};
  std::uint32_t random = 12345;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double u = double(x) / width, v = double(y) / height;
        double value = 0.45 + 0.25 * std::sin(5 * u + 3 * v + c) +
            0.08 * std::sin(0.9 * x) * std::sin(0.7 * y);
        if (std::hypot(u - 0.6, v - 0.4) < 0.25) {
          value = 0.75 - 0.2 * c + 0.1 * v;
        }
        random = random * 1664525u + 1013904223u;
        value += 0.06 * (double(random >> 8) / (1 << 24) - 0.5);
        value = std::min(1.0, std::max(0.0, value));
        picture.samples.push_back(
            static_cast<std::uint16_t>(std::lround(value * maximum)));
      }
    }
  }
  return picture;
}

Picture constant(int width, int height, int value) {
  const auto count = static_cast<std::size_t>(width * height * 3);
  return {
      width,
      height,
      3,
      std::vector<std::uint16_t>(count, static_cast<std::uint16_t>(value))};
}

void write_png(const std::string& path, const Picture& picture) {
  const int types[] = {
      PNG_COLOR_TYPE_GRAY,
      PNG_COLOR_TYPE_GRAY_ALPHA,
      PNG_COLOR_TYPE_RGB,
      PNG_COLOR_TYPE_RGB_ALPHA};
  PngForm form;
  form.color_type = types[picture.channels - 1];
  write_png(path, picture, form);
}

void write_png(
    const std::string& path,
    const Picture& picture,
    const PngForm& form) {
  const auto file = create(path);
  auto* png = png_create_write_struct(
      PNG_LIBPNG_VER_STRING, nullptr, on_png_error, nullptr);
  auto* info = png_create_info_struct(png);
  png_init_io(png, file.get());
  png_set_IHDR(
      png,
      info,
      static_cast<png_uint_32>(picture.width),
      static_cast<png_uint_32>(picture.height),
      form.bit_depth,
      form.color_type,
      form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
      PNG_COMPRESSION_TYPE_DEFAULT,
      PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (std::size_t i = 0; i < form.palette.size(); i += 3) {
    palette.push_back(
        {form.palette[i], form.palette[i + 1], form.palette[i + 2]});
  }
  if (!palette.empty()) {
    png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  }
  if (form.transparent_color) {
    png_byte alpha[] = {0};
    png_color_16 color = {};
    png_set_tRNS(png, info, alpha, 1, &color);
  }
  if (!form.profile.empty()) {
    png_set_iCCP(
        png,
        info,
        "profile",
        PNG_COMPRESSION_TYPE_BASE,
        form.profile.data(),
        static_cast<png_uint_32>(form.profile.size()));
  }
  png_write_info(png, info);
  png_set_packing(png);

  const auto row_samples =
      static_cast<std::size_t>(picture.width * picture.channels);
  std::vector<std::vector<png_byte>> rows;
  for (std::size_t y = 0; y < static_cast<std::size_t>(picture.height); ++y) {
    auto& row = rows.emplace_back();
    for (std::size_t i = 0; i < row_samples; ++i) {
      const auto sample = picture.samples[y * row_samples + i];
      if (form.bit_depth == 16) {
        row.push_back(static_cast<png_byte>(sample >> 8));
      }
      row.push_back(static_cast<png_byte>(sample & 255));
    }
  }
  std::vector<png_bytep> pointers;
  for (auto& row : rows) {
    pointers.push_back(row.data());
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
}

void write_jpeg(
    const std::string& path,
    const Picture& picture,
    int quality,
    bool progressive) {
  const auto file = create(path);
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file.get());
  jpeg.image_width = static_cast<JDIMENSION>(picture.width);
  jpeg.image_height = static_cast<JDIMENSION>(picture.height);
  jpeg.input_components = picture.channels;
  jpeg.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE
      : picture.channels == 3                 ? JCS_RGB
                                              : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  if (progressive) {
    jpeg_simple_progression(&jpeg);
  }
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<JSAMPLE> samples(picture.samples.begin(), picture.samples.end());
  const auto row_samples =
      static_cast<std::size_t>(picture.width * picture.channels);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = samples.data() + jpeg.next_scanline * row_samples;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
}

Picture read_png(const std::string& path) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) {
    throw std::runtime_error(path + ": " + image.message);
  }
  const bool color = image.format & PNG_FORMAT_FLAG_COLOR;
  if (image.format & ~unsigned(PNG_FORMAT_FLAG_COLOR)) {
    png_image_free(&image);
    throw std::runtime_error(path + ": not an 8-bit grey or RGB image");
  }
  image.format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<png_byte> bytes(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr)) {
    throw std::runtime_error(path + ": " + image.message);
  }
  return {
      static_cast<int>(image.width),
      static_cast<int>(image.height),
      color ? 3 : 1,
      {bytes.begin(), bytes.end()}};
}

double psnr(const Picture& a, const Picture& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.samples.size(); ++i) {
    const double error = (a.samples[i] - b.samples[i]) / 255.0;
    sum += error * error;
  }
  return -10 * std::log10(sum / double(a.samples.size()));
}

double mean_absolute_error(const Picture& a, const Picture& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.samples.size(); ++i) {
    sum += std::abs(a.samples[i] - b.samples[i]) / 255.0;
  }
  return sum / double(a.samples.size());
}

Picture enlarged(const Picture& picture, int factor) {
  Picture large{picture.width * factor, picture.height * factor, 3, {}};
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        large.samples.push_back(
            picture.at(x / factor, y / factor, picture.channels == 3 ? c : 0));
      }
    }
  }
  return large;
}

bool contains(const Picture& whole, const Picture& part) {
  const auto is_at = [&](int left, int top) {
    for (int y = 0; y < part.height; ++y) {
      for (int x = 0; x < part.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          if (whole.at(left + x, top + y, c) != part.at(x, y, c)) {
            return false;
          }
        }
      }
    }
    return true;
  };
  for (int top = 0; top + part.height <= whole.height; ++top) {
    for (int left = 0; left + part.width <= whole.width; ++left) {
      if (is_at(left, top)) {
        return true;
      }
    }
  }
  return false;
}

} // namespace programs_test
