#!/usr/bin/python3
"""The stack's periodic job: asks the web application, Redis and memcached, and writes a line about them.

report.py --web HOST:PORT --redis HOST:PORT --memcached HOST:PORT [--every SECONDS] [--once]
Each report is also kept in Redis (list "reports", the last hundred) and in memcached (key "last_report").
"""

import argparse
import socket
import time
import urllib.request

TIMEOUT = 5


def ask(address, request, end):
    """Sends `request` and reads until the answer ends with `end`."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(end):
            part = connection.recv(65536)
            if not part:
                raise ConnectionError("closed in the middle of an answer")
            answer += part
        return answer.decode()


def redis_command(*words):
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def web(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=TIMEOUT) as answer:
        return f"{float(answer.read()):.3f}s"


def redis(address):
    answer = ask(address, redis_command("LLEN", "reports"), b"\r\n")
    return f"{int(answer[1:])} reports"


def memcached(address):
    answer = ask(address, b"stats\r\n", b"END\r\n")
    stats = dict(line.split(" ", 2)[1:] for line in answer.splitlines() if line.startswith("STAT "))
    return f"{stats['curr_items']} items, up {stats['uptime']}s"


def keep(arguments, line):
    push = redis_command("LPUSH", "reports", line) + redis_command("LTRIM", "reports", "0", "99")
    ask(arguments.redis, push, b"+OK\r\n")
    ask(arguments.memcached, b"set last_report 0 0 %d\r\n%s\r\n" % (len(line), line.encode()), b"\r\n")


def report(arguments):
    parts = []
    for name, question in (("web", web), ("redis", redis), ("memcached", memcached)):
        try:
            parts.append(f"{name}: {question(getattr(arguments, name))}")
        except (OSError, ValueError) as error:
            parts.append(f"{name}: {error}")
    line = "; ".join(parts)
    try:
        keep(arguments, line)
    except OSError as error:
        line += f"; not kept: {error}"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Reports on the stack's servers.")
    for name in ("web", "redis", "memcached"):
        parser.add_argument("--" + name, required=True, metavar="HOST:PORT")
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--once", action="store_true")
    arguments = parser.parse_args()
    due = time.monotonic()
    while True:
        report(arguments)
        if arguments.once:
            return
        due = max(due + arguments.every, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))


if __name__ == "__main__":
    main()
