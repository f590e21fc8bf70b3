# Rule 1 of simd/: the object of an instruction set defines one external symbol, its table. A second one could be a
# function that the linker merges with its namesake of another object, and AVX code would run on a CPU without AVX.
foreach(isa IN LISTS ISAS)
  set(objects ${OBJECTS})
  list(FILTER objects INCLUDE REGEX "simd/${isa}\\.cpp\\.")
  list(LENGTH objects count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "Expected one object of simd/${isa}.cpp, found ${count}.")
  endif()
  # External symbols that are defined here, weak ones (W, V) and unique ones (u) included.
  execute_process(COMMAND ${NM} --extern-only --defined-only ${objects} OUTPUT_VARIABLE symbols RESULT_VARIABLE result
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(LENGTH ${isa} length)
  if(NOT result EQUAL 0 OR NOT symbols MATCHES "^[0-9a-f]+ [RD] _ZN4attn4simd${length}${isa}E$")
    message(FATAL_ERROR "simd/${isa}.cpp must define its table attn::simd::${isa} and nothing else, but nm shows:\n${symbols}")
  endif()
endforeach()
