"""circusd as a black box: started in a folder of its own, asked over its wire, seen from outside."""
import contextlib
import glob
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import tempfile

import zmq

from process_tree import cmdline, descendants, is_running, start_ticks
from waiting import PATIENCE, NotReached, wait_until
from wire import Client, Events

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CIRCUS_BUILD", ROOT / "build"))
CIRCUSD = str(BUILD / "bin/circusd")
CIRCUSCTL = str(BUILD / "bin/circusctl")
PROBE = str(BUILD / "tests/bin/probe")


def quoted(text):
    """A TOML basic string."""
    return json.dumps(str(text))


class Daemon:
    """One circusd in a folder of its own. `config` is TOML without [circus], or with it in `circus`.

    In the text, @DIR@ is the folder, @PROBE@ the probe, @REPORTS@ where probes report.
    """

    def __init__(self, config, circus="", environment=None, directory=None, endpoints=True):
        self.directory = directory or tempfile.mkdtemp(prefix="circus-contract-", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.reports = os.path.join(self.directory, "reports")
        os.makedirs(self.reports, exist_ok=True)
        os.chmod(self.reports, 0o777)
        self.endpoint = f"ipc://{self.directory}/endpoint"
        self.pubsub = f"ipc://{self.directory}/pubsub"
        self.log_path = os.path.join(self.directory, "circusd.log")
        self.config_path = os.path.join(self.directory, "stack.toml")
        self.context = zmq.Context()
        self.process = None
        self.working_dir = self.directory
        self.stdin = subprocess.DEVNULL
        self.through = []  # the words of a program that becomes circusd, such as setpriv with its options
        self.ports = []
        self.clients = []
        head = "[circus]\n"
        if endpoints:
            head += (f'endpoint = "{self.endpoint}"\npubsub_endpoint = "{self.pubsub}"\n'
                     f'stats_endpoint = "ipc://{self.directory}/stats"\n')
        self.write_config(head + circus + "\n" + config)
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                            "HOME": "/", "LANG": "C"}
        self.environment.update(environment or {})

    def write_config(self, text):
        for mark, value in (("@DIR@", self.directory), ("@PROBE@", PROBE), ("@REPORTS@", self.reports)):
            text = text.replace(mark, value)
        pathlib.Path(self.config_path).write_text(text)

    def launch(self, *arguments, output=None):
        """Starts circusd and returns at once. `output`: a descriptor in the place of the log file."""
        with open(self.log_path, "ab") as log_file:
            log = log_file if output is None else output
            self.process = subprocess.Popen([*self.through, CIRCUSD, "--config", self.config_path, *arguments],
                                            cwd=self.working_dir, env=self.environment, stdin=self.stdin,
                                            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def start(self, output=None):
        """Starts circusd and waits until it answers."""
        self.launch(output=output)
        self.client = self.new_client()
        self.client.send(json.dumps({"id": "hello", "command": "numwatchers"}))
        answered = wait_until(lambda: self.client.socket.poll(0) or self.process.poll() is not None,
                              what=lambda: "an answer of the daemon\n" + self.log_tail())
        if self.process.poll() is not None and not self.client.socket.poll(0):
            raise AssertionError(f"circusd ended with {self.process.returncode}\n{self.log_tail()}")
        assert answered
        self.client.receive()
        return self

    def new_client(self):
        client = Client(self.context, self.endpoint)
        self.clients.append(client)
        return client

    def new_events(self, watcher):
        events = Events(self.context, self.pubsub)
        self.clients.append(events)
        events.subscribe_surely(self.client, watcher)
        return events

    # ---- what can be seen from outside ----

    @property
    def keeper(self):
        return self.process.pid

    @property
    def arbiter(self):
        found = [pid for pid in descendants(self.keeper)
                 if os.path.basename(cmdline(pid).split(" ")[0] or "?").startswith("circusd")
                 or "--arbiter" in cmdline(pid)]
        # Between its clone and its exec a worker still has the keeper's command line: the arbiter is the oldest.
        return min(found, key=start_ticks, default=None)

    def kill_arbiter(self):
        """Returns once it is gone; whether another one answers yet is not known."""
        old = self.arbiter
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: not is_running(old))

    def workers(self):
        """The pids of everything below the daemon that is not the daemon, zombies left out."""
        own = {self.keeper, self.arbiter}
        return sorted(pid for pid, state in descendants(self.keeper).items() if pid not in own and state != "Z")

    def pids(self, name):
        return self.client.ok("list", name=name)["pids"]

    def wait_active(self, name, count=None, patience=PATIENCE):
        """Waits until the watcher is active (with so many processes); returns their pids."""
        def active():
            if self.client.ok("list", name=name)["pids"] == []:
                return None
            pids = self.pids(name)
            right = len(pids) == (count or self.client.ok("numprocesses", name=name)["numprocesses"])
            return pids if right and self.status(name) == "active" else None
        return wait_until(active, patience, lambda: f"{name} active: {self.status(name)} {self.pids(name)}")

    def status(self, name):
        return self.client.ask("status", name=name)["status"]

    def report(self, pid):
        """What the probe with that pid told."""
        path = os.path.join(self.reports, f"{pid}.json")
        wait_until(lambda: os.path.exists(path), what=f"the report of {pid}")
        return json.loads(pathlib.Path(path).read_text())

    def all_reports(self):
        found = [json.loads(pathlib.Path(path).read_text()) for path in glob.glob(self.reports + "/*.json")]
        return sorted(found, key=lambda each: each["time"])

    def log(self):
        with contextlib.suppress(OSError):
            return pathlib.Path(self.log_path).read_text(errors="replace")
        return ""

    def wait_log(self, what):
        """Waits until the log has `what`, a text or a compiled pattern: the daemon writes it when it gets to it."""
        found = what.search if isinstance(what, re.Pattern) else lambda log: what in log
        wait_until(lambda: found(self.log()), what=lambda: f"{what!r} in the log\n{self.log_tail()}")

    def log_tail(self, lines=40):
        return "\n".join(["---- the daemon's log ----"] + self.log().splitlines()[-lines:])

    # ---- the end ----

    def signal(self, signo):
        self.process.send_signal(signo)

    def wait_end(self, patience=PATIENCE):
        """The exit code, after the daemon ended."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise NotReached(f"circusd did not end within {patience} s\n{self.log_tail()}") from None

    def terminate(self, patience=PATIENCE):
        self.signal(signal.SIGTERM)
        return self.wait_end(patience)

    def destroy(self):
        """Whatever state things are in: the daemon is gone, and nothing of the test's own stays open."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for client in self.clients:
            client.close()
        self.clients.clear()
        self.context.term()

    def leftover_sockets(self):
        """Unix sockets in the folder; the endpoints' own have a test for themselves (test_faults.py)."""
        endpoints = {os.path.join(self.directory, name) for name in ("endpoint", "pubsub", "stats")}
        found = []
        for folder, _, files in os.walk(self.directory):
            for name in files:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(os.lstat(path).st_mode) and path not in endpoints:
                        found.append(path)
        return found
