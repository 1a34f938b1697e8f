// Multiply-adds as fast as the instruction set allows. This file is compiled
// once for each set. It includes no header, so the linker cannot use a function
// of one set in the code of another.

namespace fused_ssim::bench {

using Vector = float __attribute__((vector_size(FUSED_SSIM_PEAK_BYTES)));

/// `steps` times 12 multiply-adds of vectors. They do not depend on each other.
/// Two units with a latency of four cycles need 8 of them. 12 and the two
/// constants fit into 16 registers.
float FUSED_SSIM_PEAK(long steps) {
  constexpr int kChains = 12;
  volatile float opaque = 0.5F; // hides the value from the compiler
  const Vector factor = Vector{} + opaque;
  const Vector term = factor * factor;
  Vector chain[kChains];
  for (int i = 0; i < kChains; ++i) {
    chain[i] = factor * static_cast<float>(i);
  }
  for (long step = 0; step < steps; ++step) {
#if defined(__clang__)
#pragma unroll
#else
#pragma GCC unroll 12
#endif
    for (int i = 0; i < kChains; ++i) {
      chain[i] = chain[i] * factor + term;
    }
  }
  Vector sum{};
  for (int i = 0; i < kChains; ++i) {
    sum += chain[i];
  }
  return sum[0];
}

} // namespace fused_ssim::bench
