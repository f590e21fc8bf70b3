# A parent project that hides everything, in each way that there is, still gets a shared libattn with its public names.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
build_and_run(${CMAKE_CURRENT_LIST_DIR}/hidden ${WORK_DIR} "-DCMAKE_CXX_FLAGS=${CXX_FLAGS} -fvisibility=hidden"
  -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=Debug
  -DATTN_SOURCE_DIR=${SOURCE_DIR} -DBLA_VENDOR=${VENDOR})
if(NM)
  set(LIBRARY ${WORK_DIR}/attn/libattn.so)
  include(${CMAKE_CURRENT_LIST_DIR}/exports.cmake)
endif()
