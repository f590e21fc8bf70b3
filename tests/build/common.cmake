# Runs a command; a failure ends the script with what it said.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "This failed (${result}):\n  ${command}\n${output}")
  endif()
endfunction()

# Configures, builds and runs the project of tests/build/<folder> in `build`. Further arguments go to cmake.
function(build_and_run project build)
  run(${CMAKE_COMMAND} -S ${project} -B ${build} -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${CXX} ${ARGN})
  run(${CMAKE_COMMAND} --build ${build} --config Release)
  run(${build}/program)
endfunction()

separate_arguments(CXX_FLAGS_LIST UNIX_COMMAND "${CXX_FLAGS}")
