# Finds the one dependency: a BLAS with the C interface and 32-bit sizes.
#
# Gives BLAS::BLAS (from CMake's FindBLAS; BLA_VENDOR is OpenBLAS unless the user says otherwise, BLA_STATIC is
# respected) and attn_cblas_header, the folder of <cblas.h>. Proves them with a small sgemm of known integers.

if(NOT BLA_VENDOR)
  set(BLA_VENDOR OpenBLAS)
endif()
if(NOT TARGET BLAS::BLAS)
  find_package(BLAS QUIET)
  if(TARGET BLAS::BLAS)
    # Seen by the whole project, so that a parent that links attn by add_subdirectory can link it too.
    set_target_properties(BLAS::BLAS PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endif()
if(NOT TARGET BLAS::BLAS)
  message(FATAL_ERROR "attn needs a BLAS, and find_package(BLAS) with BLA_VENDOR=${BLA_VENDOR} found none. "
    "Install OpenBLAS (Debian, Ubuntu: libopenblas-dev; Fedora: openblas-devel), or choose another one with -DBLA_VENDOR.")
endif()

# <cblas.h> lies beside the library's prefix, in the system's folders, or in a folder of the vendor's name.
set(hints)
foreach(library IN LISTS BLAS_LIBRARIES)
  if(IS_ABSOLUTE "${library}")
    get_filename_component(folder "${library}" DIRECTORY)
    list(APPEND hints "${folder}/../include")
  endif()
endforeach()
find_path(ATTN_CBLAS_INCLUDE_DIR cblas.h HINTS ${hints} PATH_SUFFIXES openblas openblas-pthread openblas-openmp openblas-serial
  DOC "The folder of cblas.h")
if(NOT ATTN_CBLAS_INCLUDE_DIR)
  message(FATAL_ERROR "attn found the BLAS ${BLAS_LIBRARIES} but not its header cblas.h. "
    "Install the development package of that BLAS, or set ATTN_CBLAS_INCLUDE_DIR to the folder of cblas.h.")
endif()
if(NOT TARGET attn_cblas_header)
  add_library(attn_cblas_header INTERFACE IMPORTED GLOBAL)
  target_include_directories(attn_cblas_header INTERFACE "${ATTN_CBLAS_INCLUDE_DIR}")
endif()

# Run again only when the BLAS changes.
set(checked "${BLAS_LIBRARIES};${ATTN_CBLAS_INCLUDE_DIR};${CMAKE_CXX_FLAGS}")
if(NOT ATTN_BLAS_CHECKED STREQUAL checked)
  set(program "${CMAKE_CURRENT_LIST_DIR}/check_blas.cpp")
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/check_blas")
  unset(ATTN_BLAS_COMPILED CACHE)
  unset(ATTN_BLAS_EXIT_CODE CACHE)
  if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    try_compile(ATTN_BLAS_COMPILED "${folder}" "${program}" LINK_LIBRARIES BLAS::BLAS attn_cblas_header
      CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON OUTPUT_VARIABLE output)
    set(ATTN_BLAS_EXIT_CODE 0)
  else()
    try_run(ATTN_BLAS_EXIT_CODE ATTN_BLAS_COMPILED "${folder}" "${program}" LINK_LIBRARIES BLAS::BLAS attn_cblas_header
      CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON COMPILE_OUTPUT_VARIABLE output RUN_OUTPUT_VARIABLE said)
  endif()
  if(NOT ATTN_BLAS_COMPILED)
    message(FATAL_ERROR "attn could not build a program that calls cblas_sgemm with ${BLAS_LIBRARIES}: "
      "this BLAS has no C interface, or ${ATTN_CBLAS_INCLUDE_DIR}/cblas.h does not belong to it.\n${output}")
  elseif(ATTN_BLAS_EXIT_CODE EQUAL 2)
    message(FATAL_ERROR "attn needs a BLAS with 32-bit sizes (LP64): ${BLAS_LIBRARIES} takes 64-bit sizes (ILP64), "
      "but ${ATTN_CBLAS_INCLUDE_DIR}/cblas.h declares 32-bit ones.")
  elseif(NOT ATTN_BLAS_EXIT_CODE EQUAL 0)
    message(FATAL_ERROR "attn found a BLAS that cannot multiply: a 2x3 by 3x2 cblas_sgemm with ${BLAS_LIBRARIES} "
      "and ${ATTN_CBLAS_INCLUDE_DIR}/cblas.h ended with ${ATTN_BLAS_EXIT_CODE}.\n${said}")
  endif()
  set(ATTN_BLAS_CHECKED "${checked}" CACHE INTERNAL "The BLAS that a small sgemm has proved")
  message(STATUS "attn: BLAS ${BLAS_LIBRARIES}, ${ATTN_CBLAS_INCLUDE_DIR}/cblas.h")
endif()
set(AttnBlas_FOUND TRUE)
