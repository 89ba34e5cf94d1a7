#!/usr/bin/env python3
"""Measures the console's page in Chromium: script, layout and all work of its thread in a second, with 500 processes.

What is counted is the time that the page's thread has had of a processor, as Chromium's own Performance.getMetrics tells it
(time domain threadTicks): ScriptDuration, LayoutDuration with RecalcStyleDuration, and TaskDuration, in which painting and
the garbage collector are too. Time that passes while others have the processor is not the page's, so that a busy machine
shows about what an idle one does; caches and clock rate it still shares. The work of Chromium's other threads and processes
(raster, GPU) is not in it.

Three pages, each watched for some seconds after it has settled, with figures that change every second: the overview of 500
watchers, the page of a watcher with 500 processes, and that page scrolled to its end. Processes work a little, so that
their figures change. The target stands beside the figure; missing it is shown, and is never an error of this program.

    tests/bench/console_page.py [--build DIR] [--processes 500] [--seconds 15]

Needs what tests/browser needs: Chromium, node and npm (configs/packages.sh web browser).
"""
import argparse
import contextlib
import os
import pathlib
import sys
import time

TARGET_MS = 30
# Busy for a thousandth of its time, and differently each.
WORKER = "while :; do i=0; while [ $i -lt 100 ]; do i=$((i+1)); done; sleep 0.$((RANDOM % 5 + 3)); done"


def configuration(processes, port, many):
    """One watcher of so many processes, or so many watchers of one."""
    names = [("crew", processes)] if not many else [(f"job{at:03}", 1) for at in range(processes)]
    watchers = "".join(f"""
[watcher.{name}]
cmd = "/bin/bash -c"
args = ['{WORKER}']
numprocesses = {count}
graceful_timeout = 2
""" for name, count in names)
    return f'{watchers}\n[plugin.console]\nuse = "console"\nlisten = "127.0.0.1:{port}"\n'


def measure(browser, seconds):
    """Milliseconds of a processor in a second: script, layout and styles, and the thread's work altogether."""
    before, begun = browser.metrics(), time.monotonic()
    time.sleep(seconds)
    after, passed = browser.metrics(), time.monotonic() - begun
    per_second = {key: (after[key] - before[key]) / passed * 1000
                  for key in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration")}
    return (per_second["ScriptDuration"], per_second["LayoutDuration"] + per_second["RecalcStyleDuration"],
            per_second["TaskDuration"])


def run(daemon, port, processes, pages, seconds, Browser, wait_until):
    browser = Browser()
    try:
        browser.look(width=1400, height=1000, dark=False)
        for label, address, is_there, scrolled in pages:
            browser.open(url=f"http://127.0.0.1:{port}/{address}")
            wait_until(lambda: browser.count(css=is_there) >= processes, 120)
            if scrolled:
                browser.run(script="scrollTo(0, document.body.scrollHeight)")
            measure(browser, 5)  # until it has settled
            script, layout, whole = measure(browser, seconds)
            print(f"{label:44} {script:8.1f} ms/s {layout:8.1f} ms/s {whole:8.1f} ms/s   target {TARGET_MS}"
                  f"{'' if script <= TARGET_MS else ': missed'}", flush=True)
    finally:
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()
    os.environ["CIRCUS_BUILD"] = str(pathlib.Path(arguments.build).resolve())
    root = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root / "tests/browser"), str(root / "tests/contract")]
    from browser import Browser, why_not  # noqa: E402 (they look for the build when they are imported)
    from daemon import Daemon
    from process_tree import free_port
    from waiting import wait_until
    reason = why_not()
    if reason:
        sys.exit(f"console_page.py: {reason}")
    count = arguments.processes
    print(f"{'with ' + str(count) + ' processes':44} {'script':>8}      {'layout':>8}      {'all':>8}")
    for many in (True, False):
        port = free_port()
        daemon = Daemon(configuration(count, port, many))
        with contextlib.ExitStack() as stack:
            stack.callback(daemon.destroy)
            daemon.start()
            wait_until(lambda: sum(len(daemon.pids(name)) for name in daemon.client.ok("list")["watchers"]) == count, 120)
            pages = [("overview of as many watchers", "", "tbody tr", False)] if many else [
                ("a watcher's page", "#/watcher/crew", ".card", False),
                ("the same, scrolled to its end", "#/watcher/crew", ".card", True)]
            run(daemon, port, count, pages, arguments.seconds, Browser, wait_until)
            daemon.terminate(60)


if __name__ == "__main__":
    main()
