#!/usr/bin/env bash
# Builds the pinned llama.cpp (LLAMA_CPP_VERSION) once per machine type, outside the checkout.
#
#   Scripts/llama.sh path       prints the install prefix, builds nothing
#   Scripts/llama.sh libs       libllama, llama-common, mtmd as static libraries, and skein-llama.pc
#   Scripts/llama.sh archs      also test-llama-archs, which writes small random models of every architecture
#   Scripts/llama.sh peers      also llama-server, llama-bench and llama-quantize, for benches only
#
# Everything lives in ${XDG_CACHE_HOME:-~/.cache}/skein/deps/<key>/{source,build,peers,prefix}. The key is the hash of
# the pin, the build flags, what is forced into C files, the compiler and the CPU's features (GGML_NATIVE ties the
# libraries to this CPU). Peers are built by themselves, as they come.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
pin() { sed -n "s/^$1=//p" LLAMA_CPP_VERSION; }
say() { printf 'llama.cpp: %s\n' "$*" >&2; }
fail() { say "$1"; say "next step: $2"; exit 1; }

flags=(
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON
    -DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON -DGGML_OPENMP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_CURL=OFF
    -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF
)
# The C++ compiler that comes with Swift, so that one toolchain builds everything, unless CXX names another. GCC 12
# (Debian 12) drops the stores to AMX's tile configuration, and the first batch of quantised rows then dies with
# SIGILL: compilers other than clang get no AMX (docs/decisions/0019-swifts-clang-builds-the-engine.md).
if [ -z "${CXX:-}" ] && [ "$(uname -s)" != Darwin ]; then
    bin=$(swiftc -print-target-info 2>/dev/null | sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p')
    if [ -n "$bin" ] && echo '#include <vector>' | "$bin/clang++" -x c++ -fsyntax-only - 2>/dev/null; then
        export CC="$bin/clang" CXX="$bin/clang++"
    fi
fi
compiler=$({ "${CXX:-c++}" --version 2>/dev/null || echo none; } | head -1)
case "$(uname -m) $compiler" in
    x86_64*clang* | amd64*clang*) ;;
    x86_64* | amd64*) flags+=("-DARCH_FLAGS=-mno-amx-tile;-mno-amx-int8;-mno-amx-bf16") ;;
