#!/bin/sh
# One command for each thing that a developer does. Each one sets up what it needs.
#   sh cmake/dev.sh demo      build and run two examples
#   sh cmake/dev.sh test      build and run all tests, once per instruction set
#   sh cmake/dev.sh bench     build and run the benchmarks; further arguments go to attn_bench
#   sh cmake/dev.sh arm       build for 64-bit Arm and run the tests in emulation
#   sh cmake/dev.sh peers     compare with other libraries; further arguments go to bench/peers.py
#   sh cmake/dev.sh format    run clang-format over the sources
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 2)

say() { echo "== $*"; }
stop() {
  echo "error: $*" >&2
  exit 1
}

has_header() {
  for folder in /usr/include /usr/include/openblas /usr/local/include; do
    if echo "#include <$1>" | "${CXX:-c++}" -x c++ -E -I"$folder" - >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

has_mpi() { command -v mpicxx && command -v mpiexec; }

# Is what this Debian package gives already here, from wherever?
has() {
  case $1 in
    g++) command -v "${CXX:-c++}" ;;
    binutils) command -v nm && command -v objdump ;;
    g++-aarch64-linux-gnu) command -v aarch64-linux-gnu-g++ ;;
    libopenblas-dev) has_header cblas.h ;;
    catch2) has_header catch2/catch.hpp || has_header catch2/catch_all.hpp ;;
    libbenchmark-dev) has_header benchmark/benchmark.h ;;
    qemu-user) command -v qemu-x86_64 && command -v qemu-aarch64 ;;
    libopenmpi-dev) has_mpi ;;
    python3-venv) python3 -c 'import ensurepip' 2>&1 ;;
    openmpi-bin) has_mpi ;;
    *) command -v "$1" ;;
  esac >/dev/null
}

# Installs those of the given Debian packages that are missing; calls apt-get only if there are any.
need() {
  missing=
  for package in "$@"; do
    has "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || stop "this system has no apt-get; install what Debian calls:$missing"
  root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "run this as root, or install:$missing"
    root=sudo
  fi
  say "installing:$missing"
  $root apt-get -qq update
  # shellcheck disable=SC2086  # one word for each package
  $root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

# The presets of CMakePresets.json; further arguments go to the build.
build() {
  preset=$1
  shift
  say "configuring build/$preset"
  cmake --preset "$preset" >"build/$preset.log" 2>&1 || { cat "build/$preset.log" >&2; stop "cmake failed"; }
  say "building build/$preset"
  cmake --build --preset "$preset" -j "$jobs" "$@" >"build/$preset.log" 2>&1 ||
    { cat "build/$preset.log" >&2; stop "the build failed"; }
}

demo() {
  need g++ cmake make libopenblas-dev catch2
  build release --target example_seed example_minilm
  for example in seed minilm; do
    say "example_$example"
    build/release/tests/example_$example tests/data
  done
}

test_all() {
  set -- g++ cmake make libopenblas-dev catch2 binutils
  # These serve single tests and the benchmarks, which are left out on systems that do not have them.
  if command -v apt-get >/dev/null; then set -- "$@" libbenchmark-dev libopenmpi-dev openmpi-bin pkg-config python3 qemu-user; fi
  need "$@"
  build release
  say "testing build/release"
  ctest --preset release -j "$jobs"
}

bench() {
  need g++ cmake make libopenblas-dev catch2 libbenchmark-dev
  build release --target attn_bench
  say "attn_bench"
  build/release/bench/attn_bench "$@"
}

# Downloads the arm64 BLAS with an apt state of its own, so that the system's packages and sources stay as they are.
get_arm64_blas() {
  [ ! -e build/arm64-root/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so ] || return 0
  command -v apt-get >/dev/null || stop "this system has no apt-get; put an arm64 OpenBLAS into build/arm64-root"
  say "downloading OpenBLAS for arm64 into build/arm64-root"
  state=$PWD/build/arm64-apt
  rm -rf "$state"
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/packages"
  : >"$state/status"
  set -- -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
    -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state"
  # shellcheck source=/dev/null
  . /etc/os-release
  if [ "$ID" = ubuntu ]; then  # its servers for arm64 are others
    for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-updates"; do
      echo "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://ports.ubuntu.com/ubuntu-ports $suite main universe"
    done >"$state/sources.list"
    set -- "$@" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
  fi
  apt-get "$@" update
  (cd "$state/packages" && apt-get "$@" download libopenblas0-pthread libopenblas-pthread-dev libgfortran5)
  for package in "$state"/packages/*.deb; do dpkg-deb -x "$package" build/arm64-root; done
  rm -rf "$state"
}

arm() {
  if [ "$(uname -m)" = aarch64 ]; then
    say "this is a 64-bit Arm machine: the tests need no emulation"
    test_all
    return
  fi
  need g++ cmake make catch2 g++-aarch64-linux-gnu qemu-user
  get_arm64_blas
  build arm
  say "testing build/arm in emulation"
  ATTN_TEST_QUICK=1 ctest --preset arm -j "$jobs"
}

peers() {
  need g++ cmake make libopenblas-dev catch2 python3 python3-venv
  if [ ! -e build/peers-env/complete ]; then
    say "installing the other libraries into build/peers-env (about 6 GB)"
    python3 -m venv build/peers-env
    build/peers-env/bin/python -m pip install -q numpy onnx onnxruntime openvino torch
    touch build/peers-env/complete
  fi
  build shared --target attn
  build/peers-env/bin/python bench/peers.py --library build/shared/libattn.so "$@"
}

format() {
  need clang-format
  find include src simd tests bench cmake \( -name '*.[ch]pp' -o -name '*.[ch]' \) -exec clang-format -i {} +
}

mkdir -p build
command=${1:-}
[ $# = 0 ] || shift
case $command in
  demo | bench | arm | peers | format) "$command" "$@" ;;
  test) test_all ;;
  *) sed -n '2,8s/^# //p' "$0"; exit 2 ;;
esac
