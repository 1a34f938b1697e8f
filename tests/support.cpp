#include "support.h"

#include <cmath>
#include <ostream>
#include <utility>

namespace fused_ssim::test {

bool has_cpu_capability(const std::string& name) {
#if defined(__x86_64__)
  if (name == "avx2") {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
  if (name == "avx512") {
    return has_cpu_capability("avx2") && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl");
  }
#endif
  return name == "default";
}

std::string why_no_cuda() {
  if (kEmulated) {
    return "the emulated kernels take CPU tensors";
  }
  if (!fused_ssim::has_cuda()) {
    return "fused_ssim was built without CUDA kernels";
  }
  if (!torch::cuda::is_available()) {
    return "LibTorch finds no CUDA device on this machine";
  }
  return "";
}

void DeviceTest::SetUp() {
  torch::manual_seed(20240229);
  if (GetParam() == torch::kCUDA && !why_no_cuda().empty()) {
    GTEST_SKIP() << why_no_cuda();
  }
}

torch::Tensor DeviceTest::image(const Sizes& sizes, torch::ScalarType type)
    const {
  return noise(sizes).to(device(), type);
}

std::vector<torch::DeviceType> device_types() {
  if (kEmulated) {
    return {torch::kCPU};
  }
  return {torch::kCPU, torch::kCUDA};
}

std::string device_name(
    const testing::TestParamInfo<torch::DeviceType>& device) {
  if (kEmulated) {
    return "emulated";
  }
  return c10::DeviceTypeName(device.param, /*lower_case=*/true);
}

double value_tolerance(torch::ScalarType type) {
  return type == torch::kFloat64 ? 1e-12 : 1e-6;
}

double gradient_tolerance(torch::ScalarType type) {
  return type == torch::kFloat64 ? 1e-12 : 5e-6;
}

Error error_of(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto a = exact(actual).flatten();
  const auto e = exact(expected).flatten();
  if (e.numel() == 0) {
    return {};
  }
  const auto number = [](const torch::Tensor& t) { return t.item<double>(); };
  const auto difference = a - e;
  const double norm = number(e.norm());
  const double distance = number(difference.norm());
  const auto ratio = [](double part, double whole) {
    return part == 0 ? 0 : part / whole;
  };
  Error error;
  error.max = number(difference.abs().max());
  error.relative_l2 = ratio(distance, norm);
  error.cosine =
      distance == 0 ? 1 : number(a.dot(e)) / (number(a.norm()) * norm);
  error.bias = ratio(number(difference.sum()), number(e.abs().sum()));
  return error;
}

std::ostream& operator<<(std::ostream& stream, const Error& error) {
  return stream << "max " << error.max << ", relative L2 " << error.relative_l2
                << ", 1 - cosine " << 1 - error.cosine << ", bias "
                << error.bias;
}

void expect_scalar(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double tolerance) {
  ASSERT_EQ(actual.dim(), 0);
  const auto a = actual.item<double>();
  const auto e = expected.item<double>();
  EXPECT_NEAR(a, e, tolerance * std::max(1.0, std::abs(e)));
}

void expect_map(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double bound) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  if (actual.element_size() == 2) {
    return expect_within_rounding(actual, expected);
  }
  const auto error = error_of(actual, expected);
  const bool wide = actual.scalar_type() == torch::kFloat64;
  const double largest = exact(expected).abs().max().item<double>();
  EXPECT_LE(error.max, (wide ? 1e-12 : bound) * std::max(1.0, largest))
      << error;
}

void expect_gradient(
    const torch::Tensor& actual,
    const torch::Tensor& expected,
    double tolerances) {
  ASSERT_TRUE(actual.defined());
  ASSERT_EQ(actual.sizes(), expected.sizes());
  if (actual.element_size() == 2) {
    return expect_within_rounding(actual, expected);
  }
  const auto error = error_of(actual, expected);
  const double tolerance =
      tolerances * gradient_tolerance(actual.scalar_type());
  EXPECT_LE(error.relative_l2, tolerance) << error;
  // The cosine of a small angle differs from 1 by half of the angle's square,
  // which is far below 1e-9 here. The cosine and the bias distinguish an error
  // in one direction from scattered rounding.
  EXPECT_GE(error.cosine, 1 - 1e-9) << error;
  EXPECT_LE(std::abs(error.bias), tolerance) << error;
}

void expect_one_gradient_as_both(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const std::function<
        torch::Tensor(const torch::Tensor&, const torch::Tensor&)>& loss) {
  const auto gradients = [&](bool of_x, bool of_y) {
    const auto a = x.clone().requires_grad_(of_x);
    const auto b = y.clone().requires_grad_(of_y);
    loss(a, b).backward();
    return std::make_pair(a.grad(), b.grad());
  };
  const auto both = gradients(true, true);
  const auto first = gradients(true, false);
  const auto second = gradients(false, true);
  EXPECT_FALSE(first.second.defined());
  EXPECT_FALSE(second.first.defined());
  EXPECT_LE(error_of(first.first, both.first).relative_l2, 1e-6);
  EXPECT_LE(error_of(second.second, both.second).relative_l2, 1e-6);
}

void expect_within_rounding(
    const torch::Tensor& actual,
    const torch::Tensor& expected) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const auto rounded = exact(expected).to(torch::kFloat32).to(actual.dtype());
  const auto rounding = error_of(rounded, expected);
  const auto error = error_of(actual, expected);
  EXPECT_LE(error.relative_l2, 2 * rounding.relative_l2)
      << "of the type: " << rounding << "\nactual: " << error;
  EXPECT_LE(error.max, 2 * rounding.max)
      << "of the type: " << rounding << "\nactual: " << error;
}

