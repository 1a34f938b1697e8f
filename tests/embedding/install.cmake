# Installs BUILD into PREFIX, checks what is there, and that nothing in it, but
# LibTorch's folder, is of this machine.
#
# It is installed elsewhere first and moved, since an installed tree can be moved.

file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}.first")
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}.first"
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "installing failed:\n${output}")
endif()
file(RENAME "${PREFIX}.first" "${PREFIX}")

file(GLOB_RECURSE files RELATIVE "${PREFIX}" "${PREFIX}/*")
foreach(expected
    "^include/fused_ssim/fused_ssim\\.h$"
    "^include/fused_ssim/export\\.h$"
    "^lib.*/libfused_ssim\\.(a|so)$"
    "^include/fused_ssim/distributed\\.h$"
    "^include/fused_ssim/distributed_export\\.h$"
    "^lib.*/libfused_ssim_distributed\\.(a|so)$"
    "^lib.*/cmake/fused_ssim/fused_ssimConfig\\.cmake$"
    "^lib.*/cmake/fused_ssim/fused_ssimConfigVersion\\.cmake$"
    "^share/licenses/fused_ssim/LICENSE$")
  set(found ${files})
  list(FILTER found INCLUDE REGEX "${expected}")
  if(NOT found)
    message(FATAL_ERROR "${expected} was not installed, but: ${files}")
  endif()
endforeach()

set(other ${files})
list(FILTER other EXCLUDE REGEX
  "^(include/fused_ssim/[a-z_]+\\.h|lib.*/libfused_ssim(_distributed)?\\.(a|so[.0-9]*)|lib.*/cmake/fused_ssim/[A-Za-z_-]+\\.cmake\
|bin/(optimize_image|compare_images)|share/licenses/fused_ssim/LICENSE)$")
if(other)
  message(FATAL_ERROR "installed, but by whom? ${other}")
endif()

set(faults)
foreach(file IN LISTS files)
  foreach(folder "${SOURCE}" "${BUILD}" "${PREFIX}.first")
    # file(STRINGS) finds text in binaries as well.
    string(REGEX REPLACE "([][+.*()^$?|\\\\])" "\\\\\\1" pattern "${folder}/")
    file(STRINGS "${PREFIX}/${file}" lines REGEX "${pattern}")
    if(lines)
      list(GET lines 0 line)
      list(APPEND faults "${file}: ${line}")
    endif()
  endforeach()
endforeach()
if(faults)
  list(JOIN faults "\n  " faults)
  message(FATAL_ERROR "the installed tree names folders of this machine:\n  ${faults}")
endif()
list(LENGTH files count)
message(STATUS "${count} files are installed, and can be moved")
