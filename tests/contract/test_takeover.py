"""The arbiter is killed: another one takes the stack over, and nobody who is served by it notices."""
import contextlib
import itertools
import os
import pathlib
import resource
import signal
import socket
import threading

from harness import (BUILD, ContractCase, NotReached, descendants, holds_for, is_running, listening_ports, main, wait_quietly,
                     wait_until)

SERVING = """
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@", "--serve", "$(circus.sockets.web)"]
use_sockets = true
numprocesses = 4
"""

IDLE = """
[watcher.{name}]
cmd = "@PROBE@"
numprocesses = {count}
"""

# Numbered lines, a torn one of which would not be a number of its own.
COUNTING = """
[watcher.count]
cmd = "/usr/bin/python3"
args = ["-c", '''
import os, time
number = 0
while not os.path.exists("@DIR@/enough"):
    for _ in range({burst}):
        number += 1
        print("line", number, "of this worker", flush=False)
    print("", end="", flush=True)
    time.sleep({pause})
print("the end", number, flush=True)
while True:
    time.sleep(1)
''']
stdout_stream = {{class = "FileStream", filename = "@DIR@/count.log"{more}}}
"""


class TakeoverCase(ContractCase):
    def kill_arbiter(self, daemon, signo=signal.SIGKILL):
        """Returns once another arbiter answers."""
        old = daemon.arbiter
        os.kill(old, signo)
        wait_until(lambda: not is_running(old))
        self.wait_answer(daemon)
        self.assertNotEqual(daemon.arbiter, old)

    def wait_answer(self, daemon):
        """What was asked of the arbiter that died is not answered: a client of our own asks until it is."""
        def answered():
            client = daemon.new_client()
            try:
                return client.ask("numwatchers", patience=1)["status"] == "ok"
            except NotReached:
                return False
            finally:
                daemon.clients.remove(client)
                client.close()
        wait_until(answered, what=daemon.log_tail)
        daemon.client.close()
        daemon.clients.remove(daemon.client)
        daemon.client = daemon.new_client()

    def serving(self):
        daemon = self.run_daemon(SERVING)
        daemon.wait_active("web", 4)
        self.port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        daemon.ports.append(self.port)
        return daemon


class Load:
    """Asks for a pid over and over from several threads; `failed` tells what went wrong."""

    def __init__(self, port, threads=4):
        self.port, self.answers, self.failed = port, 0, []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
                    int(connection.makefile().readline())
                self.answers += 1
            except (OSError, ValueError) as error:
                self.failed.append(repr(error))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)


class FirstArbiterTest(TakeoverCase):
    def test_OneThatDiesAsSoonAsItIsReadyLeavesTheNextAllThatItNeeds(self):
        # So many that to write down what is wanted takes longer than to kill.
        daemon = self.new_daemon(IDLE.format(name="web", count=1) +
                                 "".join(IDLE.format(name=f"none-{number}", count=0) for number in range(3000)))
        address = os.path.join(daemon.directory, "notify")
        daemon.environment["NOTIFY_SOCKET"] = address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(30)
            daemon.launch()
            arbiter = wait_until(lambda: daemon.arbiter)
            while b"READY=1" not in manager.recv(4096):
                pass
            os.kill(arbiter, signal.SIGKILL)
            os.unlink(address)
        daemon.client = daemon.new_client()
        self.wait_answer(daemon)
        daemon.wait_active("web", 1)
        self.assertNotIn("cannot", daemon.log())


