#include "support.h"

#include <sys/mman.h>

namespace fused_ssim::test {
namespace {

class LayoutsTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const {
    return noise(sizes).to(device(), type);
  }

  /// Compares value, map and both gradients for images of any layout.
  void compare(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const SSIMOptions::padding_t& padding) const {
    const auto a = x.detach().requires_grad_();
    const auto b = y.detach().requires_grad_();
    const auto options = L1DSSIMLossOptions(0.5).padding(padding);
    const auto loss = F::l1_dssim_loss(a, b, options);
    const auto gradients = torch::autograd::grad({loss}, {a, b});
    const auto reference = expected(x, y, Spec(options));
    expect_scalar(loss, reference.value, value_tolerance(x.scalar_type()));
    expect_gradient(gradients[0], reference.grad_input);
    expect_gradient(gradients[1], reference.grad_target);
    // If the image has no gaps in memory, the gradient has the same layout.
    EXPECT_EQ(gradients[0].strides(), torch::empty_like(x).strides());
    EXPECT_EQ(gradients[1].strides(), torch::empty_like(y).strides());

    const torch::NoGradGuard no_grad;
    const auto none = SSIMOptions().padding(padding).reduction(torch::kNone);
    expect_map(F::ssim(x, y, none), expected(x, y, Spec(none)).value);
    expect_scalar(
        F::l1_dssim_loss(x, y, options),
        reference.value,
        value_tolerance(x.scalar_type()));
  }

  void compare(const torch::Tensor& x, const torch::Tensor& y) const {
    compare(x, y, torch::kSame);
    if (x.size(-1) >= 11 && x.size(-2) >= 11) {
      compare(x, y, torch::kValid);
    }
  }
};

TEST_P(LayoutsTest, OfBothImages) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto x = image({2, 3, 23, scaled(140, 45)}, type);
    const auto y = image({2, 3, 23, scaled(140, 45)}, type);
    for (const auto of_x : kLayouts) {
      for (const auto of_y : kLayouts) {
        if (kEmulated && of_x != of_y && of_y != Layout::kContiguous) {
          continue;
        }
        SCOPED_TRACE(testing::Message() << name(of_x) << ", " << name(of_y));
        compare(lay_out(x, of_x), lay_out(y, of_y));
      }
    }
  }
}

TEST_P(LayoutsTest, WithoutBatchDimension) {
  const auto x = image({3, 23, 45}, torch::kFloat32);
  const auto y = image({3, 23, 45}, torch::kFloat32);
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    compare(lay_out(x, layout), lay_out(y, layout));
  }
}

TEST_P(LayoutsTest, OfFloat16) {
  const auto x = image({2, 3, 23, 45}, torch::kFloat16);
  const auto y = image({2, 3, 23, 45}, torch::kFloat16);
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    const auto result = F::l1_dssim_value_and_grad(lay_out(x, layout), y);
    const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()));
    expect_scalar(result.loss, reference.value, 1e-6);
    expect_gradient(result.grad, reference.grad_input);
  }
}

TEST_P(LayoutsTest, SizesAroundTilesAndVectors) {
  std::vector<std::int64_t> sizes = {1, 2, 10, 11, 12, 37, 127, 128, 129};
  const std::vector<Sizes> rectangles = {
      {1, 131}, {131, 1}, {1, 1}, {3, 257}, {257, 3}, {31, 61}, {113, 116}};
  const auto check = [&](std::int64_t height, std::int64_t width) {
    SCOPED_TRACE(testing::Message() << height << " x " << width);
    compare(
        image({1, height, width}, torch::kFloat32),
        image({1, height, width}, torch::kFloat32));
  };
  if (kEmulated) {
    for (const auto size : sizes) {
      check(13, size);
      check(std::min<std::int64_t>(size, 37), 12);
    }
    return check(1, 1);
  }
  for (const auto height : sizes) {
    for (const auto width : sizes) {
      check(height, width);
    }
  }
  for (const auto& rectangle : rectangles) {
    check(rectangle[0], rectangle[1]);
  }
}

