# fused_ssim_add_part(folder option package...): adds the folder, which needs the
# packages, as the option says: ON, which makes a missing package an error; OFF; or AUTO,
# where this project is built for itself and the packages are there.
#
# The packages' targets are those of the folder too, so that it does not look for them.

include_guard()

function(fused_ssim_add_part folder option)
  if(NOT "${${option}}" STREQUAL "AUTO")
    set(wanted ${${option}})
  else()
    set(wanted ${fused_ssim_top_level})
  endif()
  if(NOT wanted)
    return()
  endif()

  set(missing)
  foreach(package IN LISTS ARGN)
    find_package(${package} QUIET)
    if(NOT ${package}_FOUND)
      list(APPEND missing ${package})
    endif()
  endforeach()
  if(missing)
    list(JOIN missing ", " missing)
    set(remedy "scripts/setup.sh installs what is missing; -D${option}=OFF does without")
    if("${${option}}" STREQUAL "AUTO")
      message(WARNING "fused_ssim: ${folder}/ is not built: ${missing} not found. ${remedy}.")
    else()
      message(FATAL_ERROR "fused_ssim: ${option} is ON, but not found: ${missing}. ${remedy}.")
    endif()
    return()
  endif()
  add_subdirectory(${folder})
endfunction()
