#!/bin/bash
# run.sh [--quick] [--no-install] [PART...]: everything that is checked before a change is taken.
#
# Parts, in this order (all of them by default; --quick: release alone):
#   release   builds ./build and runs its tests, the contract tests excepted
#   contract  the built programs from outside: tests/contract and, in Chromium, tests/browser; label `contract`
#   asan      the tests of release with AddressSanitizer and UBSan, in ./build-asan
#   fuzz      the fuzzers of tests/fuzz for some seconds each, with AddressSanitizer and UBSan, in ./build-fuzz
#   tsan      the tests of what has threads with ThreadSanitizer, in ./build-tsan
#   format    clang-format has nothing to change
#   scripts   shellcheck has nothing to say
#   tidy      clang-tidy has nothing to say (only about what changed since it last had nothing to say); it has
#             worked since the first build was done, on what builds and tests left of the processors
# --no-install leaves the machine's packages as they are. The last line is `N passed, N failed`: test cases, and
# one for each part that is no test program. Exit 0 only where nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

all_parts="release contract asan fuzz tsan format scripts tidy"
parts=
install=yes
for argument in "$@"; do
    case $argument in
        --quick) parts="$parts release" ;;
        --no-install) install=no ;;
        -h | --help)
            sed -n '2,/^set /s/^# \{0,1\}//p' tests/run.sh
            exit 0 ;;
        *)
            if [[ " $all_parts " != *" $argument "* ]]; then
                echo "run.sh: \"$argument\" is none of: --quick --no-install $all_parts" >&2
                exit 2
            fi
            parts="$parts $argument" ;;
    esac
done
parts=${parts:-$all_parts}

jobs=$(nproc)
# A build from nothing finds nothing in the cache: what a miss costs must be little.
export CCACHE_DEPEND=1
# What makes the sanitizers' builds quicker still: all sources of a target in one go, and of the debug information the
# lines alone.
quick_build=(-DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DCMAKE_UNITY_BUILD_BATCH_SIZE=0)
tidying= # the process that does it
passed=0
failed=0
failures=()
runner=() # what builds and tests are run under
logs=$(mktemp -d)
trap 'signal_tidy KILL; rm -rf "$logs"' EXIT
trap 'echo "run.sh: interrupted"; exit 130' INT TERM

section() { # with the minutes since the start: what a run's time goes to
    printf '\n=== %s === (%d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60))
}

pass() {
    passed=$((passed + 1))
}

fail() {
    failed=$((failed + 1))
    failures+=("$1")
    echo "FAILED: $1"
}

check() { # NAME COMMAND...: one check that is no test program
    local name=$1
    shift
    if "$@"; then pass; else fail "$name"; fi
}

# build FOLDER TARGETS -D…: configures (cheap when nothing changed) and builds; what it prints is shown only
# when it fails. TARGETS: "all", or names.
build() {
    local folder=$1 targets=$2 log=$logs/build
    shift 2
    # shellcheck disable=SC2086 # the targets are words
    if cmake -S . -B "$folder" -G Ninja -DCIRCUS_TESTS=ON "$@" >"$log" 2>&1 &&
        "${runner[@]}" cmake --build "$folder" -j "$jobs" --target $targets >>"$log" 2>&1; then
        return 0
    fi
    tail -n 60 "$log"
    fail "build of $folder"
    return 1
}

# run_ctest FOLDER ARGUMENT...: adds its cases to the sums, from the figures ctest itself writes down.
run_ctest() {
    local folder=$1 figures=$logs/junit.xml
    shift
    rm -f "$figures"
    "${runner[@]}" ctest --test-dir "$folder" --output-on-failure --timeout 300 --output-junit "$figures" "$@" \
        >"$logs/ctest" 2>&1
    local status=$?
    grep -v -E '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test.* Passed )' "$logs/ctest"
    figure() {
        sed -n "s/^.*[[:space:]]$1=\"\([0-9]*\)\".*\$/\1/p" "$figures" 2>/dev/null | head -n 1
    }
    local total bad skipped off
    total=$(figure tests)
    bad=$(figure failures)
    skipped=$(figure skipped)
    off=$(figure disabled)
    if [ -z "$total" ] || [ "$total" -eq 0 ]; then
        fail "ctest in $folder ran no test"
        return
    fi
    passed=$((passed + total - bad - skipped - off))
    failed=$((failed + bad))
    if [ "$bad" -gt 0 ]; then
        failures+=("$bad tests in $folder")
    elif [ "$status" -ne 0 ]; then
        fail "ctest in $folder ended with $status"
    fi
}

