#!/usr/bin/env python3
"""Measures what the figures of many processes cost: the CPU of the keeper and the arbiter, in per cent of one core, with
nobody who asks for figures, with the stats plugin and no subscriber, with circus-top subscribed, and with the metrics
plugin scraped every five seconds. The floor is a C program that reads /proc/PID/stat of as many processes each second.

    tests/bench/sampler.py [--build DIR] [--workers 500,1500] [--seconds 20]
"""
import argparse
import contextlib
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request

from figures import HEAD, PATIENCE, Bench, fail, request

CREW = """
[watcher.bench]
cmd = "{tools}/tests/bin/worker"
args = ["{dir}/fifo"]
numprocesses = {workers}
"""
STATS = """
[plugin.stats]
use = "stats"
endpoint = "ipc://{dir}/stats"
"""
METRICS = """
[plugin.metrics]
use = "metrics"
listen = "127.0.0.1:0"
"""
SETTLE = 3  # seconds, until what began has begun
SCRAPE_EVERY = 5
TARGET = 2.0  # per cent, of 500 processes


class Subscribed:
    """circus-top, for as long as it is entered."""

    def __init__(self, bench, tools):
        self.command = [str(tools / "bin/circus-top"), "--endpoint", bench.endpoint, "--json", "--timeout",
                        str(PATIENCE)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            fail("circus-top ended")
        self.reader = threading.Thread(target=self.process.stdout.read)
        self.reader.start()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stdout.close()


class Scraped:
    """A scrape at once and then every SCRAPE_EVERY seconds, for as long as it is entered."""

    def __init__(self, bench):
        port = bench.until(lambda: re.search(r"metrics at http://127\.0\.0\.1:(\d+)/",
                                             pathlib.Path(bench.dir, "log").read_text()), 0.05)[1]
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.over = threading.Event()

    def scrape(self):
        while True:
            with urllib.request.urlopen(self.url, timeout=PATIENCE) as response:
                response.read()
            if self.over.wait(SCRAPE_EVERY):
                return

    def __enter__(self):
        self.thread = threading.Thread(target=self.scrape)
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def percent(bench, seconds):
    before, begun = bench.daemon_cpu(), time.monotonic()
    time.sleep(seconds)
    return 100 * (bench.daemon_cpu() - before) / (time.monotonic() - begun)


def measure(tools, workers, seconds, plugins, meanwhile):
    """(per cent of a core, the floor's), in turns on the same processes."""
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory, Bench(tools, directory) as bench:
        config = (HEAD + f'stats_endpoint = "ipc://{directory}/stats"\nstatsd = false\n' + CREW + plugins)
        bench.circusd(config.format(dir=directory, tools=tools, workers=workers).replace(
            'loglevel = "warning"', 'loglevel = "info"'))
        running = []
        bench.until(lambda: running.extend(bench.words()) or len(running) == workers)
        bench.until(lambda: bench.ask(request("status", name="bench"))["status"] == "active", 0.05)
        with meanwhile(bench):
            time.sleep(SETTLE)
            ours = percent(bench, seconds)
        pids = bench.ask(request("list", name="bench"))["pids"]
        floor = subprocess.run([bench.tool("floor_proc"), str(max(3, int(seconds) // 2))], check=True, text=True,
                               capture_output=True, input="".join(f"{pid}\n" for pid in pids))
        return ours, run_floor(floor.stdout)


def run_floor(text):
    return 100 * float(re.search(r'"cpu": (\d+)', text)[1]) / 1e9


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="what the figures of many processes cost circusd")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build")
    parser.add_argument("--workers", default="500,1500", help="comma list (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    arguments = parser.parse_args()
    tools = arguments.build.resolve()
    for program in ("bin/circusd", "bin/circus-top", "tests/bin/worker", "tests/bin/floor_proc"):
        if not shutil.which(str(tools / program)):
            fail(f"{tools / program} is not built: cmake --build {tools}")
    for workers in map(int, arguments.workers.split(",")):
        print(f"\n{workers} processes, per cent of one core: keeper and arbiter", flush=True)
        for title, plugins, meanwhile in (
                ("nobody asks for figures", "", lambda bench: contextlib.nullcontext()),
                ("stats, no subscriber", STATS, lambda bench: contextlib.nullcontext()),
                ("stats, circus-top subscribed", STATS, lambda bench: Subscribed(bench, tools)),
                (f"metrics, scraped every {SCRAPE_EVERY} s", METRICS, Scraped)):
            ours, floor = measure(tools, workers, arguments.seconds, plugins, meanwhile)
            verdict = "" if workers > 500 else "  ok" if ours <= TARGET else f"  MISSED ({TARGET} %)"
            print(f"  {title:34}{ours:6.2f} %   floor {floor:5.2f} %   {ours / floor:5.2f}x{verdict}", flush=True)


if __name__ == "__main__":
    main()
