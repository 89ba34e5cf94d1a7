#!/usr/bin/python3
"""Chaussette with one backend, for a socket that circusd holds: serve.py --fd N [--backend B] MODULE:APP

Chaussette 1.3.0 imports every backend it finds on the machine, which costs each worker most of its start and
memory; and it leaves gevent out on Python 3, where it works. Here the backend that was asked for is the only
one: wsgiref or gevent (that of waitress does not fit waitress 2). On SIGTERM wsgiref, and gevent with --spawn N
--graceful-timeout S, answer what they have accepted before they end, so a reload loses no request. All other
arguments are Chaussette's own.
"""

import argparse
import importlib
import signal
import socket
import struct
import sys

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--backend", default="wsgiref")
wanted = parser.parse_known_args()[0].backend

# None in sys.modules makes an import fail as if the module were not there.
for name in ("waitress", "meinheld", "tornado", "eventlet"):
    if name != wanted:
        sys.modules["chaussette.backend._" + name] = None
registry = importlib.import_module("chaussette.backend")
if wanted not in registry.backends():
    module = importlib.import_module("chaussette.backend._" + wanted)
    registry.register(wanted, module.Server)
if wanted == "gevent":
    # Chaussette knows the function by the name it had before gevent 20.
    module.gevent_signal = importlib.import_module("gevent").signal_handler


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


registry.register("wsgiref", FinishingServer)
importlib.import_module("chaussette.server").main()
