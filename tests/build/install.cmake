# Installs into one prefix, moves it to another, and uses the library from there: by find_package, pkg-config and Meson.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
set(first ${WORK_DIR}/first)
set(moved ${WORK_DIR}/moved)
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG} --prefix ${first})
file(RENAME ${first} ${moved})

# Nothing that was installed may know this machine.
set(places ${SOURCE_DIR} ${BUILD_DIR} ${first})
foreach(library IN LISTS BLAS_LIBRARIES)
  if(IS_ABSOLUTE "${library}")
    list(APPEND places ${library})
  endif()
endforeach()
file(GLOB_RECURSE texts ${moved}/*.cmake ${moved}/*.pc)
foreach(path IN LISTS texts)
  file(READ ${path} text)
  foreach(place IN LISTS places)
    string(FIND "${text}" "${place}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${path} names ${place}")
    endif()
  endforeach()
endforeach()

# Every header stands on its own, as strict C++17; the C interface also as C99.
file(GLOB headers ${moved}/include/attn/*)
foreach(header IN LISTS headers)
  run(${CXX} ${CXX_FLAGS_LIST} -std=c++17 -pedantic -fsyntax-only -x c++ -I${moved}/include -include ${header} /dev/null)
endforeach()
run(${CC} -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c -include ${moved}/include/attn/attn.h /dev/null)

build_and_run(${CMAKE_CURRENT_LIST_DIR}/package ${WORK_DIR}/package -DLANGUAGE=CXX -DPROGRAM=consumer.cpp
  "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" -DCMAKE_PREFIX_PATH=${moved})
build_and_run(${CMAKE_CURRENT_LIST_DIR}/package ${WORK_DIR}/package_in_c -DLANGUAGE=C -DPROGRAM=consumer.c
  "-DCMAKE_C_FLAGS=${CXX_FLAGS}" -DCMAKE_PREFIX_PATH=${moved})

if(NOT PKG_CONFIG)
  message(STATUS "pkg-config was not found: not tried")
  return()
endif()
file(GLOB_RECURSE pc ${moved}/attn.pc)
get_filename_component(pc_folder ${pc} DIRECTORY)
build_by_pkg_config(${pc_folder} ${WORK_DIR}/by_pkg_config)
if(NOT SHARED)
  build_by_pkg_config(${pc_folder} ${WORK_DIR}/by_pkg_config_static --static)
endif()
set(ENV{PKG_CONFIG_PATH} ${pc_folder})
run(${PKG_CONFIG} --exact-version=${VERSION} attn)

if(MESON)
  run(${CMAKE_COMMAND} -E env CXX=${CXX} CC=${CC} "CXXFLAGS=${CXX_FLAGS}" "CFLAGS=${CXX_FLAGS}"
    ${MESON} setup ${WORK_DIR}/meson ${CMAKE_CURRENT_LIST_DIR}/meson)
  run(${MESON} test -C ${WORK_DIR}/meson)
endif()
