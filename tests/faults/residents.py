"""Who is there all the time: clients that do not read, strangers that must be left alone, a clock of the observer's own."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import stack
import zmq
from daemon import PROBE
from observer import Process, is_running
from process_tree import read_proc


class Pace:
    """Whether the observer itself was held up: what it measured then says nothing of the daemon."""

    TICK, HELD_UP = 0.02, 0.25  # seconds

    def __init__(self):
        self.gaps = []  # when, and how long
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)
        self.thread.start()

    def _tick(self):
        last = time.monotonic()
        while not self.ended.wait(self.TICK):
            now = time.monotonic()
            if now - last > self.HELD_UP:
                self.gaps.append((last, now))
            last = now

    def was_steady(self, began, ended):
        return not any(begin < ended and end > began for begin, end in list(self.gaps))

    def stop(self):
        self.ended.set()
        self.thread.join()


class Deaf:
    """A subscriber that never reads, and a client that asks and never reads the answers."""

    def __init__(self, daemon):
        self.context = zmq.Context()
        self.subscriber = self.context.socket(zmq.SUB)
        self.asker = self.context.socket(zmq.DEALER)
        for each, endpoint in ((self.subscriber, daemon.pubsub), (self.asker, daemon.endpoint)):
            each.setsockopt(zmq.LINGER, 0)
            each.setsockopt(zmq.RCVHWM, 1)
            each.setsockopt(zmq.RCVBUF, 4096)
            if each is self.subscriber:
                each.setsockopt(zmq.SUBSCRIBE, b"")
            each.connect(endpoint)
        self.asked = 0

    def ask(self, count):
        text = json.dumps({"id": "deaf", "command": "options", "properties": {"name": "web"}}).encode()
        with contextlib.suppress(zmq.Again):
            for _ in range(count):
                self.asker.send(text, zmq.NOBLOCK)
                self.asked += 1

    def close(self):
        self.subscriber.close()
        self.asker.close()
        self.context.term()


class Strangers:
    """Processes that are nobody's of circusd's, however much they look like its own: they note each signal they get."""

    def __init__(self, folder):
        self.folder = folder
        self.notes = os.path.join(folder, "strangers")
        self.started = []
        self.add({"CIRCUS_INSTANCE": "0123456789.1"})
        if stack.IS_ROOT:
            self.add({"A": "b"}, user=stack.UID, group=stack.UID, extra_groups=[])

    def add(self, environment, **more):
        """A process that looks like a worker of "own" from outside."""
        words = [PROBE, *stack.noting(self.notes), "--report", os.path.join(self.folder), "--", "own:1"]
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        process.identity = Process(process.pid, read_proc(process.pid, "stat")).identity
        self.started.append(process)
        return process

    def remove(self, process):
        self.started.remove(process)
        process.kill()
        process.wait()

    def pids(self):
        return {each.pid for each in self.started}

    def faults(self):
        found = [f"the stranger {each.pid} has ended with {each.poll()}" for each in self.started
                 if not is_running(each.identity)]
        with contextlib.suppress(FileNotFoundError):
            for line in pathlib.Path(self.notes).read_text().splitlines():
                signo, pid = line.split()
                found.append(f"the stranger {pid} got {signal.Signals(int(signo)).name}")
        return found

    def close(self):
        for each in list(self.started):
            self.remove(each)


class Planted:
    """A link that somebody else has planted where a log is written, and what it points to."""

    TEXT = "precious\n"

    def __init__(self, folder):
        self.victim = os.path.join(folder, "victim")
        pathlib.Path(self.victim).write_text(self.TEXT)
        os.chmod(self.victim, 0o644)
        self.before = self._look()

    def _look(self):
        seen = os.stat(self.victim)
        return pathlib.Path(self.victim).read_text(), seen.st_mode, seen.st_uid, seen.st_ino

    def plant(self, path):
        """Instead of the file that is there; returns what that is called now."""
        kept = f"{path}.kept"
        os.rename(path, kept)
        os.symlink(self.victim, path)
        if stack.IS_ROOT:
            os.lchown(path, stack.STRANGER, stack.STRANGER)
        return kept

    def faults(self):
        now = self._look()
        return [] if now == self.before else [f"what a planted link points to was {self.before}, is {now}"]
