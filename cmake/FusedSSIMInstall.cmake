# What `cmake --install` puts where: the library, its public headers, the package for
# find_package(fused_ssim) and the licence; examples/ adds the programs.
#
# The tree can be moved: only LibTorch is named by where it was, as a hint.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# fused_ssim_install_library(target header ...)
function(fused_ssim_install_library target)
  # The loader finds LibTorch, and the CUDA runtime that came with it, where they were.
  set_target_properties(${target} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS ${target}
    EXPORT fused_ssimTargets
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(FILES ${ARGN} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fused_ssim)
endfunction()

fused_ssim_install_library(fused_ssim
  include/fused_ssim/autograd.h
  include/fused_ssim/functional.h
  include/fused_ssim/fused_ssim.h
  include/fused_ssim/modules.h
  include/fused_ssim/options.h
  include/fused_ssim/version.h
  "${PROJECT_BINARY_DIR}/include/fused_ssim/export.h")
if(FUSED_SSIM_WITH_DISTRIBUTED)
  fused_ssim_install_library(fused_ssim_distributed
    include/fused_ssim/distributed.h
    "${PROJECT_BINARY_DIR}/include/fused_ssim/distributed_export.h")
  # It finds the library beside it.
  set_target_properties(fused_ssim_distributed PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/fused_ssim)

set(fused_ssim_package ${CMAKE_INSTALL_LIBDIR}/cmake/fused_ssim)
set(fused_ssim_package_build "${PROJECT_BINARY_DIR}/package")
configure_file(
  cmake/fused_ssimConfig.cmake.in "${fused_ssim_package_build}/fused_ssimConfig.cmake" @ONLY)
# 0.x: a new minor version may change the interface.
write_basic_package_version_file(
  "${fused_ssim_package_build}/fused_ssimConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  cmake/FusedSSIMTorch.cmake
  "${fused_ssim_package_build}/fused_ssimConfig.cmake"
  "${fused_ssim_package_build}/fused_ssimConfigVersion.cmake"
  DESTINATION ${fused_ssim_package})
install(EXPORT fused_ssimTargets NAMESPACE fused_ssim:: DESTINATION ${fused_ssim_package})
