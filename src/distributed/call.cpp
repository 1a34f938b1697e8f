#include "call.h"

#include "../checks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <sstream>
#include <string>
#include <type_traits>

namespace fused_ssim::detail {
namespace {

// ~~~~~~~~~~~~~~~~~~~~~ what has to be the same on all ranks ~~~~~~~~~~~~~~~~~~~~~

/// Every number of them is exact as a double.
struct Property {
  const char* name;
  double (*of)(const Call&);
  std::string (*text)(double);
};

std::string as_number(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

std::string as_bool(double value) {
  return value != 0 ? "true" : "false";
}

std::string as_padding(double valid) {
  return valid != 0 ? "kValid" : "kSame";
}

std::string as_reduction(double reduction) {
  return reduction == static_cast<double>(Reduction::kSum) ? "kSum" : "kMean";
}

std::string as_error_map(double error_map) {
  switch (static_cast<ErrorMap>(error_map)) {
    case ErrorMap::kLoss:
      return "kLoss";
    case ErrorMap::kDSSIM:
      return "kDSSIM";
    case ErrorMap::kContrastStructure:
      return "kContrastStructure";
    default:
      return "kNone";
  }
}

std::string as_device_type(double type) {
  return c10::DeviceTypeName(static_cast<c10::DeviceType>(type), true);
}

/// Stands for an argument that is missing.
constexpr double kNone = -1;

std::string as_type(double type) {
  return type == kNone ? "none"
                       : c10::toString(static_cast<torch::ScalarType>(type));
}

std::string as_size(double size) {
  return size == kNone ? "none" : as_number(size);
}

double type_of(const torch::Tensor& tensor) {
  return tensor.defined() ? static_cast<double>(tensor.scalar_type()) : kNone;
}

/// The size of the dimension `from_last` places before the last one.
double size_of(const torch::Tensor& tensor, std::int64_t from_last) {
  return tensor.defined() && tensor.dim() > from_last
      ? static_cast<double>(tensor.size(tensor.dim() - 1 - from_last))
      : kNone;
}

const Property kProperties[] = {
    {"window_size",
     [](const Call& c) { return double(c.objective.window_size); },
     as_number},
    {"sigma", [](const Call& c) { return c.objective.sigma; }, as_number},
    {"data_range",
     [](const Call& c) { return c.objective.data_range; },
     as_number},
    {"k1", [](const Call& c) { return c.objective.k1; }, as_number},
    {"k2", [](const Call& c) { return c.objective.k2; }, as_number},
    {"padding",
     [](const Call& c) { return double(c.objective.valid); },
     as_padding},
    {"reduction",
     [](const Call& c) { return double(c.objective.reduction); },
     as_reduction},
    {"l1_weight",
     [](const Call& c) { return c.objective.terms.l1_weight; },
     as_number},
    {"dssim_weight",
     [](const Call& c) { return c.objective.terms.dssim_weight; },
     as_number},
    {"smooth_l1_beta",
     [](const Call& c) { return c.objective.terms.smooth_l1_beta; },
     as_number},
    {"crop_l1",
     [](const Call& c) { return double(c.objective.crop_l1); },
     as_bool},
    {"error_map",
     [](const Call& c) { return double(c.error_map); },
     as_error_map},
    {"type of device",
     [](const Call& c) { return double(c.input.device().type()); },
     as_device_type},
    {"type of input", [](const Call& c) { return type_of(c.input); }, as_type},
    {"type of target",
     [](const Call& c) { return type_of(c.target); },
     as_type},
    {"batch size", [](const Call& c) { return size_of(c.input, 3); }, as_size},
    {"number of channels",
     [](const Call& c) { return size_of(c.input, 2); },
     as_size},
    {"width", [](const Call& c) { return size_of(c.input, 0); }, as_size},
    {"type of mask", [](const Call& c) { return type_of(c.mask); }, as_type},
    {"batch size of mask",
     [](const Call& c) { return size_of(c.mask, 3); },
     as_size},
    {"number of channels of mask",
     [](const Call& c) { return size_of(c.mask, 2); },
     as_size},
};
constexpr std::size_t kCount = std::extent_v<decltype(kProperties)>;

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ the message ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

/// What one rank tells all, as bytes.
struct Message {
  char function[64]; // name of the called function
  char error[960]; // what is wrong with this rank's arguments; empty: nothing
  std::int64_t rows; // of the image that this rank has
  std::int64_t halo;
  double properties[kCount];
};
static_assert(std::is_trivially_copyable_v<Message>, "it travels as bytes");

template <std::size_t kSize>
void store(char (&text)[kSize], const std::string& from) {
  from.copy(text, kSize - 1); // the rest is zero already
}

Message message_of(
    const Call& call,
    std::int64_t halo,
    const std::function<void()>& check) {
  Message message{};
  store(message.function, call.objective.name);
  try {
    check();
  } catch (const c10::Error& error) {
    store(message.error, error.what_without_backtrace());
    return message;
  }
  message.rows = call.input.size(-2);
  message.halo = halo;
  for (std::size_t i = 0; i < kCount; ++i) {
    message.properties[i] = kProperties[i].of(call);
  }
  return message;
}

/// Where messages go: to the CPU, if the group can, so that no CUDA stream is waited for.
torch::Device message_device(const Group& group, const torch::Tensor& input) {
  const auto devices = group->getDeviceTypes();
  const bool has_cpu = std::any_of(
      devices.begin(), devices.end(), [](const c10::Device& device) {
        return device.is_cpu();
      });
  if (has_cpu || devices.empty()) {
    return torch::kCPU;
  }
  const auto type = devices.front().type();
  return input.defined() && input.device().type() == type ? input.device()
                                                          : torch::Device(type);
}

std::vector<Message> messages_of_all(
    const Message& own,
    const Group& group,
    const torch::Tensor& input) { // may be undefined
  const auto bytes = torch::empty({sizeof(Message)}, torch::kUInt8);
  std::memcpy(bytes.mutable_data_ptr(), &own, sizeof(Message));
  const auto all = gather(group, bytes.to(message_device(group, input))).cpu();
  std::vector<Message> messages(static_cast<std::size_t>(group->getSize()));
  std::memcpy(
      messages.data(), all.const_data_ptr(), sizeof(Message) * messages.size());
  return messages;
}

void check_messages(const std::vector<Message>& messages) {
  const std::size_t ranks = messages.size();
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    TORCH_CHECK(
        messages[rank].error[0] == '\0',
        messages[rank].error,
        " (on rank ",
        rank,
        " of ",
        ranks,
        ")");
  }
  const Message& first = messages.front();
  for (std::size_t rank = 1; rank < ranks; ++rank) {
    const Message& other = messages[rank];
    const auto check = [&](const char* what,
                           bool same,
                           const std::string& on_first,
                           const std::string& on_other) {
      TORCH_CHECK(
          same,
          first.function,
          ": expected the same ",
          what,
          " on all ranks, but got ",
          on_first,
          " on rank 0 and ",
          on_other,
          " on rank ",
          rank);
    };
    check(
        "function",
        std::strcmp(first.function, other.function) == 0,
        first.function,
        other.function);
    for (std::size_t i = 0; i < kCount; ++i) {
      const Property& property = kProperties[i];
      const double a = first.properties[i], b = other.properties[i];
      check(property.name, a == b, property.text(a), property.text(b));
    }
  }
}

} // namespace

Agreement agree(
    const Call& call,
    std::int64_t halo,
    const Group& group,
    const std::function<void()>& check) {
  const auto messages =
      messages_of_all(message_of(call, halo, check), group, call.input);
  check_messages(messages);
  Agreement agreement;
  for (const Message& message : messages) {
    const auto begin = agreement.height;
    agreement.height += message.rows;
    agreement.rows.push_back({begin, agreement.height});
    agreement.halo.push_back(message.halo);
  }
  check_window_fits(call.objective, agreement.height, call.input.size(-1));
  return agreement;
}

} // namespace fused_ssim::detail
