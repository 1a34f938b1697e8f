#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace fused_ssim::bench {

/// Makes the C library keep freed memory. Otherwise it returns large blocks to
/// the kernel, and the time of each call that allocates a gradient would
/// include the page faults of getting them back. On some machines that is more
/// than the work itself. The heap of a trainer is warm after its first steps,
/// too.
void keep_freed_memory();

/// The largest increase of the process's resident memory during `call`. It
/// counts tensors and the scratch memory of all threads and libraries. nullopt
/// where the system does not report it.
std::optional<std::int64_t> peak_memory_of(const std::function<void()>& call);

} // namespace fused_ssim::bench
