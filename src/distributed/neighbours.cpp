#include "neighbours.h"

#include <utility>

namespace fused_ssim::detail {
namespace {

/// Images lie in a message one after the other, each at a multiple of so many bytes.
constexpr std::int64_t kAlignment = 16;

std::int64_t message_bytes(
    const std::vector<torch::Tensor>& images,
    std::int64_t rows) {
  std::int64_t bytes = 0;
  for (const auto& image : images) {
    const auto row_bytes =
        image.numel() / image.size(-2) * std::int64_t(image.element_size());
    bytes += (rows * row_bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  return bytes;
}

/// The images of a message, [..., rows, W] each, as views of its bytes.
std::vector<torch::Tensor> images_in(
    const torch::Tensor& message, // bytes
    const std::vector<torch::Tensor>& like, // [..., h, W] each
    std::int64_t rows) {
  std::vector<torch::Tensor> images;
  std::int64_t offset = 0;
  for (const auto& image : like) {
    auto sizes = image.sizes().vec();
    sizes[sizes.size() - 2] = rows;
    const auto bytes = message_bytes({image}, rows);
    const auto elements = c10::multiply_integers(sizes);
    images.push_back(
        message.narrow(0, offset, elements * std::int64_t(image.element_size()))
            .view(image.scalar_type())
            .view(sizes));
    offset += bytes;
  }
  return images;
}

} // namespace

Neighbours::Neighbours(
    const Agreement& agreement,
    const Group& group,
    std::vector<torch::Tensor> own)
    : agreement_(agreement),
      rank_(static_cast<std::size_t>(group->getRank())),
      own_(std::move(own)) {
  const auto ranks = agreement.rows.size();
  const auto& mine = agreement.rows[rank_];
  std::vector<std::int64_t> send_counts(ranks), receive_counts(ranks);
  std::int64_t sent = 0, received = 0;
  bool anything = false;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (rank == rank_) {
      continue;
    }
    const auto theirs = agreement.seen_by(rank);
    const auto bytes_of = [&](const split::Rows& rows) {
      return message_bytes(own_, rows.size());
    };
    send_counts[rank] = bytes_of(split::intersection(mine, theirs));
    receive_counts[rank] = bytes_of(
        split::intersection(agreement.rows[rank], agreement.seen_by(rank_)));
    sent += send_counts[rank];
    received += receive_counts[rank];
  }
  for (const auto halo : agreement.halo) {
    anything = anything || (halo > 0 && ranks > 1);
  }
  if (!anything) {
    return; // on all ranks
  }

  const auto bytes = own_.front().options().dtype(torch::kUInt8);
  sent_ = torch::empty({sent}, bytes);
  received_ = torch::empty({received}, bytes);
  std::int64_t offset = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (send_counts[rank] == 0) {
      continue;
    }
    const auto rows =
        split::intersection(mine, agreement.seen_by(rank)).from(mine.begin);
    const auto message = images_in(
        sent_.narrow(0, offset, send_counts[rank]), own_, rows.size());
    for (std::size_t i = 0; i < own_.size(); ++i) {
      message[i].copy_(own_[i].slice(-2, rows.begin, rows.end));
    }
    offset += send_counts[rank];
  }
  work_ = exchange(group, sent_, send_counts, received_, receive_counts);
}

void Neighbours::wait() {
  if (work_) {
    work_->wait();
    work_.reset();
  }
}

std::vector<torch::Tensor> Neighbours::rows(const split::Rows& wanted) {
  std::vector<torch::Tensor> result;
  for (const auto& image : own_) {
    auto sizes = image.sizes().vec();
    sizes[sizes.size() - 2] = wanted.size();
    result.push_back(torch::empty(sizes, image.options()));
  }
  const auto copy = [&](const std::vector<torch::Tensor>& images,
                        const split::Rows& there) { // the rows of the images
    const auto shared = split::intersection(there, wanted);
    if (shared.size() == 0) {
      return;
    }
    const auto from = shared.from(there.begin), to = shared.from(wanted.begin);
    for (std::size_t i = 0; i < images.size(); ++i) {
      result[i]
          .slice(-2, to.begin, to.end)
          .copy_(images[i].slice(-2, from.begin, from.end));
    }
  };
  copy(own_, agreement_.rows[rank_]);
  wait();
  std::int64_t offset = 0;
  for (std::size_t rank = 0; rank < agreement_.rows.size(); ++rank) {
    const auto there =
        split::intersection(agreement_.rows[rank], agreement_.seen_by(rank_));
    if (rank == rank_ || there.size() == 0) {
      continue;
    }
    const auto bytes = message_bytes(own_, there.size());
    copy(
        images_in(received_.narrow(0, offset, bytes), own_, there.size()),
        there);
    offset += bytes;
  }
  return result;
}

} // namespace fused_ssim::detail
