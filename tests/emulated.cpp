#include "emulated.h"

namespace fused_ssim::test {

const bool kEmulated = true;

} // namespace fused_ssim::test
