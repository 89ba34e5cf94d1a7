"""Hooks that are functions of a library: one for each point, what they are told, what their answer does; and the SDK's
library that waits for Redis, against a real one."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from harness import BUILD, ContractCase, Events, free_port, holds_for, main, wait_until
from test_takeover import TakeoverCase

LIBRARY = BUILD / "tests/plugins/so/hooks_all.so"
REDIS = BUILD / "tests/plugins/redis.so"
POINTS = ("before_start", "after_start", "before_spawn", "after_spawn", "before_stop", "after_stop", "before_signal",
          "after_signal", "before_reap", "after_reap", "extended_stats")


def hook(point, ignore_failure=False):
    return f'hooks.{point} = "{LIBRARY}:on_{point}{",true" if ignore_failure else ""}"\n'


def watcher(name, *points, more="", ignore_failure=False):
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@ --report @REPORTS@"\nautostart = false\n{more}\n'
            + "".join(hook(point, ignore_failure) for point in points))


class LibraryCase(ContractCase):
    def run_with(self, config):
        daemon = self.new_daemon(config, "check_delay = 0.5\n")
        daemon.environment["HOOKS_FOLDER"] = daemon.directory
        return daemon.start()

    def say(self, daemon, point, what):
        fresh = os.path.join(daemon.directory, "new")
        pathlib.Path(fresh).write_text(what)
        os.rename(fresh, os.path.join(daemon.directory, f"say.{point}"))

    def told(self, daemon):
        """(point, watcher, arguments) of each call; the function is the one that the configuration names."""
        path = pathlib.Path(daemon.directory, "told")
        calls = []
        for line in path.read_text().splitlines() if path.exists() else ():
            function, point, name, arguments = line.split(" ", 3)
            self.assertEqual(function, f"on_{point}")
            calls.append((point, name, json.loads(arguments)))
        return calls

    def points(self, daemon):
        return [point for point, _, _ in self.told(daemon)]

    def start(self, daemon, name="web"):
        return daemon.client.ok("start", name=name, waiting=True)["info"]["started"]


class EveryPoint(LibraryCase):
    def test_AFunctionForEachOfTheElevenIsCalledInItsTurnWithItsArguments(self):
        daemon = self.run_with(watcher("web", *POINTS))
        pid = self.start(daemon)[0]
        daemon.report(pid)
        about = {"wid": 1, "pid": pid}
        wait_until(lambda: len(self.told(daemon)) == 4, what=lambda: self.told(daemon))
        self.assertEqual(self.told(daemon), [("before_start", "web", {}), ("before_spawn", "web", {"wid": 1}),
                                             ("after_spawn", "web", about), ("after_start", "web", {})])

        extended = daemon.client.ok("stats", name="web", extended=True)["info"][str(pid)]
        self.assertEqual((extended["jobs"], extended["pid"]), (3, pid))
        point, name, arguments = self.told(daemon)[4]
        self.assertEqual((point, name, arguments["pid"], arguments["wid"]), ("extended_stats", "web", pid, 1))
        self.assertEqual(arguments["stats"]["pid"], pid)

        daemon.client.ok("stop", name="web", waiting=True)
        calls = self.told(daemon)[5:]
        self.assertEqual(calls[0], ("before_stop", "web", {}))
        self.assertEqual(calls[1], ("before_signal", "web", {**about, "signum": signal.SIGTERM}))
        self.assertEqual(sorted(calls[2:], key=lambda call: call[0]), [
            ("after_reap", "web", {**about, "exit_code": -signal.SIGTERM}),
            ("after_signal", "web", {**about, "signum": signal.SIGTERM}),
            ("after_stop", "web", {}), ("before_reap", "web", {**about, "exit_code": -signal.SIGTERM})])
        self.assertEqual(set(self.points(daemon)), set(POINTS))
        self.assertNotIn("misbehaving", daemon.log())

    def test_AnAnswerThatComesLaterIsTheAnswerAtEachPoint(self):
        daemon = self.run_with(watcher("web", *POINTS))
        for point in POINTS:
            self.say(daemon, point, "later")
        pid = self.start(daemon)[0]
        daemon.report(pid)
        self.assertEqual(daemon.client.ok("stats", name="web", extended=True)["info"][str(pid)]["jobs"], 4)
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertEqual(set(self.points(daemon)), set(POINTS))
        self.assertEqual(daemon.workers(), [])
        self.assertNotIn("misbehaving", daemon.log())


class Answers(LibraryCase):
    def test_ANoCountsWhereANoCounts(self):
        aborts = ("before_start", "after_start", "before_spawn", "after_spawn")
        daemon = self.run_with("".join(watcher(point, point) for point in POINTS))
        events = {point: daemon.new_events(point) for point in POINTS}
        for answer in ("no", "refused_later"):
            for point in aborts:
                with self.subTest(answer, point=point):
                    self.say(daemon, point, answer)
                    self.assertEqual(self.start(daemon, point), [])
                    self.assertEqual(daemon.status(point), "stopped")
                    self.assertEqual(daemon.workers(), [])
                    why = "it was told to" if answer == "no" else "on reflection"
                    daemon.wait_log(re.compile(f"watcher {point}: .*: hook {point} said no: {why}"))
                    # As in Circus: it could say, and that is a success of the hook.
                    events[point].wait_for(point, "hook_success")
                    self.assertEqual(events[point].of(point, "hook_failure"), [])
        for point in ("before_stop", "after_stop", "after_signal", "before_reap", "after_reap"):
            with self.subTest("is only told", point=point):
                self.say(daemon, point, "no")
                self.assertEqual(len(self.start(daemon, point)), 1)
                daemon.client.ok("stop", name=point, waiting=True)
                self.assertEqual(daemon.status(point), "stopped")

    def test_ANoBeforeASignalKeepsItBack(self):
        daemon = self.run_with(watcher("web", "before_signal", "after_signal", more="graceful_timeout = 0.5"))
        pid = self.start(daemon)[0]
        daemon.report(pid)
        self.say(daemon, "before_signal", "no")
        daemon.client.ok("stop", name="web", waiting=True)
        asked = [arguments["signum"] for point, _, arguments in self.told(daemon) if point == "before_signal"]
        self.assertEqual(asked, [signal.SIGTERM, signal.SIGKILL])
        sent = [arguments["signum"] for point, _, arguments in self.told(daemon) if point == "after_signal"]
        self.assertEqual(sent, [signal.SIGKILL])

    def test_AgainIsAskedAgainUntilItIsAYes(self):
        daemon = self.run_with(watcher("a", "before_start") + watcher("b", "before_spawn"))
        for name, point in (("a", "before_start"), ("b", "before_spawn")):
            with self.subTest(point):
                self.say(daemon, point, "again")
                daemon.client.ok("start", name=name)
                wait_until(lambda: self.points(daemon).count(point) >= 3, what=lambda: daemon.log_tail())
                self.assertEqual(daemon.status(name), "starting")
                self.assertEqual(daemon.pids(name), [])
                self.say(daemon, point, "yes")
                daemon.wait_active(name, 1)

    def test_OneThatNeverAnswersMeetsItsDeadlineAndIgnoreFailureForgivesIt(self):
        daemon = self.run_with(watcher("strict", "before_start") + watcher("lax", "before_start", ignore_failure=True)
                               + watcher("broken", "before_spawn") + watcher("lenient", "before_spawn",
                                                                              ignore_failure=True))
        self.say(daemon, "before_start", "never")
        self.say(daemon, "before_spawn", "fail")
        events = daemon.new_events("strict")
        for name in ("strict", "lax"):
            daemon.client.ok("start", name=name)
        self.assertEqual(self.start(daemon, "broken"), [])
        self.assertEqual(len(self.start(daemon, "lenient")), 1)
        self.assertEqual((daemon.status("strict"), daemon.status("lax")), ("starting", "starting"))
        daemon.wait_active("lax", 1, 30)
        wait_until(lambda: daemon.status("strict") == "stopped", 30)
        # The watcher's clock and the plugin's both stand at ten seconds: either may be the one that says so.
        self.assertRegex(events.wait_for("strict", "hook_failure")[0]["error"], "did not answer (in time|within 10 s)")
        daemon.wait_log("hook on_before_start was not answered in time")


class Quarantine(LibraryCase, TakeoverCase):
    """A library in which the arbiter dies again and again is not called any more: its hooks have failed."""
    NAME = LIBRARY.name

    def run_until_quarantine(self, what, circus=""):
        """`lax` ignores a failure of its hook, `strict` does not; `idle` has none."""
        daemon = self.new_daemon(watcher("strict", "before_start") + watcher("lax", "before_start", ignore_failure=True)
                                 + '\n[watcher.idle]\ncmd = "@PROBE@"\nnumprocesses = 2\n', circus)
        daemon.environment["HOOKS_FOLDER"] = daemon.directory
        daemon.start()
        before = daemon.wait_active("idle", 2)
        events = Events(daemon.context, daemon.pubsub, f"plugin.{self.NAME}.quarantine".encode())
        daemon.clients.append(events)
        self.say(daemon, "before_start", what)
        daemon.client.cast("start", name="strict")
        # Whoever takes over asks again, and ends.
        daemon.wait_log(f"library {self.NAME} is in quarantine")
        self.wait_answer(daemon)
        wait_until(lambda: daemon.status("strict") == "stopped", what=daemon.log_tail)
        self.assertEqual(self.points(daemon), ["before_start"] * 3)
        self.assertEqual(daemon.pids("idle"), before)
        wait_until(lambda: events.socket.poll(20), what="the event of the quarantine")
        self.assertIn("3 times", json.loads(events.socket.recv_multipart()[1])["error"])
        return daemon

    def row(self, daemon):
        return daemon.client.ok("plugins")["plugins"].get(self.NAME)

    def check_quarantine(self, daemon):
        self.assertEqual(self.row(daemon)["state"], "quarantined")
        self.assertEqual(self.row(daemon)["file"], str(LIBRARY))
        self.assertIn("the arbiter died in it 3 times within 60 s, last in hook on_before_start", self.row(daemon)["error"])
        self.assertEqual(self.start(daemon, "strict"), [])
        self.assertEqual(len(self.start(daemon, "lax")), 1)
        self.assertEqual(self.points(daemon), ["before_start"] * 3, "nobody was asked")

    def test_OneThatCrashesIsNotCalledAnyMoreUntilAnOperatorWantsIt(self):
        daemon = self.run_until_quarantine("crash")
        self.check_quarantine(daemon)
        events = daemon.new_events("strict")
        self.start(daemon, "strict")
        self.assertIn("is in quarantine", events.wait_for("strict", "hook_failure")[0]["error"])
        # It holds from arbiter to arbiter.
        self.kill_arbiter(daemon)
        daemon.client.ok("stop", name="lax", waiting=True)
        self.check_quarantine(daemon)
        self.say(daemon, "before_start", "yes")
        daemon.client.ok("plugin", name=self.NAME, action="enable", waiting=True)
        self.assertIsNone(self.row(daemon))
        self.assertEqual(len(self.start(daemon, "strict")), 1)
        self.assertEqual(self.points(daemon), ["before_start"] * 4)

    def test_SoIsOneThatHangs(self):
        self.check_quarantine(self.run_until_quarantine("loop", "arbiter_timeout = 1\n"))

    def test_OneThatIsInNoneIsNoPlugin(self):
        daemon = self.run_with(watcher("web", "before_start"))
        self.assertIsNone(self.row(daemon))
        self.assert_error(daemon.client.ask("plugin", name=self.NAME, action="enable"), 3,
                          lambda reason: "not found" in reason)


class StuckLibrary(LibraryCase, TakeoverCase):
    """One that does not come back from being loaded: every arbiter that loads it again is never ready."""
    limit = 120
    STUCK = BUILD / "tests/plugins/so/hooks_stuck.so"

    def row(self, daemon):
        return daemon.client.ok("plugins")["plugins"].get(self.STUCK.name)

    def test_ThreeArbitersThatAreNotReadyBecauseOfItAreFollowedByOneThatDoesNotLoadIt(self):
        daemon = self.new_daemon(f'''
[watcher.idle]
cmd = "@PROBE@"
numprocesses = 2

[watcher.web]
cmd = "@PROBE@"
autostart = false
hooks.before_start = "{self.STUCK}:yes"
''', "arbiter_timeout = 1\n")
        daemon.environment["HOOKS_FOLDER"] = daemon.directory
        daemon.start()
        before = daemon.wait_active("idle", 2)
        self.say(daemon, "load", "stuck")
        os.kill(daemon.arbiter, signal.SIGKILL)
        wait_until(lambda: f"library {self.STUCK.name} is in quarantine" in daemon.log(), 60, daemon.log_tail)
        self.wait_answer(daemon)
        late = re.compile(rf"the arbiter was not ready within [0-9]+ ms, in plugin {self.STUCK.name} \(load\)")
        self.assertEqual(len(late.findall(daemon.log())), 3, daemon.log_tail())
        self.assertEqual(daemon.pids("idle"), before)
        self.assertEqual((self.row(daemon)["state"], self.row(daemon)["file"]), ("quarantined", str(self.STUCK)))
        self.assertEqual(self.start(daemon), [])
        # It holds from arbiter to arbiter.
        self.kill_arbiter(daemon)
        self.assertEqual(self.row(daemon)["state"], "quarantined")
        os.unlink(os.path.join(daemon.directory, "say.load"))
        daemon.client.ok("plugin", name=self.STUCK.name, action="enable", waiting=True)
        self.assertIsNone(self.row(daemon))
        self.assertEqual(len(self.start(daemon)), 1)


@unittest.skipUnless(shutil.which("redis-server"), "needs Redis")
class RedisAnswers(ContractCase):
    """sdk/examples/hooks/redis.c: the queue's worker starts when Redis answers, and not before."""

    def test_TheWorkerWaitsForRedis(self):
        port = free_port()
        daemon = self.new_daemon(f'''
[watcher.worker]
cmd = "@PROBE@ --report @REPORTS@"
hooks.before_start = "{REDIS}:redis_answers"
''', "check_delay = 0.5\n")
        daemon.environment["REDIS_PORT"] = str(port)
        daemon.start()
        events = daemon.new_events("worker")
        events.wait_for("worker", "hook_failure", 2)
        self.assertIn("Redis does not answer yet", events.of("worker", "hook_failure")[0]["error"])
        self.assertEqual((daemon.status("worker"), daemon.pids("worker")), ("starting", []))

        redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                  "--appendonly", "no", "--dir", daemon.directory], stdout=subprocess.DEVNULL)
        try:
            daemon.wait_active("worker", 1, 30)
        finally:
            redis.terminate()
            redis.wait(20)
        # It was asked about the start; what becomes of Redis later is not its business.
        pids = daemon.pids("worker")
        self.assertTrue(holds_for(lambda: daemon.pids("worker") == pids, 0.5))
        self.assertNotIn("misbehaving", daemon.log())


if __name__ == "__main__":
    main()
