"""Circus's circusd and ours side by side: the same stack, the same requests, the same answers; the same command lines
of Circus's circusctl and of ours against both. What differs on purpose is written at the request (circus_requests.py),
and has to differ. Circus comes from CIRCUS_SRC (circus_source.py).
"""
import json
import os
import re
import shlex
import subprocess

from circus_requests import CHANGES, LINES, QUERIES, REFUSED, SAME, STIRRING, WRONG_LINES
from circus_source import CircusCase, is_busy, plain_reason, run_circusctl, run_ours
from harness import CIRCUSCTL, PATIENCE, main_or_skipped, wait_until
from wire import Events

CONFIG = """
[env]
LANG = "C"

[socket.u]
path = "@DIR@/u.sock"

[socket.web]
host = "127.0.0.1"
port = 0

[watcher.Web]
cmd = "sleep 3600"
use_sockets = true
numprocesses = 2

[watcher.single]
cmd = "sleep"
args = "3600"
singleton = true
max_age_variance = 7

[watcher.later]
cmd = "sleep 3600"
autostart = false
"""

INI = """
[env]
LANG = C

[socket:u]
path = @DIR@/u.sock

[socket:web]
host = 127.0.0.1
port = 0

[watcher:Web]
cmd = sleep 3600
use_sockets = True
numprocesses = 2

[watcher:single]
cmd = sleep
args = 3600
singleton = True
max_age_variance = 7

[watcher:later]
cmd = sleep 3600
autostart = False
"""

PROCESS = r"\S+ (\S+) (-?\d+) [\d.]+[BKMG] [\d.]+[BKMG] [\d.]+ [\d.]+ \d+:\d\d\.\d+"  # what stats prints behind the pid


def printed(text):
    """The lines, sorted (Circus's are in the order of a dictionary), without figures, pids, ports and paths."""
    text = re.sub(r"(\d+): \1  " + PROCESS, r"PID: PROCESS \2 \3", text)
    text = re.sub(r"    \d+  " + PROCESS, r"    PROCESS \1 \2", text)
    text = text.replace(",__name__=env", "")
    text = re.sub(r"/tmp/circus-[\w-]+", "DIR", re.sub(r"command b'.*?}': ", "", text))
    text = re.sub(r"^\d+(:socket .*?)(:\d+)?$", r"FD\1", text, flags=re.MULTILINE)
    text = re.sub(r"^\d{3,}(,\d{3,})*$", lambda pids: f"{pids[0].count(',') + 1} pids", text, flags=re.MULTILINE)
    return sorted(line for line in text.splitlines() if not line.startswith(("__name__:", "use_papa:")))


# What a watcher of the configuration shows in Circus only, where it is an accident or another project's.
ONLY_CIRCUS = ("__name__", "use_papa")
FIGURES = ("age", "cmdline", "cpu", "create_time", "ctime", "mem", "mem_info1", "mem_info2", "started", "fd", "port")


def shape(value, key=""):
    """An answer without what is another in each run: pids, figures, numbers of descriptors and ports."""
    if isinstance(value, dict):
        return {"PID" if name.isdigit() else name: shape(member, name) for name, member in value.items()
                if name not in ONLY_CIRCUS}
    if key in ("pids", "started", "stopped", "kept") and isinstance(value, list):
        return f"{len(value)} pids"
    if isinstance(value, list):
        return [shape(member, key) for member in value]
    if key in FIGURES or key in ("pid", "wid"):
        return type(value).__name__
    return value


