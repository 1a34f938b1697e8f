// One picture, optimised by several processes. Each process has some of its rows: what it
// renders, in a trainer of gaussian splatting. start.py starts the processes.

#include "../contact_sheet.h"
#include "../image_io.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>

#include <cstdio>
#include <exception>

namespace {

using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

/// The rows of rank `rank` of `ranks`.
torch::Tensor strip(const torch::Tensor& image, int rank, int ranks) {
  const auto height = image.size(-2);
  return image.slice(-2, height * rank / ranks, height * (rank + 1) / ranks);
}

/// Optimises rows of noise toward the same rows of `target`. `loss` is called with both.
template <typename Loss>
torch::Tensor optimize(
    const torch::Tensor& target, // [3, h, W]
    const torch::Tensor& start, // as target
    int steps,
    const Loss& loss) {
  auto rows = start.clone().requires_grad_();
  torch::optim::Adam optimizer(
      {rows}, torch::optim::AdamOptions(0.02).eps(1e-15));
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    loss(rows, target).backward(); // no communication in here
    optimizer.step();
  }
  return rows.detach();
}

/// The whole picture from everybody's rows, on every rank.
torch::Tensor join(
    const torch::Tensor& rows, // [3, h, W]
    const torch::Tensor& like, // [3, H, W]
    const Group& group) {
  auto whole = torch::zeros_like(like);
  strip(whole, group->getRank(), group->getSize()).copy_(rows);
  std::vector<torch::Tensor> tensors = {whole};
  group->allreduce(tensors)->wait();
  return whole;
}

void run(const Group& group, const char* target, const char* sheet, int steps) {
  const auto picture = programs::load_image(target).pixels;
  torch::manual_seed(0);
  const auto noise = torch::rand_like(picture); // the same on all ranks
  const int rank = group->getRank(), ranks = group->getSize();
  const auto own_picture = strip(picture, rank, ranks);
  const auto own_noise = strip(noise, rank, ranks);

  // The loss of the whole picture.
  const auto split = join(
      optimize(
          own_picture,
          own_noise,
          steps,
          [&](auto& rows, auto& target) {
            return fused_ssim::distributed::l1_dssim_loss(rows, target, group);
          }),
      picture,
      group);
  // Each strip as if it were a picture: zero padding at the cuts.
  const auto separate = join(
      optimize(
          own_picture,
          own_noise,
          steps,
          [&](auto& rows, auto& target) {
            return fused_ssim::functional::l1_dssim_loss(rows, target);
          }),
      picture,
      group);
  if (rank > 0) {
    return;
  }
  const auto whole =
      optimize(picture, noise, steps, [&](auto& image, auto& target) {
        return fused_ssim::functional::l1_dssim_loss(image, target);
      });
  const auto error = [&](const torch::Tensor& image) {
    const auto difference = (image - whole).abs();
    std::printf(
        "against one process: largest difference %.2g, mean %.2g\n",
        difference.max().item<double>(),
        difference.mean().item<double>());
    return programs::Panel{"error x16", 16 * difference.mean(0, true)};
  };
  std::printf("%d processes, the loss of the whole picture: ", ranks);
  const auto split_error = error(split);
  std::printf("%d processes, a loss of each strip: ", ranks);
  const auto separate_error = error(separate);
  programs::save_image(
      sheet,
      programs::contact_sheet(
          {{"split image", split},
           split_error,
           {"separate strips", separate},
           separate_error}));
}

} // namespace

/// Called by start.py in each process, with the name of the process group.
extern "C" int optimize_strips(
    const char* group,
    const char* target,
    const char* sheet,
    int steps) {
  try {
    run(c10d::resolve_process_group(group), target, sheet, steps);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
