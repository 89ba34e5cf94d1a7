#!/bin/sh
# quickstart.sh [--no-run]: from a fresh clone to a running web stack. Installs the packages that are missing,
# builds circusd, its clients and its plugins, and runs configs/stack.toml in the foreground (Ctrl-C stops all
# of it). Safe to run again: what is done is not done twice. --no-run ends before the last step.
set -eu
cd "$(dirname "$0")/.."

run=yes
for argument in "$@"; do
    case $argument in
        --no-run) run=no ;;
        -h | --help)
            sed -n '2,4s/^# //p' configs/quickstart.sh
            exit 0 ;;
        *)
            echo "quickstart.sh: unknown argument \"$argument\" (there is only --no-run)" >&2
            exit 2 ;;
    esac
done

configs/packages.sh build stack

# An existing build keeps its settings, the tests' among them.
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja -DCIRCUS_TESTS=OFF
cmake --build build --target programs
mkdir -p configs/run

[ "$run" = yes ] || exit 0

cat <<'TRY'

The stack starts in this terminal; Ctrl-C stops it. In another one, from this folder:

  curl http://127.0.0.1:8080/               the application, behind four workers on one socket
  build/bin/circusctl status                what runs; `circusctl --help` lists all commands
  build/bin/circusctl stats web             CPU, memory and age of each worker
  build/bin/circusctl incr web 5            five workers more, at once
  kill -9 $(pgrep -f serve.py | head -n 1)  a worker dies; its replacement is there before you look
  build/bin/circusctl reload web            new workers first, then the old ones end: no request is lost
  build/bin/circusctl stop memcached        and `start memcached`: see what the report says meanwhile
  tail -f configs/run/report.log            the job that asks all three servers every ten seconds
  build/bin/circusctl quit                  the same as Ctrl-C

TRY
exec build/bin/circusd --config configs/stack.toml
