#!/usr/bin/env bash
# The one build configuration: release with testability. Demo and tests share every object file, so nothing is
# compiled twice.
#
#   Scripts/build.sh product          builds .build/release/skein, setting up what is missing
#   Scripts/build.sh tests            also builds the tests
#   Scripts/build.sh test [flags…]    runs the tests that were built, one after the other
#   Scripts/build.sh core [flags…]    builds and tests the pure targets alone, the only debug build there is
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'build: %s\n' "$*" >&2; }
what=${1:-}
[ $# -gt 0 ] && shift

# SwiftPM leaves its temporary folders behind, dozens a run: here, those of earlier days go. No test has a socket there:
# the path of one is at most 107 bytes long, and that of a checkout may be longer.
temporary="$PWD/.build/tmp"
mkdir -p "$temporary"
find "$temporary" -mindepth 1 -maxdepth 1 -type d -mtime +0 -exec rm -rf {} +

flags=(-c release -Xswiftc -enable-testing --explicit-target-dependency-import-check error)
swift_in_release() { # swift_in_release build|test …
    local command=$1
    shift
    PKG_CONFIG_PATH="$(Scripts/llama.sh path)/lib/pkgconfig" TMPDIR="$temporary" \
        swift "$command" "${flags[@]}" "$@" </dev/null
}
build() {
    say "building in release; the first time this compiles the packages that Skein uses, too"
    swift_in_release build "$@" || {
        say "the build failed; the first 'error:' above names file and line"
        say "next step: when a package could not be fetched, check the network; when nothing explains it: make clean"
        exit 1
    }
}

case $what in
    product | tests)
        Scripts/setup.sh
        Scripts/llama.sh libs
        if [ "$what" = tests ]; then build --build-tests; else build --product skein; fi
        ;;
    # One after the other: many tests wait for sockets, processes and deadlines. All at once, on the few threads that
    # carry Swift's tasks, each would take as long as all of them, and a long computation would stop the others' clocks
    # from being looked at. What is dear uses every core by itself.
    test) swift_in_release test --skip-build --disable-xctest --no-parallel "$@" ;;
    # A build of its own, in debug: assertions are on only there. Overflow is checked in release, too.
    core)
        CORE_ONLY=1 TMPDIR="$temporary" swift test --scratch-path .build/core --disable-xctest \
            --explicit-target-dependency-import-check error "$@" </dev/null
        ;;
    *)
        sed -n '2,8p' "$0" >&2
        exit 2
        ;;
esac
