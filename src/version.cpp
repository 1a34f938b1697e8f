#include <fused_ssim/version.h>

namespace fused_ssim {

std::string version() {
  return std::to_string(FUSED_SSIM_VERSION_MAJOR) + "." +
      std::to_string(FUSED_SSIM_VERSION_MINOR) + "." +
      std::to_string(FUSED_SSIM_VERSION_PATCH);
}

bool has_cuda() {
#if defined(FUSED_SSIM_WITH_CUDA)
  return true;
#else
  return false;
#endif
}

} // namespace fused_ssim
