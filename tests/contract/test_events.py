"""What is published, and in which order."""
import os
import signal

from harness import PROBE, ContractCase, descendants, ignores, kill_child, main, wait_until


class EventsTest(ContractCase):
    config = """
[watcher.web]
cmd = "@PROBE@"
numprocesses = 2
graceful_timeout = 5
min_uptime = 0.0

[watcher.stubborn]
cmd = "@PROBE@"
args = ["--ignore", "15", "--report", "@REPORTS@"]
graceful_timeout = 0.2
"""

    def setUp(self):
        super().setUp()
        self.client = self.daemon.client
        self.pids = self.daemon.wait_active("web", 2)
        self.events = self.daemon.new_events("web")

    def tearDown(self):
        self.events.close()
        super().tearDown()

    def expect(self, watcher, wanted):
        """Runs of one event count as one: `wanted` is [(event, how often)]."""
        def runs():
            found = []
            for event in self.events.names(watcher):
                if found and found[-1][0] == event:
                    found[-1] = (event, found[-1][1] + 1)
                else:
                    found.append((event, 1))
            return found
        wait_until(lambda: sum(count for _, count in runs()) >= sum(count for _, count in wanted), what=runs)
        self.assertEqual(runs(), wanted)

    def pids_of(self, watcher, event):
        return sorted(payload["process_pid"] for payload in self.events.of(watcher, event))

    def test_StopIsKillReapStop(self):
        self.client.ok("stop", name="web", waiting=True)
        self.expect("web", [("kill", 2), ("reap", 2), ("stop", 1)])
        self.assertEqual(self.pids_of("web", "kill"), sorted(self.pids))
        self.assertEqual(self.pids_of("web", "reap"), sorted(self.pids))
        self.assertEqual({payload["exit_code"] for payload in self.events.of("web", "reap")}, {-signal.SIGTERM})
        self.assertTrue(all(isinstance(payload["time"], float) for _, _, payload in self.events.seen))
        self.client.ok("start", name="web", waiting=True)

    def test_StartIsSpawnThenStartAndSpawnsTimeIsStarted(self):
        self.client.ok("stop", name="web", waiting=True)
        self.events.wait_for("web", "stop")
        self.events.clear()
        self.client.ok("start", name="web", waiting=True)
        self.expect("web", [("spawn", 2), ("start", 1)])
        times = {payload["process_pid"]: payload["time"] for payload in self.events.of("web", "spawn")}
        info = self.client.ok("stats", name="web")["info"]
        self.assertEqual({int(pid): each["started"] for pid, each in info.items()}, times)

    def test_RestartIsAStopAndAStart(self):
        self.client.ok("restart", name="web", waiting=True)
        self.expect("web", [("kill", 2), ("reap", 2), ("stop", 1), ("spawn", 2), ("start", 1)])

    def test_EachEventHasItsFieldsAndNoOthers(self):
        client = self.client
        client.ok("add", name="short", cmd=PROBE, start=True, waiting=True)
        for command in ("reload", "restart", "kill", "stop", "start"):
            client.ok(command, name="short", waiting=True)
        client.ok("set", name="short", options={"warmup_delay": 0}, waiting=True)
        client.ok("rm", name="short", waiting=True)
        self.events.wait_for("short", "stop", 3)
        fields = {"spawn": ["process_pid", "time"], "kill": ["process_pid", "time"],
                  "reap": ["exit_code", "process_pid", "time"]}
        seen = set()
        for watcher, event, payload in self.events.seen:
            if watcher == "short":
                seen.add(event)
                self.assertEqual(sorted(payload), fields.get(event, ["time"]), event)
                self.assertIsInstance(payload["time"], float)
                self.assertTrue(all(isinstance(payload[key], int) for key in payload if key != "time"), payload)
        self.assertEqual(seen, {"add", "spawn", "start", "kill", "reap", "stop", "reload", "updated", "remove"})
        times = [payload["time"] for _, _, payload in self.events.seen]
        self.assertEqual(times, sorted(times))

    def test_ReapTellsTheExitStatus(self):
        for code in (0, 7, 255):
            self.client.ok("add", name=f"exits {code}", cmd=PROBE, args=["--exit-after", f"0:{code}"], start=True,
                           waiting=True, options={"respawn": False})
            self.events.wait_for(f"exits_{code}", "stop")
            self.assertEqual([each["exit_code"] for each in self.events.of(f"exits_{code}", "reap")], [code])
            # `start` is told at the end of the turn, when so short a life may be over.
            names = self.events.names(f"exits_{code}")
            self.assertEqual(sorted(names), ["add", "reap", "spawn", "start", "stop"])
            self.assertEqual([name for name in names if name != "start"], ["add", "spawn", "reap", "stop"])
            self.client.ok("rm", name=f"exits {code}", waiting=True)

    def test_AReloadThatTerminatesFirstIsAStopAndAStart(self):
        self.client.ok("reload", name="web", graceful=False, waiting=True)
        self.expect("web", [("kill", 2), ("reap", 2), ("stop", 1), ("spawn", 2), ("start", 1)])

    def test_ASequentialReloadReplacesOneAfterTheOther(self):
        self.client.ok("reload", name="web", sequential=True, waiting=True)
        self.expect("web", [("kill", 1), ("reap", 1), ("spawn", 1)] * 2 + [("reload", 1)])

    def test_AHangupIsAReloadOfEveryWatcher(self):
        self.daemon.signal(signal.SIGHUP)
        for name in ("web", "stubborn"):
            self.events.wait_for(name, "reload")
            names = self.events.names(name)
            self.assertEqual((names[0], names.count("spawn")), ("spawn", names.count("reap")))
        self.daemon.wait_active("web", 2)

    def test_SendHupIsAReloadAndNothingElse(self):
        self.client.ok("set", name="web", options={"send_hup": True, "cmd": PROBE + " --ignore 1"}, waiting=True)
        self.events.wait_for("web", "reload")
        for pid in self.daemon.wait_active("web", 2):
            wait_until(lambda p=pid: ignores(p, signal.SIGHUP))
        self.events.clear()
        self.client.ok("reload", name="web", waiting=True)
        self.expect("web", [("reload", 1)])
        self.client.ok("set", name="web", options={"send_hup": False, "cmd": PROBE}, waiting=True)

    def test_IncrAndDecrAreOnlySpawnsAndKills(self):
        self.client.ok("incr", name="web", nb=2, waiting=True)
        self.client.ok("decr", name="web", nb=2, waiting=True)
        self.client.ok("set", name="web", options={"numprocesses": 3}, waiting=True)
        self.client.ok("set", name="web", options={"numprocesses": 2}, waiting=True)
        names = self.events.wait_for("web", "reap", 3) and self.events.names("web")
        self.assertEqual([name for name in names if name != "updated"],
                         ["spawn"] * 2 + ["kill"] * 2 + ["reap"] * 2 + ["spawn", "kill", "reap"])

    def test_AStopSignalToTheChildrenIsAKillOfEach(self):
        self.client.ok("add", name="parent", cmd=PROBE, start=True, waiting=True, options={"stop_children": True},
                       args=["--grandchild", "--report", self.daemon.reports])
        pid = self.daemon.wait_active("parent", 1)[0]
        self.daemon.report(pid)
        child = next(each for each in descendants(pid))
        self.client.ok("rm", name="parent", waiting=True)
        self.events.wait_for("parent", "stop")
        self.assertEqual(self.pids_of("parent", "kill"), sorted([pid, child]))
        self.assertEqual(self.pids_of("parent", "reap"), [pid])

    def test_MaxAgeReplacesAsAGracefulReloadDoes(self):
        self.client.ok("add", name="old", cmd=PROBE, start=True, waiting=True,
                       options={"max_age": 1, "max_age_variance": 0})
        reaped = self.events.wait_for("old", "reap")[0]
        self.assertEqual(self.events.names("old")[:6], ["add", "spawn", "start", "spawn", "kill", "reap"])
        self.assertEqual(reaped["process_pid"], self.events.of("old", "spawn")[0]["process_pid"])
        self.client.ok("rm", name="old", waiting=True)

    def test_ARemovalThatLeavesTheProcessesAloneTellsNothingElse(self):
        self.client.ok("add", name="left", cmd=PROBE, start=True, waiting=True)
        self.client.ok("rm", name="left", nostop=True, waiting=True)
        self.client.ok("set", name="web", options={"warmup_delay": 0}, waiting=True)
        self.events.wait_for("web", "updated")
        self.expect("left", [("add", 1), ("spawn", 1), ("start", 1), ("remove", 1)])

    def test_ReloadSpawnsBeforeItKills(self):
        self.client.ok("reload", name="web", waiting=True)
        self.events.wait_for("web", "reload")
        names = self.events.names("web")
        self.assertEqual(names[:2], ["spawn", "spawn"])
        self.assertEqual(names.count("reap"), 2)
        self.assertEqual(names[-1], "reload")
        self.assertEqual(self.pids_of("web", "kill"), sorted(self.pids))

    def test_AProcessThatDiesIsReapThenSpawn(self):
        os.kill(self.pids[0], signal.SIGKILL)
        self.expect("web", [("reap", 1), ("spawn", 1)])
        reap = self.events.of("web", "reap")[0]
        self.assertEqual((reap["process_pid"], reap["exit_code"]), (self.pids[0], -signal.SIGKILL))

    def test_AddStartRemove(self):
        self.client.ok("add", name="My job", cmd=PROBE, start=True, waiting=True)
        self.expect("my_job", [("add", 1), ("spawn", 1), ("start", 1)])
        self.events.clear()
        self.client.ok("rm", name="my job", waiting=True)
        self.expect("my_job", [("remove", 1), ("kill", 1), ("reap", 1), ("stop", 1)])

    def test_SetIsOneUpdatedForEachOption(self):
        self.client.ok("set", name="web", options={"warmup_delay": 0, "graceful_timeout": 5}, waiting=True)
        self.expect("web", [("updated", 2)])

    def test_KillOfAStubbornProcessIsTwoKills(self):
        pid = self.daemon.wait_active("stubborn", 1)[0]
        self.daemon.report(pid)
        self.client.ok("kill", name="stubborn", waiting=True)
        self.events.wait_for("stubborn", "spawn")
        self.assertEqual(self.pids_of("stubborn", "kill"), [pid, pid])
        self.assertEqual([(each["process_pid"], each["exit_code"]) for each in self.events.of("stubborn", "reap")],
                         [(pid, -signal.SIGKILL)])

    def test_SignalPublishesNothing(self):
        self.client.ok("signal", name="web", signum=18)
        self.client.ok("set", name="web", options={"warmup_delay": 0}, waiting=True)
        self.expect("web", [("updated", 1)])

    def test_EachSpawnHasExactlyOneReapWhateverEndsTheProcess(self):
        client = self.client
        client.ok("add", name="storm", cmd=PROBE, start=True, waiting=True,
                  options={"numprocesses": 4, "min_uptime": 0})
        for step in (lambda: client.ok("reload", name="storm", waiting=True),
                     lambda: client.ok("kill", name="storm", waiting=True),
                     lambda: client.ok("incr", name="storm", nb=3, waiting=True),
                     lambda: client.ok("decr", name="storm", nb=5, waiting=True),
                     lambda: [kill_child(self.daemon.keeper, pid) for pid in self.daemon.pids("storm")],
                     lambda: client.ok("restart", name="storm", waiting=True),
                     lambda: client.ok("reload", name="storm", sequential=True, waiting=True)):
            step()
            self.daemon.wait_active("storm")
        client.ok("rm", name="storm", waiting=True)
        self.events.wait_for("storm", "stop")
        wait_until(lambda: len(self.events.of("storm", "reap")) >= len(self.events.of("storm", "spawn")))
        self.assertEqual(self.pids_of("storm", "reap"), self.pids_of("storm", "spawn"))


if __name__ == "__main__":
    main()
