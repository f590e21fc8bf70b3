# P6: what a call of the streaming path and of softmax runs through knows no allocation, lock or thread, and nothing but
# attention.cpp (the workspace of callers that give none) and the layers allocate. A function that an object does not name
# it cannot call.
set(loud "malloc|calloc|realloc|free|mmap|_Zn[aw]|_Zd[al]|pthread_|_ZNSt6thread|_ZNSt5mutex|__cxa_guard|syscall|GOMP_|omp_")
foreach(quiet IN ITEMS check view strided_sum kv_cache merge softmax streaming_path streaming_plan streaming_tile streaming_weights blas_path blas dispatch cpu status wide_row)
  set(objects ${OBJECTS})
  list(FILTER objects INCLUDE REGEX "src/${quiet}\\.cpp\\.")
  list(LENGTH objects count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "Expected one object of src/${quiet}.cpp, found ${count}.")
  endif()
  list(APPEND found ${objects})
endforeach()
foreach(object IN LISTS found)
  execute_process(COMMAND ${NM} --undefined-only ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "nm ${object} failed")
  endif()
  # throw_if_error of status.cpp throws for those who ask for it: its exceptions allocate.
  string(REGEX REPLACE "[^\n]*__cxa_[a-z]*exception[^\n]*" "" symbols "${symbols}")
  if(symbols MATCHES "U (${loud})[^\n]*" AND NOT object MATCHES "status\\.cpp")
    message(FATAL_ERROR "${object} names ${CMAKE_MATCH_0}")
  endif()
endforeach()
