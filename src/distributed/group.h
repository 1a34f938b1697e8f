#pragma once

// What is asked of a process group. Both functions are collective.

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace fused_ssim::detail {

using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

/// The tensors of all ranks in their order.
inline torch::Tensor gather( // [ranks, count]
    const Group& group,
    const torch::Tensor& own) { // [count], contiguous, the same on all ranks
  const std::int64_t ranks = group->getSize();
  // Gloo takes outputs that are shaped as the inputs one after the other.
  auto all = torch::empty({ranks * own.numel()}, own.options());
  auto input = own;
  group->_allgather_base(all, input)->wait();
  return all.view({ranks, own.numel()});
}

/// Sends each rank its part of `send`, and receives its part of `receive` from it. The
/// result is waited for before `receive` is read.
inline c10::intrusive_ptr<c10d::Work> exchange(
    const Group& group,
    torch::Tensor& send, // [sum of send_counts], contiguous
    std::vector<std::int64_t> send_counts, // [ranks]
    torch::Tensor& receive, // [sum of receive_counts], contiguous
    std::vector<std::int64_t> receive_counts) { // [ranks]
  return group->alltoall_base(receive, send, receive_counts, send_counts);
}

} // namespace fused_ssim::detail
