#!/usr/bin/python3
"""A queue worker: takes jobs from a Redis list and keeps what came of them in another.

queue_worker.py HOST PORT [--jobs LIST] [--done LIST]
A job is a text; "done" gets "TEXT by WORKER". It relies on Redis being there when it starts and ends when Redis
goes away: whoever runs it sees to both. SIGTERM ends it after the job in hand.
"""

import argparse
import os
import signal
import socket


def command(*words):
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


class Redis:
    def __init__(self, host, port):
        self.stream = socket.create_connection((host, port)).makefile("rwb")

    def ask(self, *words):
        self.stream.write(command(*words))
        self.stream.flush()
        return self.answer()

    def answer(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"*":
            return [self.answer() for _ in range(max(0, int(rest)))]
        if kind == b"$":
            return None if int(rest) < 0 else self.stream.read(int(rest) + 2)[:-2].decode()
        return rest.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--jobs", default="jobs")
    parser.add_argument("--done", default="done")
    arguments = parser.parse_args()
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    redis = Redis(arguments.host, arguments.port)
    print(f"worker {os.getpid()} takes jobs from {arguments.jobs}", flush=True)
    while going:
        job = redis.ask("BLPOP", arguments.jobs, "1")
        if job:
            redis.ask("RPUSH", arguments.done, f"{job[1]} by {os.getpid()}")


if __name__ == "__main__":
    main()
