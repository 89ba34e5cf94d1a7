#!/usr/bin/python3
"""Chaussette with one backend, for a socket that circusd holds: serve.py --fd N [--backend B] MODULE:APP

Chaussette 1.3.0 imports every backend it finds on the machine, which costs each worker most of its start and
memory; and it leaves gevent out on Python 3, where it works. Here the backend that was asked for is the only
one: wsgiref, waitress, gevent or meinheld.

wsgiref and waitress take one request at a time. On SIGTERM both, and gevent with --spawn N --graceful-timeout S,
answer what they have accepted before they end, so a reload loses no request. A watcher with ready = "notify" is
told when the worker is about to serve. All other arguments are Chaussette's own.
"""

import argparse
import importlib
import os
import signal
import socket
import struct
import sys

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--backend", default="wsgiref")
wanted = parser.parse_known_args()[0].backend

# None in sys.modules makes an import fail as if the module were not there.
for name in ("waitress", "meinheld", "tornado", "eventlet"):
    if name != wanted or name == "waitress":
        sys.modules["chaussette.backend._" + name] = None
registry = importlib.import_module("chaussette.backend")
server = importlib.import_module("chaussette.server")


class FinishingServer(registry.get("wsgiref")):
    """Accepts in a blocking accept(2), so that a connection wakes one idle worker and not all of them."""

    # How often an idle worker looks whether it was told to stop. Only the accept may be timed out: an
    # exception thrown out of it by a signal could lose the connection it had just taken.
    accept_timeout = struct.pack("ll", 0, 500000)
    request_timeout = 30  # seconds; a client that stalls would block a worker of one request at a time
    stopping = False

    def stop(self, _signo, _frame):
        self.stopping = True

    def serve_forever(self, poll_interval=0.5):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self.accept_timeout)
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopping:
            try:
                request, address = self.get_request()
            except OSError:
                continue
            request.settimeout(self.request_timeout)
            try:
                self.process_request(request, address)
            except Exception:
                self.handle_error(request, address)
                self.shutdown_request(request)


def gevent_server():
    module = importlib.import_module("chaussette.backend._gevent")
    # Chaussette knows the function by the name it had before gevent 20.
    module.gevent_signal = importlib.import_module("gevent").signal_handler

    class Server(module.Server):
        # By itself gevent accepts a hundred connections in a row, as if nobody else served this socket.
        max_accept = 1

    return Server


def waitress_server():
    """Chaussette's own is for waitress 1."""
    waitress = importlib.import_module("waitress.server")
    channel = importlib.import_module("waitress.channel")
    logging = importlib.import_module("logging")

    class ClosingParser(channel.HTTPRequestParser):
        """Every request is a connection's last: an idle one would be the one that this worker has."""

        def parse_header(self, header_plus):
            super().parse_header(header_plus)
            self.headers["CONNECTION"] = "close"

    class ClosingChannel(channel.HTTPChannel):
        parser_class = ClosingParser

    class Server:
        # The listener and the pipe that wakes the loop are counted as connections.
        connection_limit = 3

        def __init__(self, address, application, **_):
            # It warns each time that it has as many connections as it should have.
            logging.getLogger("waitress").setLevel(logging.ERROR)
            self.socket = socket.socket(fileno=os.dup(int(address[0].removeprefix("fd://"))))
            # _start: it would call listen(2) on the socket, which is not its own, with a backlog of its own.
            self.server = waitress.create_server(application, _start=False, sockets=[self.socket], threads=1,
                                                 connection_limit=self.connection_limit)
            self.server.channel_class = ClosingChannel

        def stop(self, _signo, _frame):
            self.server.accepting = False
            self.server.pull_trigger()

        def serve_forever(self):
            self.server.accepting = True
            signal.signal(signal.SIGTERM, self.stop)
            while self.server.accepting or self.server.active_channels:
                self.server.asyncore.loop(timeout=1, map=self.server._map, use_poll=True, count=1)

    return Server


def tell_ready():
    """READY=1, as sd_notify(3) says it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


make_server = server.make_server


def ready_server(*arguments, **options):
    made = make_server(*arguments, **options)
    tell_ready()
    return made


server.make_server = ready_server
registry.register("wsgiref", FinishingServer)
for name, made in (("gevent", gevent_server), ("waitress", waitress_server)):
    if name == wanted:
        registry.register(name, made())
server.main()
