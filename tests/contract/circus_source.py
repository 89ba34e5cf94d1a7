"""Circus's own sources, where there are some: CIRCUS_SRC names a checkout (the folder that holds circus/__init__.py).

CircusCase is what its users stand on: our daemon with a stack, Circus's circusctl and ours against it, helpers in
Circus's Python, and PythonDaemon, Circus's circusd with the same stack. Without CIRCUS_SRC, and where what Circus needs
(python3-psutil, python3-tornado) is not there, the tests say that they are skipped, and so does the exit code
(harness.main_or_skipped).
"""
import contextlib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import warnings

from harness import CIRCUSCTL, PATIENCE, ContractCase, wait_until
from wire import Client

SOURCE = os.environ.get("CIRCUS_SRC", "")
if SOURCE:
    sys.path.insert(0, SOURCE)


def circus(module):
    """A module of Circus; the test that asks for it is skipped where it cannot be had."""
    if not SOURCE:
        raise unittest.SkipTest("CIRCUS_SRC names no checkout of Circus")
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        raise unittest.SkipTest(f"{module} of CIRCUS_SRC={SOURCE} cannot be imported: {problem}") from problem


STACK = """
[env]
LANG = "C"

[socket.web]
host = "127.0.0.1"
port = 0

[watcher.Web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@"]
use_sockets = true
numprocesses = 2

[watcher.single]
cmd = "sleep 3600"
singleton = true

[watcher.later]
cmd = "sleep 3600"
autostart = false
"""


def run_circusctl(*arguments, environment=None):
    """Circus's circusctl, without the start of an interpreter for each command."""
    module = circus("circus.circusctl")
    out, err, code = io.StringIO(), io.StringIO(), 0
    with unittest.mock.patch.object(sys, "argv", ["circusctl", *arguments]), contextlib.redirect_stdout(out), \
            contextlib.redirect_stderr(err), unittest.mock.patch.dict(os.environ, environment or {}), \
            warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves a socket to the garbage collector
        try:
            module.main()
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


def run_ours(*arguments, environment=None):
    run = subprocess.run([CIRCUSCTL, *arguments], capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
                         env={**os.environ, **(environment or {})})
    return run.returncode, run.stdout, run.stderr


def python(code, *arguments, **more):
    """A program in Python that finds Circus."""
    environment = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, text=True, **more)


class CircusCase(ContractCase):
    """A daemon with the stack above, and the ways into it."""

    limit = 180  # Python starts slowly on a busy machine

    def setUp(self):
        super().setUp()
        self.helpers = []
        self.theirs = None

    def tearDown(self):
        # Before the observer looks for what is left of the daemon.
        for helper in self.helpers:
            helper.terminate()
            helper.wait(PATIENCE)
        if self.theirs:
            self.theirs.close()
        super().tearDown()

    def start_stack(self, config=STACK, circus=""):
        self.daemon = self.run_daemon(config, circus)
        return self.daemon

    def start_both(self, config, ini):
        """The same stack in our daemon and in Circus's."""
        circus("circus.circusd")
        self.start_stack(config, "check_delay = 1")
        self.theirs = PythonDaemon(self.daemon, ini)
        return self.daemon, self.theirs

    def helper(self, code, *arguments, log):
        """A program that runs beside the test, to its end; it writes into the file `log` of the daemon's folder."""
        with open(os.path.join(self.daemon.directory, log), "wb") as output:
            self.helpers.append(python(code, *arguments, stdout=output, stderr=output))
        return self.helpers[-1]

    def text_of(self, log):
        with open(os.path.join(self.daemon.directory, log), encoding="utf-8") as text:
            return text.read()

    def circusctl(self, *arguments):
        return run_circusctl("--endpoint", self.daemon.endpoint, "--timeout", str(PATIENCE * 2), *arguments)

    def ours(self, *arguments):
        return run_ours("--endpoint", self.daemon.endpoint, *arguments)


class PythonDaemon:
    """Circus's circusd beside one of ours, whose ZeroMQ context it shares, with the sections of an ini file.

    What Circus refuses because another command still runs is asked again.
    """

    def __init__(self, daemon, config):
        circus("circus.circusd")
        self.directory = tempfile.mkdtemp(prefix="circus-python-", dir="/tmp")
        self.endpoint = f"ipc://{self.directory}/endpoint"
        self.pubsub = f"ipc://{self.directory}/pubsub"
        path = os.path.join(self.directory, "circus.ini")
        # An address that is no multicast address keeps it from joining a group on the network.
        head = (f"[circus]\nendpoint = {self.endpoint}\npubsub_endpoint = {self.pubsub}\n"
                "multicast_endpoint = udp://127.0.0.1:1\ncheck_delay = 1\n")
        with open(path, "w", encoding="utf-8") as text:
            text.write(head + config.replace("@DIR@", self.directory))
        with open(os.path.join(self.directory, "circusd.log"), "wb") as log:
            self.process = python("from circus.circusd import main; main()", path, stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, cwd=self.directory)
        self.client = Client(daemon.context, self.endpoint)
        daemon.clients.append(self.client)

    def close(self):
        def ended():
            # Circus loses a SIGTERM while another command runs.
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            return self.process.poll() is not None
        wait_until(ended, what=self.log)
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, command, **properties):
        def answered():
            answer = self.client.ask(command, **properties)
            return None if is_busy(str(answer.get("reason"))) else answer
        return wait_until(answered)

    def wait_active(self, name, count):
        wait_until(lambda: self.ask("status", name=name)["status"] == "active" and
                   len(self.ask("list", name=name)["pids"]) == count, what=self.log)

    def log(self):
        with open(os.path.join(self.directory, "circusd.log"), encoding="utf-8") as text:
            return text.read()


def is_busy(reason):
    """Whether Circus refuses because another command still runs."""
    return "arbiter is already running" in reason or "arbiter is restarting" in reason


def plain_reason(answer):
    """Circus's reason without the request that it repeats before it."""
    return re.sub(r"^command b'.*?}': ", "", str(answer.get("reason", "")))
