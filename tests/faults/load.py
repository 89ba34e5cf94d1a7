"""The constant load: requests without a pause from several threads, each one accounted for.

A request that fails is kept with when it began and ended; an answer tells which worker gave it and the number of the
line that the worker logged before it answered, so that the log can be held against it.
"""
import socket
import threading
import time

from waiting import wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: load\r\n\r\n"


class Failure:
    def __init__(self, began, why):
        self.began, self.ended, self.why = began, time.monotonic(), why

    def __str__(self):
        return f"{self.why} (after {self.ended - self.began:.3f} s)"


class Load:
    def __init__(self, port, threads):
        self.port = port
        self.lock = threading.Lock()
        self.failures = []
        self.answered = {}  # pid -> the highest line number that it answered with
        self.count = 0
        self.ended = threading.Event()
        self.allowed = threading.Event()
        self.allowed.set()
        self.resting = 0  # threads that wait until asking is allowed again
        self.threads = [threading.Thread(target=self._knock, daemon=True) for _ in range(threads)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ended.set()
        self.allowed.set()
        for thread in self.threads:
            thread.join()

    def pause(self):
        """Returns when no request is under way."""
        self.allowed.clear()
        wait_until(lambda: self.resting == len(self.threads), 90, "the end of the requests under way")

    def resume(self):
        self.allowed.set()

    def _rest(self):
        with self.lock:
            self.resting += 1
        self.allowed.wait()
        with self.lock:
            self.resting -= 1

    def _knock(self):
        while not self.ended.is_set():
            if not self.allowed.is_set():
                self._rest()
            began = time.monotonic()
            try:
                pid, line = ask(self.port)
            except (OSError, ValueError) as error:
                with self.lock:
                    self.failures.append(Failure(began, repr(error)))
                continue
            with self.lock:
                self.count += 1
                self.answered[pid] = max(line, self.answered.get(pid, 0))


def ask(port, patience=60):
    """(pid, line) of the worker that answered; raises OSError or ValueError where the answer is not whole."""
    with socket.create_connection(("127.0.0.1", port), patience) as connection:
        connection.settimeout(patience)
        connection.sendall(REQUEST)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or int(head.rpartition(b":")[2]) != len(body):
        raise ValueError(f"no whole answer: {answer!r}")
    pid, line = body.split()
    return int(pid), int(line)
