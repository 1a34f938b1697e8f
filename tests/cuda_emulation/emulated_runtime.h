#pragma once

// Emulates the parts of the CUDA runtime that our host code uses. The names are
// those of cuda/runtime.h.

#include "emulation.h"

#include <cstddef>
#include <cstring>
#include <new>

namespace fused_ssim::detail::cuda {

/// Makes a device current during its lifetime.
class DeviceScope {
 public:
  explicit DeviceScope(int /*device*/) {}

  int multiprocessors() const {
    return emulation::settings().multiprocessors;
  }

  bool has_matrix() const {
    return true;
  }

  std::size_t shared_bytes() const {
    return emulation::kMaxSharedBytes;
  }
};

/// Device memory for the launches of one call.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes)
      : data_(::operator new(bytes, kAlignment)) {
    std::memset(data_, 0xff, bytes);
  }

  ~Workspace() {
    ::operator delete(data_, kAlignment);
  }

  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* data() {
    return data_;
  }

 private:
  static constexpr std::align_val_t kAlignment{256};

  void* data_; // [bytes]
};

template <typename Params>
void launch(
    void (*kernel)(Params),
    unsigned blocks,
    unsigned threads,
    std::size_t shared_bytes,
    const Params& params,
    bool /*early*/ = false) {
  emulation::run_grid(blocks, threads, shared_bytes, [&] { kernel(params); });
}

} // namespace fused_ssim::detail::cuda
