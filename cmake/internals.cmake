# For tests and benchmarks that call src/ and simd/ directly. A shared libattn does not export those, so its objects are
# linked instead.
function(attn_link_internals target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(${target} PRIVATE cxx_std_17)
  target_compile_definitions(${target} PRIVATE ${attn_definitions})
  if(BUILD_SHARED_LIBS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:attn>)
    target_link_libraries(${target} PRIVATE ${attn_needs})
  else()
    target_link_libraries(${target} PRIVATE attn::attn)
  endif()
endfunction()
