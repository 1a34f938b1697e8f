#pragma once

#include <fused_ssim/export.h>
#include <fused_ssim/options.h>

#include <torch/torch.h>

#include <iosfwd>

// FORWARD_HAS_DEFAULT_ARGS passes no variadic argument to a macro. Before C++20 clang
// warns about that as an extension.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

namespace fused_ssim {

/// Structural similarity as a module; see `functional::ssim` for what it
/// computes and takes, and `SSIMOptions` for the options.
///
/// Example:
/// ```
/// auto metric = fused_ssim::SSIM(
///     fused_ssim::SSIMOptions().padding(torch::kValid));
/// torch::Tensor value = metric(rendered, target);
/// ```
class FUSED_SSIM_API SSIMImpl : public torch::nn::Cloneable<SSIMImpl> {
 public:
  explicit SSIMImpl(const SSIMOptions& options_ = {});

  /// Does nothing: the module has no parameters.
  void reset() override;
  /// Prints the name and every option.
  void pretty_print(std::ostream& stream) const override;
  /// `torch::save` and `torch::load` keep every option.
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;

  torch::Tensor forward(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const torch::Tensor& mask = {});

  /// The options this module was built with; may be changed at any time.
  SSIMOptions options;

 protected:
  FORWARD_HAS_DEFAULT_ARGS({2, torch::nn::AnyValue(torch::Tensor())})
};

/// Holder of `SSIMImpl` with value semantics, as all of torch::nn.
TORCH_MODULE(SSIM);

/// The photometric loss of gaussian splatting as a module; see
/// `functional::l1_dssim_loss` for what it computes and takes, and
/// `L1DSSIMLossOptions` for the options.
///
/// Example:
/// ```
/// auto loss = fused_ssim::L1DSSIMLoss(/*lambda_dssim=*/0.2);
/// loss(rendered, target).backward();
/// ```
class FUSED_SSIM_API L1DSSIMLossImpl
    : public torch::nn::Cloneable<L1DSSIMLossImpl> {
 public:
  explicit L1DSSIMLossImpl(const L1DSSIMLossOptions& options_ = {});

  /// Does nothing: the module has no parameters.
  void reset() override;
  /// Prints the name and every option.
  void pretty_print(std::ostream& stream) const override;
  /// `torch::save` and `torch::load` keep every option.
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;

  torch::Tensor forward(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target, // as input
      const torch::Tensor& mask = {});

  /// The options this module was built with; may be changed at any time.
  L1DSSIMLossOptions options;

 protected:
  FORWARD_HAS_DEFAULT_ARGS({2, torch::nn::AnyValue(torch::Tensor())})
};

/// Holder of `L1DSSIMLossImpl` with value semantics, as all of torch::nn.
TORCH_MODULE(L1DSSIMLoss);

/// Multi-scale structural similarity as a module; see `functional::ms_ssim` for what
/// it computes and takes, and `MSSSIMOptions` for the options.
///
/// Example:
/// ```
/// auto metric = fused_ssim::MSSSIM();
/// (1 - metric(decoded, image)).backward();
/// ```
class FUSED_SSIM_API MSSSIMImpl : public torch::nn::Cloneable<MSSSIMImpl> {
 public:
  explicit MSSSIMImpl(const MSSSIMOptions& options_ = {});

  /// Does nothing: the module has no parameters.
  void reset() override;
  /// Prints the name and every option.
  void pretty_print(std::ostream& stream) const override;
  /// `torch::save` and `torch::load` keep every option.
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;

  torch::Tensor forward(
      const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
      const torch::Tensor& target); // as input

  /// The options this module was built with; may be changed at any time.
  MSSSIMOptions options;
};

/// Holder of `MSSSIMImpl` with value semantics, as all of torch::nn.
TORCH_MODULE(MSSSIM);

} // namespace fused_ssim

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
