# Installs with each mixture of relative and absolute folders, through DESTDIR, with another prefix than was configured,
# and with blanks in paths; then moves what was given relative to the prefix, and uses the library from there.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})

foreach(lib IN ITEMS relative absolute)
  foreach(include IN ITEMS relative absolute)
    set(work "${WORK_DIR}/${lib}_${include}")
    set(prefix "${work}/prefix")
    set(libdir "lib/some where")
    set(includedir "include/some where")
    if(lib STREQUAL "absolute")
      set(libdir "${work}/some lib")
      set(prefix "${work}/some prefix")
    endif()
    if(include STREQUAL "absolute")
      set(includedir "${work}/some include")
    endif()
    configure(${SOURCE_DIR} ${WORK_DIR}/build -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
      "-DCMAKE_INSTALL_PREFIX=${WORK_DIR}" "-DCMAKE_INSTALL_LIBDIR=${libdir}" "-DCMAKE_INSTALL_INCLUDEDIR=${includedir}"
      -DBUILD_SHARED_LIBS=${SHARED} -DBLA_VENDOR=${VENDOR} -DATTN_BUILD_TESTS=OFF -DATTN_BUILD_BENCH=OFF)
    run(${CMAKE_COMMAND} --build ${WORK_DIR}/build --config Debug)
    run(${CMAKE_COMMAND} -E env "DESTDIR=${work}/stage" ${CMAKE_COMMAND} --install ${WORK_DIR}/build --config Debug
      --prefix "${prefix}")
    file(COPY "${work}/stage${work}/" DESTINATION "${work}")
    file(REMOVE_RECURSE "${work}/stage")
    if(lib STREQUAL "relative")
      file(RENAME "${prefix}" "${work}/moved")
      set(libdir "${work}/moved/${libdir}")
    endif()
    build_and_run(${CMAKE_CURRENT_LIST_DIR}/package "${work}/package" -DLANGUAGE=CXX -DPROGRAM=consumer.cpp
      "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" "-Dattn_DIR=${libdir}/cmake/attn")
    if(PKG_CONFIG)
      build_by_pkg_config("${libdir}/pkgconfig" "${work}/by_pkg_config")
    endif()
  endforeach()
endforeach()
