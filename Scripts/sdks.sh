#!/usr/bin/env bash
# Makes the Python environment of the black-box tests, with the real SDKs, and prints the path of its python.
#
#   Scripts/sdks.sh
#
# PYTHON           a Python of version 3.11 or later (found by itself)
# The packages live in ${XDG_CACHE_HOME:-~/.cache}/skein/venv-<hash of requirements.txt and Python>; the first run
# installs them, later ones need no network.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
requirements="$root/Tests/Conformance/requirements.txt"

say() { printf 'sdks: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 2
}

# The first Python of at least 3.11; the pinned packages need it.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 /opt/homebrew/bin/python3; do
        if [[ -n "$candidate" ]] && command -v "$candidate" >/dev/null 2>&1 \
            && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

install_from_system() {
    if [[ "$(uname -s)" == Linux ]] && command -v apt-get >/dev/null 2>&1; then
        local become=()
        if [[ "$(id -u)" != 0 ]]; then
            command -v sudo >/dev/null 2>&1 || fail "$* is missing; install it as root: apt-get install $*"
            become=(sudo)
        fi
        say "installing $* (apt-get)"
        ${become[@]+"${become[@]}"} apt-get -qq update >&2
        ${become[@]+"${become[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends "$@" >&2
    elif command -v brew >/dev/null 2>&1; then
        say "installing python (brew)"
        brew install --quiet python >&2
    else
        fail "Python 3.11 or later with venv is missing; install it and run this again"
    fi
}

hash_of() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

python="$(find_python)" || { install_from_system python3 python3-venv && python="$(find_python)"; } \
    || fail "no Python of version 3.11 or later was found; name one with PYTHON"
# Debian keeps the part of venv that brings pip along in a package of its own.
"$python" -c 'import ensurepip, venv' 2>/dev/null || install_from_system python3-venv

hash="$({ "$python" -c 'import sys; print(sys.version, sys.prefix)'; cat "$requirements"; } | hash_of)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/skein/venv-$hash"
if [[ ! -f "$venv/complete" ]]; then
    say "installing the SDKs into $venv"
    mkdir -p "$(dirname "$venv")"
    # Made aside and moved when it is complete, so that an interrupted run leaves nothing half done.
    fresh="$(mktemp -d "$venv.XXXXXX")"
    trap 'rm -rf "$fresh"' EXIT
    "$python" -m venv "$fresh" || fail "venv failed; on Debian: apt-get install python3-venv"
    "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
        -r "$requirements" >&2 \
        || fail "installing $requirements failed; is the network there?"
    touch "$fresh/complete"
    rm -rf "$venv"
    # Programs in a moved environment would name the old folder; only its python is used, as a module runner.
    mv "$fresh" "$venv"
    trap - EXIT
fi

echo "$venv/bin/python"
