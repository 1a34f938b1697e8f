# fused_ssim_warnings(target): the warnings that our own lines are kept free of.
#
# PRIVATE, so that no consumer inherits them, and never -Werror: a compiler that warns
# about something new must not stop a user's build.

include_guard()

function(fused_ssim_warnings target)
  set(gnu -Wall -Wextra)
  # nvcc writes GNU line markers into what it hands to the host compiler, hence no
  # -Wpedantic for CUDA sources.
  list(JOIN gnu "," gnu_for_nvcc)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:${gnu};-Wpedantic>"
    # LibTorch's macros pass others no variadic argument.
    "$<$<COMPILE_LANG_AND_ID:CXX,Clang,AppleClang>:-Wno-gnu-zero-variadic-macro-arguments>"
    "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-Xcompiler=${gnu_for_nvcc}>"
    "$<$<COMPILE_LANG_AND_ID:CXX,MSVC>:/W4;/bigobj>")
endfunction()
