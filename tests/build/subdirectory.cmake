# Uses the library by add_subdirectory, from a project of C++ and from one of C alone. The first builds everything with
# -ffast-math, against which attn protects itself.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
build_and_run(${CMAKE_CURRENT_LIST_DIR}/subdirectory ${WORK_DIR}/cpp -DLANGUAGE=CXX -DPROGRAM=consumer.cpp
  "-DCMAKE_CXX_FLAGS=${CXX_FLAGS} -ffast-math" -DATTN_SOURCE_DIR=${SOURCE_DIR} -DBLA_VENDOR=${VENDOR})
build_and_run(${CMAKE_CURRENT_LIST_DIR}/subdirectory ${WORK_DIR}/c -DLANGUAGE=C -DPROGRAM=consumer.c
  "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" "-DCMAKE_C_FLAGS=${CXX_FLAGS}" -DATTN_SOURCE_DIR=${SOURCE_DIR} -DBLA_VENDOR=${VENDOR}
  -DCMAKE_BUILD_TYPE=Debug)
