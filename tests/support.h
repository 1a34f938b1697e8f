#pragma once

#include "emulated.h"
#include "reference.h"

#include <fused_ssim/fused_ssim.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace fused_ssim::test {

namespace F = fused_ssim::functional;

/// `size`, or the smaller one for an emulated run.
inline std::int64_t scaled(std::int64_t size, std::int64_t emulated) {
  return kEmulated ? emulated : size;
}

/// Exit status that tells ctest that no test could run.
constexpr int kSkipped = 77;

/// Whether this processor has the instruction set "default", "avx2" or
/// "avx512", the values of FUSED_SSIM_CPU_CAPABILITY.
bool has_cpu_capability(const std::string& name);

/// The reason why tests on CUDA cannot run here; empty if they can.
std::string why_no_cuda();

/// Seeds torch before each test.
class SeededTest : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(20240229);
  }
};

using Sizes = std::vector<std::int64_t>;

/// A test that runs once on each device. It is skipped, with the reason, if
/// there is no such device.
class DeviceTest : public testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override;
  torch::Device device() const {
    return torch::Device(GetParam());
  }
  /// Uniform noise.
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const;
};

std::vector<torch::DeviceType> device_types();
std::string device_name(
    const testing::TestParamInfo<torch::DeviceType>& device);

#define FUSED_SSIM_ON_EACH_DEVICE(Suite) \
  INSTANTIATE_TEST_SUITE_P(              \
      Devices, Suite, testing::ValuesIn(device_types()), device_name)

/// Expects that `statement` throws c10::Error with a message that matches
/// `matcher`.
#define EXPECT_ERROR(statement, matcher)          \
  do {                                            \
    std::string message_ = "no error";            \
    try {                                         \
      static_cast<void>(statement);               \
    } catch (const c10::Error& error_) {          \
      message_ = error_.what_without_backtrace(); \
    }                                             \
    EXPECT_THAT(message_, matcher);               \
  } while (false)

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ images ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// All are float64 on the CPU, in [0, 1] unless the name says otherwise.

/// Uniform noise.
torch::Tensor noise(const Sizes& sizes);
/// An image like a photograph: shading, edges, texture and a little noise.
torch::Tensor photograph(const Sizes& sizes);
/// `image` with noise of standard deviation `amount`, clamped to [0, 1].
torch::Tensor disturbed(const torch::Tensor& image, double amount);
/// Black and white fields of 8 x 8 pixels.
torch::Tensor checkerboard(const Sizes& sizes);
/// 0.02 left of the middle, 0.95 right of it.
torch::Tensor half_dark_half_bright(const Sizes& sizes);
/// A horizontal ramp in steps of 1/255, `levels` of them, starting at `first`.
torch::Tensor ramp(const Sizes& sizes, double first, int levels);

/// The name of one of torch's enumerations, such as kMean.
/// (torch::enumtype::get_enum_name of LibTorch 2.1 does not accept a
/// std::variant.)
template <typename Enumerations>
std::string name_of(const Enumerations& enumeration) {
  return std::visit(torch::enumtype::_compute_enum_name(), enumeration);
}

/// A new leaf that requires grad, with the values of `image`.
torch::Tensor leaf_of(
    const torch::Tensor& image,
    torch::Device device,
    torch::ScalarType type);

struct ImagePair {
  std::string name;
  torch::Tensor x, y; // alike, float64 on the CPU
  double data_range = 1;
};
/// Nearly flat pictures near the top of the range, where E[x^2] - mu^2 loses
/// digits.
std::vector<ImagePair> bright_low_contrast_pairs(const Sizes& sizes);
/// Pictures with contrast.
std::vector<ImagePair> full_range_pairs(const Sizes& sizes);

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ layouts ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

enum class Layout {
  kContiguous,
  kPermuted, // [H, W, C] in memory
  kTransposed, // [C, W, H] in memory
  kBatchInside, // [C, H, W, N] in memory
  kSliced, // each second column and row of a larger image
  kOffset, // inside a larger image, with an odd storage offset
};
extern const std::vector<Layout> kLayouts;
const char* name(Layout layout);

/// The values of `image` ([C, H, W] or [N, C, H, W]) in memory of that layout.
torch::Tensor lay_out(const torch::Tensor& image, Layout layout);

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ comparisons ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

/// The difference of `actual` from `expected`, in float64.
struct Error {
  double max = 0; // of |actual - expected|
  double relative_l2 = 0;
  double cosine = 1; // of the angle between the two
  double bias = 0; // sum(actual - expected) / sum|expected|
};
Error error_of(const torch::Tensor& actual, const torch::Tensor& expected);
std::ostream& operator<<(std::ostream& stream, const Error& error);

/// Tolerances by compute type, for values of order 1, and for gradients
/// (relative L2).
double value_tolerance(torch::ScalarType type);
double gradient_tolerance(torch::ScalarType type);

/// Expects |actual - expected| <= tolerance * max(1, |expected|) for a scalar.
void expect_scalar(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double tolerance);
/// Compares a map of SSIM or of a loss, of images in [0, 1].
void expect_map(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double bound = 5e-5); // of the largest error in float32
/// Compares a gradient by relative L2, cosine and bias. For half types it
/// compares with the rounded reference.
void expect_gradient(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double tolerances = 1); // the bound, in units of gradient_tolerance()
/// Expects of `loss` of two images that the gradient to one alone is that with the other.
void expect_one_gradient_as_both(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const std::function<
        torch::Tensor(const torch::Tensor&, const torch::Tensor&)>& loss);
/// For float16 and bfloat16: the error is at most twice that of rounding.
void expect_within_rounding(
    const torch::Tensor& actual,
    const torch::Tensor& expected);
/// Expects the same bits, NaN included, and the same shape, type and device.
void expect_same_bits(
    const torch::Tensor& actual,
    const torch::Tensor& expected);

// ~~~~~~~~~~~~~~~~~~~~~~~~~~~ finite differences ~~~~~~~~~~~~~~~~~~~~~~~~~~~

using Function =
    std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

/// Compares backward() with central differences in each element of each of
/// `inputs` (float64). Returns the largest difference, relative to the largest
/// derivative.
double gradcheck(const Function& f, const std::vector<torch::Tensor>& inputs);
/// The same for the gradient, as a function of `inputs` and of the upstream
/// gradient.
double gradgradcheck(
    const Function& f,
    const std::vector<torch::Tensor>& inputs);

} // namespace fused_ssim::test
