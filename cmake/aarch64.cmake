# Toolchain: cross-compiles to 64-bit Arm with Debian's g++-aarch64-linux-gnu and runs the result in qemu-user.
# The arm64 BLAS lies in ATTN_ARM64_ROOT, where `sh cmake/dev.sh arm` puts it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(ATTN_ARM64_ROOT "${CMAKE_CURRENT_LIST_DIR}/../build/arm64-root" CACHE PATH "Unpacked arm64 packages")
get_filename_component(ATTN_ARM64_ROOT "${ATTN_ARM64_ROOT}" ABSOLUTE)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ATTN_ARM64_ROOT)
set(arm64_libraries "${ATTN_ARM64_ROOT}/usr/lib/aarch64-linux-gnu")

# Libraries and headers of the target only; packages that are headers alone (Catch2) may come from this machine.
set(CMAKE_FIND_ROOT_PATH "${ATTN_ARM64_ROOT}" /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)

# Debian's packages leave the links in /usr/lib to update-alternatives, which has not run here.
set(CMAKE_LIBRARY_PATH /usr/lib/aarch64-linux-gnu/openblas-pthread)
set(CMAKE_INCLUDE_PATH /usr/include/aarch64-linux-gnu/openblas-pthread)
set(CMAKE_EXE_LINKER_FLAGS_INIT "\"-Wl,-rpath-link,${arm64_libraries}\"")
set(CMAKE_CROSSCOMPILING_EMULATOR
  "qemu-aarch64;-L;/usr/aarch64-linux-gnu;-E;LD_LIBRARY_PATH=${arm64_libraries}:${arm64_libraries}/openblas-pthread")
