#!/usr/bin/python3
"""What a plugin costs: an event on its way to it, a flood of events, and how late a worker is replaced while a plugin
sleeps; in the arbiter and isolated. The targets stand beside the figures; missing one is shown, and is no error.

    tests/bench/plugins.py [--build DIR] [--events 100000] [--probes 3000]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--build", default=str(pathlib.Path(__file__).resolve().parents[2] / "build"))
parser.add_argument("--events", type=int, default=100_000)
parser.add_argument("--probes", type=int, default=3000)
arguments = parser.parse_args()
os.environ["CIRCUS_BUILD"] = arguments.build
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "contract"))

from harness import BUILD, Daemon, kill_child, wait_until  # noqa: E402 (needs the build's folder)

LIBRARIES = BUILD / "tests/plugins/so"
CONFIG = """
[watcher.web]
cmd = "@PROBE@"
min_uptime = 0.0

[plugin.all]
use = "{libraries}/everything.so"
isolate = {isolate}

[plugin.sleeps]
use = "{libraries}/sleeps.so"
isolate = {isolate}
"""


def show(what, value, unit, target=None):
    verdict = "" if target is None else f"   target {target} {unit}{'' if value <= target else ': MISSED'}"
    print(f"  {what:58} {value:10.1f} {unit}{verdict}")


def flood(client, count):
    """Nanoseconds for each event, from the first publish to the last delivery."""
    begun = time.monotonic()
    client.ok("flood", count=count)
    wait_until(lambda: client.ok("count")["events"] == count, 120)
    elapsed = time.monotonic() - begun
    assert client.ok("count")["order"], "out of order"
    return elapsed / count * 1e9


def lateness(daemon):
    """Milliseconds from a worker's death, at the beginning of a nap of 50 ms, to its replacement."""
    pid = daemon.wait_active("web", 1)[0]
    sleeper = daemon.new_client()
    sleeper.send('{"id": 1, "command": "nap"}')
    begun = time.monotonic()
    kill_child(daemon.keeper, pid)
    wait_until(lambda: daemon.wait_active("web", 1)[0] != pid)
    return (time.monotonic() - begun) * 1e3


def main():
    for isolate in (False, True):
        daemon = Daemon(CONFIG.format(libraries=LIBRARIES, isolate="true" if isolate else "false"))
        try:
            daemon.start()
            client = daemon.client
            wait_until(lambda: {each["state"] for each in client.ok("plugins")["plugins"].values()} == {"active"})
            print("isolated" if isolate else "in the arbiter")
            if not isolate:
                bare = json.loads(subprocess.run([BUILD / "tests/bin/bench_plugin_event"], check=True,
                                                 capture_output=True, text=True, timeout=60).stdout)
                show("one event beyond the queue, bus to callback, median", bare["median_ns"] / 1e3, "us", 2)
                show("the same, p99", bare["p99_ns"] / 1e3, "us")
            measured = client.ok("measure", count=arguments.probes)
            show("one event, publish to callback, median", measured["median_ns"] / 1e3, "us", 150 if isolate else None)
            show("the same, p99", measured["p99_ns"] / 1e3, "us")
            show(f"each of {arguments.events} events in a flood, none lost", flood(client, arguments.events) / 1e3, "us")
            late = sorted(lateness(daemon) for _ in range(9))
            show("a worker replaced while the plugin sleeps 50 ms, median", late[4], "ms")
            daemon.terminate()
        finally:
            daemon.destroy()


if __name__ == "__main__":
    main()
