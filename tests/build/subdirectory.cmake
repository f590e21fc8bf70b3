# Uses the library by add_subdirectory. The parent builds everything with -ffast-math, against which attn protects itself.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
build_and_run(${CMAKE_CURRENT_LIST_DIR}/subdirectory ${WORK_DIR}
  "-DCMAKE_CXX_FLAGS=${CXX_FLAGS} -ffast-math" -DATTN_SOURCE_DIR=${SOURCE_DIR} -DBLA_VENDOR=${VENDOR})
