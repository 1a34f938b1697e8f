// Compares with values of independent implementations. scripts/make_golden.py
// wrote them.

#include "support.h"

#include <nlohmann/json.hpp>

#include <fstream>

namespace fused_ssim::test {
namespace {

using nlohmann::json;

/// Integers 0 .. 255 from a hash of the index, as in scripts/make_golden.py.
torch::Tensor hashed(std::uint64_t seed, const Sizes& sizes) {
  auto result = torch::empty(sizes, torch::kInt64);
  auto* values = result.mutable_data_ptr<std::int64_t>();
  constexpr std::uint64_t kMask = 0xFFFFFFFF;
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    std::uint64_t value =
        (static_cast<std::uint64_t>(i) + seed * 1000003) * 2654435761 & kMask;
    value ^= value >> 15;
    value = value * 2246822519 & kMask;
    value ^= value >> 13;
    values[i] = static_cast<std::int64_t>(value & 255);
  }
  return result;
}

torch::Tensor divided(const torch::Tensor& integers, std::int64_t divisor) {
  return torch::floor_divide(integers, divisor);
}

/// The two images of a pair, in 0 .. 255.
std::pair<torch::Tensor, torch::Tensor> golden_pair(
    const std::string& name,
    const Sizes& sizes) {
  const auto first = hashed(1, sizes);
  const auto second = hashed(2, sizes);
  const auto ramp =
      (torch::arange(sizes[2], torch::kInt64) * 4).remainder(256).expand(sizes);
  if (name == "random") {
    return {first, second};
  }
  if (name == "close") {
    return {
        divided(first + 3 * ramp, 4),
        divided(first + 3 * ramp + divided(second, 32), 4)};
  }
  if (name == "bright") {
    return {230 + divided(first, 32), 230 + divided(second, 32)};
  }
  EXPECT_EQ(name, "unlike");
  return {ramp, 255 - divided(ramp + divided(first, 16), 2)};
}

/// Compares `actual` with the samples {"index": value}.
void expect_samples(
    const torch::Tensor& actual,
    const json& samples,
    double tolerance) {
  const auto values = exact(actual).flatten();
  ASSERT_GT(samples.size(), 10u);
  for (const auto& [index, value] : samples.items()) {
    EXPECT_NEAR(
        values[std::stoll(index)].item<double>(),
        value.get<double>(),
        tolerance)
        << "at " << index;
  }
}

/// SSIM with reflection padding, as in docs/integration.md.
torch::Tensor reflect_ssim(
    const torch::Tensor& a, // [C, H, W]
    const torch::Tensor& b, // [C, H, W]
    SSIMOptions options) {
  const auto radius = options.window_size() / 2;
  const auto padding =
      torch::nn::functional::PadFuncOptions({radius, radius, radius, radius})
          .mode(torch::kReflect);
  return F::ssim(
      torch::nn::functional::pad(a, padding),
      torch::nn::functional::pad(b, padding),
      options.padding(torch::kValid));
}

/// Two images of a file, in each type, and what the file says of them.
class GoldenTest : public DeviceTest {
 protected:
  struct Pair {
    const json& document; // of the file
    const json& golden; // what it says of this pair
    torch::Tensor x, y; // x requires a gradient

    /// float32 cannot match a file better than its type allows.
    double tolerance(const char* name, double least) const {
      const bool wide = x.scalar_type() == torch::kFloat64;
      return std::max(document[name].get<double>(), wide ? 0.0 : least);
    }
  };

  template <typename Compare> // (const Pair&)
  void for_each_pair(const std::string& file, const Compare& compare) const {
    std::ifstream stream(FUSED_SSIM_GOLDEN_DIR "/" + file);
    ASSERT_TRUE(stream) << file;
    const auto document = json::parse(stream);
    ASSERT_GE(document["cases"].size(), 4u);
    for (const auto& golden : document["cases"]) {
      SCOPED_TRACE(
          golden["images"].dump() + " " + golden["shape"].dump() + " " +
          golden.value("padding", ""));
      const auto [first, second] =
          golden_pair(golden["images"], golden["shape"].get<Sizes>());
      for (const auto type : {torch::kFloat64, torch::kFloat32}) {
        compare(Pair{
            document,
            golden,
            leaf_of(first.to(torch::kFloat64) / 255, device(), type),
            (second.to(torch::kFloat64) / 255).to(device(), type)});
      }
    }
  }

  static void expect_value(
      const torch::Tensor& value,
      const Pair& pair,
      const char* name) {
    EXPECT_NEAR(
        value.item<double>(),
        pair.golden[name].get<double>(),
        pair.tolerance("tolerance", 5e-6));
  }

  static void expect_gradient_of(const torch::Tensor& value, const Pair& pair) {
    value.backward();
    const auto gradient = pair.x.grad();
    expect_samples(
        gradient,
        pair.golden["gradient"],
        pair.tolerance("gradient_tolerance", 1e-4) *
            gradient.abs().max().item<double>());
  }

  void compare(const std::string& file) const {
    for_each_pair(file, [](const Pair& pair) {
      const json& golden = pair.golden;
      auto options = SSIMOptions()
                         .window_size(golden["window_size"])
                         .sigma(golden["sigma"]);
      const bool reflect = golden["padding"] == "reflect";
      if (reflect || golden["padding"] == "valid") {
        options.padding(torch::kValid);
      } else {
        ASSERT_EQ(golden["padding"], "same");
      }
      const auto value = reflect ? reflect_ssim(pair.x, pair.y, options)
                                 : F::ssim(pair.x, pair.y, options);
      expect_value(value, pair, "mean");
      ASSERT_TRUE(golden.contains("map") || golden.contains("gradient"));
      if (golden.contains("map")) {
        auto none = options;
        expect_samples(
            F::ssim(pair.x, pair.y, none.reduction(torch::kNone)),
            golden["map"],
            10 * pair.tolerance("tolerance", 5e-6));
      }
      if (golden.contains("gradient")) {
        expect_gradient_of(value, pair);
      }
    });
  }
};

TEST_P(GoldenTest, MultiScale) {
  for_each_pair("pytorch_msssim_multi_scale.json", [](const Pair& pair) {
    if (kEmulated && pair.x.size(-2) > 80) {
      return; // an emulation takes minutes
    }
    const json& golden = pair.golden;
    const auto value = F::ms_ssim(
        pair.x,
        pair.y,
        MSSSIMOptions()
            .window_size(golden["window_size"])
            .sigma(golden["sigma"])
            .weights(golden["weights"].get<std::vector<double>>()));
    expect_value(value, pair, "value");
    expect_gradient_of(value, pair);
  });
}

TEST_P(GoldenTest, ScikitImage) {
  compare("scikit_image.json");
}

TEST_P(GoldenTest, PytorchMsssim) {
  compare("pytorch_msssim.json");
}

TEST_P(GoldenTest, Torchmetrics) {
  compare("torchmetrics.json");
}

TEST_P(GoldenTest, Kornia) {
  compare("kornia.json");
}

FUSED_SSIM_ON_EACH_DEVICE(GoldenTest);

} // namespace
} // namespace fused_ssim::test
