#!/usr/bin/env bash
# Installs what the build needs and this machine lacks. Looks first: when nothing is missing it touches neither the
# network nor the package manager.
#
#   Scripts/setup.sh            tools of the build
#   Scripts/setup.sh package    also what packing needs
#   Scripts/setup.sh tests      also what the tests need
set -euo pipefail
say() { printf 'set-up: %s\n' "$*" >&2; }
fail() { say "$1"; say "next step: $2"; exit 1; }
purpose=${1:-}

works() { # works <package>: whether what the package gives is there, from wherever it came
    case $1 in
        ninja-build | ninja) command -v ninja ;;
        pkg-config | pkgconf) command -v pkg-config ;;
        g++) compiles ;;
        python3 | python) command -v python3 ;;
        python3-pip) python3 -m pip --version ;;
        python3-venv) python3 -c 'import ensurepip, venv' ;;
        libsqlite3-dev) echo '#include <sqlite3.h>' | c++ -x c -fsyntax-only - ;;
        ca-certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
        lib*) has_library "$1" ;;
        etcd-server) command -v etcd ;;
        iproute2) command -v ip || command -v /usr/sbin/ip ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}
has_library() { # what Swift's own tools are linked with; a toolchain that was only unpacked does not bring these
    local name
    case $1 in
        libcurl4) name=libcurl.so.4 ;;
        libxml2) name=libxml2.so.2 ;;
        libsqlite3-0) name=libsqlite3.so.0 ;;
        libncurses6) name=libncurses.so.6 ;;
        *) return 1 ;;
    esac
    case $(ldconfig -p || /sbin/ldconfig -p) in *"$name"*) ;; *) return 1 ;; esac
}
compiles() { # a C++ compiler with its standard library; Swift's own clang uses the same one
    command -v c++ && echo '#include <vector>' | c++ -x c++ -std=c++17 -fsyntax-only -
}
missing() {
    local package
    for package in "$@"; do works "$package" || echo "$package"; done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        say "needs root: sudo $*"
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

debian() {
    local packages=(ca-certificates git curl cmake ninja-build ccache pkg-config g++ libsqlite3-dev python3 python3-pip)
    # Libraries of the toolchain are installed only when it does not start without them.
    swift package --version >/dev/null 2>&1 || packages+=(libcurl4 libxml2 libsqlite3-0 libncurses6)
    case $purpose in
        tests) packages+=(python3-venv iproute2 etcd-server patchelf) ;;
        package) packages+=(patchelf) ;;
    esac
    local lacking
    lacking=$(missing "${packages[@]}" | tr '\n' ' ')
    [ -z "$lacking" ] && return
    command -v apt-get >/dev/null ||
        fail "missing: $lacking(names of Debian's packages)" "install them with this system's package manager, then run this again"
    say "installing $lacking"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        fail "installing needs root, and there is no sudo" "as root: apt-get update && apt-get install $lacking"
    fi
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update </dev/null ||
        fail "apt-get update failed" "check the network and the package sources, then run this again"
    # Word splitting is meant: one word per package.
    # shellcheck disable=SC2086
    as_root "${apt[@]}" install -y --no-install-recommends $lacking </dev/null >&2 ||
        fail "apt-get could not install $lacking" "the lines above say why; install them by hand, then run this again"
    lacking=$(missing "${packages[@]}" | tr '\n' ' ')
    [ -z "$lacking" ] ||
        fail "installed, but not found: $lacking" "another program of that name may stand first on the PATH: $PATH"
}

macos() {
    xcode-select -p >/dev/null 2>&1 ||
        fail "Xcode's command line tools are missing" "xcode-select --install, then run this again"
    local packages=(cmake ninja ccache pkgconf python) lacking
    lacking=$(missing "${packages[@]}" | tr '\n' ' ')
    [ -z "$lacking" ] && return
    command -v brew >/dev/null || fail "missing: $lacking" "install Homebrew (brew.sh), or these tools by hand, then run this again"
    say "installing ${lacking}with brew"
    # shellcheck disable=SC2086
    brew install $lacking </dev/null >&2 || fail "brew could not install $lacking" "the lines above say why"
}

# Swift is the one thing that is not installed here.
command -v swift >/dev/null ||
    fail "there is no swift on the PATH" "install Swift 6.3 or newer (swift.org/install), then run this again"

case $(uname -s) in
    Linux) debian ;;
    Darwin) macos ;;
    *) fail "$(uname -s) is neither Linux nor macOS" "Skein runs on these two; on Windows use WSL" ;;
esac

version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -1) || true
[ -n "$version" ] || fail "'swift --version' does not run" "run it by hand; the message says which library it misses"
if [ "${version%%.*}" -lt 6 ] || { [ "${version%%.*}" -eq 6 ] && [ "${version#*.}" -lt 3 ]; }; then
    fail "Swift $version is too old, 6.3 is needed" "install it (swift.org/install), then run this again"
fi
say "ready (Swift $version)"
