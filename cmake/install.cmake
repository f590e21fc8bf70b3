# Installs the archive, the headers, a CMake package and a pkg-config file. All of it may be moved to another prefix.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS attn EXPORT attn
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/attn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set_property(TARGET attn APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/attn)
install(EXPORT attn FILE attnTargets.cmake NAMESPACE attn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/attnConfig.cmake.in attnConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# 0.x: a new minor version may break its users.
write_basic_package_version_file(attnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attnConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/attnConfigVersion.cmake
  DESTINATION ${package_dir})

# attn.pc finds its prefix from its own place, and names libraries instead of their files on this machine.
# It does not require openblas.pc: that one asks for libgfortran, which a plain C++ system does not have.
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
set(pc_private)
if(NOT BUILD_SHARED_LIBS)
  foreach(library IN LISTS BLAS_LIBRARIES)
    if(IS_ABSOLUTE "${library}")
      get_filename_component(library "${library}" NAME)
      string(REGEX REPLACE "^lib(.*)\\.(a|so|dylib|dll\\.a)[.0-9]*$" "-l\\1" library "${library}")
    endif()
    list(APPEND pc_private "${library}")
  endforeach()
  list(APPEND pc_private ${CMAKE_THREAD_LIBS_INIT})
  # A C program that links the archive needs the C++ library too.
  foreach(library IN LISTS CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
    if(library MATCHES "^(stdc\\+\\+|c\\+\\+|m)$")
      list(APPEND pc_private -l${library})
    endif()
  endforeach()
  list(JOIN pc_private " " pc_private)
endif()
configure_file(cmake/attn.pc.in attn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
