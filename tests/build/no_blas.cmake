# ATTN_BLAS=OFF: where no BLAS can be found, the library builds, installs and is used, by programs that then load none.
set(ATTN_BLAS OFF)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
set(no_blas_here -DCMAKE_DISABLE_FIND_PACKAGE_BLAS=ON "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" "-DCMAKE_C_FLAGS=${CXX_FLAGS}")

# Debug, because only optimization removes code that plain conditions leave out.
configure(${SOURCE_DIR} ${WORK_DIR}/build ${no_blas_here} -DCMAKE_BUILD_TYPE=Debug -DBUILD_SHARED_LIBS=${SHARED}
  -DATTN_BUILD_TESTS=OFF -DATTN_BUILD_BENCH=OFF)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build --config Debug)
run(${CMAKE_COMMAND} --install ${WORK_DIR}/build --config Debug --prefix ${WORK_DIR}/prefix)

foreach(consumer IN ITEMS CXX:consumer.cpp C:consumer.c)
  string(REGEX REPLACE ":.*" "" language ${consumer})
  string(REGEX REPLACE ".*:" "" program ${consumer})
  build_and_run(${CMAKE_CURRENT_LIST_DIR}/package ${WORK_DIR}/package_${language} ${no_blas_here} -DLANGUAGE=${language}
    -DPROGRAM=${program} -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
endforeach()
set(programs ${WORK_DIR}/package_CXX/program ${WORK_DIR}/package_C/program)
file(GLOB_RECURSE pc ${WORK_DIR}/prefix/attn.pc)
file(GLOB_RECURSE libraries ${WORK_DIR}/prefix/libattn.*)
if(PKG_CONFIG)
  get_filename_component(pc_folder ${pc} DIRECTORY)
  build_by_pkg_config(${pc_folder} ${WORK_DIR}/by_pkg_config)
  list(APPEND programs ${WORK_DIR}/by_pkg_config/program ${WORK_DIR}/by_pkg_config/program_in_c)
endif()

# No file of the package, no symbol and no program asks for a BLAS.
file(READ ${pc} text)
if(text MATCHES "blas|gfortran")
  message(FATAL_ERROR "attn.pc names a BLAS:\n${text}")
endif()
foreach(library IN LISTS libraries)
  if(NM AND NOT IS_SYMLINK ${library})
    execute_process(COMMAND ${NM} --undefined-only ${library} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    if(symbols MATCHES "[^\n]*(blas|sgem|gfortran)[^\n]*" OR NOT symbols MATCHES "memcpy")
      message(FATAL_ERROR "${library} names what only a BLAS has, or nm says nothing: ${CMAKE_MATCH_0}")
    endif()
  endif()
endforeach()
if(NOT APPLE)
  file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${programs} RESOLVED_DEPENDENCIES_VAR loaded
    UNRESOLVED_DEPENDENCIES_VAR missing DIRECTORIES ${WORK_DIR}/prefix/lib)
  if(NOT "${loaded}" MATCHES "libc\\.so" OR "${loaded};${missing}" MATCHES "[^;]*(blas|gfortran|quadmath)[^;]*")
    message(FATAL_ERROR "A program loads what only a BLAS needs: ${CMAKE_MATCH_0}\n${loaded}\n${missing}")
  endif()
endif()
