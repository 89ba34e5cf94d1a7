#!/bin/sh
# packages.sh GROUP...: installs what is missing of Debian's packages for `build` (circusd itself), `stack`
# (what configs/stack.toml runs), `web` (what bundles the console's page; without it that is a plain one) and
# `test` (tests/run.sh), `browser` (the tests of that page), `bench` (what tests/bench/wsgi compares). Does nothing, and
# asks for nothing, where all of them are there.
#
# Where systemd runs, Debian starts the services of redis-server and memcached on their usual ports when it
# installs them. They are left alone: the stack has ports of its own. Prometheus's and nginx's would listen on all
# addresses, so their programs, which `test` and `bench` want, are only taken out of the packages, into CIRCUS_TOOLS
# (~/.cache/circus-tools).
set -eu

list() {
    case $1 in
        build)
            echo cmake g++ ninja-build pkg-config zlib1g-dev libuv1-dev libbsd-dev libzmq3-dev cppzmq-dev \
                nlohmann-json3-dev libtomlplusplus-dev libspdlog-dev libcli11-dev libreadline-dev libncurses-dev \
                libcurl4-openssl-dev libhiredis-dev libssl-dev prometheus-cpp-dev
            # Any Boost from 1.74 on does, and Debian's would take the place of one that is there.
            [ -e /usr/include/boost/version.hpp ] || echo libboost-dev ;;
        stack)
            echo chaussette python3 redis-server memcached curl ;;
        web)
            # npm comes with nodejs where that is not Debian's, which Debian's npm would not go with.
            command -v npm >/dev/null || echo nodejs npm ;;
        browser)
            echo chromium-headless-shell fonts-dejavu-core ;;
        bench)
            # uwsgi-core: uwsgi would start a service of its own.
            echo chaussette python3 python3-zmq gunicorn uwsgi-core uwsgi-plugin-python3 python3-gevent \
                python3-waitress ;;
        test)
            echo libgtest-dev libgmock-dev python3 python3-zmq python3-prometheus-client python3-django \
                python3-waitress python3-gevent procps curl ccache clang-format clang-tidy lld \
                shellcheck zsh fish tmux abigail-tools \
                clang-14 libclang-rt-14-dev ;;
        *)
            echo "packages.sh: no group \"$1\": build, stack, web, test, browser or bench" >&2
            return 2 ;;
    esac
}

missing=
for group in "$@"; do
    packages=$(list "$group")
    if ! command -v dpkg-query >/dev/null; then
        echo "No dpkg here. What this needs, by Debian's names: $packages" >&2
        continue
    fi
    for package in $packages; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
done

# unpack PACKAGE PROGRAM...: programs of a package whose service must not start. Without them their tests are skipped,
# and nothing else.
unpack() {
    package=$1
    shift
    command -v dpkg-query >/dev/null || return 0
    tools=${CIRCUS_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/circus-tools}
    absent=
    for program in "$@"; do
        command -v "${program##*/}" >/dev/null || [ -x "/usr/$program" ] || [ -x "$tools/usr/$program" ] ||
            absent=yes
    done
    [ -n "$absent" ] || return 0
    echo "Unpacking: $package, into $tools"
    download=$(mktemp -d)
    if ! { mkdir -p "$tools" && (cd "$download" && apt-get -q download "$package") &&
        dpkg-deb -x "$download/$package"_*.deb "$tools"; }; then
        echo "packages.sh: no $package: what is tested with it is skipped" >&2
    fi
    rm -rf "$download"
}
finish() {
    case " $* " in *" test "*)
        unpack prometheus bin/prometheus bin/promtool
        unpack nginx sbin/nginx ;;
    *" bench "*) unpack nginx sbin/nginx ;;
    esac
    exit 0
}
[ -n "$missing" ] || finish "$@"

echo "Installing:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Neither root nor sudo. As root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
install() {
    # shellcheck disable=SC2086 # words on purpose: nothing, or sudo; and the packages
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y \
        --no-install-recommends install $missing </dev/null
}
# The lists of packages may be old or absent (a fresh container): only then they are fetched.
if ! install; then
    $as_root apt-get -q update </dev/null
    install
fi
finish "$@"
