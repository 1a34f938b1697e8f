// libjpeg reports an error through a callback that must not return. Our
// callback leaves it by longjmp, which skips destructors. So every call that
// can fail runs inside `guarded`, as with libpng.

#include "exif.h"
#include "image_codec.h"
#include "program.h"

// jpeglib.h uses FILE and size_t without including their headers.
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

// After jpeglib.h, whose configuration determines the numbers of the messages.
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

namespace programs {

namespace {

struct Errors {
  jpeg_error_mgr base; // first, so that libjpeg's pointer is also ours
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<Errors*>(jpeg->err);
  errors->base.format_message(jpeg, errors->message);
  std::longjmp(errors->jump, 1);
}

/// libjpeg only warns of missing or damaged data, and invents the rest of the
/// picture. Here such a warning is an error. Other warnings, such as bytes
/// between two markers, are harmless.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) {
    return;
  }
  switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_ARITH_BAD_CODE:
      on_error(jpeg);
    default:
      return;
  }
}

class Reader {
 public:
  Reader() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.emit_message = on_message;
  }
  ~Reader() {
    jpeg_destroy_decompress(&jpeg_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Runs `call(jpeg)`; throws BadInput with libjpeg's words if it fails.
  template <typename Call>
  void run(const std::string& name, const Call& call) {
    if (!guarded(call)) {
      throw BadInput(name + ": damaged JPEG image: " + errors_.message);
    }
  }

  const jpeg_decompress_struct& jpeg() const {
    return jpeg_;
  }

 private:
  template <typename Call>
  bool guarded(const Call& call) {
    if (setjmp(errors_.jump)) {
      return false;
    }
    call(&jpeg_);
    return true;
  }

  Errors errors_ = {};
  jpeg_decompress_struct jpeg_ = {};
};

constexpr int kExifMarker = JPEG_APP0 + 1, kIccMarker = JPEG_APP0 + 2;

/// Reads the orientation and the colour profile from the saved markers.
void read_markers(const jpeg_decompress_struct& jpeg, Pixels& pixels) {
  const std::string exif("Exif\0\0", 6), icc("ICC_PROFILE\0", 12);
  std::vector<unsigned char> profile;
  for (auto* marker = jpeg.marker_list; marker; marker = marker->next) {
    const auto* data = marker->data;
    const std::size_t size = marker->data_length;
    const auto starts_with = [&](const std::string& name) {
      return size > name.size() &&
          std::memcmp(data, name.data(), name.size()) == 0;
    };
    if (marker->marker == kExifMarker && starts_with(exif)) {
      pixels.orientation =
          exif_orientation(data + exif.size(), size - exif.size());
    } else if (marker->marker == kIccMarker && starts_with(icc)) {
      // A large profile comes in parts, which are numbered by two more bytes.
      profile.insert(
          profile.end(), data + std::min(size, icc.size() + 2), data + size);
    }
  }
  if (!profile.empty() && !is_srgb_profile(profile.data(), profile.size())) {
    pixels.foreign_colour = "an ICC profile";
  }
}

} // namespace

Pixels decode_jpeg(
    const std::vector<unsigned char>& file,
    const std::string& name) {
  Pixels pixels;
  J_COLOR_SPACE space = JCS_UNKNOWN;
  Reader reader;
  reader.run(name, [&](j_decompress_ptr jpeg) {
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_save_markers(jpeg, kExifMarker, 0xffff);
    jpeg_save_markers(jpeg, kIccMarker, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    pixels.width = jpeg->image_width;
    pixels.height = jpeg->image_height;
    space = jpeg->jpeg_color_space;
  });
  check_dimensions(pixels, name);
  read_markers(reader.jpeg(), pixels);
  switch (space) {
    case JCS_GRAYSCALE:
      pixels.channels = 1;
      break;
    case JCS_YCbCr:
    case JCS_RGB:
      pixels.channels = 3;
      break;
    case JCS_CMYK:
    case JCS_YCCK:
      throw BadInput(
          name + ": expected a grey or RGB JPEG image, but got a CMYK one");
    default:
      throw BadInput(
          name + ": expected a grey or RGB JPEG image, but got another kind");
  }

  const auto row_bytes =
      static_cast<std::size_t>(pixels.width * pixels.channels);
  pixels.bytes.resize(row_bytes * static_cast<std::size_t>(pixels.height));
  reader.run(name, [&](j_decompress_ptr jpeg) {
    jpeg->out_color_space = pixels.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
      JSAMPROW row = pixels.bytes.data() + jpeg->output_scanline * row_bytes;
      jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
  });
  return pixels;
}

} // namespace programs
