"""A worker for tests of readiness and reloads: it serves HTTP on an inherited socket, and is ready when it says so.

    ready_worker.py VERSION [--fd N] [--say WHAT] [--gate FILE] [--exit CODE] [--grow MB] [--listen PORT]

--gate: before it is ready it waits until FILE is there; when it has said so it makes FILE.said. --say: how it says so: notify, child (a child does), log.
--exit: it ends with CODE in the place of becoming ready. --listen: then it listens on that port. --grow: then it takes
so much memory. TERM: it answers what it has accepted, and ends.
"""
import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("version")
parser.add_argument("--fd", type=int)
parser.add_argument("--say")
parser.add_argument("--gate")
parser.add_argument("--exit", type=int)
parser.add_argument("--grow", type=int)
parser.add_argument("--listen", type=int)
options = parser.parse_args()

stopping = False
wake_read, wake_write = os.pipe()


def stop(_signo, _frame):
    global stopping
    stopping = True
    os.write(wake_write, b"x")


signal.signal(signal.SIGTERM, stop)
NOTIFY = """
import os, socket
name = os.environ["NOTIFY_SOCKET"]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.sendto(b"STATUS=here\\nREADY=1\\n", "\\0" + name[1:] if name.startswith("@") else name)
"""


def say():
    if options.say == "notify":
        exec(NOTIFY)  # noqa: S102
    elif options.say == "child":
        # The parent waits, so the child is still there when the datagram is read, or its parent is.
        subprocess.run([sys.executable, "-c", NOTIFY + "\nimport time\ntime.sleep(0.5)"], check=True)
    elif options.say == "log":
        print("now accepting connections", flush=True)


print(f"version {options.version} begins", flush=True)
while options.gate and not os.path.exists(options.gate) and not stopping:
    time.sleep(0.02)
if options.exit is not None and not stopping:
    sys.exit(options.exit)
listeners = []
if options.fd is not None:
    listeners.append(socket.socket(fileno=options.fd))
if options.listen:
    listeners.append(socket.create_server(("127.0.0.1", options.listen)))
for listener in listeners:
    listener.setblocking(False)
say()
if options.gate:
    open(options.gate + ".said", "w").close()
hoard = bytearray(os.urandom(1 << 20)) * options.grow if options.grow else b""

while not stopping:
    for readable in select.select([*listeners, wake_read], [], [])[0]:
        if readable == wake_read:
            continue
        try:
            connection, _ = readable.accept()
        except BlockingIOError:
            continue  # another worker was quicker
        with connection:
            connection.settimeout(10)
            try:
                connection.recv(4096)
                body = options.version.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" %
                                   (len(body), body))
            except OSError:
                pass  # a look that only connected
