#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace fused_ssim::bench {

/// Makes the C library keep what is freed. Otherwise it returns large blocks to
/// the kernel, and each call that allocates a gradient would be timed with the
/// page faults of getting it back: more than the work itself on some machines.
/// A trainer's heap is warm after its first steps, too.
void keep_freed_memory();

/// By how much `call` raises the resident memory of the process at its highest:
/// tensors, scratch of any thread and of any library. Nothing where the system
/// does not tell.
std::optional<std::int64_t> peak_memory_of(const std::function<void()>& call);

} // namespace fused_ssim::bench
