unset(ENV{DESTDIR})  # the user's is not for what tests install

# What the consumer may expect of the library that it is linked to.
set(ENV{ATTN_EXPECT_BLAS} 0)
if(ATTN_BLAS)
  set(ENV{ATTN_EXPECT_BLAS} 1)
endif()

# Runs a command; a failure ends the script with what it said.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "This failed (${result}):\n  ${command}\n${output}")
  endif()
endfunction()

# Configures the project in folder `project` in `build`. Further arguments go to cmake.
function(configure project build)
  run(${CMAKE_COMMAND} -S ${project} -B ${build} -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_C_COMPILER=${CC} -DATTN_BLAS=${ATTN_BLAS} --no-warn-unused-cli ${ARGN})
endfunction()

# Configures and builds it, and runs its program.
function(build_and_run project build)
  configure(${project} ${build} ${ARGN})
  run(${CMAKE_COMMAND} --build ${build} --config Release)
  run(${build}/program)
endfunction()

# Builds the consumers, in C++ and in C, as pkg-config says, and runs them. Further arguments go to pkg-config.
function(build_by_pkg_config pc_folder build)
  set(ENV{PKG_CONFIG_PATH} "${pc_folder}")
  execute_process(COMMAND ${PKG_CONFIG} --cflags --libs ${ARGN} attn OUTPUT_VARIABLE flags RESULT_VARIABLE result
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "pkg-config does not find attn in ${pc_folder}")
  endif()
  separate_arguments(flags UNIX_COMMAND "${flags}")
  file(MAKE_DIRECTORY ${build})
  run(${CXX} ${CXX_FLAGS_LIST} -std=c++17 ${CMAKE_CURRENT_LIST_DIR}/consumer.cpp -o ${build}/program ${flags})
  run(${CC} ${CXX_FLAGS_LIST} ${CMAKE_CURRENT_LIST_DIR}/consumer.c -o ${build}/program_in_c ${flags})
  get_filename_component(libdir "${pc_folder}" DIRECTORY)
  foreach(program IN ITEMS program program_in_c)
    run(${CMAKE_COMMAND} -E env "LD_LIBRARY_PATH=${libdir}" ${build}/${program})
  endforeach()
endfunction()

separate_arguments(CXX_FLAGS_LIST UNIX_COMMAND "${CXX_FLAGS}")
