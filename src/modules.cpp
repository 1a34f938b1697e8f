#include <fused_ssim/modules.h>

#include <fused_ssim/functional.h>

#include <ostream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace fused_ssim {
namespace {

/// Calls visit(name, option) for each option that both operators have.
template <typename Options, typename Visit>
void visit_shared(Options& options, const Visit& visit) {
  visit("window_size", options.window_size());
  visit("sigma", options.sigma());
  visit("data_range", options.data_range());
  visit("k1", options.k1());
  visit("k2", options.k2());
  visit("padding", options.padding());
  visit("reduction", options.reduction());
}

/// Calls visit(name, option) for each option. Printing, saving and loading all go
/// through this list.
template <typename Visit>
void visit_each(SSIMOptions& options, const Visit& visit) {
  visit_shared(options, visit);
}

template <typename Visit>
void visit_each(L1DSSIMLossOptions& options, const Visit& visit) {
  visit("l1_weight", options.l1_weight());
  visit("dssim_weight", options.dssim_weight());
  visit("crop_l1", options.crop_l1());
  visit("smooth_l1_beta", options.smooth_l1_beta());
  visit_shared(options, visit);
}

template <typename Visit>
void visit_each(MSSSIMOptions& options, const Visit& visit) {
  visit("weights", options.weights());
  visit_shared(options, visit);
}

// torch::enumtype's own takes c10::variant before LibTorch 2.2.

const char* name_of(torch::enumtype::kSame) {
  return "kSame";
}
const char* name_of(torch::enumtype::kValid) {
  return "kValid";
}
const char* name_of(torch::enumtype::kNone) {
  return "kNone";
}
const char* name_of(torch::enumtype::kMean) {
  return "kMean";
}
const char* name_of(torch::enumtype::kSum) {
  return "kSum";
}

template <typename... Enumerators>
std::string name_of(const std::variant<Enumerators...>& option) {
  return std::visit([](auto each) { return name_of(each); }, option);
}

/// The enumerator of that name.
template <typename... Enumerators>
void assign(
    const char* option_name,
    std::variant<Enumerators...>& option,
    const std::string& name) {
  bool found = false;
  const auto try_one = [&](auto each) {
    if (name == name_of(each)) {
      option = each;
      found = true;
    }
  };
  (try_one(Enumerators()), ...);
  TORCH_CHECK(
      found,
      "torch::load(): expected ",
      option_name,
      " to be an option of this version of fused_ssim, but got ",
      name);
}

struct Printer {
  std::ostream& stream;
  mutable const char* separator = "";

  template <typename Option>
  void operator()(const char* name, const Option& option) const {
    stream << separator << name << "=" << text(option);
    separator = ", ";
  }
  static const char* text(bool option) {
    return option ? "true" : "false";
  }
  template <typename... Enumerators>
  static std::string text(const std::variant<Enumerators...>& option) {
    return name_of(option);
  }
  static std::string text(const std::vector<double>& option) {
    std::ostringstream list;
    for (const double each : option) {
      list << (list.tellp() > 0 ? ", " : "[") << each;
    }
    return list.str() + "]";
  }
  template <typename Number>
  static Number text(Number option) {
    return option;
  }
};

struct Writer {
  torch::serialize::OutputArchive& archive;

  template <typename Option>
  void operator()(const char* name, const Option& option) const {
    archive.write(name, torch::IValue(option));
  }
  template <typename... Enumerators>
  void operator()(const char* name, const std::variant<Enumerators...>& option)
      const {
    archive.write(name, torch::IValue(name_of(option)));
  }
};

/// An option that the archive lacks stays as it is: an older version wrote it.
struct Reader {
  torch::serialize::InputArchive& archive;

  template <typename Option>
  void operator()(const char* name, Option& option) const {
    torch::IValue value;
    if (archive.try_read(name, value)) {
      option = value.to<Option>();
    }
  }
  template <typename... Enumerators>
  void operator()(const char* name, std::variant<Enumerators...>& option)
      const {
    torch::IValue value;
    if (archive.try_read(name, value)) {
      assign(name, option, value.toStringRef());
    }
  }
};

template <typename Options>
void print(std::ostream& stream, const char* name, Options options) {
  stream << "fused_ssim::" << name << "(";
  visit_each(options, Printer{stream});
  stream << ")";
}

} // namespace

SSIMImpl::SSIMImpl(const SSIMOptions& options_) : options(options_) {}

void SSIMImpl::reset() {}

void SSIMImpl::pretty_print(std::ostream& stream) const {
  print(stream, "SSIM", options);
}

void SSIMImpl::save(torch::serialize::OutputArchive& archive) const {
  Module::save(archive);
  auto copy = options;
  visit_each(copy, Writer{archive});
}

void SSIMImpl::load(torch::serialize::InputArchive& archive) {
  Module::load(archive);
  visit_each(options, Reader{archive});
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
  print(stream, "L1DSSIMLoss", options);
}

void L1DSSIMLossImpl::save(torch::serialize::OutputArchive& archive) const {
  Module::save(archive);
  auto copy = options;
  visit_each(copy, Writer{archive});
}

void L1DSSIMLossImpl::load(torch::serialize::InputArchive& archive) {
  Module::load(archive);
  visit_each(options, Reader{archive});
}

torch::Tensor L1DSSIMLossImpl::forward(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask) {
  return functional::l1_dssim_loss(input, target, options, mask);
}

MSSSIMImpl::MSSSIMImpl(const MSSSIMOptions& options_) : options(options_) {}

void MSSSIMImpl::reset() {}

void MSSSIMImpl::pretty_print(std::ostream& stream) const {
  print(stream, "MSSSIM", options);
}

void MSSSIMImpl::save(torch::serialize::OutputArchive& archive) const {
  Module::save(archive);
  auto copy = options;
  visit_each(copy, Writer{archive});
}

void MSSSIMImpl::load(torch::serialize::InputArchive& archive) {
  Module::load(archive);
  visit_each(options, Reader{archive});
}

torch::Tensor MSSSIMImpl::forward(
    const torch::Tensor& input,
    const torch::Tensor& target) {
  return functional::ms_ssim(input, target, options);
}

} // namespace fused_ssim
