#pragma once

// Rows of images of any element type and stride: those of one channel (PlaneReader,
// PlaneWriter), and those of all channels of a tile at once (RowReader, RowWriter).

#include "arena.h"
#include "elements.h"
#include "plan.h"

namespace fused_ssim::detail::cpu {
namespace {

/// The address of element (image, channel, row, column).
template <typename ViewType>
auto address(
    const ViewType& view,
    std::int64_t image,
    std::int64_t channel,
    std::int64_t row,
    std::int64_t column) {
  const std::int64_t offset = image * view.stride[0] +
      channel * view.stride[1] + row * view.stride[2] + column * view.stride[3];
  using Byte =
      std::conditional_t<std::is_same_v<ViewType, View>, const char, char>;
  return static_cast<Byte*>(view.data) + offset * bytes_of(view.element);
}

/// Whether the channels of a tile are all there are, and interleaved: [H, W, C] in
/// memory, with 3 or 4 channels.
template <typename ViewType>
bool is_interleaved(const ViewType& view, const Tile& tile) {
  return (tile.channels == 3 || tile.channels == 4) && view.stride[1] == 1 &&
      view.stride[3] == tile.channels;
}

/// One channel of one image of a View.
template <typename T>
class PlaneReader {
 public:
  PlaneReader(const View& view, std::int64_t image, std::int64_t channel)
      : view_(view),
        image_(image),
        channel_(channel) {}

  void read(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      T* to) const { // [count]
    const char* from = address(view_, image_, channel_, row, column);
    if (view_.stride[3] == 1) {
      convert_from(view_.element, from, count, to);
      return;
    }
    const int size = bytes_of(view_.element);
    const CopyElements gather = gather_of(view_.element);
    if (view_.element == kElementOf<T>) {
      gather(from, view_.stride[3], count, to);
      return;
    }
    alignas(64) char piece[kPiece * sizeof(double)];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      gather(from + i * view_.stride[3] * size, view_.stride[3], n, piece);
      convert_from(view_.element, piece, n, to + i);
    }
  }

 private:
  View view_;
  std::int64_t image_, channel_;
};

/// One channel of one image of a MutableView.
template <typename T>
class PlaneWriter {
 public:
  PlaneWriter(const MutableView& view, std::int64_t image, std::int64_t channel)
      : view_(view),
        image_(image),
        channel_(channel) {}

  void write(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      const T* from) const { // [count]
    char* to = address(view_, image_, channel_, row, column);
    if (view_.stride[3] == 1) {
      convert_to(view_.element, from, count, to);
      return;
    }
    const int size = bytes_of(view_.element);
    const CopyElements scatter = scatter_of(view_.element);
    if (view_.element == kElementOf<T>) {
      scatter(from, view_.stride[3], count, to);
      return;
    }
    alignas(64) char piece[kPiece * sizeof(double)];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      convert_to(view_.element, from + i, n, piece);
      scatter(piece, view_.stride[3], n, to + i * view_.stride[3] * size);
    }
  }

 private:
  MutableView view_;
  std::int64_t image_, channel_;
};

/// The rows of a View in a tile's channels. What several channels share is read once:
/// interleaved pixels, and channels that are expanded.
template <typename T>
class RowReader {
 public:
  /// kInPlace: hands out the image's own memory where it is a row of T.
  enum class Mode { kInPlace, kCopy };

  RowReader(const View& view, const Tile& tile, Mode mode)
      : view_(view),
        tile_(tile),
        interleaved_(is_interleaved(view, tile)),
        in_place_(
            mode == Mode::kInPlace && view.element == kElementOf<T> &&
            view.stride[3] == 1) {}

  /// Channels that differ.
  std::int64_t channels() const {
    return view_.stride[1] == 0 ? 1 : tile_.channels;
  }

  /// `size`: elements of a row that may be read, at least.
  void allocate(Arena& arena, std::int64_t size) {
    for (std::int64_t c = 0; c < channels() && !in_place_; ++c) {
      buffer_[c] = arena.take<T>(size);
    }
  }

