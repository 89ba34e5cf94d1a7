#!/usr/bin/env python3
"""Measures the control socket, the streams and circusctl against floors: what a bare ROUTER, `cat > file` and a process
that asks once cost on this machine, now.

Floor and circusd take turns in the same call, through the same steps, now one first and now the other. What counts is
the ratio: the median of those of the pairs, since what else the machine does weighs on both of a pair. The targets
stand beside the figures; missing one is shown, and is never an error of this program.

    tests/bench/figures.py [--build DIR] [--workers 500] [--rounds 9] [--only control,streams,circusctl]
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

MS, US = 1e6, 1e3  # nanoseconds
LINE = 100
STREAM_MB = 200
LONG_STREAM_MB = 3000  # while `status` is asked
PATIENCE = 120

HEAD = """\
[circus]
endpoint = "ipc://{dir}/endpoint"
pubsub_endpoint = "ipc://{dir}/pubsub"
loglevel = "warning"
"""
CREW = """
[watcher.bench]
cmd = "{tools}/tests/bin/worker"
args = ["{dir}/fifo"]
numprocesses = {workers}
"""
STREAM = """
[watcher.stream]
cmd = "{tools}/tests/bin/writer"
args = ["{lines}", "{dir}/fifo"]
respawn = false
autostart = false
stdout_stream = {{class = "FileStream", filename = "{dir}/out.log", max_bytes = 10_000_000, backup_count = {backups}}}
"""


def fail(text):
    sys.exit(f"figures.py: {text}")


class Bench:
    """A folder, the programs, and what runs in it; everything started is ended at the end."""

    def __init__(self, tools, directory):
        self.tools, self.dir = tools, directory
        self.stack = contextlib.ExitStack()
        self.fifo_path = os.path.join(directory, "fifo")
        os.mkfifo(self.fifo_path)
        self.fifo = os.open(self.fifo_path, os.O_RDWR | os.O_NONBLOCK)
        self.stack.callback(os.close, self.fifo)
        self.endpoint = f"ipc://{directory}/endpoint"

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.stack.close()

    def tool(self, name):
        return str(self.tools / "tests/bin" / name)

    def spawn(self, *command, **more):
        process = subprocess.Popen(command, **more)
        self.stack.callback(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def circusd(self, text):
        config = os.path.join(self.dir, "bench.toml")
        pathlib.Path(config).write_text(text)
        log = open(os.path.join(self.dir, "log"), "ab")
        self.stack.callback(log.close)
        self.daemon = self.spawn(str(self.tools / "bin/circusd"), "--config", config, stdout=log, stderr=log)
        self.until(lambda: self.daemon.poll() is not None or os.path.exists(os.path.join(self.dir, "endpoint")))
        if self.daemon.poll() is not None:
            fail(f"circusd ended: {pathlib.Path(self.dir, 'log').read_text()}")

    def until(self, condition, pause=0.0005):
        deadline = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                fail("waited too long")
            time.sleep(pause)

    def words(self):
        """What workers have said on the FIFO since the last look: [ns]."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fifo, 65536)
            return [ns for ns, _, _ in struct.iter_unpack("=QiI", data)]
        return []

    def asker(self, request, *more, endpoint=None):
        return [self.tool("bench_control"), "--endpoint", endpoint or self.endpoint, *more, "--", request]

    def measure(self, request, *more, endpoint=None):
        return run_json(self.asker(request, *more, endpoint=endpoint))

    def ask(self, request):
        return json.loads(subprocess.run(self.asker(request, "--show"), stdout=subprocess.PIPE, check=True).stdout)

    @contextlib.contextmanager
    def floor_router(self, size):
        endpoint = f"ipc://{self.dir}/floor"
        process = self.spawn(self.tool("floor_router"), endpoint, str(size))
        self.until(lambda: os.path.exists(f"{self.dir}/floor"))
        yield endpoint
        self.end(process)
        os.unlink(f"{self.dir}/floor")

    def daemon_cpu(self):
        """Seconds of CPU of the keeper and the arbiter, all of their threads."""
        own = os.readlink(f"/proc/{self.daemon.pid}/exe")
        total = 0
        children = pathlib.Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().split()
        for pid in [str(self.daemon.pid), *children]:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") == own:
                    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                        total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


def run_json(command):
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE * 5, check=False)
    if run.returncode != 0:
        fail(f"{command[0]} ended with {run.returncode}")
    return json.loads(run.stdout)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


class Pairs:
    """What the floor and circusd did, a pair a round."""

    def __init__(self, rounds, measure_floor, measure_ours):
        self.floor, self.ours = [], []
        for number in range(rounds):
            both = [(self.floor, measure_floor), (self.ours, measure_ours)]
            for runs, measure in both if number % 2 == 0 else reversed(both):
                runs.append(measure())

    def ratios(self, key):
        return sorted(ours[key] / floor[key] for floor, ours in zip(self.floor, self.ours, strict=True))


