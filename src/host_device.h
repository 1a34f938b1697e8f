#pragma once

/// For functions that the host and the device share.
#if defined(__CUDACC__)
#define FUSED_SSIM_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define FUSED_SSIM_HOST_DEVICE inline
#endif
