#pragma once

// Every check of the caller's arguments, before the device is chosen: what MS-SSIM needs
// besides is in ms_ssim_checks.h. A message reads "<operator>: expected <what>, but got
// <values>".

#include "backend.h"
#include "objective.h"

#include <fused_ssim/version.h>

#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace fused_ssim::detail {

inline void check_lambda(double lambda_dssim) {
  TORCH_CHECK(
      lambda_dssim >= 0 && lambda_dssim <= 1,
      "L1DSSIMLossOptions(): expected lambda_dssim in [0, 1], but got ",
      lambda_dssim);
}

inline void check_finite(
    const Objective& o,
    const char* option,
    double value,
    bool in_range,
    const char* range) {
  TORCH_CHECK(
      in_range && std::isfinite(value),
      o.name,
      ": expected ",
      option,
      " to be finite and ",
      range,
      ", but got ",
      value);
}

inline void check_options(const Objective& o) {
  TORCH_CHECK(
      o.window_size % 2 == 1 && o.window_size >= 3 &&
          o.window_size <= 2 * kMaxRadius + 1,
      o.name,
      ": expected window_size to be odd and in [3, ",
      2 * kMaxRadius + 1,
      "], but got ",
      o.window_size);
  const auto check_positive = [&](const char* option, double value) {
    check_finite(o, option, value, value > 0, "> 0");
  };
  check_positive("sigma", o.sigma);
  check_positive("data_range", o.data_range);
  check_positive("k1", o.k1);
  check_positive("k2", o.k2);
}

inline void check_weights(const Objective& o) {
  const auto check_weight = [&](const char* option, double value) {
    check_finite(o, option, value, value >= 0, ">= 0");
  };
  check_weight("l1_weight", o.terms.l1_weight);
  check_weight("dssim_weight", o.terms.dssim_weight);
  check_weight("smooth_l1_beta", o.terms.smooth_l1_beta);
  TORCH_CHECK(
      o.reduction != Reduction::kNone || !o.valid || o.crop_l1,
      o.name,
      ": expected crop_l1(true) with reduction kNone and padding kValid (one "
      "map has to hold both terms), but got crop_l1(false)");
}

/// The data range and the constants have to fit the type that the kernels compute in.
template <typename T>
void check_constants(const Objective& o) {
  // Reciprocals and their products with pixels stay finite within these limits.
  constexpr double kMargin = 1 << 24;
  constexpr double kLeast = kMargin * std::numeric_limits<T>::min();
  constexpr double kMost = std::numeric_limits<T>::max() / kMargin;
  const char* const type = sizeof(T) == sizeof(float) ? "float32" : "float64";
  TORCH_CHECK(
      o.data_range >= kLeast && o.data_range <= kMost,
      o.name,
      ": expected data_range in [",
      kLeast,
      ", ",
      kMost,
      "], since the kernels compute in ",
      type,
      ", but got ",
      o.data_range);
  const auto check_k = [&](const char* option, double k) {
    TORCH_CHECK(
        k * k >= kLeast && k * k <= kMost,
        o.name,
        ": expected ",
        option,
        " in [",
        std::sqrt(kLeast),
        ", ",
        std::sqrt(kMost),
        "], since its square has to fit ",
        type,
        ", but got ",
        k);
  };
  check_k("k1", o.k1);
  check_k("k2", o.k2);
}

inline void check_device(
    const Objective& o,
    const char* argument,
    const torch::Tensor& tensor) {
  // First: such tensors answer no question about layout or strides.
  TORCH_CHECK(
      !tensor.is_nested(),
      o.name,
      ": expected ",
      argument,
      " to be a dense (strided) tensor, but got a nested one");
  TORCH_CHECK(
      !tensor.key_set().has_any(c10::DispatchKeySet(
          {c10::DispatchKey::Batched, c10::DispatchKey::FuncTorchBatched})),
      o.name,
      ": expected ",
      argument,
      " to be a plain tensor, but got a batched one (vmap); pass the batch as "
      "[N, C, H, W]");
  TORCH_CHECK(
      tensor.layout() == torch::kStrided,
      o.name,
      ": expected ",
      argument,
      " to be a dense (strided) tensor, but got layout ",
      tensor.layout());
  TORCH_CHECK(
      tensor.is_cpu() || tensor.is_cuda(),
      o.name,
      ": expected ",
      argument,
      " on a CPU or CUDA device, but got ",
      tensor.device());
  TORCH_CHECK(
      tensor.is_cpu() || has_cuda(),
      o.name,
      ": expected ",
      argument,
      " on the CPU, because this fused_ssim was built without CUDA kernels, "
      "but got ",
      tensor.device(),
      "; rebuild it with FUSED_SSIM_CUDA=ON");
}