esac
cpu_features() {
    case $(uname -s) in
        Darwin) sysctl -n machdep.cpu.brand_string ;;
        *) grep -m1 -E '^(flags|Features)' /proc/cpuinfo || uname -m ;;
    esac
}
sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }
forced=Scripts/engine
parts() { pin version; pin sha256; echo "${flags[*]}"; cat "$forced"/*.h; uname -sm; cpu_features; echo "$compiler"; }
key=$(parts | sha256 | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/skein/deps"
home="$cache/$key"

fetch_source() {
    [ -f "$home/source/CMakeLists.txt" ] && return
    local archive="$cache/$(pin package)-$(pin version).tar.gz" work
    mkdir -p "$cache" "$home"
    if [ ! -f "$archive" ]; then
        say "downloading $(pin package) $(pin version) (77 MB)"
        work=$(mktemp -d "$cache/fetch.XXXXXX")
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "$(pin package)" \
            --dest "$work" "$(pin package)==$(pin version)" >&2 ||
            { rm -rf "$work"; fail "pip could not download the source" "check the network and that python3 -m pip works, then run this again"; }
        mv "$work"/*.tar.gz "$archive"
        rm -rf "$work"
    fi
    local actual
    actual=$(sha256 "$archive" | cut -d' ' -f1)
    if [ "$actual" != "$(pin sha256)" ]; then
        rm -f "$archive"
        fail "the archive has sha256 $actual, LLAMA_CPP_VERSION pins $(pin sha256)" "it was deleted; run this again, and report it if it happens twice"
    fi
    work=$(mktemp -d "$home/unpack.XXXXXX")
    tar -xzf "$archive" -C "$work" --strip-components=1
    rm -rf "$home/source"
    mv "$work/$(pin subfolder)" "$home/source"
    rm -rf "$work"
}

configure() { # configure <folder> <extra flags…>
    local folder=$1
    shift
    local launcher=()
    if command -v ccache >/dev/null; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
        export CCACHE_BASEDIR="$cache" CCACHE_NOHASHDIR=1
    fi
    cmake -S "$home/source" -B "$home/$folder" -G Ninja "${flags[@]}" "${launcher[@]}" \
        -DCMAKE_INSTALL_PREFIX="$home/prefix" "$@" >"$home/configure.log" 2>&1 ||
        { tail -20 "$home/configure.log" >&2; fail "cmake refused (log: $home/configure.log)" "install cmake, ninja and a C++17 compiler, then run this again"; }
}

compile() { # compile <folder> <targets…>
    local folder=$1
    shift
    # stdin closed and the terminal's progress kept: ninja prints one line per step.
    if [ -t 2 ]; then
        ninja -C "$home/$folder" "$@" >&2 </dev/null
    else
        ninja -C "$home/$folder" "$@" >"$home/build.log" 2>&1 </dev/null || { tail -40 "$home/build.log" >&2; false; }
    fi || fail "the build failed" "the last lines above name the file; log: $home/build.log"
}

configure_engine() { # configure_engine <extra flags…>
    mkdir -p "$home/forced"
    cp "$forced"/*.h "$home/forced/"
    configure build "-DCMAKE_C_FLAGS=-include $home/forced/products.h" "$@"
}

libs() {
    fetch_source
    if [ -f "$home/prefix/lib/libllama.a" ]; then
        write_pc "$home/prefix"
        return
    fi
    say "building the libraries into $home (about 5 minutes on two cores, once)"
    configure_engine -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_MTMD=ON
    compile build all
    local prefix="$home/prefix"
    mkdir -p "$prefix/lib/pkgconfig" "$prefix/include"
    cp "$home/source"/include/*.h "$home/source"/ggml/include/*.h "$home/source"/tools/mtmd/mtmd*.h "$prefix/include/"
    find "$home/build" -name '*.a' ! -name libllama.a -exec cp {} "$prefix/lib/" \;
    cp "$home/build/src/libllama.a" "$prefix/lib/"  # last: its presence means the prefix is complete
    write_pc "$prefix"
    say "ready"
}

# Static archives need their whole closure on the link line, in order; llama.pc lists only part of it. The source
# folder is on the include path for CLlamaExtras, the one room that sees common/ and src/.
write_pc() {
    local prefix=$1 libs="" name system
    for name in mtmd vendor-hash llama-common llama-common-base cpp-httplib llama ggml ggml-blas ggml-metal ggml-cpu ggml-base; do
        [ -f "$prefix/lib/lib$name.a" ] && libs="$libs -l$name"
    done
    case $(uname -s) in
        Darwin) system="-lc++ -framework Foundation -framework Accelerate -framework Metal -framework MetalKit" ;;
        *) system="-lstdc++ -lm -ldl -lpthread" ;;
    esac
    cat >"$prefix/lib/pkgconfig/skein-llama.pc.tmp" <<PC
prefix=$prefix
Name: skein-llama
Description: llama.cpp as pinned by Skein, static
Version: $(pin version)
Libs: -L\${prefix}/lib$libs $system
Cflags: -I\${prefix}/include -I$home/source -I$home/source/vendor
PC
    # Touched only when it changes: what is built on it would be built again.
    local header="$prefix/include/skein-engine.h"
    printf '#pragma once\n#define SKEIN_ENGINE_BUILD "%s"\n' "$key" >"$header.tmp"
    if cmp -s "$header.tmp" "$header"; then rm "$header.tmp"; else mv "$header.tmp" "$header"; fi
    mv "$prefix/lib/pkgconfig/skein-llama.pc.tmp" "$prefix/lib/pkgconfig/skein-llama.pc"
}

archs() {
    libs
    [ -x "$home/prefix/bin/test-llama-archs" ] && return
    say "building test-llama-archs"
    configure_engine -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=ON -DLLAMA_BUILD_MTMD=ON
    compile build test-llama-archs
    mkdir -p "$home/prefix/bin"
    cp "$home/build/bin/test-llama-archs" "$home/prefix/bin/"
}

peers() {
    libs
    [ -x "$home/prefix/bin/llama-bench" ] && [ -x "$home/prefix/bin/llama-server" ] && return
    say "building llama-server and llama-bench (for benches only)"
    configure peers -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_UI=OFF
    compile peers llama-server llama-bench llama-quantize
    mkdir -p "$home/prefix/bin"
    cp "$home/peers/bin/"{llama-server,llama-bench,llama-quantize} "$home/prefix/bin/"
}

case "${1:-}" in
    path) echo "$home/prefix" ;;
    libs | archs | peers) "$1" ;;
    *) sed -n '2,12p' "$0"; exit 2 ;;
esac
