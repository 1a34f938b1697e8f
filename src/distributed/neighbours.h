#pragma once

// The rows of the neighbours that a rank's windows see.

#include "../split.h"
#include "call.h"
#include "group.h"

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace fused_ssim::detail {

/// Starts the exchange when it is made, so that the caller can work meanwhile. All ranks
/// make one, with the same number of images of the same types.
class Neighbours {
 public:
  Neighbours(
      const Agreement& agreement,
      const Group& group,
      std::vector<torch::Tensor> own); // each [..., h, W]: this rank's rows

  /// Until the exchange is finished. rows() does it too.
  void wait();

  /// The rows of each image that the whole image counts so, own ones and others; a copy.
  /// They lie within what this rank sees.
  std::vector<torch::Tensor> rows(const split::Rows& wanted);

 private:
  const Agreement& agreement_;
  std::size_t rank_;
  std::vector<torch::Tensor> own_;
  torch::Tensor sent_, received_; // bytes
  c10::intrusive_ptr<c10d::Work>
      work_; // null: finished, or there was nothing to do
};

} // namespace fused_ssim::detail
