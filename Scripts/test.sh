#!/usr/bin/env bash
# Sets up as far as needed and runs every test, cheap ones first; stops at the first red phase. Prints the seconds of
# each phase and a table at the end.
#
#   Scripts/test.sh             every phase
#   Scripts/test.sh core lint   these phases only
#
# SETUP_ONLY=1 stops after the set-up; FILTER=… is handed to swift test --filter.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
say() { printf 'test: %s\n' "$*" >&2; }
filter=()
if [ -n "${FILTER:-}" ]; then filter=(--filter "$FILTER"); fi

phase_setup() { Scripts/setup.sh tests; }
phase_lint() {
    swift format lint --strict --recursive --parallel Package.swift Sources Tests Fuzz || {
        say "next step: make format; what it cannot mend is named above"
        return 1
    }
}
phase_core() { Scripts/build.sh core ${filter[@]+"${filter[@]}"}; }
phase_engine() { Scripts/llama.sh libs; }
phase_build() { Scripts/build.sh tests; }
phase_tests() { Scripts/build.sh test ${filter[@]+"${filter[@]}"}; }
phase_conformance() { Scripts/conformance.sh; }
# The tests of discovery and of idle models take longer, and one of them has failed once: `make cluster-test` runs all.
phase_cluster() { Scripts/cluster-test.sh -k test_cluster.py; }

phases=(setup lint core engine build tests)
if [ -f Scripts/conformance.sh ]; then phases+=(conformance cluster); fi
if [ $# -gt 0 ]; then phases=("$@"); fi
if [ -n "${SETUP_ONLY:-}" ]; then phases=(setup); fi

# The lines of a log that say what failed, told last so that nobody has to look for them: of swift test, of the
# compiler and of pytest.
failures() {
    say "what failed, from the log in $1:"
    grep -E '^✘|(^|[ :])error:|^(FAILED|ERROR) |^E  ' "$1" | awk '!seen[$0]++' | head -60 >&2 || true
}

table=""
row() { table+=$(printf '  %-12s %5s s  %s' "$1" "$2" "$3")$'\n'; }
finish() {
    trap - EXIT
    [ -z "$table" ] && return
    printf '\n%s  %-12s %5s s\n' "$table" total "$SECONDS"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir -p .build/logs
for phase in "${phases[@]}"; do
    if ! declare -F "phase_$phase" >/dev/null; then
        say "there is no phase '$phase'; the phases are setup lint core engine build tests conformance cluster"
        exit 2
    fi
    begin=$SECONDS
    printf '\n== %s\n' "$phase"
    # Not inside a condition: there bash would ignore errors within the phase.
    set +e
    (set -e; "phase_$phase") 2>&1 | tee ".build/logs/$phase.log"
    code=$?
    set -e
    if [ "$code" -ne 0 ]; then
        row "$phase" $((SECONDS - begin)) "FAILED (exit code $code)"
        failures ".build/logs/$phase.log"
        say "$phase failed; again, alone: Scripts/test.sh $phase"
        exit 1
    fi
    row "$phase" $((SECONDS - begin)) passed
    printf '== %s passed in %s s\n' "$phase" $((SECONDS - begin))
done
