"""One circusd an endpoint: who comes second is refused or waits, and what a killed one left is gone first."""
import os
import pathlib
import signal
import socket
import subprocess

from harness import (PATIENCE, ContractCase, descendants, free_port, holds_for, is_running, kill_child, listening_ports,
                     main, read_proc, state_and_parent, wait_until)

WEB = """
[socket.web]
host = "127.0.0.1"
port = @PORT@

[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@", "--serve", "$(circus.sockets.web)"]
use_sockets = true
numprocesses = 2
"""

# Ends at its stop signal as late as it may, and has a family.
STUBBORN = """
[watcher.stubborn]
cmd = "@PROBE@"
args = ["--ignore", "15", "--grandchild", "--daemonize", "--report", "@REPORTS@"]
graceful_timeout = @GRACE@
"""

# Notes its own stop signal and goes on.
NOTING = """
[watcher.noting]
cmd = "@PROBE@"
args = ["--note", "12:@DIR@/notes", "--report", "@REPORTS@"]
numprocesses = 2
stop_signal = "USR2"
graceful_timeout = 0.5
"""

# What setproctitle(3) does, and more: nothing of its environment can be seen any more.
MARKLESS = """
import ctypes, signal
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
begin, end = int(fields[47]), int(fields[48])
ctypes.memset(begin, 0, end - begin)
open("@DIR@/markless", "w").close()
signal.pause()
"""


class InstanceCase(ContractCase):
    def start_first(self, config):
        """A daemon whose probes have reported; self.old is everything below it."""
        if "@PORT@" in config:
            self.port = free_port()
        self.text = config.replace("@PORT@", str(getattr(self, "port", 0)))
        first = self.run_daemon(self.text)
        self.addCleanup(setattr, self, "config", None)
        if "[socket.web]" in config:
            first.ports.append(self.port)
        # Of each worker: its family, and those of it that are children of the keeper (a daemon comes to it).
        families = {"web": (1, 1), "stubborn": (3, 2), "noting": (1, 1)}
        expected = (0, 0)
        for name, (all_of_it, adopted) in families.items():
            if f"[watcher.{name}]" in config:
                pids = first.wait_active(name)
                expected = (expected[0] + all_of_it * len(pids), expected[1] + adopted * len(pids))
                for pid in pids:
                    first.report(pid)
        if expected[0]:
            wait_until(lambda: self.families(first) == expected, what=first.workers)
        self.old = {pid for pid, state in descendants(first.keeper).items() if state != "Z"}
        self.first_arbiter = first.arbiter
        return first

    def families(self, daemon):
        workers = daemon.workers()
        return len(workers), sum((state_and_parent(pid) or (None, 0))[1] == daemon.keeper for pid in workers)

    def next_daemon(self, first):
        """One more on the endpoint of the first, with its configuration."""
        daemon = self.new_daemon(self.text, directory=first.directory)
        daemon.ports = list(first.ports)
        first.ports.clear()
        return daemon

    def kill_keeper(self, daemon):
        """The keeper alone, and the arbiter cannot do anything about it before it is continued."""
        arbiter = daemon.arbiter
        os.kill(arbiter, signal.SIGSTOP)
        wait_until(lambda: (state_and_parent(arbiter) or "?")[0] == "T")
        daemon.process.kill()
        daemon.wait_end()
        return arbiter

    def kill_both(self, daemon):
        arbiter = self.kill_keeper(daemon)
        os.kill(arbiter, signal.SIGKILL)
        wait_until(lambda: not is_running(arbiter))

    def wait_answer(self, daemon, patience=PATIENCE * 4):
        """Of one that was launched, and of no other on that endpoint: an arbiter answers while it stops."""
        wait_until(lambda: f" runs as {daemon.keeper}, " in daemon.log() or daemon.process.poll() is not None, patience,
                   daemon.log_tail)
        daemon.client = daemon.new_client()
        daemon.client.send('{"id": "hello", "command": "numwatchers"}')
        wait_until(lambda: daemon.client.socket.poll(0) or daemon.process.poll() is not None, patience, daemon.log_tail)
        self.assertIsNone(daemon.process.poll(), daemon.log_tail())
        daemon.client.receive()

    def assert_old_gone(self):
        self.assertEqual([pid for pid in self.old if is_running(pid)], [])

    def assert_exactly_n(self, daemon, name, count):
        pids = daemon.wait_active(name, count)
        self.assertEqual(daemon.workers(), sorted(pids))
        self.assertFalse(set(pids) & self.old)


