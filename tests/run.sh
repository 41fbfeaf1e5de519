#!/bin/sh
# Runs every test: installs what is missing, builds, starts the real servers, runs the suites, ends what it started.
#
#   sh tests/run.sh                        everything
#   sh tests/run.sh --only unit,behaviour  these suites (see --list)
#   sh tests/run.sh --only behaviour:test_ids,test_wiring   these modules of a suite
#
# The last line is `N passed, N failed`, followed by `, N skipped` when something was skipped. With CI=true a skipped test
# fails the run unless tests/skips.txt names it with a reason. Logs are in build/test-logs.
set -eu

SUITES="lint unit crash behaviour clang tsan"
BUILD_PACKAGES="ca-certificates cmake ninja-build pkg-config gcc g++ libmicrohttpd-dev libjansson-dev libsodium-dev
    libssl-dev libsqlite3-dev libcurl4-openssl-dev libexpat1-dev libhdf5-dev libtomlplusplus-dev"
TEST_PACKAGES="check clang clang-format clang-tidy cppcheck shellcheck curl git python3 python3-boto3 python3-h5py python3-yaml
    python3-jsonschema buildah mmdebstrap swift-proxy swift-account swift-container swift-object python3-swift chromium"

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
logs=$root/build/test-logs
run_dir=

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0"
}

# ---- options ----
only=
modules=
while [ $# -gt 0 ]; do
    case $1 in
    --only)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        only=$2
        shift
        ;;
    --list)
        echo "$SUITES"
        exit 0
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
case $only in
*:*)
    modules=$(echo "${only#*:}" | tr ',' ' ')
    only=${only%%:*}
    ;;
esac
for suite in $(echo "$only" | tr ',' ' '); do
    case " $SUITES " in
    *" $suite "*) ;;
    *)
        echo "tests/run.sh: no suite '$suite'; there are: $SUITES" >&2
        exit 2
        ;;
    esac
done

wanted() {
    [ -z "$only" ] && return 0
    case ",$only," in *",$1,"*) return 0 ;; esac
    return 1
}

# ---- what it leaves behind: nothing ----
end_servers() {
    [ -d "$run_dir/swift/run" ] || return 0
    tests/servers/stop "$run_dir/swift" && return 0
    echo "tests/run.sh: Swift could not be ended" >&2
    return 1
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$run_dir" ]; then
        end_servers || status=1
        rm -rf "$run_dir"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- packages ----
install_missing() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        echo "tests/run.sh: not a Debian system; these packages' contents are needed: $*" >&2
        return 0
    fi
    missing=
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "tests/run.sh: run as root: apt-get install$missing" >&2
            exit 1
        fi
        as_root="sudo"
    fi
    echo "installing:$missing"
    # $missing is a list; $as_root may be nothing.
    # shellcheck disable=SC2086
    if ! (
        export DEBIAN_FRONTEND=noninteractive
        $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing
    ) >"$logs/apt.log" 2>&1 </dev/null; then
        tail -n 20 "$logs/apt.log" >&2
        echo "tests/run.sh: apt-get could not install:$missing" >&2
        exit 1
    fi
}

# ---- results ----
passed=0
failed=0
skipped=0

# count PASSED FAILED SKIPPED
count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

show_log() {
    echo "---- the end of build/test-logs/$1.log ----"
    tail -n "${2:-80}" "$logs/$1.log"
    echo "----"
}

# run NAME COMMAND... : one step that passes or fails as a whole
run() {
    name=$1
    shift
    begun=$(date +%s)
    if "$@" >"$logs/$name.log" 2>&1 </dev/null; then
        printf '%-12s ok, %s s\n' "$name" $(($(date +%s) - begun))
        return 0
    fi
    printf '%-12s FAILED, %s s\n' "$name" $(($(date +%s) - begun))
    show_log "$name"
    return 1
}

# build PRESET, as a step for run
# shellcheck disable=SC2317 # called by run
build() {
    cmake --preset "$1" && cmake --build --preset "$1"
}

# tally NAME STATUS : adds what NAME's log counted. Whoever failed without a failed case counts as one.
tally() {
    # shellcheck disable=SC2046 # three numbers
    set -- "$1" "$2" $(awk -f tests/tally.awk "$logs/$1.log")
    if [ "$2" -ne 0 ] && [ "$4" -eq 0 ]; then set -- "$1" "$2" "$3" 1 "$5"; fi
    count "$3" "$4" "$5"
    printf '%-12s %s passed, %s failed, %s skipped\n' "$1" "$3" "$4" "$5"
}

# lint : each of its steps is a case
lint() {
    status=0
    sh tests/lint/run.sh >"$logs/lint.log" 2>&1 </dev/null || status=$?
    tally lint "$status"
    if [ "$status" -ne 0 ]; then show_log lint; fi
}

