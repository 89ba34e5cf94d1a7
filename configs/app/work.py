"""A WSGI application that works as a small page does: some arithmetic, a wait, many small writes.

It answers with the seconds that took it, as text.
"""

import os
import tempfile
import time


def work():
    total = 0
    for turn in range(10000):
        total += turn * turn % 7
    time.sleep(0.1)
    descriptor, path = tempfile.mkstemp(prefix="circus-work-")
    try:
        for _ in range(10000):
            os.write(descriptor, b"0123456789\n")
    finally:
        os.close(descriptor)
        os.unlink(path)
    return total


def application(_environ, start_response):
    started = time.perf_counter()
    work()
    body = b"%.6f\n" % (time.perf_counter() - started)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
