"""A WSGI application behind two servers: it counts its visitors in Redis and keeps a text in memcached.

REDIS and MEMCACHED in the environment name them, HOST:PORT each. One that is being replaced is waited for, at the start
and later; a worker that does not find them by then ends.
"""

import os
import socket
import time

from queue_worker import Redis
from work import work

PATIENCE = 10  # seconds for a server that comes back


class Memcached:
    def __init__(self, host, port):
        self.stream = socket.create_connection((host, port)).makefile("rwb")

    def line(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("memcached closed the connection")
        return line[:-2]

    def ask(self, key):
        """What is kept under `key`, or None."""
        self.stream.write(b"get %s\r\n" % key.encode())
        self.stream.flush()
        line, kept = self.line(), None
        if line.startswith(b"VALUE"):
            kept = self.stream.read(int(line.split()[3]) + 2)[:-2].decode()
            line = self.line()
        if line != b"END":
            raise ConnectionError(f"memcached says {line!r}")
        return kept

    def keep(self, key, text, seconds):
        self.stream.write(b"set %s 0 %d %d\r\n%s\r\n" % (key.encode(), seconds, len(text), text.encode()))
        self.stream.flush()
        self.line()


class Lasting:
    """A connection that is made anew when the server went away meanwhile."""

    def __init__(self, made, address):
        host, port = address.rsplit(":", 1)
        self.make = lambda: made(host, int(port))
        self.server = None
        self.use(lambda _: None)

    def use(self, action):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.server is None:
                    self.server = self.make()
                return action(self.server)
            except (OSError, RuntimeError):
                # RuntimeError: an answer such as LOADING.
                self.server = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


redis = Lasting(Redis, os.environ["REDIS"])
memcached = Lasting(Memcached, os.environ["MEMCACHED"])


def text():
    kept = memcached.use(lambda server: server.ask("text"))
    if kept is None:
        kept = f"made at {time.time():.0f}"
        memcached.use(lambda server: server.keep("text", kept, 5))
    return kept


def application(_environ, start_response):
    visitor = redis.use(lambda server: server.ask("INCR", "visitors"))
    kept = text()
    work()
    body = f"visitor {visitor}, {kept}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
