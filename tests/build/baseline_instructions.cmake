# Only simd/<isa>.cpp may hold code that an old CPU does not have. On x86-64 that is every instruction in the VEX or EVEX
# encoding, whose names begin with v.
foreach(object IN LISTS OBJECTS)
  if(object MATCHES "simd/(avx2|avx512|neon)\\.cpp\\.")
    continue()
  endif()
  execute_process(COMMAND ${OBJDUMP} -d --no-show-raw-insn ${object} OUTPUT_VARIABLE code RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${OBJDUMP} could not read ${object}")
  endif()
  if(code MATCHES "\n[^\n]*(\t *v[a-z0-9]+ [^\n]*%[xyz]mm|%[yz]mm)[^\n]*")
    message(FATAL_ERROR "${object} holds code that needs AVX:${CMAKE_MATCH_0}")
  endif()
endforeach()
