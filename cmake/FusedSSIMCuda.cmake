# Decides whether the CUDA kernels are built (FUSED_SSIM_CUDA), for which GPUs, and with
# which flags.
#
# Included, not called: enable_language() works in file scope only. What is set here
# are plain variables of our own folder, from which our targets take their properties.
# A parent project, or LibTorch's own configuration that it ran, may have left there an
# architecture list of OFF, -gencode flags for GPUs that the compiler does not know, a
# standard of C++ that it does not know either, and arithmetic that is not IEEE's.
#
# Sets FUSED_SSIM_WITH_CUDA.

# Common GPUs since Turing, the oldest that the newest compilers know.
set(fused_ssim_known_architectures 75 80 86 89 90 100 120)

# fused_ssim_supported_architectures(result compiler): such as 75;80;90;90a
function(fused_ssim_supported_architectures result compiler)
  execute_process(
    COMMAND "${compiler}" --list-gpu-code OUTPUT_VARIABLE supported ERROR_QUIET)
  string(REGEX MATCHALL "sm_[0-9]+[a-z]?" supported "${supported}")
  list(TRANSFORM supported REPLACE "sm_" "")
  set(${result} "${supported}" PARENT_SCOPE)
endfunction()

# Real code for each common GPU that the compiler supports, and PTX of the last, which
# later GPUs compile for themselves.
function(fused_ssim_default_architectures result supported)
  set(architectures)
  foreach(architecture IN LISTS fused_ssim_known_architectures)
    if(architecture IN_LIST supported)
      list(APPEND architectures ${architecture}-real)
    endif()
  endforeach()
  list(TRANSFORM architectures REPLACE "-real" "" AT -1)
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

# The architectures that the flags name by -gencode or -arch, such as 90-real;90-virtual.
# None if the compiler lacks one of them: LibTorch's flags are for every GPU that it
# knows, where there is neither a GPU nor TORCH_CUDA_ARCH_LIST.
function(fused_ssim_architectures_of_flags result flags supported)
  string(REGEX MATCHALL "(,code=|-arch[= ])[^ ]+" codes "${flags}")
  string(REGEX MATCHALL "(sm|compute)_[0-9]+[a-z]?" codes "${codes}")
  set(architectures)
  foreach(code IN LISTS codes)
    string(REGEX REPLACE "^.*_" "" architecture "${code}")
    if(NOT architecture IN_LIST supported)
      set(architectures)
      break()
    endif()
    if(code MATCHES "^sm")
      list(APPEND architectures ${architecture}-real)
    else()
      list(APPEND architectures ${architecture}-virtual)
    endif()
  endforeach()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

set(FUSED_SSIM_WITH_CUDA OFF)
set(fused_ssim_no_cuda "")
if(FUSED_SSIM_CUDA STREQUAL "OFF")
  set(fused_ssim_no_cuda "FUSED_SSIM_CUDA is OFF")
elseif(fused_ssim_TORCH_CUDA STREQUAL "")
  set(fused_ssim_no_cuda "this LibTorch was built without CUDA")
elseif(NOT TARGET fused_ssim::torch_cuda)
  string(CONCAT fused_ssim_no_cuda
    "LibTorch was built with CUDA ${fused_ssim_TORCH_CUDA}, whose runtime was not found "
    "(set CUDA_HOME)")
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(fused_ssim_no_cuda
      "no CUDA compiler was found (put nvcc on PATH, or set CUDACXX to it)")
  endif()
endif()

if(NOT fused_ssim_no_cuda)
  # Where nobody has chosen, CMake does, and its choice stays in the cache.
  set(fused_ssim_chosen "${CMAKE_CUDA_ARCHITECTURES}$ENV{CUDAARCHS}")
  enable_language(CUDA)
  if(fused_ssim_chosen STREQUAL "")
    set(fused_ssim_architectures_of_cmake "${CMAKE_CUDA_ARCHITECTURES}" CACHE INTERNAL "")
  endif()

  # What nvcc 13 compiles cannot use the runtime of CUDA 12.
  if(NOT CMAKE_CUDA_COMPILER_VERSION MATCHES "^${fused_ssim_TORCH_CUDA}\\.")
    string(CONCAT fused_ssim_no_cuda
      "LibTorch was built with CUDA ${fused_ssim_TORCH_CUDA}, and ${CMAKE_CUDA_COMPILER} is of "
      "CUDA ${CMAKE_CUDA_COMPILER_VERSION}")
  elseif(NOT "cuda_std_${fused_ssim_TORCH_STANDARD}" IN_LIST CMAKE_CUDA_COMPILE_FEATURES)
    string(CONCAT fused_ssim_no_cuda
      "LibTorch's headers need C++${fused_ssim_TORCH_STANDARD}, for which CMake "
      "${CMAKE_VERSION} has no flag for ${CMAKE_CUDA_COMPILER}")
  endif()
endif()

if(NOT fused_ssim_no_cuda)
  set(FUSED_SSIM_WITH_CUDA ON)
  fused_ssim_supported_architectures(fused_ssim_supported "${CMAKE_CUDA_COMPILER}")
  set(fused_ssim_architectures "${CMAKE_CUDA_ARCHITECTURES}")
  if(NOT fused_ssim_architectures) # OFF
    fused_ssim_architectures_of_flags(
      fused_ssim_architectures "${CMAKE_CUDA_FLAGS}" "${fused_ssim_supported}")
  elseif(fused_ssim_architectures STREQUAL "${fused_ssim_architectures_of_cmake}")
    set(fused_ssim_architectures "")
  elseif(fused_ssim_architectures STREQUAL native
      AND NOT CMAKE_CUDA_ARCHITECTURES_NATIVE MATCHES "^[0-9]") # but nothing, or words
    message(STATUS "fused_ssim: CMAKE_CUDA_ARCHITECTURES is native, but no GPU was found")
    set(fused_ssim_architectures "")
  endif()
  if(NOT fused_ssim_architectures)
    fused_ssim_default_architectures(fused_ssim_architectures "${fused_ssim_supported}")
  endif()

  set(CMAKE_CUDA_ARCHITECTURES ${fused_ssim_architectures})
  set(CMAKE_CUDA_STANDARD ${fused_ssim_TORCH_STANDARD})
  string(CONCAT fused_ssim_flags "(^| )(-gencode|--generate-code|-arch|--gpu-architecture|-code"
    "|--gpu-code|-std|--std)[= ]+[^ ]+|(^| )--?use_fast_math")
  string(REGEX REPLACE "${fused_ssim_flags}" "" CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS}")

  list(JOIN fused_ssim_architectures " " fused_ssim_architectures)
  message(STATUS "fused_ssim: CUDA kernels for ${fused_ssim_architectures}")
elseif(FUSED_SSIM_CUDA STREQUAL "ON")
  message(FATAL_ERROR "fused_ssim: FUSED_SSIM_CUDA is ON, but ${fused_ssim_no_cuda}.")
else()
  message(STATUS "fused_ssim: no CUDA kernels: ${fused_ssim_no_cuda}")
endif()
