#!/usr/bin/env bash
# Certifies every family the pinned engine can write: see docs/internals/cutting.md. Takes about half an hour on two cores.
# CORPUS=folder certifies other models; LAYERS=n deepens them to another depth.
set -euo pipefail
cd "$(dirname "$0")/.."
Scripts/llama.sh archs
prefix=$(Scripts/llama.sh path)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/skein"
corpus="${CORPUS:-$cache/archs}"
if [ -z "${CORPUS:-}" ] && [ -z "$(ls "$corpus" 2>/dev/null)" ]; then
    mkdir -p "$corpus"
    echo "writing small random models of every architecture into $corpus" >&2
    "$prefix/bin/test-llama-archs" -o "$corpus" >"$cache/archs.log" 2>&1 </dev/null ||
        { tail -5 "$cache/archs.log" >&2; rm -rf "$corpus"; exit 1; }
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/skein-certify.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 Scripts/certify.py .build/release/skein "$corpus" "$work" docs/certified-families.md --layers "${LAYERS:-12}"