void expect_same_bits(
    const torch::Tensor& actual,
    const torch::Tensor& expected) {
  ASSERT_TRUE(actual.defined() && expected.defined());
  ASSERT_EQ(actual.sizes(), expected.sizes());
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type());
  ASSERT_EQ(actual.device(), expected.device());
  const auto bytes = [](const torch::Tensor& tensor) {
    return tensor.detach().contiguous().flatten().view(torch::kUInt8);
  };
  const auto differing = bytes(actual).ne(bytes(expected)).sum();
  EXPECT_EQ(differing.item<std::int64_t>(), 0)
      << "bytes differ; " << error_of(actual, expected);
}

double gradcheck(const Function& f, const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> leaves;
  for (const auto& input : inputs) {
    leaves.push_back(input.detach().contiguous().clone().requires_grad_());
  }
  const auto output = f(leaves);
  const auto upstream = torch::randn_like(output.detach());
  const auto analytic = torch::autograd::grad(
      {output},
      leaves,
      {upstream},
      /*retain_graph=*/false,
      /*create_graph=*/false,
      /*allow_unused=*/true);

  // Rounding costs 1e-16 / step, truncation step^2.
  constexpr double kStep = 1e-5;
  double largest = 0;
  double worst = 0;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    auto moved = leaves[i].detach();
    double* values = moved.mutable_data_ptr<double>();
    const auto gradient = analytic[i].defined()
        ? analytic[i].detach().contiguous()
        : torch::zeros_like(moved);
    const double* derivative = gradient.const_data_ptr<double>();
    const auto at = [&](std::int64_t k, double value) {
      values[k] = value;
      // Graphs may be needed inside f, so gradients stay enabled.
      return (f(leaves).detach() * upstream).sum().item<double>();
    };
    for (std::int64_t k = 0; k < moved.numel(); ++k) {
      const double value = values[k];
      const double numeric =
          (at(k, value + kStep) - at(k, value - kStep)) / (2 * kStep);
      values[k] = value;
      const double difference = std::abs(numeric - derivative[k]);
      // Written so that NaN counts as the worst.
      worst = difference <= worst ? worst : difference;
      largest = std::max(largest, std::abs(numeric));
    }
  }
  return worst / largest;
}

double gradgradcheck(
    const Function& f,
    const std::vector<torch::Tensor>& inputs) {
  auto arguments = inputs;
  arguments.push_back(torch::randn_like(f(inputs).detach()));
  const auto gradient = [&](const std::vector<torch::Tensor>& all) {
    const std::vector<torch::Tensor> images(all.begin(), all.end() - 1);
    const auto gradients = torch::autograd::grad(
        {f(images)},
        images,
        {all.back()},
        /*retain_graph=*/true,
        /*create_graph=*/true);
    std::vector<torch::Tensor> flat;
    for (const auto& each : gradients) {
      flat.push_back(each.flatten());
    }
    return torch::cat(flat);
  };
  return gradcheck(gradient, arguments);
}

} // namespace fused_ssim::test
