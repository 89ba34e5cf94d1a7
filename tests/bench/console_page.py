#!/usr/bin/env python3
"""Measures the console's page in Chromium: script, layout and all work of its thread for a round of figures, with 500 processes.

What is counted is the time that the page's thread has had of a processor, as Chromium's own Performance.getMetrics tells it
(time domain threadTicks): ScriptDuration, LayoutDuration with RecalcStyleDuration, and TaskDuration, in which painting and
the garbage collector are too. Time that passes while others have the processor is not the page's, so that a busy machine
shows about what an idle one does; caches and clock rate it still shares. The work of Chromium's other threads and processes
(raster, GPU) is not in it. It is divided by the rounds of figures that came, one a second: where circusd itself has no time for
one, nothing is the cheaper for it. How many came stands beside it.

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

TARGET_MS = 50
# Busy for a thousandth of its time, and differently each; a read of a pipe that stays empty is a pause without a process.
WORKER = ("exec 9<> <(:); while :; do i=0; while [ $i -lt 100 ]; do i=$((i+1)); done;"
          " read -t 0.$((RANDOM % 5 + 3)) -u 9; done")


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


# Counts what is pushed, in the page.
COUNT = """
window.rounds = 0;
window.WebSocket = class extends WebSocket {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", ({ data }) => { window.rounds += data.startsWith('{"type":"overview"') ? 1 : 0; });
  }
};"""


def measure(browser, seconds):
    """Milliseconds of a processor for a round: script, layout and styles, and the thread's work altogether; and the rounds."""
    def now():
        return {**browser.metrics(), "rounds": browser.run(script="window.rounds")}
    before = now()
    time.sleep(seconds)
    after = now()
    rounds = after["rounds"] - before["rounds"]
    spent = {key: (after[key] - before[key]) / max(1, rounds) * 1000
             for key in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration")}
    return (spent["ScriptDuration"], spent["LayoutDuration"] + spent["RecalcStyleDuration"], spent["TaskDuration"], rounds)


def run(daemon, port, processes, pages, seconds, Browser, wait_until):
    browser = Browser()
    try:
        browser.before(script=COUNT)
        browser.look(width=1400, height=1000, dark=False)
        for label, address, is_there, scrolled in pages:
            browser.open(url=f"http://127.0.0.1:{port}/{address}")
            wait_until(lambda: browser.count(css=is_there) >= processes, 120)
            if scrolled:
                browser.run(script="scrollTo(0, document.body.scrollHeight)")
            measure(browser, 5)  # until it has settled
            script, layout, whole, rounds = measure(browser, seconds)
            print(f"{label:44} {script:8.1f} ms {layout:8.1f} ms {whole:8.1f} ms {rounds:4} in {seconds:.0f} s"
                  f"   target {TARGET_MS}{'' if script <= TARGET_MS else ': missed'}", flush=True)
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
    print(f"{'with ' + str(count) + ' processes, a round':44} {'script':>8}    {'layout':>8}    {'all':>8}    rounds")
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
