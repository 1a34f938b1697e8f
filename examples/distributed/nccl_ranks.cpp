// A process group made in C++ alone, without Python: NCCL, one GPU for each process. Start
// one process for each GPU, with the variables that torchrun and mpirun wrappers set:
//
//   for RANK in 0 1; do
//     RANK=$RANK WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=29500 ./nccl_ranks &
//   done; wait

#include <fused_ssim/distributed.h>

#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp> // needs -DUSE_C10D_NCCL
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

c10::intrusive_ptr<c10d::ProcessGroup> make_group(int rank, int ranks) {
  c10d::TCPStoreOptions options;
  options.port =
      static_cast<std::uint16_t>(std::stoi(variable("MASTER_PORT", "29500")));
  options.isServer = rank == 0;
  options.numWorkers = ranks;
  const c10::intrusive_ptr<c10d::Store> store =
      c10::make_intrusive<c10d::TCPStore>(
          variable("MASTER_ADDR", "localhost"), options);
  using Group = c10d::ProcessGroup;
  auto group = c10::make_intrusive<Group>(store, rank, ranks);
  group->setDefaultBackend(Group::NCCL);
  group->setBackend(
      torch::kCUDA,
      Group::NCCL,
      c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, ranks));
  return group;
}

} // namespace

int main() {
  const int rank = std::stoi(variable("RANK", "0"));
  const int ranks = std::stoi(variable("WORLD_SIZE", "1"));
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(rank));
  const auto group = make_group(rank, ranks);

  torch::manual_seed(0);
  const auto image =
      torch::rand({2, 3, 120, 160}); // two pictures, on all ranks
  const auto begin = 120 * rank / ranks, end = 120 * (rank + 1) / ranks;
  const auto rows = image.slice(-2, begin, end).to(torch::kCUDA);
  auto rendered = rows[0].clone().requires_grad_();
  const auto loss =
      fused_ssim::distributed::l1_dssim_loss(rendered, rows[1], group);
  loss.backward();
  std::printf(
      "rank %d of %d: rows %d to %d, loss %.9g, largest gradient %.3g\n",
      rank,
      ranks,
      begin,
      end,
      loss.item<double>(),
      rendered.grad().abs().max().item<double>());
  group->shutdown();
}
