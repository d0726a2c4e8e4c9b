#!/usr/bin/env bash
# Fuzzes the GGUF reader, and cutting and placing what it accepts, with libFuzzer and AddressSanitizer for FUZZ_SECONDS
# (30), starting from small headers and from what earlier runs found. Exit code 0 means that nothing crashed.
# FUZZ_WORK: where objects, corpus and crashing inputs are kept (.build/fuzz).
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
seconds="${FUZZ_SECONDS:-30}"
work="${FUZZ_WORK:-$root/.build/fuzz}"
mkdir -p "$work/corpus" "$work/seeds" "$work/crashes"

say() { printf 'fuzz: %s\n' "$*" >&2; }

if [[ "$(uname -s)" == Darwin ]] && ! xcrun --find swiftc >/dev/null 2>&1; then
    say "the Swift toolchain is missing: install Xcode's command line tools (xcode-select --install)"
    exit 2
fi

flags=(-swift-version 6 -package-name skein -parse-as-library -O -g -sanitize=fuzzer,address -I "$work")
for feature in ExistentialAny InternalImportsByDefault MemberImportVisibility NonisolatedNonsendingByDefault \
    InferIsolatedConformances ImmutableWeakCaptures; do
    flags+=(-enable-upcoming-feature "$feature")
done

# One module: all sources to one instrumented object file.
compile() {
    local name="$1"
    shift
    say "compiling $name"
    swiftc "${flags[@]}" -wmo -module-name "$name" -emit-module -emit-module-path "$work/$name.swiftmodule" \
        -c -o "$work/$name.o" "$@"
}

mapfile -t vocabulary < <(find "$root/Sources/Vocabulary" -name '*.swift' | LC_ALL=C sort)
mapfile -t gguf < <(find "$root/Sources/GGUF" -name '*.swift' | LC_ALL=C sort)
mapfile -t placement < <(find "$root/Sources/Placement" -name '*.swift' | LC_ALL=C sort)
compile Vocabulary "${vocabulary[@]}"
compile GGUF "${gguf[@]}"
compile Placement "${placement[@]}"
compile FuzzGGUF "$root/Fuzz/gguf/FuzzGGUF.swift"

if ! swiftc -sanitize=fuzzer,address -o "$work/fuzz-gguf" "$work/FuzzGGUF.o" "$work/Placement.o" "$work/GGUF.o" \
    "$work/Vocabulary.o"; then
    say "linking failed: the toolchain lacks libFuzzer or AddressSanitizer."
    say "The toolchains of swift.org have both; with another one on Debian try: apt-get install libclang-rt-14-dev"
    exit 2
fi

# Small whole files with every kind of field; Tests/GGUFTests/MutationTests.swift keeps them up to date.
cp "$root"/Fuzz/gguf/seeds/*.gguf "$work/seeds/"

say "running for $seconds s (corpus in $work/corpus)"
# A header of 64 KiB must never need more than 512 MiB or 5 s. Swift marks pointers in enumerations, so what its tables
# hold looks leaked; a real leak grows beyond the limit.
ASAN_OPTIONS=detect_leaks=0 \
    "$work/fuzz-gguf" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=512 -timeout=5 -print_final_stats=1 \
    -dict="$root/Fuzz/gguf/gguf.dict" -artifact_prefix="$work/crashes/" "$work/corpus" "$work/seeds"
say "no crash in $seconds s"
