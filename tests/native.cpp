#include "emulated.h"

namespace fused_ssim::test {

const bool kEmulated = false;

} // namespace fused_ssim::test
