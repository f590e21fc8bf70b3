# Lets attn.map alone decide what a shared library exports. Options of a target come last, so this wins over a hidden
# visibility that the user or a parent project presets.
function(attn_visible_names)
  target_compile_options(attn PRIVATE -fvisibility=default)
endfunction()

# What a shared library made of attn's objects needs at link time.
function(attn_shared_options target)
  # At link time -ffast-math would add code that sets flush-to-zero in every program that loads the library.
  target_link_options(${target} PRIVATE -fno-fast-math -fno-unsafe-math-optimizations)
  if(NOT APPLE)
    target_link_options(${target} PRIVATE "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/attn.map")
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/attn.map)
  endif()
endfunction()
