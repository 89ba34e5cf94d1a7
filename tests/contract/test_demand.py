"""on_demand: who waits, who starts at the first connection, and what is left alone meanwhile."""
import os
import socket

from harness import ContractCase, holds_for, main, quoted, read_proc, wait_until

TCP = '\n[socket.{0}]\nhost = "127.0.0.1"\nport = 0\n'


def on_demand(name, sock, *lines, more=(), serve=True):
    args = ["--report", "@REPORTS@"] + (["--serve", f"$(circus.sockets.{sock})"] if serve else []) + list(more)
    args += ["--", f"$(circus.sockets.{sock})"]
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@"\nuse_sockets = true\non_demand = true\nargs = ['
            + ", ".join(quoted(word) for word in args) + "]\n" + "\n".join(lines) + "\n")


def runtime(pid):
    """Nanoseconds on a processor, of all threads."""
    return sum(int(read_proc(f"{pid}/task/{task}", "schedstat").split()[0]) for task in os.listdir(f"/proc/{pid}/task"))


class DemandCase(ContractCase):
    def socket(self, daemon, name):
        return {each["name"]: each for each in daemon.client.ok("listsockets")["sockets"]}[name]

    def connect(self, daemon, name):
        """A connection that has not been answered yet."""
        found = self.socket(daemon, name)
        family, address = ((socket.AF_UNIX, found["path"]) if "path" in found else
                           (socket.AF_INET, ("127.0.0.1", found["port"])))
        connection = socket.socket(family)
        self.addCleanup(connection.close)
        connection.settimeout(15)
        connection.connect(address)
        return connection

    def answer(self, connection):
        return int(connection.makefile().readline())

    def is_waiting(self, daemon, name):
        return daemon.status(name) == "stopped" and daemon.pids(name) == []


class OneAfterTheOtherTest(DemandCase):
    """What each kind of socket starts: its own watchers, and nobody else's."""

    KINDS = ("tcp", "file", "udp", "slots", "packets", "input")

    def setUp(self):
        super().setUp()
        self.stack = self.run_daemon(
            TCP.format("tcp") + TCP.format("slots") + "so_reuseport = true\n" + TCP.format("udp") +
            'type = "SOCK_DGRAM"\n' + TCP.format("packets") + 'type = "SOCK_DGRAM"\nso_reuseport = true\n' +
            TCP.format("input") + "blocking = true\n" + '\n[socket.file]\npath = "@DIR@/file.sock"\n' +
            "".join(on_demand(name, name, "numprocesses = 2") for name in self.KINDS if name != "input") +
            on_demand("second", "tcp") +
            '\n[watcher.input]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@", "--serve", "0"]\n'
            'stdin_socket = "input"\non_demand = true\n')

    def waiting(self):
        return {name for name in (*self.KINDS, "second") if self.is_waiting(self.stack, name)}

    def touch(self, name):
        """One client; the pid that answers it."""
        if name not in ("udp", "packets"):
            return self.answer(self.connect(self.stack, name))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(15)
            asking.sendto(b"who", ("127.0.0.1", self.socket(self.stack, name)["port"]))
            return int(asking.recv(64))

    def test_TheFirstConnectionStartsThoseThatUseItsSocketAndIsServed(self):
        everyone = {*self.KINDS, "second"}
        self.assertEqual(self.waiting(), everyone)
        self.assertEqual(self.stack.workers(), [])
        for name in self.KINDS:
            users = {"tcp", "second"} if name == "tcp" else {name}
            pid = self.touch(name)
            served = [each for user in users for each in self.stack.wait_active(user)]
            self.assertIn(pid, served)
            everyone -= users
            self.assertEqual(self.waiting(), everyone, f"after {name}")
        self.assertEqual(len(self.stack.workers()), 12)

    def test_ABlockingSocketStaysBlocking(self):
        pid = self.touch("input")
        self.assertEqual(self.stack.report(pid)["sockets"]["0"]["nonblocking"], 0)


