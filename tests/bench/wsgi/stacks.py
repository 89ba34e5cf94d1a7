"""The stacks that are compared, a row each, and how one of them is started and ended.

A row is data: what it needs, and either the lines of a circusd configuration or a command. To compare another one, add a
row. All of them serve the same application (ready.py) with as many workers, as the user who runs the bench.
"""
import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
APP = ROOT / "configs/app"
sys.path.insert(0, str(ROOT / "tests/contract"))
from process_tree import descendants, free_port, is_running, read_proc  # noqa: E402
from tools import tool  # noqa: E402

PYTHON = "/usr/bin/python3"
NGINX = tool("nginx") or "/usr/sbin/nginx"
PATIENCE = 120  # seconds, until all workers are there, or gone
GRACEFUL = "--spawn 1000 --graceful-timeout 30"


class Trouble(Exception):
    """A stack could not be started or measured."""


@dataclasses.dataclass(frozen=True)
class Stack:
    name: str
    title: str
    kind: str  # "circusd", "gunicorn", "uwsgi"
    backend: str = ""  # Chaussette's, or gunicorn's class of workers
    socket: tuple = ()  # more lines of [socket.web]
    watcher: tuple = ()  # more lines of [watcher.web]
    more: str = ""  # more of the configuration
    arguments: str = ""  # more arguments of serve.py
    needs: tuple = ()  # modules and programs
    one_request: bool = True  # a worker takes one request at a time
    autoscaled: bool = False
    nginx: bool = False  # behind nginx

    def behind_nginx(self):
        return dataclasses.replace(self, name=self.name + "+nginx", title=self.title + ", nginx", nginx=True,
                                   needs=(*self.needs, NGINX))

    def steered(self):
        return any("steering" in line for line in self.socket)

    def missing(self):
        """What of its needs is not on this machine."""
        def there(need):
            return os.access(need, os.X_OK) if need.startswith("/") else importlib.util.find_spec(need) is not None
        return [need for need in self.needs if not there(need)]


BLOCKING = ("blocking = true",)
REUSEPORT = ("so_reuseport = true",)
UNSTEERED = "connections go by the kernel's hash, not by"  # circusd's log, where it may not steer
STEERINGS = ("round_robin", "least_loaded")
CHAUSSETTE = ("chaussette",)
GUNICORN = ("/usr/bin/gunicorn",)
SCALED = """
[plugin.autoscaler]
use = "autoscaler"

[watcher.web.autoscale]
min = 4
max = {workers}
boot_time = 1
"""

CLASSIC = [
    Stack("wsgiref", "circusd + Chaussette wsgiref", "circusd", "wsgiref", BLOCKING, needs=CHAUSSETTE),
    Stack("waitress", "circusd + Chaussette waitress", "circusd", "waitress", needs=(*CHAUSSETTE, "waitress")),
    Stack("gevent", "circusd + Chaussette gevent", "circusd", "gevent", arguments=GRACEFUL, one_request=False,
          needs=(*CHAUSSETTE, "gevent")),
    Stack("meinheld", "circusd + Chaussette meinheld", "circusd", "meinheld", needs=(*CHAUSSETTE, "meinheld")),
    Stack("gunicorn-gevent", "gunicorn gevent", "gunicorn", "gevent", one_request=False, needs=(*GUNICORN, "gevent")),
    Stack("gunicorn-sync", "gunicorn sync", "gunicorn", "sync", needs=GUNICORN),
    Stack("uwsgi", "uWSGI", "uwsgi", needs=("/usr/bin/uwsgi-core",)),
]
AUTOSCALED = Stack("autoscaled", "circusd, autoscaler 4 to {workers}", "circusd", "wsgiref", BLOCKING, more=SCALED,
                   autoscaled=True, needs=CHAUSSETTE)