class Table:
    def row(self, title, floor, ours, ratio, target, good, spread=""):
        verdict = "ok" if good else "MISSED"
        print(f"  {title:54}{floor:>14}{ours:>14}{ratio:>8}{target:>14}  {verdict}{spread}", flush=True)

    def head(self, title):
        print(f"\n{title}\n  {'':54}{'floor':>14}{'circusd':>14}{'ratio':>8}{'target':>14}", flush=True)

    def pairs(self, title, pairs, key, unit, target, good):
        ratios = pairs.ratios(key)
        middle = statistics.median(ratios)
        self.row(title, unit(median(pairs.floor, key)), unit(median(pairs.ours, key)), f"{middle:.2f}x", target,
                 good(middle), f"  ({ratios[0]:.2f}-{ratios[-1]:.2f})")

    def at_most(self, title, pairs, key, unit, factor):
        self.pairs(title, pairs, key, unit, f"<= {factor}x", lambda ratio: ratio <= factor)

    def at_least(self, title, pairs, key, unit, factor):
        self.pairs(title, pairs, key, unit, f">= {factor}x", lambda ratio: ratio >= factor)

    def limit(self, title, floor, ours, unit, limit):
        self.row(title, unit(floor) if floor is not None else "", unit(ours), "", f"<= {unit(limit)}", ours <= limit)


def us(ns):
    return f"{ns / US:.0f} us"


def ms(ns):
    return f"{ns / MS:.2f} ms"


def per_second(rate):
    return f"{rate:,.0f}/s"


def request(command, **properties):
    return json.dumps({"id": "1", "command": command, "properties": properties})


# ---- the control socket ----

def control(tools, arguments, table):
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory, Bench(tools, directory) as bench:
        bench.circusd((HEAD + CREW).format(dir=directory, tools=tools, workers=arguments.workers))
        running = []
        bench.until(lambda: running.extend(bench.words()) or len(running) == arguments.workers)
        bench.until(lambda: bench.ask(request("status", name="bench"))["status"] == "active", 0.05)
        seconds = str(arguments.seconds)
        table.head(f"the control socket, {arguments.workers} workers (medians of {arguments.rounds} rounds)")

        def in_turns(asked, *more):
            size = len(json.dumps(bench.ask(asked), separators=(",", ":")))
            with bench.floor_router(size) as endpoint:
                return Pairs(arguments.rounds,
                             lambda: bench.measure(asked, "--seconds", seconds, *more, endpoint=endpoint),
                             lambda: bench.measure(asked, "--seconds", seconds, *more))

        pairs = in_turns(request("numprocesses"), "--clients", "8")
        table.at_least("numprocesses, 8 clients", pairs, "rate", per_second, 0.6)
        table.at_most("    the same, p99", pairs, "p99", us, 3)
        pairs = in_turns(request("list", name="bench"))
        table.at_most(f"list of {arguments.workers} pids", pairs, "median", us, 4)
        pairs = in_turns(request("stats", name="bench"))
        table.limit(f"stats of {arguments.workers} processes", median(pairs.floor, "median"),
                    median(pairs.ours, "median"), ms, 25 * MS)

        # Somebody else's numprocesses, every two milliseconds: alone, and while stats is asked ten times a second.
        alone, meanwhile = [], []
        for _ in range(arguments.rounds):
            alone.append(bench.measure(request("numprocesses"), "--seconds", seconds, "--pause-us", "2000"))
            statsman = subprocess.Popen(bench.asker(request("stats", name="bench"), "--seconds",
                                                    str(arguments.seconds * 1.5), "--pause-us", "100000"),
                                        stdout=subprocess.DEVNULL)
            meanwhile.append(bench.measure(request("numprocesses"), "--seconds", seconds, "--pause-us", "2000"))
            statsman.wait()
        table.row("    numprocesses of another client, p99: alone, meanwhile", us(median(alone, "p99")),
                  us(median(meanwhile, "p99")), "", "", True)


# ---- circusctl ----

def circusctl(tools, arguments, table):
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory, Bench(tools, directory) as bench:
        bench.circusd((HEAD + CREW).format(dir=directory, tools=tools, workers=arguments.workers))
        running = []
        bench.until(lambda: running.extend(bench.words()) or len(running) == arguments.workers)
        table.head(f"circusctl (medians of {arguments.rounds} rounds; the floor is a C program that asks once)")
        pairs = Pairs(arguments.rounds,
                      lambda: run_json([bench.tool("bench_process"), "50", *bench.asker(request("status"), "--show")]),
                      lambda: run_json([bench.tool("bench_process"), "50", str(tools / "bin/circusctl"), "--endpoint",
                                        bench.endpoint, "status"]))
        table.limit("circusctl status, whole process", median(pairs.floor, "median"), median(pairs.ours, "median"), ms,
                    8 * MS)


