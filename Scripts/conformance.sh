#!/usr/bin/env bash
# Runs the black-box tests of Tests/Conformance: real SDKs against the real binary.
#
#   Scripts/conformance.sh [pytest arguments]
#
# SKEIN_BIN        the binary under test (.build/release/skein)
# PYTHON           a Python of version 3.11 or later (found by itself)
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tests="$root/Tests/Conformance"
export SKEIN_BIN="${SKEIN_BIN:-$root/.build/release/skein}"

say() { printf 'conformance: %s\n' "$*" >&2; }

[[ -x "$SKEIN_BIN" ]] || {
    say "there is no binary at $SKEIN_BIN; build it (make build) or name one with SKEIN_BIN"
    exit 2
}
python="$("$root/Scripts/sdks.sh")"

began=$SECONDS
status=0
"$python" -B -m pytest -q -p no:cacheprovider --rootdir "$tests" -c "$tests/pytest.ini" "$@" "$tests" || status=$?
if [[ $status == 0 ]]; then
    say "all passed in $((SECONDS - began)) s ($SKEIN_BIN)"
else
    say "failed with code $status after $((SECONDS - began)) s ($SKEIN_BIN)"
fi
exit "$status"
