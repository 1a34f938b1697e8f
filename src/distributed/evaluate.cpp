#include "evaluate.h"

#include "../checks.h"
#include "../split.h"
#include "neighbours.h"

#include <algorithm>
#include <cstdint>
#include <vector>

// NOTE [ A split image ]
//
// With windows of radius r, the gradient in a row needs the windows centred within r rows
// of it, and these see r rows more. So a rank needs 2 r rows on each side of its own; r
// rows are enough for the value alone.
//
// The middle of a strip needs no other rank's rows. It is computed in place while these
// travel. Then come the edges, on short copies of both sides of a cut. Nothing large is
// copied. Where that would take longer than a copy of the strip, the strip and the rows
// around it are copied together, and computed as one.
//
// The sums of all pieces are gathered, and every rank adds them up in the same order. So
// all ranks get the same bits. The divisors of means are known before the kernels run. So
// the gradient is final, and the backward call needs no other rank.

namespace fused_ssim::detail {
namespace {

using split::Piece;
using split::Rows;

/// The pieces of a rank: the middle and two edges.
constexpr std::int64_t kMaxPieces = 3;

/// On an H200 a call on a small image takes 24 us. That is the time for copying so many
/// pixels of both images (docs/performance.md: 2160x3840 of three channels in 51.7 us).
constexpr std::int64_t kPixelsPerLaunch = 6'000'000;

void check_call(const Call& call, const Group& group, bool is_loss) {
  const Objective& o = call.objective;
  TORCH_CHECK(
      o.reduction != Reduction::kNone,
      o.name,
      ": expected reduction kMean or kSum, but got kNone (the map of a split "
      "image is not offered)");
  if (is_loss) {
    check_weights(o);
  }
  check_error_map(o, call.error_map);
  check_options(o);
  check_images(o, call.input, call.target);
  check_mask(o, call.input, call.mask);
  TORCH_CHECK(
      call.input.size(-2) > 0,
      o.name,
      ": expected one row or more on each rank, but got input of shape ",
      call.input.sizes());
  const auto devices = group->getDeviceTypes();
  TORCH_CHECK(
      devices.empty() ||
          std::any_of(
              devices.begin(),
              devices.end(),
              [&](const c10::Device& device) {
                return device.type() == call.input.device().type();
              }),
      o.name,
      ": expected input on a device that the process group has a backend for (",
      c10::ArrayRef<c10::Device>(devices),
      "), but got ",
      call.input.device());
}

/// Rows that are centres of windows, or those that L1 counts.
Rows rows_of_map(std::int64_t height, bool cropped, std::int64_t radius) {
  return cropped ? Rows{radius, height - radius} : Rows{0, height};
}

/// Without a mask: numbers of pixels of the whole image. [2] float64
torch::Tensor count_pixels(
    const Objective& objective,
    const torch::Tensor& input,
    std::int64_t height) {
  const auto radius = objective.window_size / 2;
  const auto count = [&](bool cropped) {
    const auto planes =
        static_cast<double>(input.numel() / (input.size(-1) * input.size(-2)));
    const auto columns = input.size(-1) - (cropped ? 2 * radius : 0);
    return planes * static_cast<double>(columns) *
        static_cast<double>(rows_of_map(height, cropped, radius).size());
  };
  const auto counts = torch::empty({2}, input.options().dtype(torch::kFloat64));
  // Filled: a copy from the host would wait for the device.
  counts[0].fill_(count(objective.valid));
  counts[1].fill_(count(objective.valid && objective.crop_l1));
  return counts;
}

/// Rows that a rank needs on each side of its own.
std::int64_t halo_of(const Objective& objective, const Request& request) {
  if (objective.terms.dssim_weight == 0 && !request.log &&
      request.error_map == ErrorMap::kNone) {
    return 0; // no windows
  }
  const auto radius = objective.window_size / 2;
  return request.grad_input || request.grad_target ? 2 * radius : radius;
}

class SplitEvaluation {
 public:
  SplitEvaluation(
      const Call& call,
      const Agreement& agreement,
      const Group& group,
      const Request& request)
      : call_(call),
        agreement_(agreement),
        group_(group),
        request_(request),
        own_(agreement.rows[std::size_t(group->getRank())]),
        halo_(agreement.halo[std::size_t(group->getRank())]),
        own_map_(own_map_of(own_)),
        result_(split::allocate(
            call.objective,
            call.input,
            call.target,
            request,
            own_map_.size())) {}

