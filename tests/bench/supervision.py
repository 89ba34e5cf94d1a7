#!/usr/bin/env python3
"""Measures circusd against the floor: what a loop of vfork, execve and epoll costs on this machine, now.

Both run in the same call, in turns, through the same steps (bench_supervisor.c); what counts is the ratio. The
targets stand beside the figures; missing one is shown, and is an error of this program only with --strict.

    tests/bench/supervision.py [--build DIR] [--workers 1,500,3000] [--rounds 3] [--strict]
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

MS = 1e6  # nanoseconds

# figure, what it is called, target as a multiple of the floor
RATIOS = [
    ("one_median", "one killed to its replacement, median", 1.5),
    ("one_p99", "one killed to its replacement, p99", 5.0),
    ("launch", "launch to all running", 1.25),
    ("all", "all killed at once to all replaced", 1.2),
    ("term", "TERM to everything gone", 2.0),
]
MAX_PSS_MIB = 10
MAX_IDLE_CPU_MS = 5

CONFIG = """\
[circus]
endpoint = "ipc://{dir}/endpoint"
pubsub_endpoint = "ipc://{dir}/pubsub"
loglevel = "warning"

[watcher.bench]
cmd = "{worker}"
args = ["{fifo}"]
numprocesses = {workers}
"""


def kills_of(workers):
    """With one worker each kill waits until the replacement is a second old."""
    return 15 if workers == 1 else 300


def measure(tools, kind, workers, seed, idle):
    """One run of floor or circusd; returns the figures of bench_supervisor."""
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory:
        fifo = os.path.join(directory, "fifo")
        worker = str(tools / "tests/bin/worker")
        if kind == "floor":
            program = [str(tools / "tests/bin/floor"), str(workers), worker, fifo]
        else:
            config = pathlib.Path(directory, "bench.toml")
            config.write_text(CONFIG.format(dir=directory, worker=worker, fifo=fifo, workers=workers))
            program = [str(tools / "bin/circusd"), "--config", str(config)]
        command = [str(tools / "tests/bin/bench_supervisor"), "--workers", str(workers), "--kills",
                   str(kills_of(workers)), "--idle", str(idle), "--seed", str(seed), "--fifo", fifo,
                   "--dir", directory, "--"] + program
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=False)
        if run.returncode != 0:
            log = pathlib.Path(directory, "supervisor.log")
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"
            sys.exit(f"{kind} with {workers} workers could not be measured:\n{tail}")
        return json.loads(run.stdout)


def median_of(runs, key):
    return statistics.median(run[key] for run in runs)


class Targets:
    """Judges each figure that has a target, and counts those that miss theirs."""

    def __init__(self):
        self.missed = 0

    def verdict(self, value, target):
        if value <= target:
            return "ok"
        self.missed += 1
        return "MISSED"


def print_table(workers, floor, circusd, targets):
    """The targets are those of a crew; with one worker only its replacement has one: the rest is circusd's own start and
    end, beside which one worker is nothing."""
    print(f"\n{workers} worker{'s' if workers > 1 else ''} (medians of {len(floor)} rounds, {kills_of(workers)} kills each)")
    print(f"  {'':40}{'floor':>11}{'circusd':>12}{'ratio':>8}{'target':>8}")
    for key, title, target in RATIOS:
        low, high = median_of(floor, key), median_of(circusd, key)
        ratio = high / low
        wanted = f"{target:7.2f}x  {targets.verdict(ratio, target)}" if workers > 1 or key.startswith("one") else ""
        print(f"  {title:40}{low / MS:8.2f} ms{high / MS:9.2f} ms{ratio:7.2f}x{wanted}")
    low, high = median_of(floor, "pss") / 1024, median_of(circusd, "pss") / 1024
    count = int(median_of(circusd, "processes"))
    print(f"  {f'PSS of the supervisor ({count} processes)':40}{low:7.2f} MiB{high:8.2f} MiB{'':8}"
          f"{MAX_PSS_MIB:4} MiB  {targets.verdict(high, MAX_PSS_MIB)}")
    idle_floor = [run for run in floor if run["idle_cpu"] >= 0]
    idle_circusd = [run for run in circusd if run["idle_cpu"] >= 0]
    if idle_circusd:
        low, high = median_of(idle_floor, "idle_cpu") / MS, median_of(idle_circusd, "idle_cpu") / MS
        print(f"  {'CPU while idle':40}{low:8.2f} ms{high:9.2f} ms{'':8}{MAX_IDLE_CPU_MS:5} ms  "
              f"{targets.verdict(high, MAX_IDLE_CPU_MS)}")


def print_growth(results, targets):
    """From the second largest crew to the largest: nothing may grow faster than the crew."""
    counts = sorted(count for count in results if count > 1)
    if len(counts) < 2:
        return
    small, large = counts[-2], counts[-1]
    factor = large / small
    print(f"\ngrowth from {small} to {large} workers ({factor:.1f} times as many)")
    print(f"  {'':40}{'floor':>11}{'circusd':>12}{'':8}{'target':>8}")
    for key, title, _ in RATIOS:
        limit = 1.0 if key.startswith("one") else factor
        growth = {kind: median_of(results[large][kind], key) / median_of(results[small][kind], key)
                  for kind in ("floor", "circusd")}
        # The floor's own growth is the kernel's; circusd answers for what it adds to that.
        allowed = max(limit, growth["floor"]) * 1.25
        print(f"  {title:40}{growth['floor']:10.2f}x{growth['circusd']:11.2f}x{'':8}{allowed:7.2f}x  "
              f"{targets.verdict(growth['circusd'], allowed)}")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="circusd against the floor")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build")
    parser.add_argument("--workers", default="1,500,3000", help="comma list (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=20, help="idle seconds of the first round; 0: not measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="also write the raw figures there")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--floor-only", action="store_true", help="measure the floor against itself: the noise")
    arguments = parser.parse_args()
    tools = arguments.build.resolve()
    subject = "floor" if arguments.floor_only else "circusd"
    for program in ["tests/bin/floor", "tests/bin/worker", "tests/bin/bench_supervisor"] + (
            [] if arguments.floor_only else ["bin/circusd"]):
        if not shutil.which(str(tools / program)):
            sys.exit(f"{tools / program} is not built: cmake --build {tools}")

    results, targets = {}, Targets()
    for workers in [int(text) for text in arguments.workers.split(",")]:
        results[workers] = {"floor": [], "circusd": []}
        for turn in range(arguments.rounds):
            idle = arguments.idle if turn == 0 else 0
            for slot, kind in (("floor", "floor"), ("circusd", subject)):
                results[workers][slot].append(measure(tools, kind, workers, arguments.seed + turn, idle))
        print_table(workers, results[workers]["floor"], results[workers]["circusd"], targets)
        sys.stdout.flush()
    print_growth(results, targets)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if targets.missed:
        print(f"\n{targets.missed} target{'s' if targets.missed > 1 else ''} missed")
    return 1 if arguments.strict and targets.missed else 0


if __name__ == "__main__":
    sys.exit(main())