OURS = [
    AUTOSCALED,
    Stack("gevent-one", "circusd + gevent, one greenlet", "circusd", "gevent",
          arguments="--spawn 1 --graceful-timeout 30", needs=(*CHAUSSETTE, "gevent")),
] + [Stack(f"gevent-{name}", f"circusd + gevent, a listener each, {name.replace('_', ' ')}", "circusd", "gevent",
           (*REUSEPORT, *lines), arguments=GRACEFUL, one_request=False, needs=(*CHAUSSETTE, "gevent"))
     for name, lines in (("hash", ()), *((name, (f'steering = "{name}"',)) for name in STEERINGS))]
ROWS = CLASSIC + [row.behind_nginx() for row in CLASSIC] + OURS

CONFIG = """\
[circus]
endpoint = "ipc://{dir}/endpoint"
pubsub_endpoint = "ipc://{dir}/pubsub"
stats_endpoint = "ipc://{dir}/stats"
statsd = {statsd}
loglevel = "warning"

[socket.web]
{address}
backlog = 2048
{socket}

[watcher.web]
cmd = "{python} {app}/serve.py"
args = "--fd $(circus.sockets.web) --backend {backend} --log-level critical {arguments} ready:application"
env = {{ PYTHONPATH = "{path}", READY_FIFO = "{dir}/ready" }}
use_sockets = true
numprocesses = {workers}
graceful_timeout = 30
close_child_stdout = true
close_child_stderr = true
{watcher}
"""


def rows_by_name(workers):
    return {row.name: dataclasses.replace(row, title=row.title.format(workers=workers)) for row in ROWS}


