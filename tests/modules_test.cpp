#include "support.h"

#include <sstream>

namespace fused_ssim::test {
namespace {

class ModulesTest : public SeededTest {
 protected:
  const torch::Tensor x = torch::rand({2, 3, 16, 20});
  const torch::Tensor y = torch::rand({2, 3, 16, 20});
  const torch::Tensor mask = torch::rand({16, 20});
};

template <typename T>
std::string print(const T& module) {
  std::ostringstream stream;
  stream << module;
  return stream.str();
}

TEST_F(ModulesTest, PrintEveryOption) {
  EXPECT_EQ(
      print(SSIM()),
      "fused_ssim::SSIM(window_size=11, sigma=1.5, data_range=1, k1=0.01, "
      "k2=0.03, padding=kSame, reduction=kMean)");
  EXPECT_EQ(
      print(SSIM(SSIMOptions()
                     .window_size(7)
                     .sigma(0.75)
                     .data_range(255)
                     .k1(0.02)
                     .k2(0.05)
                     .padding(torch::kValid)
                     .reduction(torch::kNone))),
      "fused_ssim::SSIM(window_size=7, sigma=0.75, data_range=255, k1=0.02, "
      "k2=0.05, padding=kValid, reduction=kNone)");
  EXPECT_EQ(
      print(L1DSSIMLoss()),
      "fused_ssim::L1DSSIMLoss(l1_weight=0.8, dssim_weight=0.2, crop_l1=false, "
      "smooth_l1_beta=0, window_size=11, sigma=1.5, data_range=1, k1=0.01, "
      "k2=0.03, "
      "padding=kSame, reduction=kMean)");
  EXPECT_EQ(
      print(L1DSSIMLoss(L1DSSIMLossOptions()
                            .l1_weight(2)
                            .dssim_weight(3)
                            .crop_l1(true)
                            .smooth_l1_beta(0.25)
                            .window_size(7)
                            .sigma(0.75)
                            .data_range(255)
                            .k1(0.02)
                            .k2(0.05)
                            .padding(torch::kValid)
                            .reduction(torch::kSum))),
      "fused_ssim::L1DSSIMLoss(l1_weight=2, dssim_weight=3, crop_l1=true, "
      "smooth_l1_beta=0.25, window_size=7, sigma=0.75, data_range=255, "
      "k1=0.02, k2=0.05, "
      "padding=kValid, reduction=kSum)");
}

TEST_F(ModulesTest, MSSSIMPrintsAndKeepsEveryOption) {
  EXPECT_EQ(
      print(MSSSIM()),
      "fused_ssim::MSSSIM(weights=[0.0448, 0.2856, 0.3001, 0.2363, 0.1333], "
      "window_size=11, sigma=1.5, data_range=1, k1=0.01, k2=0.03, "
      "padding=kValid, reduction=kMean)");
  const auto options = MSSSIMOptions()
                           .weights({0.25, 0.75})
                           .window_size(7)
                           .sigma(0.75)
                           .data_range(255)
                           .k1(0.02)
                           .k2(0.05)
                           .padding(torch::kSame)
                           .reduction(torch::kNone);
  MSSSIM metric(options);
  EXPECT_EQ(
      print(metric),
      "fused_ssim::MSSSIM(weights=[0.25, 0.75], window_size=7, sigma=0.75, "
      "data_range=255, k1=0.02, k2=0.05, padding=kSame, reduction=kNone)");
  std::stringstream stream;
  torch::save(metric, stream);
  MSSSIM loaded;
  torch::load(loaded, stream);
  EXPECT_EQ(print(loaded), print(metric));
  EXPECT_EQ(loaded->options.weights(), options.weights());
  const auto copy = std::dynamic_pointer_cast<MSSSIMImpl>(metric->clone());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->options.weights(), options.weights());
  expect_same_bits(metric(x, y), F::ms_ssim(x, y, options));
  torch::nn::AnyModule any(metric);
  expect_same_bits(any.forward(x, y), F::ms_ssim(x, y, options));
  const auto leaf = x.clone().requires_grad_();
  metric(leaf, y).sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
}

TEST_F(ModulesTest, DefaultsOfOptions) {
  const L1DSSIMLossOptions options;
  EXPECT_DOUBLE_EQ(options.l1_weight(), 0.8);
  EXPECT_DOUBLE_EQ(options.dssim_weight(), 0.2);
  const L1DSSIMLossOptions half(0.5);
  EXPECT_DOUBLE_EQ(half.l1_weight(), 0.5);
  EXPECT_DOUBLE_EQ(half.dssim_weight(), 0.5);
}

TEST_F(ModulesTest, CallTheFunctions) {
  const auto ssim_options = SSIMOptions().window_size(7).padding(torch::kValid);
  SSIM metric(ssim_options);
  expect_same_bits(metric(x, y), F::ssim(x, y, ssim_options));
  expect_same_bits(metric(x, y, mask), F::ssim(x, y, ssim_options, mask));

  const auto loss_options =
      L1DSSIMLossOptions(0.4).window_size(5).reduction(torch::kSum);
  L1DSSIMLoss loss(loss_options);
  expect_same_bits(loss(x, y), F::l1_dssim_loss(x, y, loss_options));
  expect_same_bits(
      loss(x, y, mask), F::l1_dssim_loss(x, y, loss_options, mask));
}

TEST_F(ModulesTest, Train) {
  L1DSSIMLoss loss(/*lambda_dssim=*/0.2);
  const auto leaf = x.clone().requires_grad_();
  loss(leaf, y).backward();
  expect_gradient(
      leaf.grad(), expected(x, y, Spec(L1DSSIMLossOptions())).grad_input);
}

TEST_F(ModulesTest, OptionsMayBeChanged) {
  SSIM metric;
  metric->options.window_size(5);
  expect_same_bits(metric(x, y), F::ssim(x, y, SSIMOptions().window_size(5)));
  EXPECT_THAT(print(metric), testing::HasSubstr("window_size=5"));
}

TEST_F(ModulesTest, CloneKeepsTheOptionsAndIsItsOwn) {
  L1DSSIMLoss loss(L1DSSIMLossOptions(0.4).window_size(5));
  const auto copy = std::dynamic_pointer_cast<L1DSSIMLossImpl>(loss->clone());
  ASSERT_TRUE(copy);
  loss->options.window_size(7);
  EXPECT_EQ(copy->options.window_size(), 5);
  expect_same_bits(
      copy->forward(x, y),
      F::l1_dssim_loss(x, y, L1DSSIMLossOptions(0.4).window_size(5)));

  SSIM metric(SSIMOptions().sigma(2));
  const auto other = std::dynamic_pointer_cast<SSIMImpl>(metric->clone());
  ASSERT_TRUE(other);
  EXPECT_EQ(other->options.sigma(), 2);
}

/// What torch::load makes of what torch::save wrote.
template <typename Module>
Module saved_and_loaded(const Module& module) {
  std::stringstream stream;
  torch::save(module, stream);
  Module loaded;
  torch::load(loaded, stream);
  return loaded;
}

TEST_F(ModulesTest, SaveAndLoadKeepEveryOption) {
  const auto metric = SSIM(SSIMOptions()
                               .window_size(7)
                               .sigma(0.75)
                               .data_range(255)
                               .k1(0.02)
                               .k2(0.05)
                               .padding(torch::kValid)
                               .reduction(torch::kNone));
  EXPECT_EQ(print(saved_and_loaded(metric)), print(metric));
  const auto loss = L1DSSIMLoss(L1DSSIMLossOptions(0.3)
                                    .crop_l1(true)
                                    .smooth_l1_beta(0.25)
                                    .window_size(5)
                                    .padding(torch::kValid)
                                    .reduction(torch::kSum));
  EXPECT_EQ(print(saved_and_loaded(loss)), print(loss));
  EXPECT_EQ(saved_and_loaded(loss)->options.l1_weight(), 0.7);

  torch::nn::Sequential holder(L1DSSIMLoss(0.4));
  std::stringstream stream;
  torch::save(holder, stream);
  torch::nn::Sequential loaded(L1DSSIMLoss{});
  torch::load(loaded, stream);
  EXPECT_EQ(loaded->at<L1DSSIMLossImpl>(0).options.dssim_weight(), 0.4);
}

TEST_F(ModulesTest, LoadRefusesAnUnknownEnumerator) {
  std::stringstream stream;
  {
    torch::serialize::OutputArchive archive;
    archive.write("padding", torch::IValue("kReflect"));
    archive.save_to(stream);
  }
  SSIM metric;
  EXPECT_ERROR(
      torch::load(metric, stream),
      testing::HasSubstr("expected padding to be an option of this version of "
                         "fused_ssim, but got kReflect"));
}

TEST_F(ModulesTest, AnyModule) {
  torch::nn::AnyModule metric(SSIM(SSIMOptions().window_size(7)));
  const auto options = SSIMOptions().window_size(7);
  expect_same_bits(metric.forward(x, y), F::ssim(x, y, options));
  expect_same_bits(metric.forward(x, y, mask), F::ssim(x, y, options, mask));

  torch::nn::AnyModule loss(L1DSSIMLoss(0.3));
  expect_same_bits(loss.forward(x, y), F::l1_dssim_loss(x, y, 0.3));
  expect_same_bits(loss.forward(x, y, mask), F::l1_dssim_loss(x, y, 0.3, mask));
}

TEST_F(ModulesTest, HaveNoParameters) {
  SSIM metric;
  L1DSSIMLoss loss;
  EXPECT_TRUE(metric->parameters().empty());
  EXPECT_TRUE(loss->parameters().empty());
  EXPECT_NO_THROW(loss->to(torch::kFloat64));
}

TEST_F(ModulesTest, Version) {
  EXPECT_EQ(
      version(),
      std::to_string(FUSED_SSIM_VERSION_MAJOR) + "." +
          std::to_string(FUSED_SSIM_VERSION_MINOR) + "." +
          std::to_string(FUSED_SSIM_VERSION_PATCH));
}

} // namespace
} // namespace fused_ssim::test