class LifeTest(DemandCase):
    def test_NothingIsAcceptedAndNothingSpinsWhileTheProgramDoesNot(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web", serve=False))
        connection = self.connect(daemon, "web")
        daemon.wait_active("web", 1)
        arbiter = daemon.arbiter
        before = runtime(arbiter)
        self.assertTrue(holds_for(lambda: True, 1))
        self.assertLess(runtime(arbiter) - before, 100_000_000, "a tenth of a second of work in a second of waiting")
        # Still in the accept queue: a program that accepts gets it.
        daemon.client.ok("set", name="web", waiting=True, options={"args": [
            "--report", os.path.join(daemon.directory, "reports"), "--serve", "$(circus.sockets.web)"]})
        self.assertEqual([self.answer(connection)], daemon.wait_active("web", 1))

    def test_StartedItIsReplacedLikeAnyOther(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web", "min_uptime = 0.0"))
        first = self.answer(self.connect(daemon, "web"))
        daemon.client.ok("kill", name="web", signum=9, waiting=True)
        second = wait_until(lambda: daemon.pids("web") != [first] and daemon.pids("web"))
        self.assertEqual(daemon.wait_active("web", 1), second)
        info = daemon.client.ok("restart", name="web", waiting=True)["info"]
        self.assertEqual((info["stopped"], info["kept"]), (second, []))
        self.assertEqual(daemon.wait_active("web", 1), info["started"])

    def test_StopTakesItBackToWaitingAndStartDoesNotHurryIt(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web"))
        first = self.answer(self.connect(daemon, "web"))
        for command in ("stop", "start"):
            daemon.client.ok(command, name="web", waiting=True)
            self.assertTrue(self.is_waiting(daemon, "web"), command)
        second = self.answer(self.connect(daemon, "web"))
        self.assertNotEqual(first, second)
        self.assertEqual(daemon.wait_active("web", 1), [second])

    def test_OnDemandFalseMakesAStopFinal(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web"))
        self.answer(self.connect(daemon, "web"))
        daemon.client.ok("set", name="web", options={"on_demand": False}, waiting=True)
        daemon.client.ok("stop", name="web", waiting=True)
        connection = self.connect(daemon, "web")
        self.assertTrue(holds_for(lambda: self.is_waiting(daemon, "web"), 0.3))
        daemon.client.ok("start", name="web", waiting=True)
        self.assertEqual([self.answer(connection)], daemon.pids("web"))

    def test_WithoutAutostartAConnectionStartsItOnlyAfterAStart(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web", "autostart = false"))
        connection = self.connect(daemon, "web")
        self.assertTrue(holds_for(lambda: self.is_waiting(daemon, "web"), 0.3))
        daemon.client.ok("start", name="web")
        self.assertEqual([self.answer(connection)], daemon.wait_active("web", 1))

    def test_WithoutRespawnEachCallIsServedByAProcessOfItsOwn(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web", "respawn = false", "min_uptime = 0.0",
                                                               more=["--exit-after", "0.3:0"]))
        pids = set()
        for _ in range(3):
            pids.add(self.answer(self.connect(daemon, "web")))
            wait_until(lambda: self.is_waiting(daemon, "web"))
        self.assertEqual(len(pids), 3)

    def test_EventsOfAStartOnDemandAreThoseOfAStart(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web", "numprocesses = 2"))
        events = daemon.new_events("web")
        self.answer(self.connect(daemon, "web"))
        events.wait_for("web", "start")
        self.assertEqual(events.names("web"), ["spawn", "spawn", "start"])

    def test_AWaitingWatcherDelaysNoEnd(self):
        daemon = self.run_daemon(TCP.format("web") + on_demand("web", "web"))
        self.assertEqual(daemon.terminate(10), 0)


if __name__ == "__main__":
    main()
