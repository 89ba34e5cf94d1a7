"""Users without a pause: the load of tests/bench/wsgi as one that goes on until it is told to stop."""
import contextlib
import json
import os
import signal
import subprocess

from daemon import BUILD
from waiting import wait_until

LOAD = BUILD / "tests/bin/wsgi_load"


class Users:
    """So many users of 127.0.0.1:port, each with one request at a time on a new connection. A context."""

    def __init__(self, port, count, directory):
        self.out = os.path.join(directory, f"load-{port}")
        self.process = subprocess.Popen([LOAD, "--port", str(port), "--steps", f"{count}:200", "--out", self.out],
                                        stdout=subprocess.PIPE, text=True)
        self.told = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends when all that was asked is answered; returns {kind: count} of what failed."""
        if self.told is None:
            self.process.send_signal(signal.SIGTERM)
            self.told = json.loads(self.process.communicate(timeout=90)[0])
        failed = {}
        with open(self.out) as lines:
            for line in lines:
                kind = line.split()[2]
                if kind != "-":
                    failed[kind] = failed.get(kind, 0) + 1
        return failed

    def count(self):
        """How many have ended so far."""
        with contextlib.suppress(FileNotFoundError), open(self.out, "rb") as lines:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(65536), b""))
        return 0

    def wait_more(self, more, patience=60):
        """Until so many more have ended."""
        wanted = self.count() + more
        wait_until(lambda: self.count() >= wanted, patience)

    @property
    def requests(self):
        return self.told["requests"]


def needs_load():
    """Why there is no load, or None."""
    return None if os.access(LOAD, os.X_OK) else f"{LOAD} is not built"
