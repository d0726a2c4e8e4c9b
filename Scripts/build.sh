#!/usr/bin/env bash
# The one build configuration: release with testability. Demo and tests share every object file, so nothing is
# compiled twice.
#
#   Scripts/build.sh product          builds .build/release/skein, setting up what is missing
#   Scripts/build.sh tests            also builds the tests
#   Scripts/build.sh test [flags…]    runs the tests that were built, one after the other
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'build: %s\n' "$*" >&2; }
what=${1:-}
[ $# -gt 0 ] && shift

flags=(-c release -Xswiftc -enable-testing --explicit-target-dependency-import-check error)
swift_in_release() { # swift_in_release build|test …
    local command=$1
    shift
    PKG_CONFIG_PATH="$(Scripts/llama.sh path)/lib/pkgconfig" swift "$command" "${flags[@]}" "$@" </dev/null
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
    *)
        sed -n '2,8p' "$0" >&2
        exit 2
        ;;
esac
