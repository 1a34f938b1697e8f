# LibTorch as imported targets of our own: fused_ssim::torch and, where LibTorch was
# built with CUDA, fused_ssim::torch_cuda, for those who call its CUDA part.
#
# Shared by the build and by the installed package. LibTorch's own configuration is
# located by find_package(Torch) but not run, because running it
#   - needs a CUDA toolkit whenever LibTorch was built with CUDA, and ends the
#     configuration where there is none (a C++-only build must not need one),
#   - enables CUDA, sets CMAKE_CUDA_ARCHITECTURES to OFF, writes its own -gencode
#     flags into CMAKE_CUDA_FLAGS (for compute_50, which nvcc 13 refuses, where
#     TORCH_CUDA_ARCH_LIST is not set and there is no GPU) and fills the cache, all
#     of which would reach a project that embeds us,
#   - defines imported targets that end with the folder that called it, so that a
#     parent could not link what links them.
# A program needs a few shared libraries, two include folders and the C++ ABI macro,
# as torch.utils.cpp_extension passes them; they are looked up here. A parent's own
# find_package(Torch), before or after, is neither needed nor disturbed, and the
# LibTorch that it found (Torch_DIR) is the one used.

include_guard()

# find_library, without a cache entry that outlives a change of LibTorch.
function(_fused_ssim_torch_library result prefix name)
  unset(_fused_ssim_found CACHE)
  find_library(_fused_ssim_found ${name} HINTS "${prefix}" PATH_SUFFIXES lib lib64)
  set(${result} "${_fused_ssim_found}" PARENT_SCOPE)
  unset(_fused_ssim_found CACHE)
endfunction()

# The folder of TorchConfig.cmake, by find_package's own search: a version that no
# LibTorch has makes it consider every candidate and load none.
function(_fused_ssim_locate_torch result)
  set(dir "${Torch_DIR}")
  if(NOT EXISTS "${dir}/TorchConfig.cmake")
    find_package(Torch 999999 CONFIG QUIET)
    unset(Torch_DIR CACHE) # "NOTFOUND", where there was no valid one before
    set(dir "")
    if(Torch_CONSIDERED_CONFIGS)
      list(GET Torch_CONSIDERED_CONFIGS 0 config)
      get_filename_component(dir "${config}" DIRECTORY)
    endif()
  endif()
  set(${result} "${dir}" PARENT_SCOPE)
endfunction()

function(_fused_ssim_torch_version result includes)
  foreach(file torch/headeronly/version.h torch/version.h)
    foreach(include IN LISTS includes)
      if(EXISTS "${include}/${file}")
        file(STRINGS "${include}/${file}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
        if(lines MATCHES "MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+)")
          set(${result} ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3} PARENT_SCOPE)
          return()
        endif()
      endif()
    endforeach()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

# The CUDA runtime that `library`, libc10_cuda, asks the loader for, and so the one that
# LibTorch was built with, whatever lies beside it: its file name, such as
# libcudart.so.13, and its major version.
function(_fused_ssim_torch_cudart_name result_name result_major library)
  set(name)
  set(major)
  string(REGEX REPLACE "\\.lib$" ".dll" library "${library}") # Windows: beside it
  file(STRINGS "${library}" names
    REGEX "^(libcudart[^/ ]*\\.so\\.|cudart64_)[0-9]+[.0-9]*(dll)?$")
  if(names MATCHES "(\\.so\\.|cudart64_)([0-9]+)")
    set(major ${CMAKE_MATCH_2})
    list(GET names 0 name)
  endif()
  set(${result_name} "${name}" PARENT_SCOPE)
  set(${result_major} "${major}" PARENT_SCOPE)
endfunction()

# The file of the CUDA runtime `name`. LibTorch's wheels and archives bring it along; it
# is the one that the process will load, so it is the one to link. Otherwise it is the
# system's.
function(_fused_ssim_torch_cudart result prefix name major)
  if(WIN32)
    set(name cudart) # the import library has no version in its name
  endif()
  unset(_fused_ssim_found CACHE)
  foreach(where
      "HINTS;${prefix}/lib;${prefix}/../nvidia/cu${major}/lib;${prefix}/../nvidia/cuda_runtime/lib;NO_DEFAULT_PATH"
      "HINTS;ENV;CUDA_HOME;ENV;CUDA_PATH;PATHS;/usr/local/cuda;/usr/local/cuda-${major};PATH_SUFFIXES;lib64;lib;lib/x64")
    find_library(_fused_ssim_found NAMES "${name}" ${where})
  endforeach()
  set(${result} "${_fused_ssim_found}" PARENT_SCOPE)
  unset(_fused_ssim_found CACHE)
endfunction()

# Whoever links `target` links `library`, and keeps it although no symbol of it may be
# used: --as-needed, which Ubuntu's compilers imply, would drop it. By options, which
# CMake quotes, unlike flags among the libraries, and which it does not read: it knows
# no order of the folders of two CUDA toolkits that is right for both.
function(_fused_ssim_link_needed target library)
  if(UNIX AND NOT APPLE)
    _fused_ssim_linker_option(${target} "--push-state,--no-as-needed,${library},--pop-state")
  else()
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES "${library}")
  endif()
endfunction()

# Not when device code is linked, where nvcc would take the option apart.
function(_fused_ssim_linker_option target option)
  string(REPLACE "," "$<COMMA>" option "${option}")
  set_property(TARGET ${target} APPEND PROPERTY
    INTERFACE_LINK_OPTIONS "$<HOST_LINK:LINKER:${option}>")
endfunction()