class SideBySideTest(CircusCase):
    def setUp(self):
        super().setUp()
        self.start_both(CONFIG, INI)
        self.maxDiff = None
        self.daemon.wait_active("web", 2)
        self.daemon.wait_active("single", 1)
        self.theirs.wait_active("web", 2)
        self.theirs.wait_active("single", 1)
        self.daemon.ask = self.daemon.client.ask

    def without_names(self, text):
        for daemon in (self.daemon, self.theirs):
            text = text.replace(daemon.directory, "DIR")
        return text

    def told(self, daemon, ask):
        answer = daemon.ask(ask.command, **ask.properties)
        self.assertIsInstance(answer.pop("time"), float, answer)
        answer.pop("id")
        if answer.get("status") == "error":
            answer.pop("tb")
            answer["reason"] = plain_reason(answer)
        text = json.dumps(shape(answer), sort_keys=True)
        return json.loads(self.without_names(text))

    def compare(self, requests):
        for ask in requests:
            with self.subTest(str(ask)):
                theirs, ours = self.told(self.theirs, ask), self.told(self.daemon, ask)
                if ask.ours is SAME:
                    self.assertEqual(ours, theirs)
                else:
                    self.assertEqual(ours, ask.ours)
                    self.assertNotEqual(ours, theirs, "no difference any more")

    def test_QueriesAreAnsweredTheSame(self):
        self.compare(QUERIES)

    def test_ErrorsAreTheSame(self):
        self.compare(REFUSED)

    def test_ChangesAreAnsweredTheSame(self):
        self.compare(CHANGES)

    def test_EventsComeInTheSameOrder(self):
        events = {daemon: Events(self.daemon.context, daemon.pubsub) for daemon in (self.daemon, self.theirs)}
        self.daemon.clients += events.values()
        for daemon, seen in events.items():
            seen.subscribe_surely(daemon.client, "web")
        for ask in STIRRING:
            with self.subTest(str(ask)):
                ours, theirs = (self.stirred(daemon, events[daemon], ask) for daemon in (self.daemon, self.theirs))
                self.assertEqual(ours, theirs)

    def stirred(self, daemon, events, ask):
        """What a command publishes, without reaps: Circus loses most of them. test_events.py counts ours."""
        events.clear()
        self.told(daemon, ask)
        daemon.ask("set", name="single", options={"warmup_delay": 0}, waiting=True)
        events.wait_for("single", "updated")
        return [(watcher, event, sorted(payload)) for watcher, event, payload in events.seen
                if event != "reap" and watcher != "single"]

    # ---- the command line ----

    def run_through(self, tool):
        """(exit code, what was printed, what stood on standard error) of each line, against Circus's daemon and ours."""
        told = {}
        for number, line in enumerate(LINES):
            for daemon in (self.theirs, self.daemon):
                def run(line=line, daemon=daemon):
                    code, out, err = tool("--endpoint", daemon.endpoint, "--timeout", str(PATIENCE), *shlex.split(line))
                    return None if is_busy(err) else (code, printed(out), printed(err))
                told[number, daemon] = wait_until(run)
        return told

    def test_EveryCommandLinePrintsTheSame(self):
        theirs, ours = self.run_through(run_circusctl), self.run_through(run_ours)
        for number, line in enumerate(LINES):
            with self.subTest(line):
                told = theirs[number, self.theirs]
                self.assertEqual(theirs[number, self.daemon], told, "Circus's circusctl, our daemon")
                self.assertEqual(ours[number, self.theirs], told, "our circusctl, Circus's daemon")
                self.assertEqual(ours[number, self.daemon], told, "our circusctl, our daemon")

    def test_WrongCommandLinesEndWithTheSameCode(self):
        for line in WRONG_LINES:
            with self.subTest(line):
                words = ("--endpoint", self.theirs.endpoint, *shlex.split(line))
                told = [tool(*words) for tool in (run_circusctl, run_ours)]
                self.assertIn(told[0][0], (1, 2))
                for code, out, err in told:
                    self.assertEqual((code, out), (told[0][0], ""))
                    self.assertTrue(err)

    def test_AnswersInJsonAreTheSame(self):
        for line in ("list", "status web", "numprocesses web", "listsockets", "options later", "get later cmd",
                     "stats later", "list nobody"):
            with self.subTest(line):
                told = []
                for tool in (run_circusctl, run_ours):
                    for daemon in (self.theirs, self.daemon):
                        code, out, err = tool("--endpoint", daemon.endpoint, "--json", *line.split())
                        # Circus ends with 0 when the answer is an error, too.
                        refused = tool is run_ours and line == "list nobody"
                        self.assertEqual((code, err, out.count("\n")), (3 if refused else 0, "", 1))
                        answer = shape(json.loads(out))
                        self.assertIsInstance(answer.pop("id"), str)
                        self.assertIsInstance(answer.pop("time"), float)
                        answer.get("options", {}).get("env", {}).pop("__name__", None)
                        told.append(json.loads(self.without_names(json.dumps(answer))))
                self.assertEqual(told, told[:1] * 4)

    def test_TheEndpointComesFromTheEnvironment(self):
        for daemon in (self.theirs, self.daemon):
            for tool in (run_circusctl, run_ours):
                told = tool("numprocesses", "web", environment={"CIRCUSCTL_ENDPOINT": daemon.endpoint})
                self.assertEqual(told, (0, "2\n", ""))
        silent = {"CIRCUSCTL_ENDPOINT": f"ipc://{self.theirs.directory}/nobody"}
        for tool in (run_circusctl, run_ours):
            code, out, err = tool("--timeout", "1", "list", environment=silent)
            self.assertEqual((code, out, err[:10]), (1, "", "Timed out."))

    def test_OurCircusctlListensToCircussDaemon(self):
        lines = os.path.join(self.daemon.directory, "listen.txt")
        with open(lines, "wb") as output:
            listener = subprocess.Popen([CIRCUSCTL, "--endpoint", self.theirs.endpoint, "listen", "watcher.web."],
                                        stdout=output, stderr=output)
        self.helpers.append(listener)

        def printed_lines():
            self.theirs.ask("set", name="web", options={"warmup_delay": 0}, waiting=True)
            with open(lines, encoding="utf-8") as text:
                return text.read().splitlines()
        topic, _, payload = wait_until(printed_lines)[0].partition(": ")
        self.assertEqual(topic, "watcher.web.updated")
        self.assertEqual(list(json.loads(payload)), ["time"])

    def test_OurCircusctlReloadsRestartsAndEndsCircussDaemon(self):
        def ours(*words):
            def told():
                code, out, err = run_ours("--endpoint", self.theirs.endpoint, *words)
                return None if is_busy(err) else (code, out, err)
            return wait_until(told)
        config = os.path.join(self.theirs.directory, "circus.ini")
        with open(config, encoding="utf-8") as text:
            changed = text.read().replace("numprocesses = 2", "numprocesses = 3")
        with open(config, "w", encoding="utf-8") as text:
            text.write(changed)
        self.assertEqual(ours("reloadconfig", "--waiting"), (0, "ok\n", ""))
        self.assertEqual(ours("numprocesses", "web"), (0, "3\n", ""))
        before = set(ours("list", "web")[1].strip().split(","))
        self.assertEqual(ours("restart"), (0, "ok\n", ""))

        def begun_again():
            now = set(ours("list", "web")[1].strip().split(","))
            return len(now) == 3 and not now & before and ours("status", "web")[1] == "active\n"
        wait_until(begun_again)
        # Its answer to a quit that waits is lost with its socket, to Circus's circusctl as well.
        self.assertEqual(ours("quit"), (0, "ok\n", ""))
        self.assertEqual(self.theirs.process.wait(PATIENCE), 0)


if __name__ == "__main__":
    main_or_skipped()
