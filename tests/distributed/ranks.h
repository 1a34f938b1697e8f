#pragma once

// What one process of the distributed tests knows, and how it reports failures. The
// processes are started by run.py, which hands over the name of a process group.

#include <fused_ssim/options.h>

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace fused_ssim::test {

using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

class Ranks {
 public:
  Ranks(Group group, torch::Device device)
      : group_(std::move(group)),
        device_(device) {}

  const Group& group() const {
    return group_;
  }
  torch::Device device() const {
    return device_;
  }
  std::int64_t rank() const {
    return group_->getRank();
  }
  std::int64_t size() const {
    return group_->getSize();
  }

  /// The tensors of all ranks, [ranks, count], on the CPU.
  torch::Tensor gather(const torch::Tensor& own) const { // any shape
    auto input = own.contiguous().view({-1}).to(device_);
    auto all = torch::empty({size() * input.numel()}, input.options());
    group_->_allgather_base(all, input)->wait();
    return all.view({size(), -1}).cpu();
  }

  void barrier() const {
    gather(torch::zeros({1}));
  }

  /// Whether the bytes of `own` are the same on all ranks.
  bool agree_on(const torch::Tensor& own) const {
    const auto all = gather(own.contiguous().view({-1}).view(torch::kUInt8));
    return torch::equal(all, all.slice(0, 0, 1).expand_as(all));
  }
  bool agree_on(const std::string& own) const {
    const std::int64_t kMost = 2048;
    auto bytes = torch::zeros({kMost}, torch::kUInt8);
    std::copy_n(
        own.data(),
        std::min<std::size_t>(own.size(), kMost),
        bytes.data_ptr<std::uint8_t>());
    return agree_on(bytes);
  }

  /// What is tested now, for messages.
  void begin(const std::string& what) {
    what_ = what;
    ++cases_;
  }
  template <typename... Text>
  void expect(bool holds, const Text&... text) {
    if (!holds) {
      ++failures_;
      std::ostringstream line; // in one piece: others write, too
      line << "rank " << rank() << " of " << size() << ": " << what_ << ": ";
      (line << ... << text);
      std::cerr << line.str() + "\n" << std::flush;
    }
  }
  std::int64_t cases() const {
    return cases_;
  }
  std::int64_t failures() const {
    return failures_;
  }

 private:
  Group group_;
  torch::Device device_;
  std::string what_;
  std::int64_t cases_ = 0, failures_ = 0;
};

/// The rows of the whole image's map whose windows are centred in the rows from `begin` to
/// `end` of the image.
inline torch::Tensor own_map(
    const torch::Tensor& map, // [..., H', W']
    const L1DSSIMLossOptions& options,
    std::int64_t begin,
    std::int64_t end) {
  const bool valid =
      std::holds_alternative<torch::enumtype::kValid>(options.padding());
  const auto first = valid ? options.window_size() / 2 : 0; // centre
  const auto row = [&](std::int64_t of_image) {
    return std::clamp<std::int64_t>(of_image - first, 0, map.size(-2));
  };
  return map.slice(-2, row(begin), row(end));
}

/// Images that are the same on all ranks, and this rank's rows of them.
struct Images {
  std::int64_t rows;
  torch::Tensor x, y, own_x, own_y;

  Images(
      const Ranks& ranks,
      std::int64_t rows,
      std::int64_t batch = 1,
      std::int64_t width = 29)
      : rows(rows) {
    torch::manual_seed(7);
    const auto image = [&] {
      return torch::rand({batch, 3, rows * ranks.size(), width})
          .to(ranks.device());
    };
    x = image();
    y = image();
    own_x = own(x, ranks);
    own_y = own(y, ranks);
  }

  torch::Tensor own(const torch::Tensor& image, const Ranks& ranks) const {
    const auto begin = rows * ranks.rank();
    return image.slice(-2, begin, begin + rows);
  }
};

/// Random options, images and cuts against the same call on the whole image.
void test_values(Ranks& ranks, std::int64_t cases, std::uint64_t first_seed);
/// What random cases do not reach: upstream gradients, empty batches, lazy tensors.
void test_calls(Ranks& ranks);
/// Each kind of map of errors, at each cut, against that of the whole image.
void test_error_maps(Ranks& ranks);
/// Every rank refuses with the same message, and the next call works.
void test_refusals(Ranks& ranks);
/// Prints times on rank 0.
void benchmark(
    Ranks& ranks,
    const std::string& label,
    std::int64_t height,
    std::int64_t width,
    std::int64_t repetitions);

} // namespace fused_ssim::test