# fused_ssim_find_torch([fallback]): defines the targets, for the LibTorch that the
# project found or can find, else for the one of the folder `fallback`. Sets, where it
# is called,
#   fused_ssim_TORCH_ERROR    why there are no targets; empty where there are
#   fused_ssim_TORCH_DIR      folder of TorchConfig.cmake
#   fused_ssim_TORCH_PREFIX   folder of LibTorch's lib/ and include/
#   fused_ssim_TORCH_VERSION  such as 2.11.0
#   fused_ssim_TORCH_STANDARD the C++ standard that its headers ask for, such as 17
#   fused_ssim_TORCH_ABI      _GLIBCXX_USE_CXX11_ABI of LibTorch; empty without libstdc++
#   fused_ssim_TORCH_CUDA     major version of the CUDA that it was built with; empty
#                             without CUDA
function(fused_ssim_find_torch)
  set(fused_ssim_TORCH_ERROR "" PARENT_SCOPE)
  _fused_ssim_locate_torch(dir)
  if(NOT dir AND EXISTS "${ARGV0}/TorchConfig.cmake")
    set(dir "${ARGV0}")
  endif()
  if(NOT dir)
    set(fused_ssim_TORCH_ERROR
      "LibTorch was not found; set CMAKE_PREFIX_PATH to its folder, or to what \
python3 -c 'import torch; print(torch.utils.cmake_prefix_path)' prints" PARENT_SCOPE)
    return()
  endif()
  get_filename_component(prefix "${dir}/../../.." ABSOLUTE)

  set(missing)
  foreach(name torch torch_cpu c10)
    _fused_ssim_torch_library(${name} "${prefix}" ${name})
    if(NOT ${name})
      list(APPEND missing "lib${name}")
    endif()
  endforeach()
  set(includes)
  foreach(include "${prefix}/include" "${prefix}/include/torch/csrc/api/include")
    if(EXISTS "${include}")
      list(APPEND includes "${include}")
    endif()
  endforeach()
  _fused_ssim_torch_version(version "${includes}")
  if(NOT version)
    list(APPEND missing torch/version.h)
  endif()
  if(missing)
    list(JOIN missing ", " missing)
    set(fused_ssim_TORCH_ERROR
      "LibTorch at ${prefix} (from ${dir}) lacks ${missing}" PARENT_SCOPE)
    return()
  endif()

  # The headers refuse an older standard in words.
  set(standard 17)
  if(EXISTS "${prefix}/include/ATen/ATen.h")
    file(STRINGS "${prefix}/include/ATen/ATen.h" line REGEX "#error C\\+\\+[0-9]+ or later")
    if(line MATCHES "C\\+\\+([0-9]+)")
      set(standard ${CMAKE_MATCH_1})
    endif()
  endif()

  # TorchConfig.cmake names the C++ ABI where it is not the compiler's own.
  set(abi "")
  file(STRINGS "${dir}/TorchConfig.cmake" line REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
  if(line MATCHES "_GLIBCXX_USE_CXX11_ABI=([01])")
    set(abi ${CMAKE_MATCH_1})
  elseif(UNIX AND NOT APPLE)
    set(abi 1)
  endif()

  if(NOT TARGET fused_ssim::torch)
    add_library(fused_ssim::torch INTERFACE IMPORTED GLOBAL)
    set_target_properties(fused_ssim::torch PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${includes}"
      INTERFACE_COMPILE_FEATURES cxx_std_${standard}
      INTERFACE_LINK_LIBRARIES "${torch_cpu};${c10}")
    # It holds no symbol, but loads the CUDA part of LibTorch.
    _fused_ssim_link_needed(fused_ssim::torch "${torch}")
    if(NOT abi STREQUAL "")
      set_property(TARGET fused_ssim::torch PROPERTY
        INTERFACE_COMPILE_DEFINITIONS _GLIBCXX_USE_CXX11_ABI=${abi})
    endif()
  endif()

  set(cuda "")
  _fused_ssim_torch_library(torch_cuda "${prefix}" torch_cuda)
  _fused_ssim_torch_library(c10_cuda "${prefix}" c10_cuda)
  if(torch_cuda AND c10_cuda)
    _fused_ssim_torch_cudart_name(name cuda "${c10_cuda}")
    _fused_ssim_torch_cudart(cudart "${prefix}" "${name}" "${cuda}")
    if(cudart AND NOT TARGET fused_ssim::torch_cuda)
      add_library(fused_ssim::torch_cuda INTERFACE IMPORTED GLOBAL)
      set_target_properties(fused_ssim::torch_cuda PROPERTIES
        INTERFACE_LINK_LIBRARIES "${torch_cuda};${c10_cuda};fused_ssim::torch")
      _fused_ssim_link_needed(fused_ssim::torch_cuda "${cudart}")
      if(UNIX AND NOT APPLE)
        get_filename_component(folder "${cudart}" DIRECTORY)
        _fused_ssim_linker_option(fused_ssim::torch_cuda "-rpath,${folder}")
      endif()
    endif()
  endif()

  set(fused_ssim_TORCH_DIR "${dir}" PARENT_SCOPE)
  set(fused_ssim_TORCH_PREFIX "${prefix}" PARENT_SCOPE)
  set(fused_ssim_TORCH_VERSION ${version} PARENT_SCOPE)
  set(fused_ssim_TORCH_STANDARD ${standard} PARENT_SCOPE)
  set(fused_ssim_TORCH_ABI "${abi}" PARENT_SCOPE)
  set(fused_ssim_TORCH_CUDA "${cuda}" PARENT_SCOPE)
endfunction()
