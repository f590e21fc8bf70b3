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
file(READ ${SOURCE_DIR}/bench/reading.cpp reading)
file(READ ${SOURCE_DIR}/simd/README.md rooms)
file(READ ${SOURCE_DIR}/bench/peers/limits.py peers)
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
  file(READ ${SOURCE_DIR}/simd/lanes_${isa}.hpp lanes)
  set(base ${isa})
  if(lanes MATCHES "include \"lanes_([a-z0-9]+)\\.hpp\"")  # it takes those of another
    set(base ${CMAKE_MATCH_1})
    file(READ ${SOURCE_DIR}/simd/lanes_${base}.hpp lanes)
  endif()
  string(REGEX MATCH "tile_rows = ([0-9]+)" _ "${lanes}")
  set(tile "${CMAKE_MATCH_1}")
  string(REGEX MATCH "tile_vectors = ([0-9]+)" _ "${lanes}")
  math(EXPR columns "16 * ${CMAKE_MATCH_1}")
  require_match("${readme}" "\n\\| `${isa}` \\|[^\n]*\\| ${tile} × ${columns} \\|" "README.md: the tile of ${isa} is ${tile} × ${columns}")
  if(NOT isa STREQUAL "scalar")
    require_match("${build}" "set\\(ATTN_ISAS [^)]*${isa}[ )]" "CMakeLists.txt: ATTN_ISAS lacks ${isa}")
    require_match("${dispatch}" "ifdef ATTN_HAVE_${upper}" "src/dispatch.cpp does not ask for ATTN_HAVE_${upper}")
    require_match("${peak}" "{\"${isa}\", ${base}," "bench/peak.cpp does not measure the peak of ${isa}")
    require_match("${reading}" "\"${isa}\"\\) == 0\\) return ${base};" "bench/reading.cpp does not read with ${isa}")
  endif()
  # The best of x86 and of Arm need no limit.
  if(NOT isa STREQUAL best AND NOT isa STREQUAL "neonbf16")
    require_match("${peers}" "\n    \"${isa}\": {" "bench/peers/limits.py: LIMITS lacks ${isa}")
  endif()
endforeach()

# ---- The rooms of simd/ ----

file(GLOB headers RELATIVE ${SOURCE_DIR}/simd ${SOURCE_DIR}/simd/*.hpp)
foreach(header IN LISTS headers)
  require_match("${rooms}" "`${header}`" "simd/README.md does not name ${header}")
endforeach()

# ---- Examples ----

file(READ ${SOURCE_DIR}/tests/examples/README.md readme_of_examples)
file(GLOB examples RELATIVE ${SOURCE_DIR}/tests/examples ${SOURCE_DIR}/tests/examples/*.cpp)
foreach(example IN LISTS examples)
  require_match("${readme_of_examples}" "\\(${example}\\)" "tests/examples/README.md does not name ${example}")
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