TEST_P(LayoutsTest, EachWidthUpToTwoStrips) {
  const std::int64_t last = scaled(150, 20);
  for (std::int64_t width = 1; width <= last; width += kEmulated ? 3 : 1) {
    SCOPED_TRACE(width);
    const auto x = image({1, 12, width}, torch::kFloat32);
    const auto y = image({1, 12, width}, torch::kFloat32);
    const auto result = F::l1_dssim_value_and_grad(x, y);
    const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()));
    expect_scalar(result.loss, reference.value, 1e-6);
    expect_gradient(result.grad, reference.grad_input);
  }
}

TEST_P(LayoutsTest, EachHeightUpToAFewBlocks) {
  const std::int64_t last = scaled(70, 30);
  for (std::int64_t height = 1; height <= last; height += kEmulated ? 3 : 1) {
    SCOPED_TRACE(height);
    const auto x = image({1, height, 13}, torch::kFloat32);
    const auto y = image({1, height, 13}, torch::kFloat32);
    const auto result = F::l1_dssim_value_and_grad(x, y);
    const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()));
    expect_scalar(result.loss, reference.value, 1e-6);
    expect_gradient(result.grad, reference.grad_input);
  }
}

TEST_P(LayoutsTest, Expanded) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto y = image({2, 3, 23, 45}, type);
    for (const auto& sizes : std::vector<Sizes>{
             {1, 3, 23, 45},
             {2, 1, 23, 45},
             {1, 1, 23, 45},
             {2, 3, 1, 45},
             {2, 3, 23, 1},
             {1, 1, 1, 1}}) {
      SCOPED_TRACE(testing::PrintToString(sizes));
      const auto x = image(sizes, type).expand({2, 3, 23, 45});
      compare(x, y);
      compare(y, x);
    }
  }
}

TEST_P(LayoutsTest, GradientReachesTheImageThatWasExpanded) {
  const auto y = image({2, 3, 23, 45}, torch::kFloat64);
  const auto small = image({1, 3, 1, 45}, torch::kFloat64).requires_grad_();
  const auto x = small.expand({2, 3, 23, 45});
  F::l1_dssim_loss(x, y).backward();
  const auto whole = expected(x, y, Spec(L1DSSIMLossOptions())).grad_input;
  expect_gradient(
      small.grad(), whole.sum(torch::IntArrayRef({0, 2}), /*keepdim=*/true));
}

// Pixels that share memory, because rows overlap. A view that reads columns
// backwards cannot exist, since torch has no negative strides. flip() copies,
// and has to give the right result as well.
TEST_P(LayoutsTest, AsStrided) {
  const auto buffer = image({4096}, torch::kFloat64);
  const auto y = image({2, 19, 23}, torch::kFloat64);
  compare(buffer.as_strided({2, 19, 23}, {700, 1, 1}), y);
  compare(buffer.as_strided({2, 19, 23}, {1, 40, 2}, 17), y);
  compare(buffer.as_strided({2, 19, 23}, {0, 0, 3}, 5), y);
  compare(buffer.as_strided({2, 19, 23}, {19 * 23, 1, 19}), y);
  compare(y.flip({-1}), y.flip({-2}));
}

TEST_P(LayoutsTest, GradientOfAPermutedImageIsFree) {
  const auto leaf = image({23, 45, 3}, torch::kFloat32).requires_grad_();
  const auto y = image({23, 45, 3}, torch::kFloat32);
  const auto x = leaf.permute({2, 0, 1});
  const auto loss = F::l1_dssim_loss(x, y.permute({2, 0, 1}));
  const auto gradient = torch::autograd::grad({loss}, {x}, {}, true)[0];
  EXPECT_EQ(gradient.strides(), x.strides());
  loss.backward();
  EXPECT_TRUE(leaf.grad().is_contiguous());
  expect_gradient(
      leaf.grad(),
      expected(x, y.permute({2, 0, 1}), Spec(L1DSSIMLossOptions()))
          .grad_input.permute({1, 2, 0}));
}

TEST_P(LayoutsTest, NegatedView) {
  const auto complex = torch::complex(
      image({3, 16, 25}, torch::kFloat32), image({3, 16, 25}, torch::kFloat32));
  const auto x = torch::imag(complex.conj());
  ASSERT_TRUE(x.is_neg());
  const auto y = -image({3, 16, 25}, torch::kFloat32);
  const auto reference =
      expected(x.resolve_neg(), y, Spec(L1DSSIMLossOptions()));
  const auto result = F::l1_dssim_value_and_grad(x, y);
  expect_scalar(result.loss, reference.value, 1e-6);
  expect_gradient(result.grad, reference.grad_input);
}

