# Installs the library, the headers, a CMake package and a pkg-config file: component attn. All of it may be moved to
# another prefix, but for what goes to a folder that was given by an absolute path.
#
# Without ATTN_INSTALL nothing is installed by default, but CMake knows where attn would go, so that a parent project can
# still export libraries of its own that link attn.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(attn_component COMPONENT attn)
if(NOT ATTN_INSTALL)
  list(APPEND attn_component EXCLUDE_FROM_ALL)
endif()
install(TARGETS attn EXPORT attn ${attn_component}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/attn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${attn_component})
target_include_directories(attn INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/attn)
install(EXPORT attn FILE attnTargets.cmake NAMESPACE attn:: DESTINATION ${package_dir} ${attn_component})
export(EXPORT attn FILE ${CMAKE_CURRENT_BINARY_DIR}/attnTargets.cmake NAMESPACE attn::)
configure_package_config_file(cmake/attnConfig.cmake.in attnConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# 0.x: a new minor version may break its users.
write_basic_package_version_file(attnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attnConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/attnConfigVersion.cmake
  DESTINATION ${package_dir} ${attn_component})

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  # CMake then writes the prefix of the configuring; that of the installing (--prefix) may be another one.
  install(CODE "set(package \"${package_dir}\")\nset(configured \"${CMAKE_INSTALL_PREFIX}\")" ${attn_component})
  install(CODE [[
    file(READ "$ENV{DESTDIR}${package}/attnTargets.cmake" text)
    string(REPLACE "(_IMPORT_PREFIX \"${configured}\")" "(_IMPORT_PREFIX \"${CMAKE_INSTALL_PREFIX}\")" text "${text}")
    file(WRITE "$ENV{DESTDIR}${package}/attnTargets.cmake" "${text}")]] ${attn_component})
endif()

# attn.pc finds its prefix from its own place, and names libraries instead of their files on this machine.
# It does not require openblas.pc: that one asks for libgfortran, which a plain C++ system does not have.
string(REPLACE " " "\\ " pc_libdir "${CMAKE_INSTALL_LIBDIR}")
string(REPLACE " " "\\ " pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "@prefix@")  # known when it is installed
else()
  get_filename_component(folder "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" ABSOLUTE)
  file(RELATIVE_PATH pc_prefix "${folder}" "/")
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
  string(PREPEND pc_libdir "\${prefix}/")
endif()
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  string(PREPEND pc_includedir "\${prefix}/")
endif()

# A default call of pkg-config, as Meson's and Autoconf's, asks for Libs alone. Where only an archive is installed, that
# must hold all that the archive needs, as Libs.private is for archives that lie beside a shared library.
set(pc_libraries)
if(NOT BUILD_SHARED_LIBS)
  set(libraries)
  if(ATTN_BLAS)  # else a parent's own may stand in BLAS_LIBRARIES
    set(libraries ${BLAS_LIBRARIES})
  endif()
  foreach(library IN LISTS libraries)
    if(IS_ABSOLUTE "${library}")
      get_filename_component(folder "${library}" DIRECTORY)
      if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
        list(APPEND pc_libraries "-L${folder}")
      endif()
      get_filename_component(library "${library}" NAME)
      string(REGEX REPLACE "^lib(.*)\\.(a|so|dylib|dll\\.a)[.0-9]*$" "-l\\1" library "${library}")
    endif()
    list(APPEND pc_libraries "${library}")
  endforeach()
  list(APPEND pc_libraries ${CMAKE_THREAD_LIBS_INIT} ${ATTN_CXX_RUNTIME})
  list(JOIN pc_libraries " " pc_libraries)
endif()
configure_file(cmake/attn.pc.in attn.pc.in @ONLY)
install(CODE "set(build \"${CMAKE_CURRENT_BINARY_DIR}\")" ${attn_component})
install(CODE [[
  string(REPLACE " " "\\ " prefix "${CMAKE_INSTALL_PREFIX}")
  configure_file("${build}/attn.pc.in" "${build}/attn.pc" @ONLY)]] ${attn_component})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${attn_component})
