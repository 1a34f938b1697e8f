#pragma once

// What the host code takes from the CUDA runtime, apart from the kernels. Its twin
// for the host is tests/cuda_emulation/emulated_runtime.h.

#if defined(FUSED_SSIM_CUDA_EMULATION)
#include "emulated_runtime.h"
#else

#include "architectures.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

#include <cstddef>

namespace fused_ssim::detail::cuda {

/// The device that is current while this lives.
class DeviceScope {
 public:
  explicit DeviceScope(int device)
      : guard_(static_cast<c10::DeviceIndex>(device)) {}

  int multiprocessors() const {
    return at::cuda::getCurrentDeviceProperties()->multiProcessorCount;
  }

  /// Whether it has what matrix.cuh wants.
  bool has_matrix() const {
    return at::cuda::getCurrentDeviceProperties()->major >= 8;
  }

  /// Of shared memory, for one block.
  std::size_t shared_bytes() const {
    return at::cuda::getCurrentDeviceProperties()->sharedMemPerBlockOptin;
  }

 private:
  c10::cuda::CUDAGuard guard_;
};

/// Device memory for the launches of the current stream that follow.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes)
      : data_(c10::cuda::CUDACachingAllocator::get()->allocate(bytes)) {}

  void* data() {
    return data_.get();
  }

 private:
  c10::DataPtr data_; // [bytes]
};

/// Whether the kernels that run on the current device are code of sm_90 or later. Older code
/// that is compiled for a newer device when it is loaded cannot wait for the last launch.
inline bool has_code_that_waits() {
#if defined(__CUDA_ARCH_LIST__)
  const auto* const properties = at::cuda::getCurrentDeviceProperties();
  const int device = 100 * properties->major + 10 * properties->minor;
  return architecture_of_code(device, {__CUDA_ARCH_LIST__}) >= 900;
#else
  return false;
#endif
}

/// Whether launch() can begin a kernel early, also where it is captured into a graph.
inline bool can_begin_early() {
#if CUDART_VERSION >= 12030
  static const bool driver_can = [] {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess && version >= 12030;
  }();
  return driver_can && has_code_that_waits();
#else
  return false;
#endif
}

/// On the current stream of the current device. `early`: as soon as the last launch lets
/// it; the kernel calls wait_for_last_launch().
template <typename Params>
void launch(
    void (*kernel)(Params),
    unsigned blocks,
    unsigned threads,
    std::size_t shared_bytes,
    const Params& params,
    bool early = false) {
  constexpr std::size_t kAlways = 48 * 1024;
  if (shared_bytes > kAlways) {
    C10_CUDA_CHECK(cudaFuncSetAttribute(
        kernel,
        cudaFuncAttributeMaxDynamicSharedMemorySize,
        static_cast<int>(shared_bytes)));
  }
#if CUDART_VERSION >= 12030
  if (early && can_begin_early()) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = blocks;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = at::cuda::getCurrentCUDAStream();
    config.attrs = &attribute;
    config.numAttrs = 1;
    C10_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, params));
    return;
  }
#endif
  kernel<<<blocks, threads, shared_bytes, at::cuda::getCurrentCUDAStream()>>>(
      params);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

} // namespace fused_ssim::detail::cuda

#endif