class KilledKeeperTest(InstanceCase):
    def test_TheNextOneWaitsUntilTheArbiterHasStoppedTheStackThenRunsExactlyN(self):
        first = self.start_first(WEB + STUBBORN.replace("@GRACE@", "1"))
        arbiter = self.kill_keeper(first)
        second = self.next_daemon(first).launch()
        second.wait_log(f"waiting for the arbiter, process {arbiter}")
        self.assertTrue(all(is_running(pid) for pid in self.old))
        os.kill(arbiter, signal.SIGCONT)
        self.wait_answer(second)
        self.assert_old_gone()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(arbiter, 0)[1]), 1)
        for name, count in (("web", 2), ("stubborn", 1)):
            for pid in second.wait_active(name, count):
                second.report(pid)
        wait_until(lambda: self.families(second) == (2 + 3, 2 + 2), what=second.workers)

    def test_NobodyMeanwhileLeavesNoProcessAndNoPort(self):
        first = self.start_first(WEB + STUBBORN.replace("@GRACE@", "60"))
        arbiter = self.kill_keeper(first)
        os.kill(arbiter, signal.SIGCONT)
        wait_until(lambda: (state_and_parent(arbiter) or "Z")[0] == "Z")
        self.assert_old_gone()
        self.assertNotIn(self.port, listening_ports())
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(arbiter, 0)[1]), 1)

    def test_AnArbiterThatHangsIsKilledAndWhatIsLeftStopped(self):
        first = self.start_first(WEB)
        arbiter = self.kill_keeper(first)
        second = self.next_daemon(first).launch()
        self.wait_answer(second)
        second.wait_log(f"the arbiter, process {arbiter}, does not end")
        self.assert_old_gone()
        self.assert_exactly_n(second, "web", 2)

    def test_WhoWaitsObeysTerm(self):
        first = self.start_first(WEB)
        arbiter = self.kill_keeper(first)
        second = self.next_daemon(first).launch()
        second.wait_log("waiting for the arbiter")
        self.assertEqual(second.terminate(), 0)
        os.kill(arbiter, signal.SIGCONT)
        wait_until(lambda: not any(is_running(pid) for pid in self.old))


    def test_WhoWaitsIsStoppedByNothingElse(self):
        first = self.start_first(WEB)
        arbiter = self.kill_keeper(first)
        second = self.next_daemon(first).launch()
        second.wait_log("waiting for the arbiter")
        for signo in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            second.signal(signo)
        self.assertTrue(holds_for(lambda: second.process.poll() is None, 0.5), second.log_tail())
        os.kill(arbiter, signal.SIGCONT)
        self.wait_answer(second)
        self.assert_old_gone()
        self.assert_exactly_n(second, "web", 2)


