# A parent project exports its own library, which links attn: install(EXPORT) and export(EXPORT), with attn by FetchContent
# and by add_subdirectory. A third project uses that library from where it was built and from where it was installed.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
set(parent ${CMAKE_CURRENT_LIST_DIR}/parent)
set(user ${CMAKE_CURRENT_LIST_DIR}/parent_user)
set(options -DATTN_SOURCE_DIR=${SOURCE_DIR} -DBLA_VENDOR=${VENDOR} "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" -DCMAKE_BUILD_TYPE=Debug
  -DBUILD_SHARED_LIBS=${SHARED})
configure(${parent} ${WORK_DIR}/fetch ${options} -DFETCH=ON)
configure(${parent} ${WORK_DIR}/fetch ${options} -DFETCH=ON -DATTN_INSTALL=ON)

configure(${parent} ${WORK_DIR}/parent ${options} -DATTN_INSTALL=ON)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/parent --config Debug)
build_and_run(${user} ${WORK_DIR}/of_build "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" -Dparent_DIR=${WORK_DIR}/parent
  -Dattn_DIR=${WORK_DIR}/parent/attn)
run(${CMAKE_COMMAND} --install ${WORK_DIR}/parent --config Debug --prefix ${WORK_DIR}/first)
file(RENAME ${WORK_DIR}/first ${WORK_DIR}/moved)
build_and_run(${user} ${WORK_DIR}/of_install "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" -DCMAKE_PREFIX_PATH=${WORK_DIR}/moved)

# Without ATTN_INSTALL only the parent's own files are installed.
configure(${parent} ${WORK_DIR}/parent ${options} -DATTN_INSTALL=OFF)
run(${CMAKE_COMMAND} --install ${WORK_DIR}/parent --config Debug --prefix ${WORK_DIR}/without)
file(GLOB_RECURSE files ${WORK_DIR}/without/*attn*)
if(files)
  message(FATAL_ERROR "Installed without ATTN_INSTALL: ${files}")
endif()
