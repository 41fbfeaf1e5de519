#!/bin/sh
# run.sh - every static check of the tree: house rules, layers, format, shell, clang-tidy, cppcheck, gcc's analyzer.
#
#   sh tests/lint/run.sh [STEP...]    steps: rules routes openapi format shell tidy cppcheck analyzer (default: all but
# routes, which needs the test programs built and which ctest runs)
#
# Tools whose findings change with their version are pinned to Debian 12's. There another version is a failure; on other
# systems the step is skipped, and its line `skipped: lint.STEP reason` says why. LINT_STRICT=1 or 0 overrules that.
# openapi is skipped wherever the registry of npm cannot be reached. Build folders: build/lint, build/analyzer, build/openapi. The last line, `cases: PASSED FAILED SKIPPED`, counts steps and is read by
# tests/run.sh. Exit status 1 when a step failed.
set -u
cd "$(dirname "$0")/../.." || exit 1

JOBS=$(nproc)
passed=0
failed=0
skipped=0
reason=

is_debian_12() {
    grep -qsx 'ID=debian' /etc/os-release && grep -qsx 'VERSION_ID="12"' /etc/os-release
}

if [ -z "${LINT_STRICT:-}" ]; then
    if is_debian_12; then LINT_STRICT=1; else LINT_STRICT=0; fi
fi

say() {
    printf '%s\n' "lint: $*"
}

# pinned TOOL WANTED: whether the tool is there in the wanted version; else 77, and $reason says what is wrong.
pinned() {
    version=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
    case "$version" in
    "$2" | "$2".*) return 0 ;;
    esac
    reason="$1 $2 is pinned, found ${version:-none}"
    return 77
}

c_files() {
    find "$@" -name '*.[ch]' -type f | sort
}

configure() {
    folder=$1
    shift
    cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
        -DLAILAD_TESTS=OFF "$@" >"$folder.log" 2>&1 || {
        cat "$folder.log"
        return 1
    }
}

step_rules() {
    python3 tests/lint/test_lint.py && python3 tests/lint/lint.py
}

step_routes() {
    python3 tests/lint/routes_match_openapi.py
}

# Redocly's linter over openapi.yaml; it comes from npm in the version that tests/openapi/package-lock.json pins.
step_openapi() {
    must=
    programs=$(tests/openapi/tools 2>build/openapi.reason)
    status=$?
    reason=$(cat build/openapi.reason)
    [ "$status" -eq 0 ] || return "$status"
    reason=
    REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
        "$programs/redocly" lint --config tests/openapi/redocly.yaml --max-problems 1000 openapi.yaml
}

step_format() {
    pinned clang-format 14 || return
    c_files pools api server tests | xargs clang-format --dry-run -Werror
}

step_shell() {
    find . -name '*.sh' -not -path './build/*' -not -path './.git/*' -print0 | xargs -0 shellcheck .ci/run
}

step_tidy() {
    pinned clang-tidy 14 || return
    configure build/lint || return
    # One file a process: version 14 carries state from one file to the next.
    find pools api server -name '*.c' -print0 | sort -z |
        xargs -0 -n 1 -P "$JOBS" clang-tidy --quiet -p build/lint 2>/dev/null
}

step_cppcheck() {
    pinned cppcheck 2.10 || return
    find pools api server -name '*.c' |
        cppcheck --enable=warning,performance,portability --std=c11 -D_GNU_SOURCE -D__linux__ -I. \
            --error-exitcode=1 --quiet -j "$JOBS" --file-list=-
}

step_analyzer() {
    pinned gcc 12 || return
    # Without its leak check: version 12 loses pointers that are stored at a variable index of an array. Leaks are looked
    # for by clang-tidy, cppcheck and, in every test, LeakSanitizer.
    configure build/analyzer -DCMAKE_C_COMPILER=gcc \
        "-DCMAKE_C_FLAGS=-O1 -fanalyzer -Wno-analyzer-malloc-leak" || return
    ninja -C build/analyzer -j "$JOBS" -k 0 --quiet
}

run_step() {
    started=$(date +%s)
    reason=
    must=$LINT_STRICT # whether a tool that is missing is a failure
    "step_$1"
    status=$?
    took=$(($(date +%s) - started))
    if [ "$status" -eq 77 ] && [ "$must" != 1 ]; then
        printf '%s\n' "skipped: lint.$1 $reason"
        skipped=$((skipped + 1))
    elif [ "$status" -ne 0 ]; then
        say "$1: FAILED (${took} s)${reason:+, $reason}"
        failed=$((failed + 1))
    else
        say "$1: ok (${took} s)"
        passed=$((passed + 1))
    fi
}

mkdir -p build
[ $# -gt 0 ] || set -- rules openapi format shell tidy cppcheck analyzer
for step in "$@"; do
    run_step "$step"
done
echo "cases: $passed $failed $skipped"
[ "$failed" -eq 0 ]
