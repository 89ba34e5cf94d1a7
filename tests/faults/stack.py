"""The stack that is tormented: a web server on a managed socket, a job with a child of its own, a plugin beside.

Each process of it carries its wid on its command line, so that an outsider sees the wids without asking.
"""
import pathlib
import sys

# One request at a time; TERM ends it after the request at hand. It logs a numbered line before it answers.
SERVER = r'''
import os, select, signal, socket, sys
listener = socket.socket(fileno=int(sys.argv[2]))
listener.setblocking(False)
woken, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
signal.signal(signal.SIGTERM, lambda *_: None)
line = 0
while True:
    ready, _, _ = select.select([listener, woken], [], [])
    if woken in ready:
        break
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    connection.setblocking(True)
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            part = connection.recv(4096)
            if not part:
                break
            request += part
        line += 1
        os.write(1, b"%d %d served by worker %s, a line long enough to be torn\n"
                 % (os.getpid(), line, sys.argv[1].encode()))
        body = b"%d %d" % (os.getpid(), line)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
'''

# A worker with a child that ignores TERM: what a stop must not leave behind.
JOB = r'''
import os, signal, sys
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-c", "import time\nwhile True: time.sleep(1000)", "child-of-job"])
while True:
    signal.pause()
'''

LINE_END = "a line long enough to be torn"


def lay(folder):
    pathlib.Path(folder, "server.py").write_text(SERVER)
    pathlib.Path(folder, "job.py").write_text(JOB)


def config(web=4, jobs=2, more=""):
    """TOML without [circus], for so many processes of each."""
    return f'''
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "{sys.executable}"
args = ["-S", "-E", "@DIR@/server.py", "$(circus.wid)", "$(circus.sockets.web)"]
use_sockets = true
numprocesses = {web}
min_uptime = 0.0
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/web.log"
stdout_stream.max_bytes = 1000000
stdout_stream.backup_count = 1000
{more}
[watcher.job]
cmd = "{sys.executable}"
args = ["-S", "-E", "@DIR@/job.py", "$(circus.wid)"]
numprocesses = {jobs}
min_uptime = 0.0
graceful_timeout = 5

[plugin.observed]
use = "statsd"
isolate = true
'''
