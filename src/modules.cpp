#include <fused_ssim/modules.h>

#include <fused_ssim/functional.h>

#include <ostream>
#include <variant>

namespace fused_ssim {
namespace {

// torch::enumtype's own takes c10::variant before LibTorch 2.2.

const char* name_of(const SSIMOptions::padding_t& padding) {
  return std::holds_alternative<torch::enumtype::kSame>(padding) ? "kSame"
                                                                 : "kValid";
}

const char* name_of(const SSIMOptions::reduction_t& reduction) {
  if (std::holds_alternative<torch::enumtype::kNone>(reduction)) {
    return "kNone";
  }
  return std::holds_alternative<torch::enumtype::kMean>(reduction) ? "kMean"
                                                                   : "kSum";
}

/// The options that both operators have.
template <typename Options>
void print_common(std::ostream& stream, const Options& options) {
  stream << "window_size=" << options.window_size()
         << ", sigma=" << options.sigma()
         << ", data_range=" << options.data_range() << ", k1=" << options.k1()
         << ", k2=" << options.k2()
         << ", padding=" << name_of(options.padding())
         << ", reduction=" << name_of(options.reduction());
}

} // namespace

SSIMImpl::SSIMImpl(const SSIMOptions& options_) : options(options_) {}

void SSIMImpl::reset() {}

void SSIMImpl::pretty_print(std::ostream& stream) const {
  stream << "fused_ssim::SSIM(";
  print_common(stream, options);
  stream << ")";
}

torch::Tensor SSIMImpl::forward(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask) {
  return functional::ssim(input, target, options, mask);
}

L1DSSIMLossImpl::L1DSSIMLossImpl(const L1DSSIMLossOptions& options_)
    : options(options_) {}

void L1DSSIMLossImpl::reset() {}

void L1DSSIMLossImpl::pretty_print(std::ostream& stream) const {
  stream << "fused_ssim::L1DSSIMLoss(l1_weight=" << options.l1_weight()
         << ", dssim_weight=" << options.dssim_weight()
         << ", crop_l1=" << (options.crop_l1() ? "true" : "false") << ", ";
  print_common(stream, options);
  stream << ")";
}

torch::Tensor L1DSSIMLossImpl::forward(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask) {
  return functional::l1_dssim_loss(input, target, options, mask);
}

} // namespace fused_ssim
