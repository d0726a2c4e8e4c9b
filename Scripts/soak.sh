#!/usr/bin/env bash
# Sends thousands of mixed requests to a node of its own, the built-in model in two stages, and looks for what stays
# behind: requests that never end, lanes and cells that do not come back, memory that grows.
#
#   Scripts/soak.sh [--requests 10000] [--minutes 60] [--stages 2] [--seed 1]
#
# Ends with 0 when nothing was found, else with 1. SKEIN_BIN names the binary under test (.build/release/skein).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export SKEIN_BIN="${SKEIN_BIN:-$root/.build/release/skein}"
[[ -x "$SKEIN_BIN" ]] || {
    echo "soak: there is no binary at $SKEIN_BIN; build it (make build) or name one with SKEIN_BIN" >&2
    exit 2
}
exec "${PYTHON:-python3}" -B "$root/Scripts/soak.py" "$@"
