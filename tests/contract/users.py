"""Users without a pause: the load of tests/bench/wsgi as one that goes on until it is told to stop."""
import json
import os
import signal
import subprocess

from daemon import BUILD

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

    @property
    def requests(self):
        return self.told["requests"]


def needs_load():
    """Why there is no load, or None."""
    return None if os.access(LOAD, os.X_OK) else f"{LOAD} is not built"
