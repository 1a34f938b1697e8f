#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <cstdint>
#include <sstream>
#include <utility>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;
namespace F = fused_ssim::functional;

/// The first rank has `first` rows of `height`; the others share the rest.
std::pair<std::int64_t, std::int64_t> own_rows(
    const Ranks& ranks,
    std::int64_t height,
    std::int64_t first) {
  const auto begin_of = [&](std::int64_t rank) {
    return rank == 0
        ? 0
        : first + (height - first) * (rank - 1) / (ranks.size() - 1);
  };
  return ranks.size() == 1
      ? std::make_pair(std::int64_t(0), height)
      : std::make_pair(begin_of(ranks.rank()), begin_of(ranks.rank() + 1));
}

/// Each kind of map, at each cut, against the rows of the whole image's map.
void test_error_map(
    Ranks& ranks,
    torch::ScalarType type,
    const L1DSSIMLossOptions& options,
    bool masked) {
  const std::int64_t height = 22, width = 19;
  torch::manual_seed(8);
  const auto image = [&](at::IntArrayRef sizes) {
    return torch::rand(sizes, torch::kFloat64).to(ranks.device(), type);
  };
  const auto x = image({2, 3, height, width}), y = image(x.sizes());
  const auto mask = masked ? image({height, width}) : torch::Tensor();
  const double tolerance = type == torch::kFloat64 ? 1e-12 : 1e-6;
  const auto cuts = ranks.size() == 1 ? 1 : height - ranks.size() + 1;
  for (std::int64_t cut = 1; cut <= cuts; ++cut) {
    const auto rows = own_rows(ranks, height, cut);
    const auto own = [&](const torch::Tensor& of) {
      return of.defined() ? of.slice(-2, rows.first, rows.second) : of;
    };
    const auto call = [&](ErrorMap kind) {
      return D::l1_dssim_value_and_grad(
          own(x), own(y), ranks.group(), options, own(mask), kind);
    };
    const auto plain = call(ErrorMap::kNone);
    for (const auto kind :
         {ErrorMap::kLoss, ErrorMap::kDSSIM, ErrorMap::kContrastStructure}) {
      std::ostringstream name;
      name << "error map " << int(kind) << " of " << type << ", cut behind row "
           << cut << (masked ? ", mask" : "");
      ranks.begin(name.str());
      const auto split = call(kind);
      ranks.expect(
          torch::equal(split.loss, plain.loss) &&
              torch::equal(split.l1, plain.l1) &&
              torch::equal(split.ssim, plain.ssim) &&
              torch::equal(split.grad, plain.grad),
          "the map changes the result");
      const auto expected = own_map(
          F::l1_dssim_value_and_grad(x, y, options, mask, kind).error_map,
          options,
          rows.first,
          rows.second);
      const auto& map = split.error_map;
      const bool fits = map.sizes() == expected.sizes() &&
          map.scalar_type() == type && map.is_contiguous() &&
          map.device() == x.device() && !map.requires_grad();
      ranks.expect(fits, "wrong form: ", map.toString(), map.sizes());
      if (fits && map.numel() > 0) {
        const auto error =
            ((map - expected).norm() / expected.norm()).item<double>();
        ranks.expect(error <= tolerance, "error ", error);
      }
    }
    ranks.expect(!plain.error_map.defined(), "a map that nobody asked for");
  }
}

} // namespace

void test_error_maps(Ranks& ranks) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const bool masked : {false, true}) {
      auto options = L1DSSIMLossOptions(0.4).window_size(7);
      test_error_map(ranks, type, options, masked);
      test_error_map(ranks, type, options.padding(torch::kValid), masked);
    }
  }
}

} // namespace fused_ssim::test