class ServiceTest(TakeoverCase):
    limit = 120

    def test_NoRequestFailsAndEveryWorkerKeepsItsPid(self):
        daemon = self.serving()
        before = daemon.pids("web")
        load = Load(self.port)
        try:
            for _ in range(5):
                answers = load.answers
                self.kill_arbiter(daemon)
                wait_until(lambda seen=answers: load.answers > seen + 50)
        finally:
            load.end()
        self.assertEqual(load.failed, [])
        self.assertEqual(daemon.pids("web"), before)
        self.assertEqual(daemon.workers(), sorted(before))
        self.assertIn(self.port, listening_ports())
        wids = sorted(each["wid"] for each in daemon.client.ok("stats", name="web")["info"].values())
        self.assertEqual(wids, [1, 2, 3, 4])

    def test_AWorkerThatDiesAfterwardsIsReplacedInItsPlace(self):
        daemon = self.serving()
        self.kill_arbiter(daemon)
        victim = daemon.pids("web")[0]
        wid = daemon.client.ok("stats", name="web")["info"][str(victim)]["wid"]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in daemon.pids("web") and len(daemon.pids("web")) == 4)
        wids = {each["wid"]: pid for pid, each in daemon.client.ok("stats", name="web")["info"].items()}
        self.assertEqual(sorted(wids), [1, 2, 3, 4])
        self.assertIn(wid, wids)
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            self.assertIn(int(connection.makefile().readline()), daemon.pids("web"))

    def test_AWorkerThatDiedMeanwhileIsReplaced(self):
        daemon = self.serving()
        before = daemon.pids("web")
        os.kill(daemon.arbiter, signal.SIGSTOP)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: not is_running(before[0]))
        self.kill_arbiter(daemon)
        wait_until(lambda: before[0] not in daemon.pids("web") and len(daemon.pids("web")) == 4)
        pids = daemon.wait_active("web", 4)
        self.assertEqual(len(set(pids) & set(before)), 3)
        self.assertEqual(daemon.workers(), sorted(pids))

    def test_TwoKillsInARowAreOneTakeoverMore(self):
        daemon = self.serving()
        before = daemon.pids("web")
        for _ in range(2):
            old = daemon.arbiter
            os.kill(old, signal.SIGKILL)
            # The next one is killed wherever it is by then.
            wait_until(lambda gone=old: daemon.arbiter not in (None, gone))
        self.wait_answer(daemon)
        self.assertEqual(daemon.pids("web"), before)
        self.assertEqual(daemon.workers(), sorted(before))

    def test_ACrashIsTakenOverAsWell(self):
        daemon = self.serving()
        before = daemon.pids("web")
        self.kill_arbiter(daemon, signal.SIGSEGV)
        self.assertEqual(daemon.pids("web"), before)
        daemon.wait_log("took over 4 processes")

    def test_TermAfterwardsStopsEverything(self):
        daemon = self.serving()
        self.kill_arbiter(daemon)
        below = [pid for pid in descendants(daemon.keeper) if pid != daemon.keeper]
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual([pid for pid in below if is_running(pid)], [])
        self.assertNotIn(self.port, listening_ports())
        left = [name for name in ("endpoint", "pubsub") if os.path.exists(os.path.join(daemon.directory, name))]
        self.assertEqual(left, [])

    def test_AClientOfBeforeIsAnsweredByItself(self):
        daemon = self.serving()
        old = daemon.arbiter
        client = daemon.new_client()
        client.ok("numwatchers")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: not is_running(old))
        # Its first words may still have gone to the dead one.
        wait_until(lambda: wait_quietly(lambda: self.asks(client), 0.01))

    @staticmethod
    def asks(client):
        client.send('{"id": "again", "command": "numwatchers"}')
        return client.socket.poll(500) and client.receive()["status"] == "ok"

    def test_ASubscriberOfBeforeHearsOn(self):
        daemon = self.serving()
        events = daemon.new_events("web")
        self.kill_arbiter(daemon)
        wait_until(lambda: wait_quietly(lambda: self.heard(daemon, events), 0.2))

    @staticmethod
    def heard(daemon, events):
        daemon.client.ok("set", name="web", options={"warmup_delay": 0.0}, waiting=True)
        return events.of("web", "updated")

    def test_AStackThatCannotStartStillEndsWithOne(self):
        first = self.serving()
        second = self.new_daemon(SERVING.replace("port = 0", f"port = {self.port}"))
        second.launch()
        self.assertEqual(second.wait_end(), 1)
        self.assertEqual(descendants(second.keeper), {})
        self.assertEqual(len(first.pids("web")), 4)


