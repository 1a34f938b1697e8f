#pragma once

#include <fused_ssim/export.h>

#include <torch/torch.h>

#include <cstdint>
#include <variant>
#include <vector>

namespace fused_ssim {

/// Options of `functional::ssim` and of the `SSIM` module.
///
/// Example:
/// ```
/// auto options = fused_ssim::SSIMOptions().window_size(7).padding(torch::kValid);
/// ```
struct FUSED_SSIM_API SSIMOptions {
  using padding_t =
      std::variant<torch::enumtype::kSame, torch::enumtype::kValid>;
  using reduction_t = std::variant<
      torch::enumtype::kNone,
      torch::enumtype::kMean,
      torch::enumtype::kSum>;

  /// Width and height of the Gaussian window in pixels: odd, 3 .. 33.
  /// Default: 11.
  TORCH_ARG(int64_t, window_size) = 11;
  /// Standard deviation of the Gaussian window in pixels, finite and > 0.
  /// Default: 1.5.
  TORCH_ARG(double, sigma) = 1.5;
  /// Span L of the pixel values in C1 = (k1 L)^2 and C2 = (k2 L)^2: 1 for images in
  /// [0, 1], 255 for images in [0, 255]; finite and > 0. Default: 1.
  TORCH_ARG(double, data_range) = 1.0;
  /// Constant of the luminance term, finite and > 0. Default: 0.01.
  TORCH_ARG(double, k1) = 0.01;
  /// Constant of the contrast-structure term, finite and > 0. Default: 0.03.
  TORCH_ARG(double, k2) = 0.03;
  /// `torch::kSame`: zero padding, a map as large as the image.
  /// `torch::kValid`: only windows inside the image, a map of
  /// (H - window_size + 1) x (W - window_size + 1). Default: `torch::kSame`.
  TORCH_ARG(padding_t, padding) = torch::kSame;
  /// `torch::kMean`, `torch::kSum`, or `torch::kNone` for the map.
  /// Default: `torch::kMean`.
  TORCH_ARG(reduction_t, reduction) = torch::kMean;
};

/// Options of `functional::l1_dssim_loss`, `functional::l1_dssim_value_and_grad`
/// and of the `L1DSSIMLoss` module.
///
/// Example:
/// ```
/// auto options = fused_ssim::L1DSSIMLossOptions(/*lambda_dssim=*/0.2)
///                    .padding(torch::kValid);
/// ```
struct FUSED_SSIM_API L1DSSIMLossOptions {
  using padding_t = SSIMOptions::padding_t;
  using reduction_t = SSIMOptions::reduction_t;

  /// Sets `l1_weight` to 1 - lambda_dssim and `dssim_weight` to lambda_dssim.
  /// `lambda_dssim` in [0, 1]; throws `c10::Error` otherwise. Default: 0.2.
  L1DSSIMLossOptions(double lambda_dssim = 0.2);

