# Decides whether the CUDA kernels are built (FUSED_SSIM_CUDA) and for which GPUs.
#
# Included, not called: enable_language() works in file scope only. What is set here
# are plain variables of our own folder; neither the cache nor a parent project sees
# CMAKE_CUDA_ARCHITECTURES from us.
#
# Sets FUSED_SSIM_WITH_CUDA.

# Common GPUs since Turing, the oldest that the newest compilers know.
set(fused_ssim_known_architectures 75 80 86 89 90 100 120)

# Real code for each known architecture that `compiler` can build for, and PTX of the
# last, which later GPUs compile for themselves. Empty: leave the choice to CMake.
function(fused_ssim_default_architectures result compiler)
  execute_process(
    COMMAND "${compiler}" --list-gpu-code
    OUTPUT_VARIABLE supported ERROR_QUIET RESULT_VARIABLE status)
  set(architectures)
  if(status EQUAL 0)
    foreach(architecture IN LISTS fused_ssim_known_architectures)
      if(supported MATCHES "sm_${architecture}[\r\n]")
        list(APPEND architectures ${architecture}-real)
      endif()
    endforeach()
    if(architectures)
      list(POP_BACK architectures last)
      string(REPLACE -real "" last "${last}")
      list(APPEND architectures ${last})
    endif()
  endif()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

set(FUSED_SSIM_WITH_CUDA OFF)
set(fused_ssim_no_cuda "")
if(FUSED_SSIM_CUDA STREQUAL "OFF")
  set(fused_ssim_no_cuda "FUSED_SSIM_CUDA is OFF")
elseif(NOT TARGET fused_ssim::torch_cuda)
  set(fused_ssim_no_cuda
    "this LibTorch was built without CUDA, or its CUDA runtime was not found (set CUDA_HOME)")
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(fused_ssim_no_cuda
      "no CUDA compiler was found (put nvcc on PATH, or set CUDACXX to it)")
  endif()
endif()

if(NOT fused_ssim_no_cuda)
  if("${CMAKE_CUDA_ARCHITECTURES}" STREQUAL "" AND "$ENV{CUDAARCHS}" STREQUAL "")
    fused_ssim_default_architectures(fused_ssim_architectures "${CMAKE_CUDA_COMPILER}")
    if(fused_ssim_architectures)
      set(CMAKE_CUDA_ARCHITECTURES ${fused_ssim_architectures})
    endif()
  endif()
  enable_language(CUDA)

  # What nvcc 13 compiles cannot use the runtime of CUDA 12.
  string(REGEX MATCH "\\.so\\.([0-9]+)" fused_ssim_match "${fused_ssim_TORCH_CUDART}")
  set(fused_ssim_torch_cuda "${CMAKE_MATCH_1}")
  if(fused_ssim_torch_cuda AND NOT CMAKE_CUDA_COMPILER_VERSION MATCHES "^${fused_ssim_torch_cuda}\\.")
    string(CONCAT fused_ssim_no_cuda
      "LibTorch was built with CUDA ${fused_ssim_torch_cuda}, and ${CMAKE_CUDA_COMPILER} is of "
      "CUDA ${CMAKE_CUDA_COMPILER_VERSION}")
  endif()
endif()

if(NOT fused_ssim_no_cuda)
  set(FUSED_SSIM_WITH_CUDA ON)
  list(JOIN CMAKE_CUDA_ARCHITECTURES " " fused_ssim_architectures)
  message(STATUS "fused_ssim: CUDA kernels for ${fused_ssim_architectures}")
elseif(FUSED_SSIM_CUDA STREQUAL "ON")
  message(FATAL_ERROR "fused_ssim: FUSED_SSIM_CUDA is ON, but ${fused_ssim_no_cuda}.")
else()
  message(STATUS "fused_ssim: no CUDA kernels: ${fused_ssim_no_cuda}")
endif()