class Running:
    """A stack that runs: a context. `port` or `path` is where it is asked, `ready_ns` how long it took from the launch of
    its first program until every worker had the application."""

    def __init__(self, build, row, workers, unix=False, statsd=False):
        self.build, self.row, self.workers, self.unix, self.statsd = build, row, workers, unix, statsd
        self.directory = tempfile.mkdtemp(prefix="circus-wsgi-")
        self.programs = []  # started last, ended first
        self.ready = []
        self.port, self.path, self.fifo = None, None, None
        self._address()

    def __enter__(self):
        fifo = os.path.join(self.directory, "ready")
        os.mkfifo(fifo)
        self.fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""
        try:
            inner = self.port
            expected = 4 if self.row.autoscaled else self.workers
            self.launched = time.monotonic_ns()
            self.main = self._run(self._command(inner))
            # The workers import the application each by itself; uWSGI does it once, before it forks.
            imports = 1 if self.row.kind == "uwsgi" else expected
            self.wait(lambda: self.read_ready() >= imports, f"{expected} workers")
            self.wait(lambda: len(self.pids()) >= expected, f"{expected} processes")
            self.ready_ns = (time.monotonic_ns() if imports < expected else max(self.ready)) - self.launched
            if self.row.steered() and UNSTEERED in self.logs():
                raise Trouble(f"{self.row.name}: not steered on this machine, circusd's log says why")
            if self.row.nginx:
                self._front(inner)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            below = descendants(program.pid)
            if program.poll() is None:
                # What ends both at once, and not after what is in hand: gunicorn and uWSGI have other signals for that.
                program.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(PATIENCE)
            for pid in [program.pid, *below]:
                if is_running(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            program.wait()
        if self.fifo is not None:
            os.close(self.fifo)
        self.discard()

    def discard(self):
        """Its folder, of one that was not started."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _address(self):
        """Where the stack itself listens."""
        if self.unix:
            self.path = os.path.join(self.directory, "web.sock")
        else:
            self.port = free_port()

    def _run(self, command):
        log = os.path.join(self.directory, f"log{len(self.programs)}")
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": self.python_path, "LANG": "C",
                       "READY_FIFO": os.path.join(self.directory, "ready")}
        with open(log, "wb") as output:
            program = subprocess.Popen(command, cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        self.programs.append(program)
        return program

    python_path = f"{HERE}:{APP}"

    def _command(self, port):
        row = self.row
        if row.kind == "gunicorn":
            return [*GUNICORN, "--workers", str(self.workers), "--worker-class", row.backend, "--bind",
                    f"127.0.0.1:{port}", "--backlog", "2048", "--log-level", "critical", "--timeout", "60",
                    "ready:application"]
        if row.kind == "uwsgi":
            # Behind nginx it speaks its own protocol, which is what nginx has a module for.
            return ["/usr/bin/uwsgi-core", "--plugins", "python3", "--master", "--die-on-term", "--processes",
                    str(self.workers), "--socket" if row.nginx else "--http-socket", f"127.0.0.1:{port}", "--listen",
                    "2048", "--disable-logging", "--wsgi-file", str(HERE / "ready.py")]
        config = os.path.join(self.directory, "stack.toml")
        pathlib.Path(config).write_text(self.config())
        return [str(self.build / "bin/circusd"), "--config", config]

    def config(self):
        row = self.row
        address = f'path = "{self.path}"' if self.unix else f'host = "127.0.0.1"\nport = {self.port}'
        text = CONFIG.format(dir=self.directory, statsd="true" if self.statsd else "false", address=address,
                             socket="\n".join(row.socket), python=PYTHON, app=APP, backend=row.backend,
                             arguments=row.arguments, path=self.python_path, watcher="\n".join(row.watcher),
                             workers=4 if row.autoscaled else self.workers)
        return text + row.more.format(workers=self.workers)

    def _front(self, inner):
        """nginx; from now on `port` is its."""
        self.port = free_port()
        upstream = f"uwsgi_pass 127.0.0.1:%d; include {HERE}/uwsgi_params" if self.row.kind == "uwsgi" \
            else "proxy_pass http://127.0.0.1:%d"
        text = (HERE / "nginx.conf").read_text().replace("@PORT@", str(self.port)).replace("@PASS@", upstream % inner)
        folder = pathlib.Path(self.directory, "nginx")
        folder.mkdir()
        (folder / "nginx.conf").write_text(text)
        self._run([NGINX, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"])
        self.wait(lambda: len(descendants(self.programs[-1].pid)) >= 2, "nginx")

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            ended = [program.args[0] for program in self.programs if program.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise Trouble(f"{self.row.name}: {what}: " + (f"{ended[0]} ended" if ended else "not in time") + "\n" +
                              self.logs())
            time.sleep(0.01)

    def logs(self):
        found = sorted(pathlib.Path(self.directory).glob("log*")) + [pathlib.Path(self.directory, "nginx/error.log")]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in found if path.exists())

    def read_ready(self):
        """How many workers have had their application since the start."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.fifo, 65536):
                self.rest += part
        *lines, self.rest = self.rest.split(b"\n")
        self.ready += [int(line.split()[1]) for line in lines]
        return len(self.ready)

    def pids(self):
        """Of the workers, as an outsider sees them."""
        below = children(self.main.pid)
        if self.row.kind != "circusd":
            return below
        return [pid for pid in below if not is_circusd(pid)]

    def cpu(self):
        """Seconds of CPU of all of the stack's processes that live: workers, their parents, nginx."""
        total = 0
        for program in self.programs:
            for pid in [program.pid, *descendants(program.pid)]:
                words = read_proc(pid, "stat").rpartition(b")")[2].split()
                total += int(words[11]) + int(words[12]) if words else 0
        return total / os.sysconf("SC_CLK_TCK")

    def daemon_cpu(self):
        """Seconds of CPU of the keeper and the arbiter, all of their threads."""
        own = [self.main.pid] + [pid for pid in children(self.main.pid) if is_circusd(pid)]
        total = 0
        for pid in own:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def target(self):
        return ["--unix", self.path] if self.unix else ["--port", str(self.port)]


def children(pid):
    with contextlib.suppress(OSError):
        return [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def is_circusd(pid):
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("circusd")
    return False