/// Address space for `count` floats. They are zero, and no memory is behind
/// them.
class Reserved {
 public:
  explicit Reserved(std::int64_t count) : bytes_(4 * count) {
    data_ = mmap(
        nullptr,
        bytes_,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0);
  }
  ~Reserved() {
    if (valid()) {
      munmap(data_, bytes_);
    }
  }
  bool valid() const {
    return data_ != MAP_FAILED;
  }
  torch::Tensor view(const Sizes& sizes, const Sizes& strides) const {
    return torch::from_blob(data_, sizes, strides, torch::kFloat32);
  }

 private:
  std::size_t bytes_;
  void* data_;
};

// Indices beyond 2^31. Only the pages of these tensors that hold pixels exist
// in memory.
TEST_P(LayoutsTest, StridesBeyond32Bits) {
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "on the GPU: CudaTest.MoreThan32BitsOfElements";
  }
  constexpr std::int64_t kHuge = (std::int64_t(1) << 32) + 3;
  const std::vector<std::pair<Sizes, Sizes>> cases = {
      {{2, 1, 12, 14}, {kHuge, 1, 14, 1}},
      {{1, 3, 12, 14}, {1, kHuge / 2, 14, 1}},
      {{1, 1, 12, 14}, {1, 1, kHuge / 5, 1}},
      {{1, 1, 12, 14}, {1, 1, 16, kHuge / 7}},
  };
  for (const auto& [sizes, strides] : cases) {
    SCOPED_TRACE(testing::PrintToString(strides));
    std::int64_t count = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      count += (sizes[i] - 1) * strides[i];
    }
    ASSERT_GT(count, std::int64_t(1) << 31);
    const Reserved memory(count);
    if (!memory.valid()) {
      GTEST_SKIP() << "this machine gives no address space of " << 4 * count
                   << " bytes";
    }
    const auto x = memory.view(sizes, strides);
    const auto dense = image(sizes, torch::kFloat32);
    x.copy_(dense);
    const auto y = image(sizes, torch::kFloat32);
    for (const bool swapped : {false, true}) {
      const auto& a = swapped ? y : x;
      const auto& b = swapped ? x : y;
      const auto result = F::l1_dssim_value_and_grad(a, b);
      const auto reference = swapped
          ? expected(y, dense, Spec(L1DSSIMLossOptions()))
          : expected(dense, y, Spec(L1DSSIMLossOptions()));
      expect_scalar(result.loss, reference.value, 1e-6);
      expect_gradient(result.grad, reference.grad_input);
    }
  }
}

// Large enough that a tile takes all channels of interleaved images at once.
TEST_P(LayoutsTest, LargeInterleavedImages) {
  for (const std::int64_t channels : {3, 4}) {
    const Sizes sizes = {channels, scaled(521, 30), scaled(517, 40)};
    const auto x = noise(sizes).to(device(), torch::kFloat32);
    const auto y = noise(sizes).to(device(), torch::kFloat32);
    const auto mask = noise({sizes[1], sizes[2]}).to(device(), torch::kFloat32);
    const auto inner_x = lay_out(x, Layout::kPermuted);
    const auto inner_y = lay_out(y, Layout::kPermuted);
    const auto expected = F::l1_dssim_value_and_grad(x, y, {}, mask);
    for (const auto& target : {inner_y, y}) {
      SCOPED_TRACE(channels);
      const auto result = F::l1_dssim_value_and_grad(inner_x, target, {}, mask);
      expect_scalar(result.loss, expected.loss, 1e-6);
      EXPECT_EQ(result.grad.strides(), inner_x.strides());
      EXPECT_LE(error_of(result.grad, expected.grad).relative_l2, 1e-6);
      const auto none = SSIMOptions().reduction(torch::kNone);
      const auto map = F::ssim(inner_x, target, none);
      EXPECT_LE(error_of(map, F::ssim(x, y, none)).max, 1e-5);
    }
  }
}

FUSED_SSIM_ON_EACH_DEVICE(LayoutsTest);

} // namespace
} // namespace fused_ssim::test