class BothKilledTest(InstanceCase):
    def test_WhatIsLeftIsNamedAndStoppedInItsOwnWayBeforeAnythingStarts(self):
        first = self.start_first(WEB + NOTING + STUBBORN.replace("@GRACE@", "0.5"))
        noting, keeper = first.pids("noting"), first.keeper
        self.kill_both(first)
        left = [pid for pid in self.old if is_running(pid)]
        self.assertEqual(len(left), 2 + 2 + 3)
        second = self.next_daemon(first).launch()
        self.wait_answer(second)
        self.assert_old_gone()
        second.wait_log(f"when it ran as process {keeper} and left {len(left)} processes: ")
        line = next(line for line in second.log().splitlines() if "and left" in line)
        self.assertEqual([pid for pid in left if f"{pid} (probe)" not in line], [])
        second.wait_log("what was left is gone")
        notes = pathlib.Path(second.directory, "notes").read_text().splitlines()
        self.assertEqual(sorted(notes), sorted(f"12 {pid}" for pid in noting))
        for name, count in (("web", 2), ("noting", 2), ("stubborn", 1)):
            self.assertFalse(set(second.wait_active(name, count)) & self.old)

    def test_ExactlyNRunOnTheSamePortTimeAndAgain(self):
        daemon = self.start_first(WEB)
        for _ in range(3):
            self.kill_both(daemon)
            daemon = self.next_daemon(daemon).launch()
            self.wait_answer(daemon)
            self.assert_old_gone()
            self.assert_exactly_n(daemon, "web", 2)
            self.assertIn(self.port, listening_ports())
            self.old = set(descendants(daemon.keeper))

    SOCKETS = ('[socket.one]\npath = "@DIR@/one.sock"\n[socket.two]\npath = "@DIR@/two.sock"\n'
               'type = "SOCK_DGRAM"\n[watcher.noting]\ncmd = "@PROBE@"\nnumprocesses = 2\n'
               'args = ["--report", "@REPORTS@"]\n')

    def test_TheFilesOfItsUnixSocketsAreNotInTheWayOfTheNext(self):
        daemon = self.start_first(self.SOCKETS)
        for count in (1, 2):
            self.kill_both(daemon)
            paths = [os.path.join(daemon.directory, name) for name in ("one.sock", "two.sock")]
            self.assertEqual(sorted(daemon.leftover_sockets()), paths)
            daemon = self.next_daemon(daemon).launch()
            self.wait_answer(daemon)
            for path in paths:
                self.assertEqual(daemon.log().count(f"removed {path}"), count, daemon.log_tail())
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(paths[0])
        self.assertEqual(daemon.terminate(), 0)

    def test_AFileThatIsNotItsOwnStaysAndIsAnErrorAsEver(self):
        first = self.start_first(self.SOCKETS)
        self.kill_both(first)
        path = os.path.join(first.directory, "one.sock")
        os.rename(path, path + ".old")  # so that its inode is nobody else's
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.bind(path)
        second = self.next_daemon(first).launch()
        self.assertEqual(second.wait_end(PATIENCE * 4), 1)
        second.wait_log("the file exists; replace = true would remove an old socket")
        self.assertTrue(os.path.exists(path))
        os.unlink(path)
        # Whose start has failed does not forget what was left.
        os.rename(path + ".old", path)
        third = self.next_daemon(second).launch()
        self.wait_answer(third)
        third.wait_log(f"removed {path}")
        self.assertEqual(third.terminate(), 0)

    def test_WhoIsKilledWhileItStopsThemLeavesThemToTheNext(self):
        first = self.start_first(STUBBORN.replace("@GRACE@", "600"))
        self.kill_both(first)
        left = [pid for pid in self.old if is_running(pid)]
        second = self.next_daemon(first).launch()
        second.wait_log("and left 3 processes")
        self.kill_both(second)
        third = self.next_daemon(second).launch()
        wait_until(lambda: third.log().count("and left 3 processes") == 2, what=third.log_tail)
        self.assertTrue(all(is_running(pid) for pid in left))
        for pid in left:
            kill_child(os.getpid(), pid)
        self.wait_answer(third)
        self.assert_exactly_n_of_family(third)

    def assert_exactly_n_of_family(self, daemon):
        pid = daemon.wait_active("stubborn", 1)[0]
        daemon.report(pid)
        wait_until(lambda: self.families(daemon) == (3, 2), what=daemon.workers)
        daemon.client.ok("set", name="stubborn", options={"graceful_timeout": 0.1}, waiting=True)

    def test_AWorkerWhoseEnvironmentCannotBeSeenIsFoundToo(self):
        script = MARKLESS.replace("\n", "\\n").replace('"', '\\"')
        first = self.start_first(f'[watcher.markless]\ncmd = "/usr/bin/python3"\nargs = ["-c", "{script}"]\n')
        wait_until(lambda: os.path.exists(os.path.join(first.directory, "markless")))
        pid = first.wait_active("markless", 1)[0]
        self.assertNotIn(b"CIRCUS_INSTANCE", read_proc(pid, "environ"))
        self.kill_both(first)
        second = self.next_daemon(first).launch()
        self.wait_answer(second)
        second.wait_log(f"and left 1 process: {pid} (python3)")
        self.assert_old_gone()
        self.assert_exactly_n(second, "markless", 1)

    def test_NoStrangerIsSignalled(self):
        first = self.start_first(WEB)
        environ = read_proc(first.pids("web")[0], "environ").decode().split("\0")
        mark = next(entry for entry in environ if entry.startswith("CIRCUS_INSTANCE="))
        instance = mark.partition("=")[2].partition(".")[0]
        strangers = []
        for variables in ({"CIRCUS_INSTANCE": instance}, {"CIRCUS_INSTANCE": instance + "0.1"},
                          {"CIRCUS_INSTANCE": "1" + instance + ".1"}, {"CIRCUS_INSTANCE": instance + ".x"},
                          {"X_CIRCUS_INSTANCE": instance + ".1"}, {"A": mark}, {"A": "\n" + mark}):
            strangers.append(subprocess.Popen(["/bin/sleep", "1000"], env=variables))
        strangers.append(subprocess.Popen(["/bin/sh", "-c", "exec sleep 1000", mark], env={}))
        try:
            self.kill_both(first)
            second = self.next_daemon(first).launch()
            self.wait_answer(second)
            self.assert_old_gone()
            self.assertEqual([stranger.args for stranger in strangers if stranger.poll() is not None], [])
        finally:
            for stranger in strangers:
                stranger.kill()
                stranger.wait()

    def test_ALockFileOfAnotherBootOrOfNobodysNamesNobody(self):
        first = self.start_first(WEB)
        self.assertEqual(first.terminate(), 0)
        path = pathlib.Path(first.directory, "endpoint.lock")
        for text in (path.read_text().replace("boot=", "boot=0"), "", "x" * 5000, "\0" * 100, "circusd-instance/1 boot"):
            path.write_text(text)
            second = self.next_daemon(first).launch()
            self.wait_answer(second)
            self.assertEqual(second.terminate(), 0)
            self.assertNotIn("and left", second.log())


