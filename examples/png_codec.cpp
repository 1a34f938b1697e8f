// libpng reports an error by longjmp, which skips destructors. So every call
// that can fail runs inside `guarded`. Its callable owns no memory; the owners
// of memory are outside of it.

#include "exif.h"
#include "image_codec.h"
#include "program.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace programs {

namespace {

/// The rest of the file.
struct Source {
  const unsigned char* data;
  std::size_t size;
};

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->size) {
    png_error(png, "the file ends too early");
  }
  std::memcpy(to, source->data, count);
  source->data += count;
  source->size -= count;
}

struct Message {
  char text[200] = "";
};

void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof(message->text), "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

class Reader {
 public:
  explicit Reader(const std::vector<unsigned char>& file)
      : source_{file.data(), file.size()} {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
  }
  ~Reader() {
    png_destroy_read_struct(&png_, &info_, nullptr);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Runs `call(png, info)`; throws BadInput with libpng's words if it fails.
  template <typename Call>
  void run(const std::string& name, const Call& call) {
    if (!guarded(call)) {
      throw BadInput(name + ": damaged PNG image: " + message_.text);
    }
  }

  Source* source() {
    return &source_;
  }

 private:
  template <typename Call>
  bool guarded(const Call& call) {
    if (!png_ || !info_ || setjmp(png_jmpbuf(png_))) {
      return false;
    }
    call(png_, info_);
    return true;
  }

  Message message_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

/// The chunk that says that the colours are not sRGB; null if none does.
const char* foreign_colour_chunk(png_structp png, png_infop info) {
  if (png_get_valid(png, info, PNG_INFO_sRGB)) {
    return nullptr;
  }
  png_charp profile_name = nullptr;
  png_bytep profile = nullptr;
  png_uint_32 profile_size = 0;
  int compression = 0;
  if (png_get_iCCP(
          png, info, &profile_name, &compression, &profile, &profile_size)) {
    return is_srgb_profile(profile, profile_size) ? nullptr : "an iCCP profile";
  }
  // In units of 1 / 100000.
  const auto differs = [](png_fixed_point value, png_fixed_point srgb) {
    return std::abs(value - srgb) > 1000;
  };
  png_fixed_point gamma = 0;
  if (png_get_gAMA_fixed(png, info, &gamma) && differs(gamma, 45455)) {
    return "a gAMA chunk";
  }
  constexpr png_fixed_point srgb[] = {
      31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
  png_fixed_point c[8]; // x and y of white, red, green and blue
  if (png_get_cHRM_fixed(
          png, info, c, c + 1, c + 2, c + 3, c + 4, c + 5, c + 6, c + 7)) {
    for (int i = 0; i < 8; ++i) {
      if (differs(c[i], srgb[i])) {
        return "a cHRM chunk";
      }
    }
  }
  return nullptr;
}

/// The Exif orientation, from a chunk before or after the image.
int orientation(png_structp png, png_infop info) {
#ifdef PNG_eXIf_SUPPORTED
  png_bytep block = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(png, info, &size, &block)) {
    return exif_orientation(block, size);
  }
#endif
  return 1;
}

} // namespace

Pixels decode_png(
    const std::vector<unsigned char>& file,
    const std::string& name) {
  Pixels pixels;
  Reader reader(file);
  reader.run(name, [&](png_structp png, png_infop info) {
    png_set_read_fn(png, reader.source(), read_bytes);
    // libpng's own limit would only say "Invalid IHDR data".
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, info);
    pixels.width = png_get_image_width(png, info);
    pixels.height = png_get_image_height(png, info);
    const auto color = png_get_color_type(png, info);
    pixels.channels = (color & PNG_COLOR_MASK_COLOR) ? 3 : 1;
    pixels.bytes_per_sample = png_get_bit_depth(png, info) == 16 ? 2 : 1;
    pixels.had_alpha = (color & PNG_COLOR_MASK_ALPHA) ||
        png_get_valid(png, info, PNG_INFO_tRNS);
  });
  check_dimensions(pixels, name);

  std::size_t row_bytes = 0;
  reader.run(name, [&](png_structp png, png_infop info) {
    const auto color = png_get_color_type(png, info);
    if (color == PNG_COLOR_TYPE_PALETTE) {
      png_set_palette_to_rgb(png);
    } else if (color == PNG_COLOR_TYPE_GRAY) {
      png_set_expand_gray_1_2_4_to_8(png);
    }
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    row_bytes = png_get_rowbytes(png, info);
  });
  const auto expected_row_bytes = static_cast<std::size_t>(
      pixels.width * pixels.channels * pixels.bytes_per_sample);
  if (row_bytes != expected_row_bytes) {
    throw BadInput(name + ": PNG image of a kind that is not read");
  }

  pixels.bytes.resize(row_bytes * static_cast<std::size_t>(pixels.height));
  std::vector<png_bytep> rows(static_cast<std::size_t>(pixels.height));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    rows[y] = pixels.bytes.data() + y * row_bytes;
  }
  const char* foreign_colour = nullptr;
  reader.run(name, [&](png_structp png, png_infop info) {
    png_read_image(png, rows.data());
    png_read_end(png, info);
    pixels.orientation = orientation(png, info);
    foreign_colour = foreign_colour_chunk(png, info);
  });
  if (foreign_colour) {
    pixels.foreign_colour = foreign_colour;
  }
  return pixels;
}

std::vector<unsigned char> encode_png(const Pixels& pixels) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(pixels.width);
  image.height = static_cast<png_uint_32>(pixels.height);
  image.format = pixels.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;

  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<unsigned char> file(size);
  if (!png_image_write_to_memory(
          &image, file.data(), &size, 0, pixels.bytes.data(), 0, nullptr)) {
    throw std::runtime_error(std::string("libpng: ") + image.message);
  }
  file.resize(size);
  return file;
}

} // namespace programs
