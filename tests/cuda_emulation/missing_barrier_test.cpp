// Removes the barriers of the library's kernels one at a time, and expects a
// wrong result each time. So the tests of the emulated kernels detect a
// forgotten barrier.

#include "scheduler.h"

#include "backend.h"
#include "pyramid.h"
#include "window.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace fused_ssim::detail::cuda {
namespace {

// The image is large enough for several steps in each of several items, for
// pixels in every lane of a block, and for more rows than a warp has lanes.
// Each row is a term of a sum over the threads.
constexpr std::int64_t kBatch = 1, kChannels = 1, kHeight = 70, kWidth = 260;
constexpr int kNone = -1;
constexpr std::size_t kElements = kBatch * kChannels * kHeight * kWidth;

/// The results that an evaluation is asked for.
struct Case {
  const char* name;
  bool weighted, value, map, grad_input, grad_target;
  double dssim;
  int window; // 0: the scales of MS-SSIM, and the value of means of them
};

// Each barrier is needed in at least one of these cases. No barrier is needed
// in all of them: the code after it may be harmless, or another barrier may be
// near.
const Case kCases[] = {
    {"L1 alone", true, true, false, true, false, 0.0, 11},
    {"both gradients", true, true, false, true, true, 0.2, 11},
    {"gradient", true, true, false, true, false, 0.2, 11},
    {"gradient, window 13", true, true, false, true, false, 0.2, 13},
    {"gradient, window 13, no weights",
     false,
     true,
     false,
     true,
     false,
     0.2,
     13},
    {"value", true, true, false, false, false, 0.2, 11},
    {"value, no weights", false, true, false, false, false, 0.2, 11},
    {"map", true, false, true, false, false, 0.2, 11},
    {"pyramid", false, false, false, false, false, 0.0, 0},
};

template <typename T>
constexpr Element kElement = sizeof(T) == 8 ? Element::kFloat64
                                            : Element::kFloat32;

template <typename T>
std::vector<T> noise(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values(kElements);
  for (auto& value : values) {
    value = static_cast<T>(random() % 4096) / 4096;
  }
  return values;
}

template <typename ViewType, typename Data>
ViewType view_of(
    Data& values,
    std::int64_t height = kHeight,
    std::int64_t width = kWidth) {
  ViewType view;
  view.data = values.data();
  view.stride[0] = kChannels * height * width;
  view.stride[1] = height * width;
  view.stride[2] = width;
  view.stride[3] = 1;
  view.element = kElement<typename Data::value_type>;
  return view;
}

/// Four scales of two images, and the value of MS-SSIM of as many images as the last one has
/// pixels, whose sums of 1 - SSIM these are.
template <typename T>
std::vector<T> pyramid() {
  constexpr int kScales = 5;
  static const auto input = noise<T>(1);
  static const auto target = noise<T>(2);
  std::vector<Halving> halvings(kScales - 1);
  std::vector<std::vector<T>> images;
  images.reserve(2 * halvings.size());
  std::int64_t height = kHeight, width = kWidth;
  for (std::size_t k = 0; k < halvings.size(); ++k) {
    auto& halving = halvings[k];
    halving.batch = kBatch;
    halving.channels = kChannels;
    halving.height = height;
    halving.width = width;
    height = halved(height);
    width = halved(width);
    for (int i = 0; i < 2; ++i) {
      images.emplace_back(static_cast<std::size_t>(height * width));
      halving.to[i] = view_of<MutableView>(images.back(), height, width);
      if (k == 0) {
        halving.from[i] = view_of<View>(i == 0 ? input : target);
      } else {
        halving.from[i] = view_of<View>(
            images[2 * (k - 1) + i], halving.height, halving.width);
      }
    }
  }
  halve(halvings.data(), kScales - 1, /*device=*/0);

  const std::vector<double> sums(images.back().begin(), images.back().end());
  T value = 0;
  std::vector<double> products(sums.size());
  Combination combination;
  combination.images = static_cast<std::int64_t>(sums.size());
  combination.channels = 1;
  combination.scales = 1;
  combination.weight[0] = 1;
  combination.sums[0] = sums.data();
  combination.parts[0] = 1;
  combination.count[0] = 2;
  combination.mean = true;
  combination.products = products.data();
  combination.value = &value;
  combination.wide = sizeof(T) == sizeof(double);
  combine(combination, /*device=*/0);

  std::vector<T> all = {value};
  for (const auto& image : images) {
    all.insert(all.end(), image.begin(), image.end());
  }
  return all;
}

/// All results of the kernels: three scalars, the map, two gradients.
template <typename T>
std::vector<T> results_of(const Case& what) {
  if (what.window == 0) {
    return pyramid<T>();
  }
  static const auto input = noise<T>(1);
  static const auto target = noise<T>(2);
  static const auto weight = noise<T>(3);

  Problem problem;
  problem.batch = kBatch;
  problem.channels = kChannels;
  problem.height = kHeight;
  problem.width = kWidth;
  problem.own_region =
      problem.map_region = {0, problem.height, 0, problem.width};
  problem.input = view_of<View>(input);
  problem.target = view_of<View>(target);
  if (what.weighted) {
    problem.weight = view_of<View>(weight);
  }
  problem.window = gaussian_window(what.window, 1.5);
  problem.constants.c1 = 1e-4;
  problem.constants.c2 = 9e-4;
  problem.terms.l1_weight = 0.8;
  problem.terms.dssim_weight = what.dssim;

  std::vector<T> scalars(3), map(kElements), grad_x(kElements),
      grad_y(kElements);
  Outputs outputs;
  if (what.value) {
    outputs.value = &scalars[0];
    outputs.l1 = &scalars[1];
    outputs.ssim = what.dssim != 0 ? &scalars[2] : nullptr;
  }
  if (what.map) {
    outputs.map = view_of<MutableView>(map);
  }
  if (what.grad_input) {
    outputs.grad_input = view_of<MutableView>(grad_x);
  }
  if (what.grad_target) {
    outputs.grad_target = view_of<MutableView>(grad_y);
  }
  run(problem, outputs, /*device=*/0);

  auto all = scalars;
  for (const auto& part : {map, grad_x, grad_y}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

template <typename T>
std::vector<T> results_of(
    const Case& what,
    std::uint64_t seed,
    int missing_barrier) {
  emulation::Settings settings;
  settings.seed = seed;
  settings.multiprocessors = 1;
  settings.missing_barrier = missing_barrier;
  emulation::set(settings);
  return results_of<T>(what);
}

/// Whether one of `seeds` orders gives another result. NaN always counts as
/// another result, and so does a wait that cannot end.
template <typename T>
bool is_missed(
    const Case& what,
    int barrier,
    std::uint64_t seeds,
    const std::vector<T>& expected) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    try {
      if (results_of<T>(what, seed, barrier) != expected) {
        return true;
      }
    } catch (const emulation::Error&) {
      return true;
    }
  }
  return false;
}

template <typename T>
class MissingBarrier : public ::testing::Test {
 protected:
  void TearDown() override {
    emulation::set(emulation::Settings());
  }
};

using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MissingBarrier, Types);

TYPED_TEST(MissingBarrier, NoneIsWithoutEffect) {
  std::uint64_t reached = 0;
  std::uint64_t missed = 0;
  for (const auto& what : kCases) {
    SCOPED_TRACE(what.name);
    const auto expected = results_of<TypeParam>(what, 0, kNone);
    const auto here = emulation::barriers_reached();
    EXPECT_FALSE(is_missed(what, kNone, 4, expected)) << "with all barriers";
    for (int barrier = 0; barrier < 64; ++barrier) {
      const auto bit = std::uint64_t(1) << barrier;
      if ((here & ~missed & bit) != 0 &&
          is_missed(what, barrier, 8, expected)) {
        missed |= bit;
      }
    }
    reached |= here;
  }
  EXPECT_NE(reached, 0u);
  for (int barrier = 0; barrier < 64; ++barrier) {
    const auto bit = std::uint64_t(1) << barrier;
    EXPECT_EQ(missed & bit, reached & bit)
        << "barrier " << barrier << " can be left out unseen";
  }
}

} // namespace
} // namespace fused_ssim::detail::cuda
