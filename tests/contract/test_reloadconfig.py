"""reloadconfig: what changed in the file is carried out, and nothing else is touched."""
import json
import os
import pathlib
import signal
import socket
import subprocess

from harness import (CIRCUSCTL, PROBE, ContractCase, NotReached, free_port, holds_for, ignores, is_running, listening_ports, main,
                     quoted, wait_until)


def probe(name, *lines, args=()):
    """A section whose processes report what they were given."""
    words = ["--report", "@REPORTS@", *args]
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@"\nargs = [' + ", ".join(quoted(word) for word in words) + "]\n"
            + "\n".join(lines) + "\n")


def inet(name, port=0, *lines):
    return f'\n[socket.{name}]\nhost = "127.0.0.1"\nport = {port}\n' + "\n".join(lines) + "\n"


def unix(name, *lines):
    return f'\n[socket.{name}]\npath = "@DIR@/{name}.sock"\n' + "\n".join(lines) + "\n"


class ReloadConfigCase(ContractCase):
    def head(self, circus=""):
        return ('[circus]\nendpoint = "ipc://@DIR@/endpoint"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                f'stats_endpoint = "ipc://@DIR@/stats"\n{circus}\n')

    def begin(self, config, circus="", **more):
        self.daemon_ = self.run_daemon(config, circus, **more)
        self.client = self.daemon_.client
        return self.daemon_

    def write(self, config, circus=""):
        """In one piece, as an editor does: the daemon may be about to read it."""
        path = self.daemon_.config_path
        self.daemon_.config_path = path + ".new"
        self.daemon_.write_config(self.head(circus) + config)
        self.daemon_.config_path = path
        os.replace(path + ".new", path)

    def reload(self, config, circus=""):
        self.write(config, circus)
        return self.client.ok("reloadconfig", waiting=True)

    def pids(self, name):
        return sorted(self.daemon_.pids(name))

    def report(self, name):
        return self.daemon_.report(self.daemon_.wait_active(name)[0])

    def ctl(self, *words):
        return subprocess.run([CIRCUSCTL, "--endpoint", self.daemon_.endpoint, "--timeout", "60", *words],
                              capture_output=True, text=True, timeout=60)

    def wait_stubborn(self, name):
        """The pid of its process, once TERM does not end it."""
        pid = self.daemon_.wait_active(name, 1)[0]
        wait_until(lambda: ignores(pid, signal.SIGTERM), what=f"{pid} to ignore TERM")
        return pid

    def port(self, name):
        return {each["name"]: each for each in self.client.ok("listsockets")["sockets"]}[name]["port"]

    def ask(self, port):
        """The pid that answers on the port."""
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.settimeout(10)
            return int(connection.makefile().readline())


class WatchersTest(ReloadConfigCase):
    def test_AnUnchangedFileTouchesNobodyAndTheAnswerIsCircuss(self):
        config = probe("web", "numprocesses = 2") + probe("job")
        self.begin(config)
        before = self.daemon_.wait_active("web"), self.daemon_.wait_active("job")
        self.assertEqual(sorted(self.reload(config)), ["id", "status", "time"])
        self.assertEqual((self.daemon_.pids("web"), self.daemon_.pids("job")), before)

    def test_AnotherCountChangesOnlyTheCount(self):
        self.begin(probe("web", "numprocesses = 2"))
        two = self.daemon_.wait_active("web", 2)
        self.reload(probe("web", "numprocesses = 4"))
        four = self.pids("web")
        self.assertEqual(len(four), 4)
        self.assertLess(set(two), set(four))
        self.reload(probe("web", "numprocesses = 1"))
        self.assertLess(set(self.pids("web")), set(two))

    def test_AnyOtherChangeConcernsOnlyItsWatcher(self):
        self.begin(probe("web", 'env = { A = "1" }') + probe("job"))
        web, job = self.daemon_.wait_active("web"), self.daemon_.wait_active("job")
        self.reload(probe("web", 'env = { A = "2" }') + probe("job"))
        self.assertFalse(set(self.pids("web")) & set(web))
        self.assertIn("A=2", self.report("web")["env"])
        self.assertEqual(self.pids("job"), job)

    def test_AnOptionThatNeedsNoNewProcessAppliesToTheOldOnes(self):
        note = ["--exit-on", "12:0"]
        self.begin(probe("web", args=note))
        web = self.daemon_.wait_active("web")
        self.reload(probe("web", "stop_signal = 'USR2'", args=note))
        self.assertEqual(self.pids("web"), web)
        events = self.daemon_.new_events("web")
        self.client.ok("stop", name="web", waiting=True)
        self.assertEqual(events.wait_for("web", "reap")[0]["exit_code"], 0)

    def test_ADeletedLineIsAnOptionAtItsDefault(self):
        self.begin(probe("web", "nice = 5", "umask = '077'", 'env = { A = "1" }'))
        self.assertEqual(self.report("web")["nice"], 5)
        self.reload(probe("web", "umask = '077'"))
        report = self.report("web")
        self.assertEqual(report["nice"], os.getpriority(os.PRIO_PROCESS, 0))
        self.assertFalse([each for each in report["env"] if each.startswith("A=")])

    def test_TheEnvironmentSectionsAreReadAgain(self):
        workers = probe("web") + probe("job")
        self.begin('[env]\nALL = "1"\n[env."w*"]\nSOME = "1"\n' + workers)
        job = self.daemon_.wait_active("job")
        self.daemon_.wait_active("web")
        self.reload('[env]\nALL = "1"\n[env."w*"]\nSOME = "2"\n' + workers)
        self.assertIn("SOME=2", self.report("web")["env"])
        self.assertEqual(self.pids("job"), job, "its environment is what it was")

    def test_IncludedFilesAreReadAgain(self):
        include = 'include = "more/*.toml"\n'
        daemon = self.new_daemon(probe("web"), include)
        folder = pathlib.Path(daemon.directory, "more")
        folder.mkdir()

        def part(name, text):
            for mark, value in (("@PROBE@", PROBE), ("@REPORTS@", daemon.reports)):
                text = text.replace(mark, value)
            (folder / name).write_text(text)
        part("a.toml", probe("a"))
        daemon.start()
        self.daemon_, self.client = daemon, daemon.client
        web = daemon.wait_active("web")
        part("a.toml", probe("a", "numprocesses = 2"))
        part("b.toml", probe("b"))
        self.reload(probe("web"), include)
        self.assertEqual(len(daemon.wait_active("a")), 2)
        daemon.wait_active("b")
        os.unlink(folder / "a.toml")
        self.reload(probe("web"), include)
        self.assertEqual(self.client.ok("list")["watchers"], ["b", "web"])
        self.assertEqual(self.pids("web"), web)

    def test_NewOnesStartRemovedOnesStopAndThoseOfCommandsGo(self):
        self.begin(probe("old") + probe("web"))
        self.daemon_.wait_active("old")
        web = self.daemon_.wait_active("web")
        self.client.ok("add", name="extra", cmd="sleep 1000", start=True, waiting=True)
        gone = self.pids("old") + self.pids("extra")
        self.reload(probe("web") + probe("new") + probe("idle", "autostart = false"))
        self.assertEqual(self.client.ok("list")["watchers"], ["idle", "new", "web"])
        self.assertEqual([self.daemon_.status(name) for name in ("new", "idle")], ["active", "stopped"])
        self.assertEqual(self.pids("web"), web)
        self.assertFalse([pid for pid in gone if is_running(pid)])

    def test_AWatcherThatWasRemovedByCommandComesBack(self):
        config = probe("web") + probe("job")
        self.begin(config)
        self.client.ok("rm", name="job", waiting=True)
        self.reload(config)
        self.daemon_.wait_active("job")

    def test_WhatWasSetStaysUntilTheFileChanges(self):
        self.begin(probe("web") + probe("job"))
        self.client.ok("incr", name="web", nb=2, waiting=True)
        self.client.ok("set", name="web", options={"graceful_timeout": 7}, waiting=True)
        web = self.pids("web")

        def of_web():
            return self.client.ok("get", name="web", keys=["numprocesses", "graceful_timeout"])["options"]
        self.reload(probe("web") + probe("job", "nice = 1"))
        self.assertEqual(self.pids("web"), web)
        self.assertEqual(of_web(), {"numprocesses": 3, "graceful_timeout": 7.0})
        self.reload(probe("web", "numprocesses = 2") + probe("job", "nice = 1"))
        self.assertEqual(of_web(), {"numprocesses": 2, "graceful_timeout": 7.0})
        self.reload(probe("web", "numprocesses = 2", "priority = 1") + probe("job", "nice = 1"))
        self.assertEqual(of_web(), {"numprocesses": 2, "graceful_timeout": 30.0})

    def test_AStoppedWatcherStaysStoppedUntilItsProgramChanges(self):
        self.begin(probe("web"))
        self.daemon_.wait_active("web")
        self.client.ok("stop", name="web", waiting=True)
        self.reload(probe("web", "numprocesses = 2"))
        self.assertEqual(self.daemon_.status("web"), "stopped")
        self.reload(probe("web", "numprocesses = 2", "nice = 1"))
        self.assertEqual(len(self.daemon_.wait_active("web")), 2)

    def test_AProgramThatCannotBeStartedLeavesTheOldProcessesAndIsTold(self):
        self.begin(probe("web"))
        web = self.daemon_.wait_active("web")
        self.write('[watcher.web]\ncmd = "/does/not/exist"\nmax_retry = 2\n')
        answer = self.client.ask("reloadconfig", waiting=True)
        self.assert_error(answer, 5, lambda reason: reason.startswith("watcher web: reload given up")
                          and "/does/not/exist" in reason)
        self.assertEqual(self.pids("web"), web)

    def test_ReplacementsRunBeforeTheOldOnesAreStopped(self):
        self.begin(probe("web", "numprocesses = 2"))
        self.daemon_.wait_active("web", 2)
        events = self.daemon_.new_events("web")
        self.reload(probe("web", "numprocesses = 2", "nice = 1"))
        events.wait_for("web", "reload")
        names = events.names("web")
        self.assertEqual([name for name in names if name != "reap"],
                         ["updated", "spawn", "spawn", "kill", "kill", "reload"])


class SocketsTest(ReloadConfigCase):
    def test_WhoNamesAChangedSocketInItsArgumentsMovesWithIt(self):
        ports = [free_port() for _ in range(3)]
        workers = (probe("web", "use_sockets = true", args=["--serve", "$(circus.sockets.a)"])
                   + probe("other", "use_sockets = true", args=["--serve", "$(circus.sockets.b)"]))
        self.begin(inet("a", ports[0]) + inet("b", ports[1]) + workers)
        other = self.daemon_.wait_active("other")
        web = self.daemon_.wait_active("web")
        self.assertEqual(self.ask(ports[0]), web[0])
        self.reload(inet("a", ports[2]) + inet("b", ports[1]) + workers)
        self.daemon_.ports += ports
        self.assertNotEqual(self.pids("web"), web)
        self.assertEqual(self.ask(ports[2]), self.pids("web")[0])
        wait_until(lambda: ports[0] not in listening_ports(), what="the port to be free")
        self.assertEqual(self.pids("other"), other)
        self.assertEqual(self.ask(ports[1]), other[0])

    def test_WhoUsesASocketOtherwiseMovesWithItToo(self):
        workers = (probe("env", "use_sockets = true", 'env = { FD = "$(circus.sockets.a)" }')
                   + probe("stdin", 'stdin_socket = "a"', args=["--serve", "0"])
                   + probe("all", "use_sockets = true") + probe("none"))
        self.begin(inet("a", free_port()) + workers)
        names = ("env", "stdin", "all", "none")
        before = {name: self.daemon_.wait_active(name) for name in names}
        port = free_port()
        self.reload(inet("a", port) + workers)
        changed = {name for name in names if self.pids(name) != before[name]}
        self.assertEqual(changed, {"env", "stdin", "all"})
        self.assertEqual(self.ask(port), self.pids("stdin")[0])

    def test_SocketsThatComeAndGoInTheMiddleLeaveTheUsersOfOthersAlone(self):
        workers = (probe("web", "use_sockets = true", args=["--serve", "$(circus.sockets.web)"])
                   + probe("all", "use_sockets = true"))
        self.begin(unix("first") + inet("web") + workers)
        port = self.port("web")
        web = self.daemon_.wait_active("web")
        for sockets, names in ((unix("first") + unix("middle") + inet("web"), ["first", "middle", "web"]),
                               (unix("middle") + inet("web"), ["middle", "web"]), (inet("web"), ["web"]),
                               (unix("new") + inet("web"), ["new", "web"])):
            with self.subTest(sockets=names):
                self.reload(sockets + workers)
                self.assertEqual(self.pids("web"), web)
                self.assertEqual(self.ask(port), web[0])
                report = self.report("all")
                env = dict(each.split("=", 1) for each in report["env"])
                self.assertEqual(env["LISTEN_FDNAMES"], ":".join(names))
                self.assertEqual(sorted(report["listeners"]), [str(3 + i) for i in range(len(names))])
        # And a later process of the watcher finds its socket where its first one did.
        self.client.ok("restart", name="web", waiting=True)
        self.assertEqual(self.ask(port), self.pids("web")[0])

    def test_ASocketThatGoesIsClosedAndItsFileIsRemoved(self):
        self.begin(unix("u") + inet("i") + probe("web"))
        port = self.port("i")
        self.reload(probe("web"))
        self.assertEqual(self.client.ok("listsockets")["sockets"], [])
        wait_until(lambda: port not in listening_ports(), what="the port to be free")
        self.assertEqual(self.daemon_.leftover_sockets(), [])

    def test_AModeChangesWithoutBindingAnew(self):
        workers = probe("web", "use_sockets = true", args=["--serve", "$(circus.sockets.u)"])
        self.begin(unix("u", "umask = '0177'") + workers)
        web = self.daemon_.wait_active("web")
        path = self.daemon_.directory + "/u.sock"
        inode = os.stat(path).st_ino
        self.reload(unix("u", "umask = '0117'") + workers)
        self.assertEqual((os.stat(path).st_mode & 0o777, os.stat(path).st_ino), (0o660, inode))
        self.assertEqual(self.pids("web"), web)


class UnusableTest(ReloadConfigCase):
    def check_refused(self, config, *words, circus=""):
        self.write(config, circus)
        self.assert_error(self.client.ask("reloadconfig", waiting=True), 6, "server error")
        self.assertEqual(sorted(self.client.ok("reloadconfig")), ["id", "status", "time"])
        told = self.ctl("reloadconfig", "--waiting")
        self.assertEqual((told.returncode, told.stdout), (3, ""))
        for word in words:
            self.assertIn(word, told.stderr)
            wait_until(lambda word=word: self.daemon_.log().count(word) >= 3, what=f"{word!r} in the log")

    def test_ABrokenFileIsAnErrorAndDisturbsNothing(self):
        good = inet("a") + probe("web", "use_sockets = true", args=["--serve", "$(circus.sockets.a)"])
        self.begin(good)
        web = self.daemon_.wait_active("web")
        port = self.port("a")
        taken = socket.create_server(("127.0.0.1", 0))
        with taken:
            self.check_refused("[watcher.web\n", "stack.toml:6:")
            self.check_refused(good + probe("new", 'uid = "nobody-of-that-name"'), "no such user", "stack.toml:")
            self.check_refused(good + "[watcher.x]\ncmd = 'true'\nnumproceses = 1\n", "did you mean \"numprocesses\"")
            hook = 'hooks.before_start = "/nowhere/lib.so:f"'
            line = (self.head("") + good + probe("new", hook)).splitlines().index(hook) + 1
            self.check_refused(good + probe("new", hook), "/nowhere/lib.so", f"stack.toml:{line}:")
            self.check_refused(inet("a") + unix("new") + inet("b", taken.getsockname()[1]), "[socket.b]",
                               "Address already in use")
            self.check_refused(good, "/proc/nowhere", circus='pidfile = "/proc/nowhere"\n')
        os.rename(self.daemon_.config_path, self.daemon_.config_path + ".away")
        self.assert_error(self.client.ask("reloadconfig", waiting=True), 6, "server error")
        self.assertEqual(self.client.ok("list")["watchers"], ["web"])
        self.assertEqual(self.pids("web"), web)
        self.assertEqual(self.ask(port), web[0])
        self.assertEqual([each["name"] for each in self.client.ok("listsockets")["sockets"]], ["a"])
        self.assertEqual(self.daemon_.leftover_sockets(), [])
        # Nothing of what failed is remembered.
        self.reload(good)
        self.assertEqual(self.pids("web"), web)

    def test_ADryRunTellsAndDoesNothing(self):
        self.begin(probe("web") + probe("job"))
        web = self.daemon_.wait_active("web")
        self.write(probe("web", "nice = 1") + probe("new") + inet("a"), "warmup_delay = 0.1\n")
        told = self.ctl("reloadconfig", "--dry-run")
        self.assertEqual(told.stdout.splitlines(),
                         ["circus warmup_delay: in force", "sockets a: new", "stopped job: not in the file",
                          "restarted web: nice", "started new: new"])
        self.assertEqual(self.pids("web"), web)
        self.assertEqual(self.client.ok("list")["watchers"], ["job", "web"])
        told = self.ctl("reloadconfig", "--waiting")
        self.assertEqual(told.stdout.splitlines()[0], "ok")
        self.assertIn("restarted web: nice", told.stdout)
        self.assertNotEqual(self.pids("web"), web)


class CircusSectionTest(ReloadConfigCase):
    def test_TheEndpointsMove(self):
        config = probe("web")
        self.begin(config)
        web = self.daemon_.wait_active("web")
        directory = self.daemon_.directory
        moved = (f'[circus]\nendpoint = "ipc://{directory}/moved"\npubsub_endpoint = "ipc://{directory}/events"\n'
                 f'stats_endpoint = "ipc://{directory}/stats"\n')
        self.daemon_.write_config(moved + config)
        self.client.ok("reloadconfig", waiting=True)
        self.daemon_.endpoint = f"ipc://{directory}/moved"
        self.daemon_.pubsub = f"ipc://{directory}/events"
        self.client = self.daemon_.client = self.daemon_.new_client()
        self.assertEqual(self.client.ok("list", name="web")["pids"], web)
        wait_until(lambda: not os.path.exists(directory + "/endpoint") and not os.path.exists(directory + "/pubsub"))
        self.assertEqual(self.client.ok("globaloptions", option="endpoint")["options"],
                         {"endpoint": f"ipc://{directory}/moved"})
        events = self.daemon_.new_events("web")
        self.client.ok("restart", name="web", waiting=True)
        events.wait_for("web", "start")
        self.assertEqual(os.stat(directory + "/moved").st_mode & 0o777, 0o600)

    def test_AnEndpointThatIsTakenIsAnErrorAndTheOldOneServesOn(self):
        config = probe("web")
        self.begin(config)
        directory = self.daemon_.directory
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(directory + "/taken")
            other.listen()
            self.daemon_.write_config(f'[circus]\nendpoint = "ipc://{directory}/taken"\n' + config)
            self.assert_error(self.client.ask("reloadconfig", waiting=True), 6, "server error")
        os.unlink(directory + "/taken")
        self.daemon_.new_client().ok("list")

    def test_ThePidfileMovesAndGoes(self):
        config = probe("web")
        self.begin(config, 'pidfile = "@DIR@/one.pid"\n')
        one, two = (pathlib.Path(self.daemon_.directory, name) for name in ("one.pid", "two.pid"))
        self.assertEqual(int(one.read_text()), self.daemon_.keeper)
        self.reload(config, 'pidfile = "@DIR@/two.pid"\n')
        self.assertEqual((one.exists(), int(two.read_text())), (False, self.daemon_.keeper))
        self.reload(config)
        self.assertFalse(two.exists())

    def test_AnotherUmaskReachesWorkersThatHaveNoneOfTheirOwn(self):
        config = probe("web") + probe("own", "umask = '077'")
        self.begin(config, "umask = '022'\n")
        self.assertEqual(self.report("web")["umask"], 0o022)
        own = self.daemon_.wait_active("own")
        self.reload(config, "umask = '027'\n")
        self.assertEqual(self.report("web")["umask"], 0o027)
        self.assertEqual(self.pids("own"), own)

    def test_TheLogLevelAppliesAtOnce(self):
        config = probe("web")
        self.begin(config, "loglevel = 'error'\n")
        self.daemon_.wait_active("web")
        self.reload(config, "loglevel = 'debug'\n")
        self.client.ok("restart", name="web", waiting=True)
        wait_until(lambda: "[debug]" in self.daemon_.log())

    def test_WhatNeedsANewDaemonIsToldAndNotPretended(self):
        config = probe("web")
        self.begin(config)
        self.daemon_.write_config(self.head().replace("/stats", "/elsewhere") + config)
        told = self.ctl("reloadconfig", "--waiting")
        self.assertIn("circus stats_endpoint: in force when circusd is started again", told.stdout)
        self.assertEqual(self.client.ok("globaloptions", option="stats_endpoint")["options"],
                         {"stats_endpoint": f"ipc://{self.daemon_.directory}/stats"})


class TogetherTest(ReloadConfigCase):
    def test_ASlowStopDelaysNoQueryNoOtherWatcherAndNoFurtherReload(self):
        slow = probe("slow", "graceful_timeout = 60", args=["--ignore", "15"])
        self.begin(slow + probe("web"))
        stubborn = self.wait_stubborn("slow")
        self.daemon_.wait_active("web")
        waiting = self.daemon_.new_client()
        self.write(probe("web"))
        waiting.send(json.dumps({"id": "w", "command": "reloadconfig", "properties": {"waiting": True}}))
        wait_until(lambda: self.client.ok("list")["watchers"] == ["web"])
        self.client.ok("restart", name="web", waiting=True)
        self.reload(probe("web", "numprocesses = 2"))
        self.assertEqual(len(self.pids("web")), 2)
        self.assertEqual(waiting.socket.poll(0), 0)
        os.kill(stubborn, signal.SIGKILL)
        self.assertEqual(waiting.receive()["status"], "ok")

    def test_ManyAtOnceAreAllAnsweredAndTheLastFileHolds(self):
        self.begin(probe("web"))
        clients = [self.daemon_.new_client() for _ in range(6)]
        for count, client in enumerate(clients, 2):
            self.write(probe("web", f"numprocesses = {count}"))
            client.send(json.dumps({"id": 1, "command": "reloadconfig", "properties": {"waiting": True}}))
        for client in clients:
            self.assertEqual(client.receive()["status"], "ok")
        self.client.ok("reloadconfig", waiting=True)
        self.assertEqual(len(self.daemon_.wait_active("web", 7)), 7)

    def test_ACastIsCarriedOutAndNotAnswered(self):
        self.begin(probe("web"))
        self.write(probe("web", "numprocesses = 3"))
        self.client.cast("reloadconfig", waiting=True)
        self.daemon_.wait_active("web", 3)
        with self.assertRaises(NotReached):
            self.client.receive(0.2)

    def test_AHangupReloadsTheWatchersAndNotTheConfiguration(self):
        self.begin(probe("web"))
        web = self.daemon_.wait_active("web")
        self.write(probe("web", "numprocesses = 3"))
        self.daemon_.signal(signal.SIGHUP)
        wait_until(lambda: self.daemon_.wait_active("web") != web)
        self.assertTrue(holds_for(lambda: self.client.ok("get", name="web", keys=["numprocesses"])["options"]
                                  == {"numprocesses": 1}, 0.3))

    def test_AStopOfTheDaemonAnswersWhoWaitsForAReload(self):
        self.begin(probe("slow", "graceful_timeout = 60", args=["--ignore", "15"]) + probe("web"))
        stubborn = self.wait_stubborn("slow")
        self.daemon_.wait_active("web")
        self.write(probe("web"))
        waiting = self.daemon_.new_client()
        waiting.send(json.dumps({"id": 1, "command": "reloadconfig", "properties": {"waiting": True}}))
        wait_until(lambda: self.client.ok("list")["watchers"] == ["web"])
        quitting = self.daemon_.new_client()
        quitting.send(json.dumps({"id": 2, "command": "quit", "properties": {"waiting": True}}))
        self.assert_error(waiting.receive(), 5, "arbiter is already running arbiter_stop command")
        self.client.ok("list")
        os.kill(stubborn, signal.SIGKILL)
        self.assertEqual(quitting.receive()["status"], "ok")
        self.assertEqual(self.daemon_.wait_end(), 0)


if __name__ == "__main__":
    main()
