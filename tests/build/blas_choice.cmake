# Which BLAS the build takes, on a machine that has nothing but what is put there: by what it does, never by its name or
# its header.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK_DIR})

# A folder with the library `name`; further arguments say what is in it (fake_blas.cpp).
function(provide folder name)
  file(MAKE_DIRECTORY ${WORK_DIR}/${folder})
  run(${CXX} -shared -fPIC ${ARGN} ${CMAKE_CURRENT_LIST_DIR}/blas_choice/fake_blas.cpp -o ${WORK_DIR}/${folder}/lib${name}.so)
endfunction()

# Configuring with that folder alone must end with `result` (0 or 1) and say `what`.
function(expect folder result what)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/blas_choice -B ${WORK_DIR}/${folder}/build
    -G ${GENERATOR} -DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM} -DCMAKE_CXX_COMPILER=${CXX} -DATTN_SOURCE_DIR=${SOURCE_DIR} -DCMAKE_LIBRARY_PATH=${WORK_DIR}/${folder}
    -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF -DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF ${ARGN}
    RESULT_VARIABLE got OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(NOT got EQUAL result OR NOT output MATCHES "${what}")
    message(FATAL_ERROR "${folder} ${ARGN}: ended with ${got}, expected ${result} and \"${what}\":\n${output}")
  endif()
endfunction()

# A header that belongs to none of them.
file(WRITE ${WORK_DIR}/include/cblas.h "#error not the header of this BLAS\n")
set(ENV{CPLUS_INCLUDE_PATH} ${WORK_DIR}/include)

file(MAKE_DIRECTORY ${WORK_DIR}/nothing)
expect(nothing 1 "attn needs a BLAS.*Debian: libopenblas-dev.*-DATTN_BLAS=OFF")

provide(reference blas -DFORTRAN -DINT=int)
expect(reference 0 "attn: BLAS Generic.*slow.*Debian: libopenblas-dev")
expect(reference 1 "attn needs a BLAS.*tried: OpenBLAS" -DBLA_VENDOR=OpenBLAS)  # asked for by name: no other
expect(reference 0 "attn: BLAS Generic" -DBLA_VENDOR=Generic)

# The same build folder, after an OpenBLAS has been installed.
provide(later blas -DFORTRAN -DINT=int)
expect(later 0 "attn: BLAS Generic")
provide(later openblas -DFORTRAN -DINT=int)
expect(later 0 "attn: BLAS OpenBLAS")

provide(no_c_interface openblas -DFORTRAN)
expect(no_c_interface 1 "OpenBLAS .*: no program that calls cblas_sgemm can be built")
provide(no_c_interface blas -DFORTRAN -DINT=int)
expect(no_c_interface 0 "attn: BLAS Generic")

provide(wide openblas -DFORTRAN "-DINT=long long")
expect(wide 1 "ILP64")
provide(wide blis -DFORTRAN -DINT=int)
expect(wide 0 "attn: BLAS FLAME")

provide(wrong openblas -DFORTRAN -DINT=int -DWRONG=1)
expect(wrong 1 "cannot multiply")

provide(separate blas -DFORTRAN)
provide(separate cblas -DINT=int)
expect(separate 0 "attn: BLAS Generic, [^ ]*libcblas[^ ]*;[^ ]*libblas")