class WantedTest(TakeoverCase):
    def test_WhatWasSaidAtRunTimeHolds(self):
        daemon = self.run_daemon(SERVING + IDLE.format(name="idle", count=2) + IDLE.format(name="off", count=1))
        daemon.ports.append(daemon.client.ok("listsockets")["sockets"][0]["port"])
        client = daemon.client
        client.ok("incr", name="idle", nb=3, waiting=True)
        client.ok("decr", name="web", nb=1, waiting=True)
        client.ok("stop", name="off", waiting=True)
        client.ok("add", name="Added", cmd=daemon_probe(daemon), start=True,
                  options={"numprocesses": 2, "priority": 7, "env": {"A": "b"}, "copy_env": True})
        client.ok("set", name="idle", options={"graceful_timeout": 3.5}, waiting=True)
        daemon.wait_active("Added", 2)
        before = {name: daemon.pids(name) for name in ("web", "idle", "off", "Added")}
        options = {name: client.ok("options", name=name)["options"] for name in before}
        self.kill_arbiter(daemon)
        self.assertEqual({name: daemon.pids(name) for name in before}, before)
        self.assertEqual({name: daemon.client.ok("options", name=name)["options"] for name in before}, options)
        self.assertEqual([daemon.status(name) for name in before], ["active", "active", "stopped", "active"])
        self.assertEqual(sorted(daemon.client.ok("list")["watchers"]), ["added", "idle", "off", "web"])
        daemon.client.ok("start", name="off", waiting=True)
        daemon.wait_active("off", 1)

    def test_WhatWasSaidWhileThereWasNoDescriptorLeftHolds(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2))
        daemon.wait_active("idle", 2)
        for count, names in enumerate((("keeper",), ("arbiter",), ("keeper", "arbiter")), 3):
            with self.subTest(without=names):
                keeper, arbiter = daemon.keeper, daemon.arbiter
                before = {pid: without_descriptors(pid)
                          for name, pid in (("keeper", keeper), ("arbiter", arbiter)) if name in names}
                daemon.client.ok("incr", name="idle")
                for _ in range(50):  # it takes a turn or two to learn that it was not saved
                    daemon.client.ok("numwatchers")
                os.kill(arbiter, signal.SIGKILL)
                if keeper in before:
                    resource.prlimit(keeper, resource.RLIMIT_NOFILE, before[keeper])
                wait_until(lambda gone=arbiter: not is_running(gone))
                self.wait_answer(daemon)
                self.assertEqual(daemon.client.ok("numprocesses", name="idle")["numprocesses"], count)
                daemon.wait_active("idle", count)

    def test_WhatHasCompletedIsNotDoneAgain(self):
        daemon = self.run_daemon('''
[watcher.migrate]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@", "--exit-after", "0"]
respawn = false

[watcher.web]
cmd = "@PROBE@"
depends_on = {migrate = "completed"}

[watcher.later]
cmd = "@PROBE@"
depends_on = {migrate = "completed"}
autostart = false
''')
        before = daemon.wait_active("web", 1)
        self.kill_arbiter(daemon)
        daemon.client.ok("start", name="later", waiting=True)
        self.assertEqual(daemon.status("later"), "active")
        self.assertEqual(daemon.pids("web"), before)
        self.assertEqual(len(daemon.all_reports()), 1)

    def test_ASecondCircusdIsRefusedByTheNextArbiterToo(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2))
        before = daemon.wait_active("idle", 2)
        self.kill_arbiter(daemon)
        second = self.new_daemon(IDLE.format(name="idle", count=2),
                                 f'endpoint = "{daemon.endpoint}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n',
                                 endpoints=False)
        self.assertEqual(second.launch().wait_end(), 1)
        second.wait_log(f"another circusd has it, process {daemon.keeper}; stop that one")
        self.assertEqual(daemon.pids("idle"), before)

    def test_AFileThatWasBrokenMeanwhileIsNotRead(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2))
        before = daemon.wait_active("idle", 2)
        daemon.write_config("[watcher.idle]\nno such thing\n")
        self.kill_arbiter(daemon)
        self.assertEqual(daemon.pids("idle"), before)
        self.assertEqual(daemon.client.ask("reloadconfig", waiting=True)["status"], "error")

    def test_ReloadconfigAfterwardsChangesWhatChanged(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2) + IDLE.format(name="other", count=1))
        before = daemon.wait_active("idle", 2)
        other = daemon.wait_active("other", 1)
        self.kill_arbiter(daemon)
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("numprocesses = 2", "numprocesses = 3"))
        daemon.client.ok("reloadconfig", waiting=True)
        after = daemon.wait_active("idle", 3)
        self.assertEqual(len(set(after) & set(before)), 2)
        self.assertEqual(daemon.pids("other"), other)

    def test_AStartUnderWayGoesOn(self):
        daemon = self.run_daemon(IDLE.format(name="many", count=30) + "warmup_delay = 0.05\n"
                                 + IDLE.format(name="late", count=1), "warmup_delay = 0.3\n")
        wait_until(lambda: len(daemon.workers()) > 3)
        self.kill_arbiter(daemon)
        daemon.wait_active("many", 30)
        daemon.wait_active("late", 1)
        self.assertEqual(len(daemon.workers()), 31)

    def test_AStopUnderWayIsBroughtToItsEnd(self):
        daemon = self.run_daemon("[watcher.slow]\ncmd = \"@PROBE@\"\nargs = [\"--ignore\", \"15\", \"--report\", "
                                 "\"@REPORTS@\"]\nnumprocesses = 3\ngraceful_timeout = 2\n")
        for pid in daemon.wait_active("slow", 3):
            daemon.report(pid)
        daemon.client.ok("stop", name="slow")
        wait_until(lambda: daemon.status("slow") == "stopping")
        self.kill_arbiter(daemon)
        wait_until(lambda: daemon.status("slow") == "stopped")
        self.assertEqual(daemon.workers(), [])

    def test_AnIncrUnderWayIsWhole(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=2))
        before = daemon.wait_active("idle", 2)
        daemon.client.ok("incr", name="idle", nb=40)
        self.kill_arbiter(daemon)
        after = daemon.wait_active("idle", 42)
        self.assertLessEqual(set(before), set(after))
        self.assertEqual(daemon.workers(), sorted(after))

    def test_AReloadUnderWayEndsWithNewProcessesOnly(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=20) + "warmup_delay = 0.02\n")
        before = daemon.wait_active("idle", 20)
        daemon.client.ok("reload", name="idle")
        wait_until(lambda: set(daemon.workers()) - set(before))
        self.kill_arbiter(daemon)
        wait_until(lambda: len(daemon.pids("idle")) == 20 and not set(daemon.pids("idle")) & set(before))
        wait_until(lambda: daemon.workers() == sorted(daemon.pids("idle")))

    def test_AWatcherThatGaveUpStaysDown(self):
        daemon = self.run_daemon('[watcher.broken]\ncmd = "/nonexistent/program"\nmax_retry = 2\n'
                                 + IDLE.format(name="idle", count=1))
        wait_until(lambda: daemon.status("broken") == "stopped")
        self.kill_arbiter(daemon)
        self.assertTrue(holds_for(lambda: daemon.status("broken") == "stopped", 0.3))