class SecondTest(InstanceCase):
    def assert_refused(self, first, circus):
        second = self.new_daemon(WEB.replace("@PORT@", "0"), circus, endpoints=False)
        second.environment.update({name: value for name, value in first.environment.items()
                                   if name == "XDG_RUNTIME_DIR"})
        self.assertEqual(second.launch().wait_end(), 1)
        second.wait_log(f"another circusd has it, process {first.keeper}; stop that one")
        self.assertEqual(second.all_reports(), [])

    def test_OnTheEndpointOfAHealthyOneItIsRefusedByNameAndTheFirstUndisturbed(self):
        first = self.start_first(WEB)
        pids = first.pids("web")
        self.assert_refused(first, f'endpoint = "{first.endpoint}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n')
        self.assertEqual(first.pids("web"), pids)

    def test_OnATcpEndpointToo(self):
        port = free_port()
        circus = (f'endpoint = "tcp://127.0.0.1:{port}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                  'stats_endpoint = "ipc://@DIR@/stats"\n')
        first = self.new_daemon(WEB.replace("@PORT@", "0"), circus, endpoints=False)
        first.environment["XDG_RUNTIME_DIR"] = first.directory
        first.endpoint = f"tcp://127.0.0.1:{port}"
        first.start()
        place = "/run/circus" if os.geteuid() == 0 else os.path.join(first.directory, "circus")
        lock = os.path.join(place, f"tcp-127.0.0.1-{port}.lock")
        if os.geteuid() == 0:  # else it goes with the first one's folder
            self.addCleanup(os.unlink, lock)
        self.assert_refused(first, circus)

    def test_OneThatIsStoppingIsWaitedFor(self):
        first = self.start_first(STUBBORN.replace("@GRACE@", "600"))
        first.client.ok("quit")
        wait_until(lambda: first.status("stubborn") == "stopping")
        second = self.next_daemon(first).launch()
        second.wait_log(f"waiting for circusd, process {first.keeper}, which has {first.endpoint} and is stopping")
        for pid in first.workers():
            kill_child(first.keeper, pid)
        self.assertEqual(first.wait_end(), 0)
        self.wait_answer(second)
        self.assert_old_gone()
        second.report(second.wait_active("stubborn", 1)[0])
        second.client.ok("set", name="stubborn", options={"graceful_timeout": 0.1}, waiting=True)

    def test_ALockFileThatIsPlantedIsNotUsed(self):
        def link(path, victim):
            os.symlink(victim, path)

        def strange(path, _victim):
            path.touch()
            os.chown(path, 65534, 65534)
        plants = [(link, "is a link"), (lambda path, victim: os.link(victim, path), "under exactly one name"),
                  (lambda path, _victim: os.mkfifo(path), "no regular file")]
        if os.geteuid() == 0:
            plants.append((strange, "is another user's"))
        for plant, what in plants:
            with self.subTest(what):
                daemon = self.new_daemon(WEB.replace("@PORT@", "0"))
                victim = pathlib.Path(daemon.directory, "victim")
                victim.write_text("precious")
                plant(pathlib.Path(daemon.directory, "endpoint.lock"), victim)
                self.assertEqual(daemon.launch().wait_end(), 1)
                daemon.wait_log(what)
                daemon.wait_log("remove it")
                self.assertEqual(victim.read_text(), "precious")
                self.assertEqual(daemon.all_reports(), [])


class LockTest(InstanceCase):
    def test_NoWorkerHasIt(self):
        first = self.start_first(WEB + STUBBORN.replace("@GRACE@", "0.2"))
        own = {first.keeper, self.first_arbiter}
        for pid in own | set(first.workers()):
            targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            self.assertEqual(any(target.endswith(".lock") for target in targets), pid in own, targets)

    def test_ItFollowsTheEndpointInAReload(self):
        first, other = self.start_first(WEB), self.run_daemon(WEB.replace("@PORT@", "0"))
        text = pathlib.Path(first.config_path).read_text()

        def move(target):
            first.write_config(text.replace(f'endpoint = "{first.endpoint}"', f'endpoint = "{target}"', 1))
            return first.client.ask("reloadconfig", waiting=True, explain=True)
        answer = move(other.endpoint)
        self.assertEqual(answer["status"], "error")
        self.assertIn(f"another circusd has it, process {other.keeper}", answer["reason"])
        moved = f"ipc://{first.directory}/moved"
        self.assertEqual(move(moved)["status"], "ok")
        # What it has left is free, what it has now is its own.
        SecondTest.assert_refused(self, first, f'endpoint = "{moved}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n')
        config = WEB.replace("@PORT@", "0")
        third = self.new_daemon(config, f'endpoint = "{first.endpoint}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n',
                                endpoints=False)
        third.endpoint = first.endpoint
        third.start()
        third.wait_active("web", 2)
        # What runs is known at the new place.
        first.endpoint = moved
        first.client = first.new_client()
        first.wait_active("web", 2)
        self.kill_both(first)
        fourth = self.new_daemon(self.text, f'endpoint = "{moved}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n',
                                 endpoints=False)
        fourth.endpoint = moved
        self.wait_answer(fourth.launch())
        self.assert_old_gone()
        self.assert_exactly_n(fourth, "web", 2)
        self.assertEqual(fourth.terminate(), 0)


if __name__ == "__main__":
    main()