  void read(std::int64_t row, std::int64_t column, std::int64_t count) {
    if (interleaved_) {
      read_pixels(row, column, count);
      return;
    }
    for (std::int64_t c = 0; c < channels(); ++c) {
      const std::int64_t channel = tile_.channel + c;
      if (in_place_) {
        place_[c] = reinterpret_cast<const T*>(
            address(view_, tile_.image, channel, row, column));
      } else {
        PlaneReader<T>(view_, tile_.image, channel)
            .read(row, column, count, buffer_[c]);
      }
    }
  }

  /// The row that was read last.
  const T* row(std::int64_t channel) const { // [count]
    const std::int64_t c = view_.stride[1] == 0 ? 0 : channel;
    return in_place_ ? place_[c] : buffer_[c];
  }

  /// To be filled by the caller. Mode::kCopy alone.
  T* buffer(std::int64_t channel) const { // [size]
    return buffer_[channel];
  }

 private:
  void read_pixels(std::int64_t row, std::int64_t column, std::int64_t count) {
    const std::int64_t channels = tile_.channels;
    const char* from = address(view_, tile_.image, 0, row, column);
    if (view_.element == kElementOf<T>) {
      split(reinterpret_cast<const T*>(from), 0, count);
      return;
    }
    alignas(64) T pixels[kPiece * kMaxTileChannels];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      convert_from(
          view_.element,
          from + i * channels * bytes_of(view_.element),
          n * channels,
          pixels);
      split(pixels, i, n);
    }
  }

  void split(const T* pixels, std::int64_t begin, std::int64_t count) {
    T* to[kMaxTileChannels];
    for (std::int64_t c = 0; c < tile_.channels; ++c) {
      to[c] = buffer_[c] + begin;
    }
    if (tile_.channels == 3) {
      deinterleave<3>(pixels, count, to);
    } else {
      deinterleave<4>(pixels, count, to);
    }
  }

  View view_;
  Tile tile_;
  bool interleaved_, in_place_;
  const T* place_[kMaxTileChannels] = {};
  T* buffer_[kMaxTileChannels] = {};
};

/// The rows of a MutableView in a tile's channels.
template <typename T>
class RowWriter {
 public:
  RowWriter(const MutableView& view, const Tile& tile)
      : view_(view),
        tile_(tile),
        interleaved_(is_interleaved(view, tile)) {}

  void write(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      const T* const* from) const { // [channels][count]
    if (interleaved_) {
      write_pixels(row, column, count, from);
      return;
    }
    for (std::int64_t c = 0; c < tile_.channels; ++c) {
      PlaneWriter<T>(view_, tile_.image, tile_.channel + c)
          .write(row, column, count, from[c]);
    }
  }

 private:
  void write_pixels(
      std::int64_t row,
      std::int64_t column,
      std::int64_t count,
      const T* const* from) const {
    const std::int64_t channels = tile_.channels;
    char* to = address(view_, tile_.image, 0, row, column);
    if (view_.element == kElementOf<T>) {
      join(from, 0, count, reinterpret_cast<T*>(to));
      return;
    }
    alignas(64) T pixels[kPiece * kMaxTileChannels];
    for (std::int64_t i = 0; i < count; i += kPiece) {
      const std::int64_t n = count - i < kPiece ? count - i : kPiece;
      join(from, i, n, pixels);
      convert_to(
          view_.element,
          pixels,
          n * channels,
          to + i * channels * bytes_of(view_.element));
    }
  }

  void join(
      const T* const* from,
      std::int64_t begin,
      std::int64_t count,
      T* pixels) const {
    const T* rows[kMaxTileChannels];
    for (std::int64_t c = 0; c < tile_.channels; ++c) {
      rows[c] = from[c] + begin;
    }
    if (tile_.channels == 3) {
      interleave<3>(rows, count, pixels);
    } else {
      interleave<4>(rows, count, pixels);
    }
  }

  MutableView view_;
  Tile tile_;
  bool interleaved_;
};

} // namespace
} // namespace fused_ssim::detail::cpu