class IsolatedPluginTest(TakeoverCase):
    def test_ItsProcessIsStartedAnewAndNothingOfTheOldIsLeft(self):
        daemon = self.run_daemon(IDLE.format(name="idle", count=1) + f"""
[plugin.sleeps]
use = "{BUILD}/tests/plugins/so/sleeps.so"
isolate = true
""")

        def state():
            return daemon.client.ok("plugins")["plugins"]["sleeps"]["state"]
        wait_until(lambda: state() == "active")
        before = daemon.pids("idle")
        old = set(daemon.workers()) - set(before)
        self.assertEqual(len(old), 1)
        self.kill_arbiter(daemon)
        wait_until(lambda: state() == "active")
        wait_until(lambda: len(daemon.workers()) == 2)
        self.assertEqual(daemon.pids("idle"), before)
        self.assertFalse(set(daemon.workers()) & old)
        daemon.client.ok("nap")


class OutputTest(TakeoverCase):
    limit = 120

    def files(self, daemon):
        """The oldest first."""
        found = pathlib.Path(daemon.directory).glob("count.log*")
        return sorted(found, key=lambda path: int(path.name.removeprefix("count.log").strip(".") or 0), reverse=True)

    def size(self, daemon):
        """Of all that is written; of files that are renamed meanwhile nearly."""
        total = 0
        for path in self.files(daemon):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def check(self, burst, kills, pause=0.001, more=""):
        daemon = self.run_daemon(COUNTING.format(burst=burst, pause=pause, more=more))
        daemon.wait_active("count", 1)
        for _ in range(kills):
            seen = self.size(daemon)
            wait_until(lambda before=seen: self.size(daemon) > before)
            self.kill_arbiter(daemon)
        pathlib.Path(daemon.directory, "enough").touch()
        last = pathlib.Path(daemon.directory, "count.log")
        wait_until(lambda: last.exists() and last.read_text().endswith("\n") and "the end" in last.read_text())
        lines = "".join(path.read_text() for path in self.files(daemon)).split("\n")[:-1]
        count = int(lines.pop().split()[2])
        found = []
        for line in lines:
            self.assertRegex(line, r"\Aline [0-9]+ of this worker\Z")
            found.append(int(line.split()[1]))
        self.assertEqual(sorted(set(range(1, count + 1)) - set(found)), [], "lines are lost")
        twice = len(found) - len(set(found))
        self.assertLessEqual(twice, kills, f"{twice} lines stand twice after {kills} kills")

    def test_NoLineIsLostOrTorn(self):
        self.check(burst=1, kills=4)

    def test_NoLineIsLostOrTornOfAWorkerThatWritesALot(self):
        self.check(burst=2000, kills=4)

    def test_NoLineIsLostOrTwiceWhereEachBatchCrossesRotations(self):
        self.check(burst=6000, kills=8, pause=0.1, more=", max_bytes = 20000, backup_count = 3000")


def without_descriptors(pid):
    """It gets no new one from now on; returns the limit that it had."""
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    free = next(number for number in itertools.count() if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    return before


def daemon_probe(daemon):
    return daemon.client.ok("options", name="idle")["options"]["cmd"]


if __name__ == "__main__":
    main()