# ---- streams ----

def files_of(directory):
    """Oldest first."""
    found = [path for path in pathlib.Path(directory).glob("out.log*")]
    return sorted(found, key=lambda path: -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0)


def ends_with(path, line):
    try:
        with open(path, "rb") as file:
            file.seek(-LINE, os.SEEK_END)
            return file.read(12) == b"%012d" % line
    except OSError:
        return False


def check_lines(directory, last, first=None):
    """The files hold consecutive lines up to `last` (from `first`), each file full but the last."""
    expected = first
    for path in files_of(directory):
        data = path.read_bytes()
        if len(data) > 10_000_000 or len(data) % LINE:
            fail(f"{path} has {len(data)} bytes")
        for at in range(0, len(data), LINE):
            number = int(data[at:at + 12])
            if expected is not None and number != expected:
                fail(f"{path}: line {expected} is missing, {number} stands there")
            expected = number + 1
    if expected != last + 1:
        fail(f"the last line is {expected}, not {last}")


def floor_stream(tools, megabytes):
    """writer | cat > file"""
    lines = megabytes * 1_000_000 // LINE
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory, Bench(tools, directory) as bench:
        out = os.path.join(directory, "out.log")
        with open(out, "wb") as file:
            writer = subprocess.Popen([bench.tool("writer"), str(lines), bench.fifo_path], stdout=subprocess.PIPE)
            cat = subprocess.Popen(["cat"], stdin=writer.stdout, stdout=file)
            writer.stdout.close()
            bench.until(lambda: ends_with(out, lines - 1))
            end = time.monotonic_ns()
            writer.wait()
            usage = os.wait4(cat.pid, 0)[2]
            cat.returncode = 0
        return {"rate": megabytes * 1e9 / (end - bench.words()[0]),
                "cpu": (usage.ru_utime + usage.ru_stime) * 1000 / megabytes}


def stream(tools, megabytes, backups, meanwhile=None):
    lines = megabytes * 1_000_000 // LINE
    with tempfile.TemporaryDirectory(prefix="circus-bench-") as directory, Bench(tools, directory) as bench:
        bench.circusd((HEAD + STREAM).format(dir=directory, tools=tools, lines=lines, backups=backups))
        before = bench.daemon_cpu()
        bench.ask(request("start", name="stream"))
        said = bench.until(bench.words)
        asked = bench.measure(*meanwhile) if meanwhile else None
        out = os.path.join(directory, "out.log")
        bench.until(lambda: ends_with(out, lines - 1))
        end = time.monotonic_ns()
        if asked and len(bench.words()) + len(said) > 2:
            fail("the worker was started twice")
        figures = {"rate": megabytes * 1e9 / (end - said[0]), "cpu": (bench.daemon_cpu() - before) * 1000 / megabytes}
        check_lines(directory, lines - 1, 0 if megabytes < backups * 10 else None)
        return figures | ({"asked": asked} if asked else {})


def streams(tools, arguments, table):
    pairs = Pairs(arguments.rounds, lambda: floor_stream(tools, STREAM_MB), lambda: stream(tools, STREAM_MB, 5))
    stream(tools, STREAM_MB, STREAM_MB // 10 + 5)
    table.head(f"{STREAM_MB} MB of 100-byte lines, rotated at 10 MB x 5 (medians of {arguments.rounds} rounds; "
               "each line accounted for)")
    table.at_least("throughput", pairs, "rate", lambda rate: f"{rate:.0f} MB/s", 0.8)
    table.limit("CPU", median(pairs.floor, "cpu"), median(pairs.ours, "cpu"), lambda cpu: f"{cpu:.2f} s/GB", 1.5)
    asked = [stream(tools, LONG_STREAM_MB, 5, (request("status"), "--seconds", "1.5", "--pause-us", "1000"))["asked"]
             for _ in range(arguments.rounds)]
    table.limit("status meanwhile, p99", None, median(asked, "p99"), ms, 5 * MS)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="circusd's control socket, streams and client against floors")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build")
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1, help="of each round of the control socket")
    parser.add_argument("--only", default="control,streams,circusctl", help="comma list (default %(default)s)")
    arguments = parser.parse_args()
    tools = arguments.build.resolve()
    for program in ["bin/circusd", "bin/circusctl"] + [f"tests/bin/{name}" for name in (
            "worker", "writer", "floor_router", "bench_control", "bench_process")]:
        if not shutil.which(str(tools / program)):
            fail(f"{tools / program} is not built: cmake --build {tools}")
    parts = {"control": control, "streams": streams, "circusctl": circusctl}
    for part in arguments.only.split(","):
        parts[part](tools, arguments, Table())


if __name__ == "__main__":
    main()