# programs NAME PRESET [ctest options] : runs the check programs of a build
programs() {
    name=$1
    preset=$2
    shift 2
    status=0
    # A deadline is there to end what hangs; check's own of 4 s is too near on a busy machine.
    CK_DEFAULT_TIMEOUT=60 ctest --test-dir "build/$preset" -V -j "$(nproc)" --timeout 300 "$@" \
        >"$logs/$name.log" 2>&1 </dev/null || status=$?
    tally "$name" "$status"
    if [ "$status" -ne 0 ]; then
        grep -E ':[FE]:|Sanitizer|runtime error|\*\*\*' "$logs/$name.log" | head -n 60 || true
        show_log "$name" 40
    fi
}

# behaviour NAME PRESET [module...] : runs behaviour suites against the daemon of a build and records their traffic
behaviour() {
    name=$1
    preset=$2
    shift 2
    status=0
    LAILAD_RECORD="$root/build/traffic/$name" LAILAD="$root/build/$preset/server/lailad" \
        /usr/bin/python3 tests/behaviour/run.py "$@" \
        >"$logs/$name.log" 2>&1 </dev/null || status=$?
    tally "$name" "$status"
    if [ "$status" -ne 0 ]; then show_log "$name" 200; fi
}

# traffic NAME [--complete] : holds the traffic that behaviour NAME recorded to openapi.yaml
traffic() {
    name=$1
    shift
    status=0
    /usr/bin/python3 tests/openapi/validate.py "$@" openapi.yaml "build/traffic/$name"/*.jsonl \
        >"$logs/traffic-$name.log" 2>&1 </dev/null || status=$?
    tally "traffic-$name" "$status"
    if [ "$status" -ne 0 ]; then show_log "traffic-$name" 200; fi
}

# ---- the real S3 server ----
# Before the build: both at once starve each other on two cores.
# shellcheck disable=SC2317 # called by run
swift_to_file() {
    tests/servers/start_swift "$run_dir/swift" >"$run_dir/swift.ready"
}

start_swift() {
    if run swift swift_to_file; then
        LAILAD_TEST_S3=$(sed -n 's/^ready //p' "$run_dir/swift.ready")
        export LAILAD_TEST_S3
    else
        count 0 1 0
    fi
}

# ---- the run ----
mkdir -p "$logs"
rm -f "$logs"/*.log
rm -rf build/traffic
begun_all=$(date +%s)
# A Node.js from elsewhere brings an npm of its own, which Debian's package would collide with.
command -v npm >/dev/null 2>&1 || TEST_PACKAGES="$TEST_PACKAGES nodejs npm"
# shellcheck disable=SC2086 # lists
install_missing $BUILD_PACKAGES $TEST_PACKAGES
# Beside the checkout rather than in /tmp: Swift needs a file system with extended attributes.
run_dir=$(mktemp -d "$root/build/run.XXXXXX")

if wanted unit || wanted behaviour; then
    start_swift
fi
if wanted lint; then
    lint
fi
if wanted unit || wanted crash || wanted behaviour; then
    built=yes
    run build build dev || { built=no; count 0 1 0; }
    if [ $built = yes ]; then
        if wanted unit; then
            programs unit dev -LE crash
        fi
        if wanted crash; then
            programs crash dev -L crash
        fi
        if wanted behaviour; then
            # shellcheck disable=SC2086 # a list
            behaviour behaviour dev $modules
            # What nobody answered can only be told after all modules.
            complete=
            [ -n "$modules" ] || complete=--complete
            # shellcheck disable=SC2086 # nothing, or one option
            traffic behaviour $complete
        fi
    fi
fi
if wanted clang; then
    if run clang build clang; then count 1 0 0; else count 0 1 0; fi
fi
if wanted tsan; then
    if run tsan-build build tsan; then
        # The sanitizer follows threads, not check's forks. Third-party servers and fuzz corpora gain nothing here.
        export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions='$root/tests/tsan.supp'"
        CK_FORK=no programs tsan tsan -E 'fuzz|contract|replay|live' -LE crash
        # Where requests, flights, fills and rewiring meet.
        behaviour tsan-daemon tsan test_coalescing test_chain_semantics test_wiring test_process
        traffic tsan-daemon
    else
        count 0 1 0
    fi
fi

end_servers || count 0 1 0

# ---- skipped tests ----
unexplained=0
if [ "$skipped" -gt 0 ]; then
    sed -n -e 's/^skipped: //p' -e 's/.*Test *#[0-9]*: \([^ ]*\) .*\*\*\*Skipped.*/\1 (says its program)/p' "$logs"/*.log |
        sort -u >"$run_dir/skipped"
    while IFS= read -r line; do
        name=${line%% *}
        if grep -q "^$name " tests/skips.txt; then
            echo "skipped, as tests/skips.txt says: $line"
        else
            echo "skipped: $line"
            unexplained=$((unexplained + 1))
        fi
    done <"$run_dir/skipped"
fi

echo "took $(($(date +%s) - begun_all)) s"
verdict=0
[ "$failed" -eq 0 ] || verdict=1
if [ "${CI:-}" = true ] && [ "$unexplained" -gt 0 ]; then
    echo "$unexplained skipped without a reason in tests/skips.txt: a failure under CI"
    verdict=1
fi
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
exit $verdict
