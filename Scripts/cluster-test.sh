#!/usr/bin/env bash
# Runs the tests of Tests/ClusterLab: four nodes as processes of their own in four network namespaces with veth links.
#
#   Scripts/cluster-test.sh [pytest arguments]
#
# Everything happens in a network and mount namespace of its own, which ends with the run: nothing is left behind, and
# nothing of it can be reached from outside. Needs Linux, root and iproute2; elsewhere it is skipped with the reason.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tests="$root/Tests/ClusterLab"
export SKEIN_BIN="${SKEIN_BIN:-$root/.build/release/skein}"

say() { printf 'cluster-test: %s\n' "$*" >&2; }
skip() {
    say "skipped: $*"
    exit 0
}

[[ "$(uname -s)" == Linux ]] || skip "network namespaces are Linux's; this is $(uname -s)"
[[ "$(id -u)" == 0 ]] || skip "making network namespaces needs root; run it as root"
command -v ip >/dev/null 2>&1 || PATH="$PATH:/usr/sbin:/sbin"
command -v ip >/dev/null 2>&1 || skip "there is no ip command; install iproute2"
unshare --net --mount true 2>/dev/null || skip "this kernel or container forbids new network namespaces"
[[ -x "$SKEIN_BIN" ]] || {
    say "there is no binary at $SKEIN_BIN; build it (make build) or name one with SKEIN_BIN"
    exit 2
}
# The packages come over the network, which the namespace does not have.
python="$("$root/Scripts/sdks.sh")"

began=$SECONDS
status=0
unshare --net --mount "$python" -B -m pytest -q -s -p no:cacheprovider --rootdir "$tests" -c "$tests/pytest.ini" \
    "$@" "$tests" || status=$?
if [[ $status == 0 ]]; then
    say "all passed in $((SECONDS - began)) s ($SKEIN_BIN)"
else
    say "failed with code $status after $((SECONDS - began)) s ($SKEIN_BIN)"
fi
exit "$status"