inline void check_images(
    const Objective& o,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target) { // as input
  TORCH_CHECK(
      input.defined(),
      o.name,
      ": expected input to be a tensor, but got an undefined one");
  TORCH_CHECK(
      target.defined(),
      o.name,
      ": expected target to be a tensor, but got an undefined one");
  check_device(o, "input", input);
  check_device(o, "target", target);
  TORCH_CHECK(
      input.device() == target.device(),
      o.name,
      ": expected input and target on the same device, but got ",
      input.device(),
      " and ",
      target.device());

  const auto type = input.scalar_type();
  TORCH_CHECK(
      type == torch::kFloat32 || type == torch::kFloat64 ||
          type == torch::kFloat16 || type == torch::kBFloat16,
      o.name,
      ": expected input of type float32, float64, float16 or bfloat16, but "
      "got ",
      type);
  if (type == torch::kFloat64) {
    check_constants<double>(o);
  } else {
    check_constants<float>(o);
  }
  TORCH_CHECK(
      target.scalar_type() == type || target.scalar_type() == torch::kUInt8,
      o.name,
      ": expected target of the type of input (",
      type,
      ") or uint8, but got ",
      target.scalar_type());

  TORCH_CHECK(
      input.dim() == 3 || input.dim() == 4,
      o.name,
      ": expected input of shape [C, H, W] or [N, C, H, W], but got ",
      input.sizes());
  TORCH_CHECK(
      input.sizes() == target.sizes(),
      o.name,
      ": expected input and target of the same shape, but got ",
      input.sizes(),
      " and ",
      target.sizes());
  if (input.is_cuda()) {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max() / 2;
    TORCH_CHECK(
        input.size(-3) <= kMost && input.size(-2) <= kMost &&
            input.size(-1) <= kMost,
        o.name,
        ": expected at most ",
        kMost,
        " channels, rows and columns on CUDA (the number of elements has no "
        "limit), but got input of shape ",
        input.sizes());
  }
}

inline void check_window_fits(
    const Objective& o,
    std::int64_t height,
    std::int64_t width) {
  TORCH_CHECK(
      !o.valid || o.scales() > 0 || // check_scales, in ms_ssim_checks.h
          (height >= o.window_size && width >= o.window_size),
      o.name,
      ": expected images of at least window_size x window_size = ",
      o.window_size,
      " x ",
      o.window_size,
      " pixels with padding kValid, but got ",
      height,
      " x ",
      width);
}

inline void check_mask(
    const Objective& o,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& mask) { // see functional.h; may be undefined
  if (!mask.defined()) {
    return;
  }
  check_device(o, "mask", mask);
  TORCH_CHECK(
      mask.device() == input.device(),
      o.name,
      ": expected mask on the device of input (",
      input.device(),
      "), but got ",
      mask.device());
  TORCH_CHECK(
      mask.scalar_type() == torch::kBool ||
          mask.scalar_type() == input.scalar_type(),
      o.name,
      ": expected mask of type bool or of the type of input (",
      input.scalar_type(),
      "), but got ",
      mask.scalar_type());
  TORCH_CHECK(
      !mask.requires_grad(),
      o.name,
      ": expected a mask that does not require grad (there is no gradient to "
      "the mask), but got one that does; pass mask.detach()");

  const std::int64_t images = input.dim() == 4 ? input.size(0) : 1;
  const auto fits = [&](std::int64_t size, std::int64_t full) {
    return size == 1 || size == full;
  };
  TORCH_CHECK(
      mask.dim() >= 2 && mask.dim() <= 4 && mask.size(-1) == input.size(-1) &&
          mask.size(-2) == input.size(-2) &&
          (mask.dim() < 3 || fits(mask.size(-3), input.size(-3))) &&
          (mask.dim() < 4 || fits(mask.size(0), images)),
      o.name,
      ": expected mask of shape [H, W], [1, H, W], [C, H, W], [N, 1, H, W] or "
      "[N, C, H, W] for input of shape ",
      input.sizes(),
      ", but got ",
      mask.sizes());
  if (mask.is_cpu() && mask.scalar_type() != torch::kBool && mask.numel() > 0) {
    // A NaN is both extremes; some machines show its sign.
    auto least = mask.detach().min().item<double>();
    least =
        std::isnan(least) ? std::numeric_limits<double>::quiet_NaN() : least;
    TORCH_CHECK(
        least >= 0,
        o.name,
        ": expected mask with finite weights >= 0, but got a smallest weight "
        "of ",
        least);
    const auto most = mask.detach().max().item<double>();
    TORCH_CHECK(
        std::isfinite(most),
        o.name,
        ": expected mask with finite weights >= 0, but got a largest weight "
        "of ",
        most);
  }
}

inline void check_error_map(const Objective& o, ErrorMap error_map) {
  TORCH_CHECK(
      error_map == ErrorMap::kNone || error_map == ErrorMap::kLoss ||
          error_map == ErrorMap::kDSSIM ||
          error_map == ErrorMap::kContrastStructure,
      o.name,
      ": expected error_map kNone, kLoss, kDSSIM or kContrastStructure, but "
      "got ",
      static_cast<int>(error_map));
}

inline void check_reduces(const Objective& o) {
  TORCH_CHECK(
      o.reduction != Reduction::kNone,
      o.name,
      ": expected reduction kMean or kSum, but got kNone (a map has no one "
      "gradient)");
}

} // namespace fused_ssim::detail
