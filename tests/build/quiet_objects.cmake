# P6: what a call of the streaming path and of softmax runs through knows no allocation, lock or thread. A function that an
# object does not name it cannot call.
set(loud "malloc|calloc|realloc|free|mmap|_Zn[aw]|_Zd[al]|pthread_|_ZNSt6thread|_ZNSt5mutex|__cxa_guard|syscall|GOMP_|omp_")
# Those that may: the workspace of callers that give none, layers and pools that own memory, and their C interface.
list(FILTER OBJECTS EXCLUDE REGEX "src/(attention|c_api|c_api_layers|thread_pool|layers/[a-z_]+)\\.cpp\\.")
list(LENGTH OBJECTS count)
if(count LESS 20)
  message(FATAL_ERROR "Expected the objects of the library, found ${count}.")
endif()
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} --undefined-only ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "nm ${object} failed")
  endif()
  # throw_if_error of status.cpp throws for those who ask for it: its exceptions allocate.
  string(REGEX REPLACE "[^\n]*__cxa_[a-z]*exception[^\n]*" "" symbols "${symbols}")
  if(symbols MATCHES "U (${loud})[^\n]*" AND NOT object MATCHES "src/status\\.cpp")
    message(FATAL_ERROR "${object} names ${CMAKE_MATCH_0}")
  endif()
endforeach()
