#!/usr/bin/env python3
"""Measures a takeover: from SIGKILL of the arbiter to the first answer of the next one, with a crew of workers.

The floor is what any program costs that is started anew: `circusd --version`, in turns with the takeovers. What the
ratio says beside the figure: how much of it is reading the state, taking over the crew and answering. The target
stands beside the figure; missing it is shown, and is never an error of this program.

    tests/bench/takeover.py [--build DIR] [--workers 500] [--rounds 15]
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import zmq

TARGET_MS = 300
PATIENCE = 60

CONFIG = """\
[circus]
endpoint = "ipc://{dir}/endpoint"
pubsub_endpoint = "ipc://{dir}/pubsub"
loglevel = "warning"

[watcher.bench]
cmd = "sleep 100000"
numprocesses = {workers}
"""


def ask(context, endpoint, command, limit, **properties):
    """The answer, or None; asked again every 5 ms by a new client, for what the dead one has read is lost."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.RECONNECT_IVL, 1)
        client.connect(endpoint)
        client.send(json.dumps({"id": "x", "command": command, "properties": properties}).encode())
        # Who listens is always there; whoever accepts answers.
        answered = client.poll(min(5000, int(limit * 1000)))
        answer = json.loads(client.recv()) if answered else None
        client.close()
        if answer:
            return answer
    return None


def arbiter_of(keeper):
    children = pathlib.Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    for pid in children:
        with contextlib.suppress(OSError):
            if b"circusd: arbiter" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    return None


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("takeover.py: waited too long")
        time.sleep(0.005)


def start_anew(program):
    begin = time.perf_counter()
    subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1000


def take_over(context, endpoint, keeper, crew):
    old = arbiter_of(keeper)
    begin = time.perf_counter()
    os.kill(old, signal.SIGKILL)
    answer = ask(context, endpoint, "list", PATIENCE, name="bench")
    took = (time.perf_counter() - begin) * 1000
    if answer is None or answer.get("pids") != crew:
        sys.exit(f"takeover.py: the crew is not what it was: {answer}")
    return took


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="SIGKILL of the arbiter to answering again")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build")
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    program = str(arguments.build.resolve() / "bin/circusd")
    context = zmq.Context()
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory:
        config = pathlib.Path(directory, "bench.toml")
        config.write_text(CONFIG.format(dir=directory, workers=arguments.workers))
        endpoint = f"ipc://{directory}/endpoint"
        with open(os.path.join(directory, "log"), "wb") as log:
            daemon = subprocess.Popen([program, "--config", str(config)], stdout=log, stderr=log)
        try:
            until(lambda: daemon.poll() is not None or os.path.exists(os.path.join(directory, "endpoint")))
            until(lambda: len(ask(context, endpoint, "list", PATIENCE, name="bench")["pids"]) == arguments.workers)
            crew = ask(context, endpoint, "list", PATIENCE, name="bench")["pids"]
            floors, figures = [], []
            for _ in range(arguments.rounds):
                floors.append(start_anew(program))
                figures.append(take_over(context, endpoint, daemon.pid, crew))
                # An arbiter that dies young is followed later: let each live long enough to count as sound.
                time.sleep(10.5)
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)
    floor, figure = statistics.median(floors), statistics.median(figures)
    print(f"SIGKILL of the arbiter to answering again, {arguments.workers} workers (medians of {arguments.rounds})")
    print(f"  {'circusd --version':40}{floor:9.1f} ms")
    verdict = "ok" if figure <= TARGET_MS else "MISSED"
    print(f"  {'takeover':40}{figure:9.1f} ms{figure / floor:8.1f}x   target {TARGET_MS} ms  {verdict}")
    print(f"  {'worst of them':40}{max(figures):9.1f} ms")


if __name__ == "__main__":
    main()
