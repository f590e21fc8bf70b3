# One owner for each danger, the rules of simd/ on what its files may include, and one version.

# The files under SOURCE_DIR that match the globs and include a header that matches `header`.
function(files_that_include header result)
  set(found)
  file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR} ${ARGN})
  foreach(path IN LISTS files)
    file(STRINGS ${SOURCE_DIR}/${path} lines REGEX "^ *# *include *[<\"](${header})[>\"]")
    if(lines)
      list(APPEND found ${path})
    endif()
  endforeach()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

set(library ${SOURCE_DIR}/src/*.?pp ${SOURCE_DIR}/include/*.h* ${SOURCE_DIR}/simd/*.?pp)

files_that_include("cblas[^>\"]*" found ${library})
if(NOT found STREQUAL "src/blas/blas.cpp")
  message(FATAL_ERROR "Only src/blas/blas.cpp may include <cblas.h>; these do: ${found}")
endif()

files_that_include("[a-z0-9_]*intrin\\.h|arm_[a-z]+\\.h" found ${library})
list(FILTER found EXCLUDE REGEX "^simd/lanes_[a-z0-9]+\\.hpp$")
if(found)
  message(FATAL_ERROR "Only simd/lanes_*.hpp may include intrinsics; these do too: ${found}")
endif()

files_that_include("cpuid\\.h" found ${library})
list(REMOVE_ITEM found src/cpu.cpp)
if(found)
  message(FATAL_ERROR "Only src/cpu.cpp may ask the CPU; these do too: ${found}")
endif()

files_that_include("thread|mutex|condition_variable" found ${library})
list(REMOVE_ITEM found src/thread_pool.cpp)
if(found)
  message(FATAL_ERROR "Only src/thread_pool.cpp may know threads; these do too: ${found}")
endif()

file(GLOB simd RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/simd/*.?pp)
foreach(path IN LISTS simd)
  file(STRINGS ${SOURCE_DIR}/${path} lines REGEX "^ *# *include *<")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "<(cstddef|cstdint|immintrin\\.h|arm_neon\\.h)>")
      message(FATAL_ERROR "${path} may include <cstddef>, <cstdint>, intrinsics and simd/ only, but has: ${line}")
    endif()
  endforeach()
endforeach()

# The version stands once, in version.h.
file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR} ${library} ${SOURCE_DIR}/cmake/* ${SOURCE_DIR}/CMakeLists.txt)
string(REPLACE "." "\\." pattern "${VERSION}")
foreach(path IN LISTS files)
  file(STRINGS ${SOURCE_DIR}/${path} lines REGEX "(define ATTN_VERSION_(MAJOR|MINOR|PATCH)|VERSION[ (]+\"?${pattern})")
  if(lines AND NOT path STREQUAL "include/attn/version.h")
    message(FATAL_ERROR "${path} has the version, which stands in include/attn/version.h only: ${lines}")
  endif()
endforeach()
