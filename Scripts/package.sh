#!/usr/bin/env bash
# Packs the program that was built, with the libraries it needs, for machines without Swift.
#
#   Scripts/package.sh [FOLDER]       writes FOLDER/skein-VERSION-SYSTEM-ARCH.tar.gz (.build/package) and prints its path
#
# It runs where the C library is as new as here and the processor has what this one has: the engine is built for the
# processor of the machine it is built on. On macOS Swift is part of the system, so the program stands alone.
#
# SKEIN_BIN        the program to pack (.build/release/skein)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
program="${SKEIN_BIN:-$root/.build/release/skein}"
folder="${1:-$root/.build/package}"
say() { printf 'package: %s\n' "$*" >&2; }
fail() { say "$1"; say "next step: $2"; exit 1; }

[[ -x "$program" ]] || fail "there is no program at $program" "make build, or name one with SKEIN_BIN"
name="skein-$("$program" --version)-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)"
mkdir -p "$folder"
work=$(mktemp -d "$folder/pack.XXXXXX")
trap 'rm -rf "$work"' EXIT
home="$work/$name/lib/skein"
mkdir -p "$work/$name/bin" "$home"
cp "$program" "$home/skein"
strip -S "$home/skein" 2>/dev/null || true
cp "$root/LICENSE" "$root/NOTICE" "$work/$name/"
# The system finds the program's real folder, and its libraries there, through the link.
ln -s ../lib/skein/skein "$work/$name/bin/skein"

if [[ $(uname -s) == Linux ]]; then
    command -v patchelf >/dev/null || fail "patchelf is missing" "Scripts/setup.sh package"
    # Swift's own libraries, and SQLite: all that a bare system lacks.
    ldd "$program" | awk '$3 ~ /\/swift\// || $1 ~ /^libsqlite3/ { print $3 }' | while read -r library; do
        cp -L "$library" "$home/"
    done
    # shellcheck disable=SC2016
    for file in "$home"/*; do patchelf --set-rpath '$ORIGIN' "$file"; done
    lacking=$(ldd "$home/skein" | grep -E 'not found|/swift/' || true)
    [[ -z "$lacking" ]] || fail "the packed program does not find its libraries: $lacking" "report this"
fi
tar -C "$work" -czf "$folder/$name.tar.gz" "$name"
say "unpack it anywhere and run $name/bin/skein"
echo "$folder/$name.tar.gz"
