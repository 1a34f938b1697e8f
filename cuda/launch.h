#pragma once

// The launches: each in the one .cu file that holds its kernels, so that these
// compile side by side.

#include "banded_policy.h"
#include "params.h"
#include "policy.h"

namespace fused_ssim::detail::cuda {

/// kMap if `params.map` is there, else kSums.
template <typename T>
void launch_forward(const SSIMParams<T>& params, unsigned blocks);

/// kBothGradients if `params.grad_target` is there, kErrorMap if `params.error_map` is,
/// else kGradient.
template <typename T>
void launch_forward_backward(const SSIMParams<T>& params, unsigned blocks);

/// For devices that have what matrix.cuh wants.
template <Mode kMode>
void launch_banded(const BandedParams& params, unsigned blocks);

template <typename T>
void launch_l1(const SSIMParams<T>& params, unsigned blocks);

void launch_weight_sum(const WeightSumParams& params, unsigned blocks);

/// `early`: the last launch of the stream is of a kernel of ours.
void launch_finish(const FinishParams& params, bool early);

void launch_scale(const ScaleParams& params, unsigned blocks);

} // namespace fused_ssim::detail::cuda
