"""Hooks that are commands, at every point: what they are told, what their answer does, and that they hold up nothing.

A hook here is a script that appends a line about itself to @DIR@/told, waits at @DIR@/gate.POINT if that is a FIFO, and
exits with what stands in @DIR@/say.POINT (else 0).
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import unittest

from harness import ROOT, ContractCase, free_port, is_running, main, wait_until

POINTS = ("before_start", "after_start", "before_spawn", "after_spawn", "before_stop", "after_stop", "before_signal",
          "after_signal", "before_reap", "after_reap")
SCRIPT = """
at=@DIR@
echo "$CIRCUS_HOOK $CIRCUS_WATCHER wid=$CIRCUS_WID pid=$CIRCUS_PID sig=$CIRCUS_SIGNUM code=$CIRCUS_EXIT_CODE" >> $at/told
if [ -p $at/gate.$CIRCUS_HOOK ]; then read _ < $at/gate.$CIRCUS_HOOK; fi
say=0
if [ -e $at/say.$CIRCUS_HOOK ]; then read say < $at/say.$CIRCUS_HOOK; fi
exit $say
"""


def hook(point, *more):
    return f"hooks.{point} = {{exec = \"/bin/sh @DIR@/hook.sh\"" + "".join(f", {each}" for each in more) + "}\n"


def watcher(name, *points, more="", flags="--report @REPORTS@"):
    return f'[watcher.{name}]\ncmd = "@PROBE@ {flags}"\n{more}\n' + "".join(map(hook, points))


class HooksCase(ContractCase):
    def daemon_with(self, config, **more):
        daemon = self.new_daemon(config, "check_delay = 0.5\n", **more)
        self.put(daemon, "hook.sh", SCRIPT.replace("@DIR@", daemon.directory))
        self.put(daemon, "told", "")
        os.chmod(os.path.join(daemon.directory, "told"), 0o666)
        return daemon

    def run_with(self, config, **more):
        return self.daemon_with(config, **more).start()

    def put(self, daemon, name, text):
        pathlib.Path(daemon.directory, name).write_text(text)

    def say(self, daemon, point, code):
        """From the next question on. By a rename, so that nobody reads half of it."""
        self.put(daemon, "new", f"{code}\n")
        os.rename(os.path.join(daemon.directory, "new"), os.path.join(daemon.directory, f"say.{point}"))

    def gate(self, daemon, point):
        path = os.path.join(daemon.directory, f"gate.{point}")
        os.mkfifo(path)
        return path

    def open_gate(self, path):
        with open(path, "w"):
            os.unlink(path)

    def told(self, daemon, point=""):
        lines = pathlib.Path(daemon.directory, "told").read_text().splitlines()
        return [line for line in lines if line.startswith(point)]

    def wait_told(self, daemon, point, count=1):
        return wait_until(lambda: len(self.told(daemon, point)) >= count and self.told(daemon, point),
                          what=lambda: f"{count} x {point}: {self.told(daemon)}\n{daemon.log_tail()}")

    def wait_status(self, daemon, status, name="web"):
        wait_until(lambda: daemon.status(name) == status, what=lambda: f"{status}: {daemon.status(name)}")


class PointsTest(HooksCase):
    def test_EveryPointIsAskedInItsTurnAndKnowsWhatItIsAbout(self):
        daemon = self.run_with(watcher("web", *POINTS))
        pid = daemon.wait_active("web", 1)[0]
        daemon.report(pid)
        self.wait_told(daemon, "after_start")
        self.assertEqual(self.told(daemon), [
            "before_start web wid= pid= sig= code=", "before_spawn web wid=1 pid= sig= code=",
            f"after_spawn web wid=1 pid={pid} sig= code=", "after_start web wid= pid= sig= code="])

        self.put(daemon, "told", "")
        os.kill(pid, signal.SIGKILL)
        second = wait_until(lambda: [each for each in daemon.pids("web") if each != pid])[0]
        self.wait_told(daemon, "after_reap")
        self.wait_told(daemon, "after_spawn")
        self.assertEqual(sorted(self.told(daemon)), [
            f"after_reap web wid=1 pid={pid} sig= code=-9", f"after_spawn web wid=1 pid={second} sig= code=",
            f"before_reap web wid=1 pid={pid} sig= code=-9", "before_spawn web wid=1 pid= sig= code="])
        order = [line.split()[0] for line in self.told(daemon)]
        self.assertLess(order.index("before_reap"), order.index("after_reap"))

        self.put(daemon, "told", "")
        daemon.report(second)
        daemon.client.ok("stop", name="web", waiting=True)
        lines = self.told(daemon)
        about = f"web wid=1 pid={second}"
        self.assertEqual(lines[0], "before_stop web wid= pid= sig= code=")
        self.assertEqual(lines[1], f"before_signal {about} sig=15 code=")
        self.assertEqual(sorted(lines[2:]), [
            f"after_reap {about} sig= code=-15", f"after_signal {about} sig=15 code=",
            "after_stop web wid= pid= sig= code=", f"before_reap {about} sig= code=-15"])
        self.assertEqual(daemon.workers(), [])

    def test_EventsTellOfEachHook(self):
        daemon = self.run_with(watcher("web", "before_start", "after_start", "after_stop", more="autostart = false"))
        events = daemon.new_events("web")
        daemon.client.ok("start", name="web", waiting=True)
        self.say(daemon, "after_stop", 3)
        daemon.client.ok("stop", name="web", waiting=True)
        events.wait_for("web", "hook_success", 3)
        self.assertEqual(events.names("web"), ["hook_success", "spawn", "hook_success", "start", "kill", "reap", "stop",
                                               "hook_success"])
        told = events.of("web", "hook_success")
        self.assertEqual([each["name"] for each in told], ["before_start", "after_start", "after_stop"])
        self.assertEqual(sorted(told[0]), ["name", "time"])

    def test_AHookRunsInTheWatchersSurroundings(self):
        user = 'uid = "nobody"\n' if os.geteuid() == 0 else ""
        daemon = self.run_with(watcher("web", more=(
            'working_dir = "/usr"\nenv = {COLOUR = "red"}\numask = "027"\nrlimit_nofile = 500\n' + user +
            'hooks.before_start = {exec = "@PROBE@ --report @REPORTS@ --exit-after 0:0 -- ask $(circus.name)"}')))
        worker = daemon.report(daemon.wait_active("web", 1)[0])
        seen = next(each for each in daemon.all_reports() if "ask" in each["argv"])
        env = dict(entry.split("=", 1) for entry in seen["env"])
        self.assertEqual(sorted(set(env) - {"CIRCUS_INSTANCE"}), ["CIRCUS_HOOK", "CIRCUS_WATCHER", "COLOUR"])
        self.assertEqual(seen["argv"][-1], "web")
        for key in ("cwd", "umask", "uids", "gids", "limits"):
            self.assertEqual(seen[key], worker[key], key)
        if user:
            self.assertEqual(seen["uids"], [pwd.getpwnam("nobody").pw_uid] * 3)
        self.assertEqual(sorted(seen["fds"]), ["0", "1", "2"])

    def test_WhatItPrintsGoesToTheWatchersStreams(self):
        daemon = self.run_with(watcher("web", more=(
            'stdout_stream = {class = "FileStream", filename = "@DIR@/out"}\n'
            'hooks.before_start = {exec = "@PROBE@ --print 1:asked --exit-after 0:0"}')))
        daemon.wait_active("web", 1)
        wait_until(lambda: "asked" in pathlib.Path(daemon.directory, "out").read_text())


class StartTest(HooksCase):
    def test_ANoToAStartAbortsItAndStopsWhatWasStarted(self):
        daemon = self.run_with("".join(watcher(point.replace("_", "-"), point, more="autostart = false\n") for point in
                                       POINTS[:4]))
        for point in POINTS[:4]:
            name = point.replace("_", "-")
            self.say(daemon, point, 1)
            with self.subTest(point):
                answer = daemon.client.ok("start", name=name, waiting=True)
                self.assertEqual(answer["info"], {"started": [], "kept": []})
                self.assertEqual(daemon.status(name), "stopped")
                self.assertEqual(daemon.workers(), [])
                daemon.wait_log(f"hook {point} said no: exited with 1")
            self.say(daemon, point, 0)
            with self.subTest(point + " later"):
                self.assertEqual(len(daemon.client.ok("start", name=name, waiting=True)["info"]["started"]), 1)
                daemon.client.ok("stop", name=name, waiting=True)

    def test_75AsksAgainUntilItIsAYes(self):
        for point in ("before_start", "before_spawn"):
            with self.subTest(point):
                daemon = self.daemon_with(watcher("web", point))
                self.say(daemon, point, 75)
                daemon.start()
                self.wait_told(daemon, point, 3)
                self.assertEqual(daemon.status("web"), "starting")
                self.assertEqual(daemon.pids("web"), [])
                self.say(daemon, point, 0)
                daemon.wait_active("web", 1)
                self.assertEqual(daemon.terminate(), 0)

    def test_AHookThatHangsOrCannotBeRunHasFailedAndIgnoreFailureForgivesIt(self):
        hang = "@PROBE@ --ignore 15 --grandchild --report @REPORTS@"
        daemon = self.run_with(
            watcher("hangs", more=f'autostart = false\nhooks.before_start = {{exec = "{hang}", timeout = 0.5}}') +
            watcher("absent", more='autostart = false\nhooks.before_start = {exec = "/nowhere/hook"}') +
            watcher("forgiven", more='autostart = false\nhooks.before_start = {exec = "/nowhere/hook", '
                                     'ignore_failure = true}') +
            watcher("forgiving", more='autostart = false\nhooks.before_start = {exec = "/bin/false", '
                                      'ignore_failure = true}'))
        for name, why in (("hangs", "did not answer within 0.5 s"), ("absent", "exec: No such file or directory")):
            events = daemon.new_events(name)
            self.assertEqual(daemon.client.ok("start", name=name, waiting=True)["info"]["started"], [])
            failure = events.wait_for(name, "hook_failure")[0]
            self.assertEqual(sorted(failure), ["error", "name", "time"])
            self.assertIn(why, failure["error"])
            self.assertEqual(daemon.status(name), "stopped")
        wait_until(lambda: daemon.workers() == [], what=daemon.workers)
        for name in ("forgiven", "forgiving"):
            self.assertEqual(len(daemon.client.ok("start", name=name, waiting=True)["info"]["started"]), 1)

    def test_WhileAHookIsAskedEverythingElseGoesOn(self):
        daemon = self.daemon_with(watcher("web", "before_start") + watcher("other"))
        gate = self.gate(daemon, "before_start")
        daemon.start()
        other = daemon.wait_active("other", 1)[0]
        self.wait_told(daemon, "before_start")
        self.assertEqual(daemon.status("web"), "starting")
        os.kill(other, signal.SIGKILL)
        wait_until(lambda: daemon.pids("other") not in ([other], []))
        daemon.client.ok("restart", name="other", waiting=True)
        self.open_gate(gate)
        daemon.wait_active("web", 1)

    def test_AStopAndTheDaemonsEndOvertakeAHookAboutTheStart(self):
        daemon = self.daemon_with(watcher("web", "before_start", "after_stop") + watcher("job", "before_spawn"))
        for point in ("before_start", "before_spawn"):
            self.gate(daemon, point)
        daemon.start()
        self.wait_told(daemon, "before_start")
        self.wait_told(daemon, "before_spawn")
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertEqual(daemon.status("web"), "stopped")
        self.assertEqual(self.told(daemon, "after_stop"), [], "it was not started")
        self.assertEqual(daemon.terminate(), 0)

    def test_AReloadThatIsRefusedKeepsTheOldProcesses(self):
        daemon = self.run_with(watcher("web", "before_spawn", "after_spawn", more="numprocesses = 2"))
        pids = daemon.wait_active("web", 2)
        for point in ("before_spawn", "after_spawn"):
            self.say(daemon, point, 1)
            answer = daemon.client.ask("reload", name="web", waiting=True)
            self.assert_error(answer, 5, lambda reason: f"hook {point} said no" in reason)
            wait_until(lambda: daemon.pids("web") == pids)
            self.say(daemon, point, 0)
        self.assertEqual(daemon.status("web"), "active")
        daemon.client.ok("reload", name="web", waiting=True)
        self.assertEqual(set(daemon.wait_active("web", 2)) & set(pids), set())


class StopTest(HooksCase):
    def test_BeforeSignalKeepsAllSignalsBackButTheKill(self):
        daemon = self.run_with(watcher("web", "before_signal", "after_signal", more="graceful_timeout = 0.5",
                                       flags="--report @REPORTS@ --note 10:@DIR@/usr1 --note 15:@DIR@/term"))
        pid = daemon.wait_active("web", 1)[0]
        daemon.report(pid)
        daemon.client.ok("signal", name="web", signum="usr1")
        wait_until(lambda: os.path.exists(os.path.join(daemon.directory, "usr1")))
        self.wait_told(daemon, "after_signal")
        self.say(daemon, "before_signal", 1)
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertFalse(os.path.exists(os.path.join(daemon.directory, "term")))
        self.assertFalse(is_running(pid))
        self.assertEqual([line.split()[4] for line in self.told(daemon, "before_signal")], ["sig=10", "sig=15", "sig=9"])
        self.wait_told(daemon, "after_signal", 2)
        self.assertEqual([line.split()[4] for line in self.told(daemon, "after_signal")], ["sig=10", "sig=9"])

    def test_TheWorkerRunsOnUntilBeforeStopHasAnsweredWhateverItSays(self):
        daemon = self.run_with(watcher("web", "before_stop"))
        pid = daemon.wait_active("web", 1)[0]
        daemon.report(pid)
        gate = self.gate(daemon, "before_stop")
        self.say(daemon, "before_stop", 1)
        daemon.client.ok("stop", name="web")
        self.wait_told(daemon, "before_stop")
        self.assertEqual(daemon.status("web"), "stopping")
        self.assertTrue(is_running(pid))
        self.open_gate(gate)
        self.wait_status(daemon, "stopped")
        self.assertFalse(is_running(pid))

    def test_HooksThatHangHoldUpTheDaemonsEndNoLongerThanTheStacksStopTimeout(self):
        daemon = self.new_daemon(watcher("web", "before_stop", "after_stop", "before_signal"),
                                 "check_delay = 0.5\nstop_timeout = 1\n")
        self.put(daemon, "hook.sh", SCRIPT.replace("@DIR@", daemon.directory))
        daemon.start()
        daemon.report(daemon.wait_active("web", 1)[0])
        self.gate(daemon, "before_stop")
        self.assertEqual(daemon.terminate(9), 0)
        daemon.wait_log("not stopped within 1 s")

    def test_TheDaemonsEndAsksTheHooksOfTheStop(self):
        daemon = self.run_with(watcher("web", "before_stop", "after_stop"))
        daemon.wait_active("web", 1)
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual([line.split()[0] for line in self.told(daemon)], ["before_stop", "after_stop"])


class StatsTest(HooksCase):
    def test_ExtendedStatsAddWhatTheHookPrints(self):
        daemon = self.run_with(watcher("web", more=(
            "numprocesses = 2\n"
            'hooks.extended_stats = {exec = "/bin/echo {\\"of\\": $(circus.pid), \\"jobs\\": [1, 2]}"}\n'
            "shell = true\n")).replace(
                '/bin/echo {\\"of\\": $(circus.pid), \\"jobs\\": [1, 2]}',
                "echo '{\\\"of\\\": $(circus.pid), \\\"jobs\\\": [1, 2]}'"))
        pids = daemon.wait_active("web", 2)
        plain = daemon.client.ok("stats", name="web")["info"]
        self.assertNotIn("jobs", plain[str(pids[0])])
        extended = daemon.client.ok("stats", name="web", extended=True)
        self.assertEqual(sorted(extended), ["id", "info", "name", "status", "time"])
        for pid in pids:
            info = extended["info"][str(pid)]
            self.assertEqual((info["of"], info["jobs"], info["pid"]), (pid, [1, 2], pid))
        one = daemon.client.ok("stats", name="web", process=pids[0], extended=True)
        self.assertEqual(one["info"]["of"], pids[0])

    def test_WhatIsNoObjectOrTooLongAddsNothing(self):
        texts = {"list": "echo '[1]'", "words": "echo hello", "fails": "echo '{\\\"x\\\": 1}'; exit 1",
                 "long": "head -c 10000000 /dev/zero | tr '\\\\0' '['", "deep": "head -c 60000 /dev/zero | tr '\\\\0' '['"}
        daemon = self.run_with("".join(
            watcher(name, more=f'shell = true\nhooks.extended_stats = {{exec = "{text}"}}')
            for name, text in texts.items()))
        for name in texts:
            with self.subTest(name):
                pid = daemon.wait_active(name, 1)[0]
                keys = set(daemon.client.ok("stats", name=name)["info"][str(pid)])
                self.assertEqual(set(daemon.client.ok("stats", name=name, extended=True)["info"][str(pid)]), keys)


class WireTest(HooksCase):
    def test_SetAndAddTakeHooksAndCirculateCircussReasons(self):
        daemon = self.run_with(watcher("web"))
        pid = daemon.wait_active("web", 1)
        told = {"exec": f"/bin/sh {daemon.directory}/hook.sh"}
        daemon.client.ok("set", name="web", options={"hooks.after_stop": told}, waiting=True)
        self.assertEqual(daemon.pids("web"), pid, "a hook is not a reason to replace anything")
        daemon.client.ok("stop", name="web", waiting=True)
        self.wait_told(daemon, "after_stop")
        daemon.client.ok("set", name="web", options={"hooks": {}}, waiting=True)
        daemon.client.ok("start", name="web", waiting=True)
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertEqual(len(self.told(daemon)), 1)
        daemon.client.ok("add", name="more", cmd="@PROBE@", options={"hooks": {"before_start": {"exec": "/bin/false"}}})
        self.assertEqual(daemon.client.ok("start", name="more", waiting=True)["info"]["started"], [])
        for options, reason in (({"hooks": "x"}, "'x' isn't a valid hook dict"),
                                ({"hooks": {"zz": 1}}, "Unknown hook {'zz': 1}"),
                                ({"hooks.zz": "l.so:f"}, "Unknown hook 'zz'"),
                                ({"hooks.after_stop": "a.b.c"}, lambda text: text.startswith("'hooks.after_stop': ")),
                                ({"hooks.after_stop": {"exec": "x", "timeout": 0}},
                                 lambda text: text.startswith("'hooks.after_stop.timeout': "))):
            with self.subTest(options):
                self.assert_error(daemon.client.ask("set", name="web", options=options), 3, reason)

    def test_ReloadconfigChangesAHookOfWhatRuns(self):
        config = watcher("web", "after_stop")
        daemon = self.run_with(config)
        pids = daemon.wait_active("web", 1)
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("hooks.after_stop", "hooks.before_stop"))
        plan = daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]
        self.assertIn("hooks", json.dumps(plan))
        self.assertEqual(daemon.pids("web"), pids)
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertEqual([line.split()[0] for line in self.told(daemon)], ["before_stop"])


@unittest.skipUnless(shutil.which("redis-server") and shutil.which("redis-cli"), "needs Redis")
class QueueTest(ContractCase):
    """configs/queue.toml for real, on a port of its own."""

    def test_WorkersStartWhenRedisAnswersAndComeBackWithIt(self):
        daemon = self.new_daemon("")
        port = free_port()
        text, count = re.subn(r"\b6398\b", str(port), (ROOT / "configs/queue.toml").read_text())
        self.assertGreater(count, 3)
        text = text.replace("configs/run/", "@DIR@/").replace("[watcher.redis]\n", "[watcher.redis]\nautostart = false\n")
        daemon.working_dir = ROOT
        daemon.write_config(f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'
                            f"check_delay = 0.5\n{text}")
        daemon.ports = [port]
        daemon.start()
        events = daemon.new_events("worker")
        events.wait_for("worker", "hook_failure", 2)
        self.assertEqual(daemon.status("worker"), "starting")
        self.assertEqual(daemon.pids("worker"), [])

        daemon.client.ok("start", name="redis", waiting=True)
        workers = daemon.wait_active("worker", 2, 30)
        self.push(port, "one", "two")
        done = wait_until(lambda: len(self.ask(port, "LRANGE done 0 -1").split("by")) == 3)
        self.assertTrue(done)

        daemon.client.ok("stop", name="redis", waiting=True)
        wait_until(lambda: daemon.pids("worker") == [])
        daemon.client.ok("start", name="redis", waiting=True)
        again = wait_until(lambda: len(daemon.pids("worker")) == 2 and daemon.pids("worker"), 30)
        self.assertEqual(set(again) & set(workers), set())
        self.push(port, "three")
        wait_until(lambda: "three by" in self.ask(port, "LRANGE done 0 -1"))

    def push(self, port, *jobs):
        self.ask(port, "RPUSH jobs " + " ".join(jobs))

    def ask(self, port, line):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(line.encode() + b"\r\n")
            connection.settimeout(5)
            return connection.recv(65536).decode()


if __name__ == "__main__":
    main()
