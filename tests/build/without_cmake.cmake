# The library is plain C++: one compiler command builds it (with the scalar kernels).
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
file(GLOB sources ${SOURCE_DIR}/src/*.cpp ${SOURCE_DIR}/src/*/*.cpp)
set(definitions)
if(NOT ATTN_BLAS)
  file(GLOB blas ${SOURCE_DIR}/src/blas/*.cpp)
  list(REMOVE_ITEM sources ${blas})
  set(definitions -DATTN_NO_BLAS)
endif()
run(${CXX} ${CXX_FLAGS_LIST} -std=c++17 -O2 -ffp-contract=off ${definitions} ${sources} ${SOURCE_DIR}/simd/scalar.cpp
  ${CMAKE_CURRENT_LIST_DIR}/consumer.cpp -I${SOURCE_DIR}/include -I${SOURCE_DIR} -I${SOURCE_DIR}/src -I${CBLAS_INCLUDE_DIR}
  ${BLAS_LIBRARIES} -lpthread -o ${WORK_DIR}/program)
run(${WORK_DIR}/program scalar)