  /// Factor of the mean of L1, |input - target|, >= 0. Default: 0.8.
  TORCH_ARG(double, l1_weight);
  /// Factor of 1 - mean SSIM, >= 0. Default: 0.2.
  TORCH_ARG(double, dssim_weight);
  /// With `torch::kValid`: take L1 over the inner region of the map too,
  /// instead of over the whole image. Default: false.
  TORCH_ARG(bool, crop_l1) = false;
  /// Smooth L1 in place of L1, as `torch::smooth_l1_loss` with this beta: below beta,
  /// |input - target| is replaced by (input - target)^2 / (2 beta), and above by
  /// |input - target| - beta / 2; finite and >= 0, in the units of the images.
  /// 0: plain L1. Default: 0.
  TORCH_ARG(double, smooth_l1_beta) = 0.0;
  /// Width and height of the Gaussian window in pixels: odd, 3 .. 33.
  /// Default: 11.
  TORCH_ARG(int64_t, window_size) = 11;
  /// Standard deviation of the Gaussian window in pixels, finite and > 0.
  /// Default: 1.5.
  TORCH_ARG(double, sigma) = 1.5;
  /// Span L of the pixel values in C1 = (k1 L)^2 and C2 = (k2 L)^2: 1 for images in
  /// [0, 1], 255 for images in [0, 255]; finite and > 0. Default: 1.
  TORCH_ARG(double, data_range) = 1.0;
  /// Constant of the luminance term, finite and > 0. Default: 0.01.
  TORCH_ARG(double, k1) = 0.01;
  /// Constant of the contrast-structure term, finite and > 0. Default: 0.03.
  TORCH_ARG(double, k2) = 0.03;
  /// `torch::kSame` or `torch::kValid`, as in `SSIMOptions`.
  /// Default: `torch::kSame`.
  TORCH_ARG(padding_t, padding) = torch::kSame;
  /// `torch::kMean`, `torch::kSum`, or `torch::kNone` for the map
  /// l1_weight |input - target| + dssim_weight (1 - SSIM), which with
  /// `torch::kValid` needs `crop_l1(true)`. Default: `torch::kMean`.
  TORCH_ARG(reduction_t, reduction) = torch::kMean;
};

/// The map of errors that `functional::l1_dssim_value_and_grad` returns on request.
enum class ErrorMap {
  kNone, ///< no map
  kLoss, ///< l1_weight |input - target| + dssim_weight (1 - SSIM)
  kDSSIM, ///< 1 - SSIM
  /// 1 - cs, with SSIM's factor of contrast and structure
  /// cs = (2 sigma_xy + C2) / (sigma_x^2 + sigma_y^2 + C2)
  kContrastStructure,
};

/// Options of `functional::ms_ssim`, `functional::ms_ssim_value_and_grad` and of the
/// `MSSSIM` module.
///
/// Example:
/// ```
/// auto options = fused_ssim::MSSSIMOptions()
///                    .weights({0.3, 0.3, 0.4})
///                    .padding(torch::kSame);
/// ```
struct FUSED_SSIM_API MSSSIMOptions {
  using padding_t = SSIMOptions::padding_t;
  using reduction_t = SSIMOptions::reduction_t;

  /// The exponent of each scale, the finest first; finite and > 0. There are as many
  /// scales as weights, 1 .. 16. Default: those of Wang et al. 2003.
  TORCH_ARG(std::vector<double>, weights) =
      {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  /// Width and height of the Gaussian window in pixels, the same at each scale: odd,
  /// 3 .. 33. Default: 11.
  TORCH_ARG(int64_t, window_size) = 11;
  /// Standard deviation of the Gaussian window in pixels, finite and > 0.
  /// Default: 1.5.
  TORCH_ARG(double, sigma) = 1.5;
  /// Span L of the pixel values in C1 = (k1 L)^2 and C2 = (k2 L)^2: 1 for images in
  /// [0, 1], 255 for images in [0, 255]; finite and > 0. Default: 1.
  TORCH_ARG(double, data_range) = 1.0;
  /// Constant of the luminance term, finite and > 0. Default: 0.01.
  TORCH_ARG(double, k1) = 0.01;
  /// Constant of the contrast-structure term, finite and > 0. Default: 0.03.
  TORCH_ARG(double, k2) = 0.03;
  /// `torch::kValid`: only windows inside the image, at each scale. The image has to
  /// hold a window at the coarsest scale: 161 x 161 pixels with the defaults.
  /// `torch::kSame`: zero padding at each scale, for images of any size.
  /// Default: `torch::kValid`.
  TORCH_ARG(padding_t, padding) = torch::kValid;
  /// `torch::kMean` or `torch::kSum` over the images of a batch, or `torch::kNone` for
  /// the value of each image. Default: `torch::kMean`.
  TORCH_ARG(reduction_t, reduction) = torch::kMean;
};

} // namespace fused_ssim
