// The smallest program that links the library and runs. It includes no LibTorch
// header, so it compiles fast.
#include <fused_ssim/version.h>

#include <cstdio>

int main() {
  char expected[32];
  std::snprintf(
      expected,
      sizeof(expected),
      "%d.%d.%d",
      FUSED_SSIM_VERSION_MAJOR,
      FUSED_SSIM_VERSION_MINOR,
      FUSED_SSIM_VERSION_PATCH);
  if (fused_ssim::version() != expected) {
    std::printf(
        "the library is %s, its header %s\n",
        fused_ssim::version().c_str(),
        expected);
    return 1;
  }
  std::printf("fused_ssim %s\n", expected);
  return 0;
}