  Evaluation run() {
    if (call_.input.numel() == 0) {
      return result_; // on all ranks
    }
    std::vector<torch::Tensor> images = {call_.input, call_.target};
    if (call_.mask.defined()) {
      images.push_back(call_.mask);
    }
    weight_sums_ = call_.mask.defined()
        ? sum_weights()
        : count_pixels(call_.objective, call_.input, agreement_.height);
    Neighbours neighbours(agreement_, group_, images);
    term_sums_ = torch::zeros(
        {kMaxPieces, 2}, call_.input.options().dtype(torch::kFloat64));

    // Rows of the middle, which see no other rank's.
    const Rows middle = {
        own_.begin > 0 ? own_.begin + halo_ : 0,
        own_.end < agreement_.height ? own_.end - halo_ : own_.end};
    const bool is_cut = middle.begin > own_.begin || middle.end < own_.end;
    if (!is_cut) {
      add_piece(own_, own_, images);
    } else if (!is_worth_edges(middle)) {
      add_with_neighbours(own_, neighbours);
    } else {
      add_piece(middle, own_, images);
      add_with_neighbours({own_.begin, middle.begin}, neighbours);
      add_with_neighbours({middle.end, own_.end}, neighbours);
    }
    neighbours.wait();

    split::finish(
        call_.objective,
        gather(group_, term_sums_.view({2 * kMaxPieces})).view({-1, 2}),
        weight_sums_,
        result_);
    return result_;
  }

 private:
  const Call& call_;
  const Agreement& agreement_;
  const Group& group_;
  const Request& request_;
  const Rows own_; // of the whole image
  const std::int64_t halo_;
  const Rows own_map_; // the windows of own_, of the whole image
  Evaluation result_;
  torch::Tensor weight_sums_; // [2] float64, of the whole image
  torch::Tensor term_sums_; // [kMaxPieces, 2] float64
  std::int64_t pieces_ = 0;

  torch::Tensor sum_weights() const {
    const auto radius = call_.objective.window_size / 2;
    const Piece piece = {
        call_.input,
        call_.target,
        call_.mask,
        own_.from(own_.begin),
        rows_of_map(agreement_.height, call_.objective.valid, radius)
            .from(own_.begin)};
    return split::total_weights(
        call_.objective,
        gather(group_, split::sum_weights(call_.objective, piece)));
  }

  /// Whether the middle is computed apart from the edges.
  bool is_worth_edges(const Rows& middle) const {
    if (middle.size() < 4 * halo_) {
      return false; // the edges' copies would be as large as the strip
    }
    const auto edges = (middle.begin > own_.begin) + (middle.end < own_.end);
    return !call_.input.is_cuda() ||
        call_.input.numel() >= edges * kPixelsPerLaunch;
  }

  /// The rows of the whole image's map that are centred in `rows`.
  Rows own_map_of(const Rows& rows) const {
    const Objective& objective = call_.objective;
    return split::intersection(
        rows,
        rows_of_map(
            agreement_.height, objective.valid, objective.window_size / 2));
  }

  /// Rows of the whole image around `rows` that this rank sees.
  Rows around(const Rows& rows) const {
    return split::intersection(
        {rows.begin - halo_, rows.end + halo_}, {0, agreement_.height});
  }

  void add_with_neighbours(const Rows& rows, Neighbours& neighbours) {
    if (rows.size() > 0) {
      const auto there = around(rows);
      add_piece(rows, there, neighbours.rows(there));
    }
  }

  /// Evaluates `rows`, of images that have the rows `there`.
  void add_piece(
      const Rows& rows,
      const Rows& there,
      const std::vector<torch::Tensor>& images) { // input, target, mask if any
    const Objective& objective = call_.objective;
    const auto radius = objective.window_size / 2;
    const Rows map = split::intersection(
        split::intersection(there, {rows.begin - radius, rows.end + radius}),
        rows_of_map(agreement_.height, objective.valid, radius));
    const Piece piece = {
        images[0],
        images[1],
        images.size() > 2 ? images[2] : torch::Tensor(),
        rows.from(there.begin),
        map.from(there.begin)};
    const auto own_rows = [&](const torch::Tensor& gradient) {
      return gradient.defined()
          ? gradient.slice(-2, rows.begin - own_.begin, rows.end - own_.begin)
          : gradient;
    };
    const Rows own_map = own_map_of(rows);
    const auto error_map = result_.error_map.defined() && own_map.size() > 0
        ? result_.error_map.slice(
              -2, own_map.begin - own_map_.begin, own_map.end - own_map_.begin)
        : torch::Tensor();
    split::evaluate(
        objective,
        piece,
        request_,
        weight_sums_,
        own_rows(result_.grad_input),
        own_rows(result_.grad_target),
        error_map,
        term_sums_[pieces_++]);
  }
};

} // namespace

Evaluation evaluate_split(
    const Objective& objective,
    const torch::Tensor& lazy_input,
    const torch::Tensor& lazy_target,
    const torch::Tensor& lazy_mask,
    const Group& group,
    const Request& request,
    bool is_loss) {
  TORCH_CHECK(
      group, objective.name, ": expected a process group, but got a null one");
  const torch::NoGradGuard no_grad;
  const auto input = split::resolved(lazy_input);
  const auto target = split::resolved(lazy_target);
  const auto mask = split::resolved(lazy_mask);
  const Call call = {objective, input, target, mask, request.error_map};
  const auto agreement = agree(call, halo_of(objective, request), group, [&] {
    check_call(call, group, is_loss);
  });
  return SplitEvaluation(call, agreement, group, request).run();
}

} // namespace fused_ssim::detail