our_files() { # PATTERN...: of the tree as it is, whether it is a clone or an export
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@"
    else
        local pattern
        for pattern in "$@"; do
            find . -path './build*' -prune -o -type f -name "${pattern##*/}" -print
        done
    fi
}

builds_nothing_twice() {
    cmake -S . -B build >/dev/null && cmake --build build -j "$jobs" | tail -n 1 | grep -q "no work to do"
}

part_release() {
    section "release: build"
    build build all -DCMAKE_BUILD_TYPE=RelWithDebInfo || return
    check "a second build, which should have had nothing to do" builds_nothing_twice
    [[ " $parts " != *" tidy "* ]] || start_tidy
    section "release: unit and loop tests"
    run_ctest build -j "$jobs" -LE 'contract|bench'
}

part_contract() {
    section "contract: build"
    build build all -DCMAKE_BUILD_TYPE=RelWithDebInfo || return
    section "contract: the programs from outside"
    # They wait more than they work; and their deadlines are meant for a machine that has not much else to do.
    signal_tidy STOP
    run_ctest build -j $((2 * jobs)) -L contract
    signal_tidy CONT
}

# Programs that were not built, and what is no test program of C++.
not_unit_tests='NOT_BUILT|include_rule|docs_are_what|^abi_|^convert_examples|^sdk_|^plugin_exports'

test_programs() { # FILE...: of these sources
    local file
    for file in "$@"; do
        printf '%s_test ' "$(basename "$file" _test.cc)"
    done
}

part_asan() {
    local targets
    targets=$(test_programs tests/unit/*_test.cc)
    section "asan: build"
    build build-asan "$targets" "${quick_build[@]}" -DCIRCUS_SANITIZE=address,undefined || return
    section "asan: unit and loop tests"
    ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
        run_ctest build-asan -E "$not_unit_tests" -j "$jobs" -LE 'contract|bench'
}

part_fuzz() {
    section "fuzz: build"
    build build-fuzz fuzzers "${quick_build[@]}" -DCIRCUS_TESTS=OFF -DCIRCUS_FUZZ=ON -DCIRCUS_PRECOMPILE=OFF \
        -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_CXX_FLAGS_DEBUG="-g1 -O1" \
        -DCIRCUS_SANITIZE=address,undefined || return
    section "fuzz: some seconds each"
    run_ctest build-fuzz -j "$jobs" -L fuzz
}

# The layers with threads are loop and stream; a test program that includes them is a test of threads. Tests that
# were not built show up in ctest as NOT_BUILT and are left out.
part_tsan() {
    local targets
    # Without the two of the plugin host, which have not been shown to run there.
    # shellcheck disable=SC2046 # names of files
    targets=$(test_programs $(grep -lE '#include "(loop/|stream/|stream_fixture)' tests/unit/*_test.cc |
        grep -vE '/plugin_(host|sinks)_test'))
    # g++ 12's runtime does not know how widely newer kernels spread addresses: none of that, where permitted.
    local runner=(setarch "$(uname -m)" -R)
    "${runner[@]}" true 2>/dev/null || runner=()
    export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1 die_after_fork=0"
    section "tsan: build of $targets"
    build build-tsan "$targets" "${quick_build[@]}" -DCIRCUS_SANITIZE=thread || return
    section "tsan: tests of threads"
    run_ctest build-tsan -E "$not_unit_tests" -j "$jobs" -LE 'contract|bench'
}

check_format() {
    our_files '*.cc' '*.hpp' '*.h' '*.c' | xargs -r clang-format --dry-run -Werror
}

part_format() {
    section "format"
    check "clang-format" check_format
}

start_tidy() { # in a session of its own, so that it can be signalled with all that it has started
    setsid nice -n 19 tests/tidy.py --configure build-tidy -j "$jobs" >"$logs/tidy" 2>&1 &
    tidying=$!
}

signal_tidy() { # SIGNAL
    [ -z "$tidying" ] || kill -s "$1" -- "-$tidying" 2>/dev/null
}

part_tidy() {
    section "tidy"
    [ -n "$tidying" ] || start_tidy
    check "clang-tidy" wait "$tidying"
    tidying=
    cat "$logs/tidy"
}

part_scripts() {
    section "scripts"
    local scripts
    mapfile -t scripts < <(our_files '*.sh' '.ci/run')
    check "shellcheck" shellcheck "${scripts[@]}"
}

if [ "$install" = yes ]; then
    section "packages"
    configs/packages.sh build stack test || exit 1
    configs/packages.sh web || echo "run.sh: without npm the console gets its plain page"
    configs/packages.sh browser || echo "run.sh: without Chromium the console's page is not tested"
fi
for part in $all_parts; do
    [[ " $parts " != *" $part "* ]] || "part_$part"
done

section "result"
[ "${#failures[@]}" -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
