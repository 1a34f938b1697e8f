# What `cmake --install` puts where: the library, its public headers, the package for
# find_package(fused_ssim) and the licence; examples/ adds the programs.
#
# The tree can be moved: only LibTorch is named by where it was, as a hint.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The loader finds LibTorch, and the CUDA runtime that came with it, where they were.
set_target_properties(fused_ssim PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS fused_ssim
  EXPORT fused_ssimTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES
  include/fused_ssim/autograd.h
  include/fused_ssim/functional.h
  include/fused_ssim/fused_ssim.h
  include/fused_ssim/modules.h
  include/fused_ssim/options.h
  include/fused_ssim/version.h
  "${PROJECT_BINARY_DIR}/include/fused_ssim/export.h"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fused_ssim)
if(FUSED_SSIM_WITH_DISTRIBUTED)
  # It finds the library beside it.
  set_target_properties(fused_ssim_distributed PROPERTIES
    INSTALL_RPATH "$ORIGIN"
    INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS fused_ssim_distributed
    EXPORT fused_ssimTargets
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(FILES
    include/fused_ssim/distributed.h
    "${PROJECT_BINARY_DIR}/include/fused_ssim/distributed_export.h"
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fused_ssim)
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
