"""The stack that is tormented: a web server on a managed socket, and around it one watcher for each way to be difficult.

Each process of it carries NAME:WID as the last word of its command line, so that an outsider sees the wids without
asking. DECLARED is what the observer holds against what it finds.
"""
import os
import pathlib
import signal
import sys

from daemon import BUILD, PROBE

# One request at a time; TERM ends it after the request at hand. It logs a numbered line before it answers.
SERVER = r'''
import os, select, signal, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(False)
woken, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
signal.signal(signal.SIGTERM, lambda *_: None)
wid = sys.argv[2].rpartition(":")[2].encode()
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
        os.write(1, b"%d %d served by worker %s, a line long enough to be torn\n" % (os.getpid(), line, wid))
        body = b"%d %d" % (os.getpid(), line)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
'''

# A worker with a child that ignores TERM: what a stop must not leave behind.
JOB = r'''
import os, signal, sys
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-c", "import time\nwhile True: time.sleep(1000)", "child-of-" + sys.argv[1]])
while True:
    signal.pause()
'''

# Writes a numbered line twenty times a second, for ever.
TALKER = r'''
import os, time
line = 0
while True:
    line += 1
    os.write(1, b"%d %d is said, a line long enough to be torn\n" % (os.getpid(), line))
    time.sleep(0.05)
'''

WEB_LINE = r"(\d+) (\d+) served by worker \d+, a line long enough to be torn"
TALKER_LINE = r"(\d+) (\d+) is said, a line long enough to be torn"

# A uid that nobody else has, so that its processes can be counted (RLIMIT_NPROC), and another user's.
UID = 64000 + os.getpid() % 1000
STRANGER = 65532
IS_ROOT = os.geteuid() == 0

# What Python ignores by itself; what a program finds ignored stays so in /proc.
PYTHONS_OWN = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1


class Declared:
    """What the configuration says of a watcher, as far as an outsider can see it."""

    def __init__(self, *, count=1, family=1, env=None, sockets=(), uid=None, ignores=0, opens=False, steady=True):
        self.count, self.family = count, family  # workers, and processes of each of them, itself included
        self.env = env or {}
        self.sockets = sockets  # their names; their descriptors run from 3 on
        self.uid = uid if IS_ROOT else None  # and gid; None: the daemon's own
        self.ignores = ignores  # the mask of signals that its program ignores by itself
        self.opens = opens  # its program opens descriptors of its own: pipes to itself, accepted connections
        self.steady = steady  # all of them are there at rest; else at most so many


DECLARED = {
    "web": Declared(count=4, sockets=("web",), ignores=PYTHONS_OWN, opens=True),
    "job": Declared(count=2, family=2, ignores=PYTHONS_OWN),
    "stubborn": Declared(family=3, ignores=1 << signal.SIGTERM - 1),
    "quiet": Declared(uid=UID + 1, env={"HUE": "dark red"}),
    "own": Declared(count=2, uid=UID, env={"A": "b"}),
    "talker": Declared(ignores=PYTHONS_OWN),
    "loud": Declared(ignores=PYTHONS_OWN),
    "crasher": Declared(steady=False),
    "broken": Declared(steady=False),
}
STUBBORN_GRACE, JOB_GRACE = 0.5, 5

# Signals whose arrival a quiet process notes in a file.
NOTED = [1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 16, 18, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30]


def noting(path):
    return [word for signo in NOTED for word in ("--note", f"{signo}:{path}")]


def lay(folder):
    for name, text in (("server.py", SERVER), ("job.py", JOB), ("talker.py", TALKER)):
        pathlib.Path(folder, name).write_text(text)


def texts(words):
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def user(uid):
    return f"uid = {uid}\ngid = {uid}\n" if IS_ROOT else ""


CIRCUS = '''logoutput = "@DIR@/circusd.log"
pidfile = "@DIR@/run/pid"
endpoint = "ipc://@DIR@/run/endpoint"
pubsub_endpoint = "ipc://@DIR@/run/pubsub"
stats_endpoint = "ipc://@DIR@/run/stats"
'''


def config(port, web=4, jobs=2, more=""):
    """TOML without [circus], for so many processes of each."""
    python = f'cmd = "{sys.executable}"\n'
    return f'''
[socket.web]
host = "127.0.0.1"
port = {port}

[watcher.web]
{python}args = ["-S", "-E", "@DIR@/server.py", "$(circus.sockets.web)", "web:$(circus.wid)"]
use_sockets = true
numprocesses = {web}
min_uptime = 0.0
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/web.log"
stdout_stream.max_bytes = 1000000
stdout_stream.backup_count = 1000
{more}
[watcher.job]
{python}args = ["-S", "-E", "@DIR@/job.py", "job:$(circus.wid)"]
numprocesses = {jobs}
min_uptime = 0.0
graceful_timeout = {JOB_GRACE}

# The worst a worker can do at its end: it ignores TERM, has a child, and has left a daemon behind.
[watcher.stubborn]
cmd = "{PROBE}"
args = ["--ignore", "15", "--grandchild", "--daemonize", "--", "stubborn:$(circus.wid)"]
min_uptime = 0.0
graceful_timeout = {STUBBORN_GRACE}

# Nobody has anything to do with this one: it stays, and is not signalled. It would be replaced in an hour.
[watcher.quiet]
cmd = "{PROBE}"
args = {texts([*noting("@REPORTS@/quiet"), "--exit-on", "15:0", "--", "quiet:$(circus.wid)"])}
{user(UID + 1)}max_age = 3600
max_age_variance = 1
env = {{ HUE = "dark red" }}

[watcher.own]
cmd = "{PROBE}"
args = ["--print", "3:of its own", "--", "own:$(circus.wid)"]
numprocesses = 2
min_uptime = 0.0
{user(UID)}env = {{ A = "b" }}
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/own.log"

# Its log is on a disk of its own, which can be filled.
[watcher.talker]
{python}args = ["-S", "-E", "@DIR@/talker.py", "talker:$(circus.wid)"]
min_uptime = 0.0
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/small/talker.log"
stdout_stream.max_bytes = 16000
stdout_stream.backup_count = 4

# Nobody reads circusd's standard output.
[watcher.loud]
{python}args = ["-S", "-E", "@DIR@/talker.py", "loud:$(circus.wid)"]
min_uptime = 0.0
stdout_stream.class = "StdoutStream"
stdout_stream.on_slow = "drop"

[watcher.crasher]
cmd = "{PROBE}"
args = ["--exit-after", "0:1", "--", "crasher:$(circus.wid)"]
max_retry = -1

[watcher.broken]
cmd = "/nonexistent/program"
args = ["broken:$(circus.wid)"]
max_retry = -1

[plugin.observed]
use = "statsd"
isolate = true

# In the arbiter's own process; it aborts when it is told to.
[plugin.dies]
use = "{BUILD}/tests/plugins/so/dies.so"
'''


# Files that must be refused: what is added to [watcher.web], the word that the error must name.
BROKEN = [
    ("numproceses = 3", "numproceses"),
    ('numprocesses_ = "x"', "numprocesses_"),
    ('graceful_timeout = "soon"', "graceful_timeout"),
    ('stop_signal = "nosuch"', "stop_signal"),
    ("max_age = -5", "max_age"),
    ('uid = "nobody-of-that-name"', "uid"),
    ('hooks.before_start = "/nonexistent/library.so:function"', "hooks"),
    ("rlimit_nosuch = 5", "rlimit_nosuch"),
    ('ready = "sometime"', "ready"),
    ('reload_mode = "wild"', "reload_mode"),
    ("umask = 0o1", ""),
    ("singleton = = true", ""),
]
