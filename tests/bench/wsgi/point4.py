"""What only one figure each is asked of: how soon the workers are there, what circusd itself costs, what a death costs,
and how a stack takes a step."""
import dataclasses
import os
import random
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import zmq

from measure import pace, run_load, settle_time
from stacks import APP, BLOCKING, HERE, PATIENCE, PYTHON, REUSEPORT, STEERINGS, Running, Trouble


class Fork:
    """The plain parent: a program in C that forks and executes the workers of circusd's row on a socket that it has,
    and does nothing else (tests/bench/floor.c)."""

    def __init__(self, build, workers):
        self.build, self.workers = build, workers

    def ready_ns(self):
        with tempfile.TemporaryDirectory(prefix="circus-wsgi-") as directory, socket.socket() as listener:
            fifo = os.path.join(directory, "ready")
            os.mkfifo(fifo)
            reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
            listener.bind(("127.0.0.1", 0))
            listener.listen(2048)
            launched = time.monotonic_ns()
            parent = subprocess.Popen(
                [str(self.build / "tests/bin/floor"), str(self.workers), PYTHON, str(APP / "serve.py"), "--fd",
                 str(listener.fileno()), "--backend", "wsgiref", "--log-level", "critical", "ready:application"],
                pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "LANG": "C", "PYTHONPATH": f"{HERE}:{APP}", "READY_FIFO": fifo})
            try:
                return self._last(reader, parent) - launched
            finally:
                parent.terminate()
                parent.wait()
                os.close(reader)

    def _last(self, reader, parent):
        text, deadline = b"", time.monotonic() + PATIENCE
        while text.count(b"\n") < self.workers:
            if time.monotonic() > deadline or parent.poll() is not None:
                raise Trouble("the plain parent's workers did not come")
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                time.sleep(0.005)
        return max(int(line.split()[1]) for line in text.splitlines())


def ready_times(build, rows, workers, rounds):
    """{name: median seconds} from a program's launch to its last worker's having the application; in turns."""
    seen = {}
    for _ in range(rounds):
        seen.setdefault("fork", []).append(Fork(build, workers).ready_ns() / 1e9)
        for row in rows:
            with Running(build, row, workers) as running:
                seen.setdefault(row.name, []).append(running.ready_ns / 1e9)
    return {name: statistics.median(times) for name, times in seen.items()}


def own_cpu(build, row, workers, users, seconds, before=0):
    """circusd's seconds of CPU in so many seconds under load, with a subscriber to its statistics; `before`: so many
    seconds more until then."""
    with Running(build, row, workers, statsd=True) as running:
        context = zmq.Context()
        subscriber = context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.setsockopt(zmq.RCVHWM, 0)
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        subscriber.connect(f"ipc://{running.directory}/stats")
        spent = []
        before += settle_time(users)
        start = time.monotonic()

        def look():
            now = time.monotonic() - start
            if not spent and now >= before or len(spent) == 1 and now >= spent[0][0] + seconds:
                spent.append((now, running.daemon_cpu()))
        load = run_load(running, [(users, before + seconds + 4)], look)
        told = 0
        while subscriber.poll(0):
            subscriber.recv_multipart()
            told += 1
        subscriber.close()
        context.term()
    if len(spent) < 2 or told == 0:
        raise Trouble(f"{row.name}: no figures of circusd's own CPU ({len(spent)} looks, {told} statistics)")
    (begin, cpu), (end, more) = spent
    return {"cpu": (more - cpu) * seconds / (end - begin), "seconds": seconds, "users": users, "told": told,
            **load.failed()}


def listeners(rows):
    """Rows with every kind of listener: (row, whether on a unix socket)."""
    found = []
    for name, row in rows.items():
        found += [(row, False), (row, True)]
        lines = (*row.socket, *REUSEPORT) if row.socket == BLOCKING else REUSEPORT
        found.append((dataclasses.replace(row, name=name + " so_reuseport", socket=lines), False))
        found += [(dataclasses.replace(row, name=f"{name} {steering}",
                                       socket=(*lines, f'steering = "{steering}"')), False)
                  for steering in STEERINGS]
    return found


def deaths(build, row, workers, unix, users, count):
    """One SIGTERM a second to a worker chosen by chance; how many requests failed."""
    killed = []

    def kill():
        pids = running.pids()
        if len(killed) < count and pids:
            killed.append(random.choice(pids))
            os.kill(killed[-1], signal.SIGTERM)
    with Running(build, row, workers, unix=unix) as running:
        load = run_load(running, [(users, count + settle_time(users) + 2)], kill)
        running.wait(lambda: len(running.pids()) == workers, "as many workers as before")
    return {"listener": row.name + (" unix" if unix else ""), "deaths": len(killed), **load.failed()}


BAND = 0.1  # settled: this near to what it is in the end


def step(build, row, workers, few, many, before, after):
    """From few users to many: how long until the mean wait of a second is what it is in the end."""
    with Running(build, row, workers) as running:
        first = pace(1)
        load = run_load(running, [(few, before), (many, after)])
        last_pace = pace(1)
    seconds = {}
    for each in load.requests:
        if not each.error:
            seconds.setdefault(int(each.begin + each.latency - before), []).append(each.latency)
    means = {second: statistics.fmean(values) for second, values in sorted(seconds.items())}
    last = [value for second, value in means.items() if after / 2 <= second < after]
    if not last:
        raise Trouble(f"{row.name}: no request ended in the last {after / 2:.0f} s after the step")
    final = statistics.fmean(last)
    settled = after
    for second in range(int(after) - 1, -1, -1):
        # Each second has a hundred requests or two, which spread.
        if abs(means.get(second, 0) - final) > BAND * final:
            break
        settled = second
    counted = [(round(when - before, 2), number) for when, number in load.workers]
    most = max(number for _, number in counted)
    full = next((when for when, number in counted if number >= most), after)
    return {"few": few, "many": many, "settled": settled, "final": final, "means": means, "workers": counted,
            "most": most, "full": max(full, 0), "pace": (first + last_pace) / 2, "band": BAND, **load.failed()}
