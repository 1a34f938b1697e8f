# fused_ssim::shared_libstdcxx, for libraries that Python loads beside LibTorch.
#
# A compiler without libstdc++.so links libstdc++.a into each library. LibTorch uses the
# system's libstdc++.so.6. A process with two copies mixes them: the first number that is
# written to a stream crashes, or is not written. So this target names the system's copy,
# and the linker finds all symbols there before it comes to libstdc++.a. For other
# compilers the target is empty.

include_guard(GLOBAL)

# Whether a shared library of this compiler holds a libstdc++ of its own.
function(_fused_ssim_has_own_libstdcxx result)
  set(${result} OFF PARENT_SCOPE)
  if(NOT UNIX OR APPLE)
    return()
  endif()
  set(probe "${CMAKE_CURRENT_BINARY_DIR}/libstdcxx_probe")
  file(WRITE "${probe}.cpp"
    "#include <ostream>\n"
    "#if !defined(__GLIBCXX__)\n#error another standard library\n#endif\n"
    "void write(std::ostream& stream) { stream << 1ul; }\n")
  # try_compile() links executables alone.
  set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_MODULE_LINKER_FLAGS} -shared")
  try_compile(linked "${probe}" "${probe}.cpp"
    COMPILE_DEFINITIONS -fPIC
    COPY_FILE "${probe}.so")
  if(linked)
    file(STRINGS "${probe}.so" needed REGEX "^libstdc\\+\\+\\.so")
    if(NOT needed)
      set(${result} ON PARENT_SCOPE)
    endif()
  endif()
  unset(linked CACHE)
endfunction()

# The libstdc++.so.6 of the process: that of a conda environment, else the system's.
function(_fused_ssim_find_libstdcxx result)
  unset(_fused_ssim_found CACHE)
  find_file(_fused_ssim_found libstdc++.so.6
    PATHS
      "${fused_ssim_TORCH_PREFIX}/../../.." # <environment>/lib
      /usr/lib/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu
      /lib/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu
      /usr/lib64
      /lib64
      /usr/lib
    NO_DEFAULT_PATH)
  set(${result} "${_fused_ssim_found}" PARENT_SCOPE)
  unset(_fused_ssim_found CACHE)
endfunction()

add_library(fused_ssim::shared_libstdcxx INTERFACE IMPORTED GLOBAL)
_fused_ssim_has_own_libstdcxx(fused_ssim_own_libstdcxx)
if(fused_ssim_own_libstdcxx)
  _fused_ssim_find_libstdcxx(fused_ssim_libstdcxx)
  if(fused_ssim_libstdcxx)
    set_target_properties(fused_ssim::shared_libstdcxx PROPERTIES
      INTERFACE_LINK_LIBRARIES "${fused_ssim_libstdcxx}")
    message(STATUS "fused_ssim: libraries for Python link ${fused_ssim_libstdcxx}, \
since ${CMAKE_CXX_COMPILER} links libstdc++ statically")
  else()
    message(WARNING "fused_ssim: ${CMAKE_CXX_COMPILER} links libstdc++ statically, and \
there is no libstdc++.so.6 to link instead. Libraries that Python loads may crash.")
  endif()
endif()
