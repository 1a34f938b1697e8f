#include "support.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  using namespace fused_ssim::test;
  const char* capability = std::getenv("FUSED_SSIM_CPU_CAPABILITY");
  if (capability != nullptr && !has_cpu_capability(capability)) {
    std::printf("skipped: this processor has no %s\n", capability);
    return kSkipped;
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
