# Decides whether fused_ssim::distributed is built (FUSED_SSIM_DISTRIBUTED).
#
# LibTorch's headers of c10d are there even where it was built without. So a program of
# one declaration is linked, which takes a second; including the header takes 20.
#
# Sets FUSED_SSIM_WITH_DISTRIBUTED, and FUSED_SSIM_WITH_GROUP_NAMES: whether C++ can find a
# process group by its name. An old LibTorch has no such header.

set(FUSED_SSIM_WITH_DISTRIBUTED OFF)
set(FUSED_SSIM_WITH_GROUP_NAMES OFF)
set(fused_ssim_no_distributed "")
if(NOT FUSED_SSIM_DISTRIBUTED STREQUAL "OFF")
  set(fused_ssim_header torch/csrc/distributed/c10d/ProcessGroup.hpp)
  if(NOT EXISTS "${fused_ssim_TORCH_PREFIX}/include/${fused_ssim_header}")
    set(fused_ssim_no_distributed "this LibTorch lacks ${fused_ssim_header}")
  else()
    set(fused_ssim_probe "${PROJECT_BINARY_DIR}/distributed_probe")
    file(WRITE "${fused_ssim_probe}.cpp"
      "namespace c10d { void* currentProcessGroup(); }\n"
      "int main() { return c10d::currentProcessGroup() != nullptr; }\n")
    try_compile(fused_ssim_probe_links "${fused_ssim_probe}" "${fused_ssim_probe}.cpp"
      LINK_LIBRARIES fused_ssim::torch)
    if(NOT fused_ssim_probe_links)
      set(fused_ssim_no_distributed "this LibTorch was built without c10d")
    endif()
    unset(fused_ssim_probe_links CACHE)
  endif()
  if(NOT fused_ssim_no_distributed)
    set(FUSED_SSIM_WITH_DISTRIBUTED ON)
    set(fused_ssim_header torch/csrc/distributed/c10d/GroupRegistry.hpp)
    if(EXISTS "${fused_ssim_TORCH_PREFIX}/include/${fused_ssim_header}")
      set(FUSED_SSIM_WITH_GROUP_NAMES ON)
    endif()
  elseif(FUSED_SSIM_DISTRIBUTED STREQUAL "ON")
    message(FATAL_ERROR
      "fused_ssim: FUSED_SSIM_DISTRIBUTED is ON, but ${fused_ssim_no_distributed}.")
  else()
    message(STATUS "fused_ssim: no fused_ssim::distributed: ${fused_ssim_no_distributed}")
  endif()
endif()
