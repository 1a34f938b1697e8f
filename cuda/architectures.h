#pragma once

#include <initializer_list>

namespace fused_ssim::detail::cuda {

/// The virtual architecture whose code a device runs, of those that the library was compiled
/// for. All are numbers like __CUDA_ARCH__. 0: there is none.
constexpr int architecture_of_code(
    int device, // its compute capability, 900 for 9.0
    std::initializer_list<int> compiled) {
  int newest = 0;
  for (const int architecture : compiled) {
    if (architecture <= device && architecture > newest) {
      newest = architecture;
    }
  }
  return newest;
}

} // namespace fused_ssim::detail::cuda
