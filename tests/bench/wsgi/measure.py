"""One load against a running stack, and what comes of its requests."""
import collections
import json
import math
import os
import signal
import statistics
import subprocess
import threading
import time

from stacks import HERE, PYTHON, Trouble

# A request costs about 10 ms of CPU, so two processors are through with so many in a second, and some more: how long a
# user waits at most, and so how long it takes until all of them wait as long as they ever will.
USUAL_RATE = 150
LOOK = 0.25  # seconds between two counts of the workers


Request = collections.namedtuple("Request", "begin latency error")  # seconds since the start, seconds, or None


class Load:
    """What the users saw. `workers` is [(seconds, how many)]; `cpu` the load's own."""

    def __init__(self, requests, told, workers):
        self.requests, self.cpu, self.workers = requests, told["cpu"], workers
        self.seconds = told["seconds"]

    def failed(self):
        """Of the whole time: how many requests, how many of them failed, and how."""
        kinds = collections.Counter(each.error for each in self.requests if each.error)
        return {"requests": len(self.requests), "errors": sum(kinds.values()), "kinds": dict(kinds)}

    def within(self, begin, end):
        return [each for each in self.requests if begin <= each.begin < end and not each.error]

    def figures(self, begin, end):
        """Of the requests that were begun in that time, whenever they ended; and of those that ended in it, the rate."""
        latencies = sorted(each.latency for each in self.within(begin, end))
        ended = sum(begin <= each.begin + each.latency < end for each in self.requests if not each.error)
        figures = {"rps": ended / (end - begin), **self.failed()}
        if latencies:
            figures |= {"min": latencies[0], "avg": statistics.fmean(latencies), "max": latencies[-1]}
            figures |= {name: percentile(latencies, share) for name, share in
                        (("p10", 0.1), ("med", 0.5), ("p90", 0.9), ("p95", 0.95))}
        if self.workers:
            figures["workers"] = self.worker_seconds(begin, end) / (end - begin)
        return figures

    def worker_seconds(self, begin, end):
        """The area below the steps of the counted workers."""
        total, at, count = 0.0, begin, None
        for when, number in self.workers:
            if when > end:
                break
            if when > begin:
                total += (when - at) * (number if count is None else count)
                at = when
            count = number
        return total + (end - at) * (count or 0)


def percentile(ordered, share):
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def settle_time(users):
    """Until each of them has waited for all the others once or twice."""
    return 1 + 2 * users / USUAL_RATE


def run_load(running, steps, each_second=None):
    """`steps` is [(users, seconds)]. `each_second` is called once a second, while the last step lasts and from its
    first second on."""
    out = os.path.join(running.directory, "load")
    users = subprocess.Popen([str(running.build / "tests/bin/wsgi_load"), *running.target(), "--steps",
                              ",".join(f"{count}:{seconds}" for count, seconds in steps), "--out", out],
                             stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    told = {}
    reader = threading.Thread(target=lambda: told.update(json.loads(users.stdout.read() or "{}")))
    reader.start()
    workers = []
    end = began + sum(seconds for _, seconds in steps)
    due = end - steps[-1][1] + 1
    try:
        while users.poll() is None:
            now = time.monotonic()
            workers.append((now - began, len(running.pids())))
            if each_second and due <= now < end - 1:
                each_second()
                due += 1
            running.read_ready()  # its pipe must not be full
            time.sleep(LOOK)
    finally:
        if users.poll() is None:
            users.send_signal(signal.SIGKILL)
        users.wait()
        reader.join()
    if not told:
        raise Trouble(f"{running.row.name}: the load ended with {users.returncode}")
    requests = []
    with open(out) as lines:
        for line in lines:
            begin, latency, error = line.split()
            requests.append(Request(int(begin) / 1e6, int(latency) / 1e6, None if error == "-" else error))
    os.unlink(out)
    return Load(requests, told, workers)


def pace(seconds):
    """How many times a second all processors together do the application's work just now, without its wait. What a shared
    machine gives changes by a third within a run of the bench: two stacks are compared by what each made of it."""
    programs = [subprocess.Popen([PYTHON, str(HERE / "pace.py"), str(seconds)], stdout=subprocess.PIPE, text=True)
                for _ in range(os.cpu_count())]
    return sum(float(each.communicate()[0] or 0) for each in programs)


def measure(running, users, seconds, before=0):
    """The figures of so many users, once they are in their swing; `before`: so many seconds more until then. `pace` is the
    machine's, around the measurement."""
    begin = settle_time(users) + before
    looks = min(1, seconds / 4)
    first = pace(looks)
    spent = running.cpu()
    # They go on for a while, so that those which are counted have company to their end.
    load = run_load(running, [(users, round(begin + seconds + users / USUAL_RATE, 2))])
    figures = load.figures(begin, begin + seconds)
    spent = running.cpu() - spent
    return figures | {"users": users, "seconds": seconds, "load_cpu": load.cpu / load.seconds,
                      "request_cpu": spent / max(len(load.requests), 1), "pace": (first + pace(looks)) / 2}
