# What must stand in several places is compared with the one place that counts: the names of the instruction sets,
# the published error of exp, and what equal values may lose.
cmake_minimum_required(VERSION 3.22)

set(problems)

# Notes `what` unless `text` has a match of the regular expression.
function(require_match text pattern what)
  if(NOT "${text}" MATCHES "${pattern}")
    list(APPEND problems "${what}")
    set(problems "${problems}" PARENT_SCOPE)
  endif()
endfunction()

# ---- Instruction sets ----

file(READ ${SOURCE_DIR}/src/dispatch.cpp dispatch)
string(REGEX MATCH "names\\[\\] = {([^}]*)}" names "${dispatch}")
string(REGEX MATCHALL "[a-z0-9_]+" isas "${CMAKE_MATCH_1}")
if(NOT "scalar" IN_LIST isas)
  message(FATAL_ERROR "names[] of src/dispatch.cpp was not understood: ${isas}")
endif()
file(GLOB files RELATIVE ${SOURCE_DIR}/simd ${SOURCE_DIR}/simd/*.cpp)
list(TRANSFORM files REPLACE "\\.cpp$" "")
set(wanted ${isas})
list(SORT wanted)
list(SORT files)
if(NOT files STREQUAL wanted)
  list(JOIN files ", " files)
  list(JOIN wanted ", " wanted)
  list(APPEND problems "simd/*.cpp are ${files}, but src/dispatch.cpp has the names ${wanted}")
endif()

file(READ ${SOURCE_DIR}/simd/kernels.hpp kernels)
file(READ ${SOURCE_DIR}/CMakeLists.txt build)
file(READ ${SOURCE_DIR}/include/attn/isa.hpp header)
file(READ ${SOURCE_DIR}/README.md readme)
file(READ ${SOURCE_DIR}/bench/peak.cpp peak)
file(READ ${SOURCE_DIR}/simd/README.md rooms)
file(READ ${SOURCE_DIR}/bench/peers.py peers)
list(GET isas 0 best)
foreach(isa IN LISTS isas)
  string(TOUPPER ${isa} upper)
  require_match("${kernels}" "extern const Kernels [^;]*${isa}[,;]" "simd/kernels.hpp does not declare ${isa}")
  require_match("${dispatch}" "simd::${isa}, " "src/dispatch.cpp: built_in lacks ${isa}")
  require_match("${rooms}" "`${isa}.cpp`" "simd/README.md does not name ${isa}.cpp")
  require_match("${rooms}" "`lanes_${isa}.hpp`" "simd/README.md does not name lanes_${isa}.hpp")
  require_match("${header}" "\"${isa}\"" "include/attn/isa.hpp does not name ${isa}")
  require_match("${readme}" "\n\\| `${isa}` \\|" "README.md: the table of instruction sets lacks ${isa}")
  require_match("${readme}" "ATTN_ISA=([a-z0-9_]+\\|)*${isa}[|`]" "README.md: ATTN_ISA=... lacks ${isa}")
  if(NOT isa STREQUAL "scalar")
    require_match("${build}" "set\\(ATTN_ISAS [^)]*${isa}[ )]" "CMakeLists.txt: ATTN_ISAS lacks ${isa}")
    require_match("${dispatch}" "ifdef ATTN_HAVE_${upper}" "src/dispatch.cpp does not ask for ATTN_HAVE_${upper}")
    require_match("${peak}" "{\"${isa}\", ${isa}," "bench/peak.cpp does not measure the peak of ${isa}")
  endif()
  # The best of x86 and the only one of Arm need no limit.
  if(NOT isa STREQUAL best AND NOT isa STREQUAL "neon")
    require_match("${peers}" "\n    \"${isa}\": {" "bench/peers.py: LIMITS lacks ${isa}")
  endif()
endforeach()

# ---- Published figures ----

file(READ ${SOURCE_DIR}/tests/kernels/exp_test.cpp exp_test)
if(NOT readme MATCHES "\n\\| P8 \\|[^\n]* ([0-9.]+) ULP, ([0-9 ]+) of ([0-9 ]+) results")
  message(FATAL_ERROR "README.md: P8 has no figures")
endif()
set(figures "${CMAKE_MATCH_1} ULP" "${CMAKE_MATCH_2} misrounded" "of the ${CMAKE_MATCH_3} results")
string(REGEX REPLACE "\n *// *" " " exp_test "${exp_test}")
foreach(figure IN LISTS figures)
  require_match("${exp_test}" "${figure}" "README.md, P8: exp_test.cpp does not say \"${figure}\"")
endforeach()

# What equal values may lose (P9): (n + n / 16 + 12) * 2^-24 for a block of n keys.
string(REGEX MATCH "key_block = ([0-9]+)" _ "${kernels}")
set(keys ${CMAKE_MATCH_1})
math(EXPR tenths "((${keys} + ${keys} / 16 + 12) * 59605 + 999999) / 1000000")  # of 1e-5, rounded up; 2^-24 = 5.9605e-8
math(EXPR whole "${tenths} / 10")
math(EXPR tenth "${tenths} % 10")
set(loss "${whole}.${tenth}e-5")
file(READ ${SOURCE_DIR}/include/attn/attention.hpp attention)
require_match("${readme}" "${loss} [^\n]* for up to ${keys} keys" "README.md, P9: a block of ${keys} keys loses up to ${loss}")
require_match("${attention}" "n <= ${keys} keys" "attention.hpp, accuracy: a block has ${keys} keys")
require_match("${attention}" "${loss} \\|v\\|" "attention.hpp, accuracy: a block of ${keys} keys loses up to ${loss}")

if(problems)
  list(JOIN problems "\n  " problems)
  message(FATAL_ERROR "\n  ${problems}")
endif()
