"""The commands that start, stop and replace: what they answer, at once or at the end, and whom they mean."""
import json

from harness import PROBE, ContractCase, holds_for, is_running, main, wait_until

TWO = """
[watcher.Web]
cmd = "@PROBE@"
numprocesses = 2
graceful_timeout = 5

[watcher.idle]
cmd = "@PROBE@"
autostart = false
"""


class LifecycleTest(ContractCase):
    config = TWO

    def add_stubborn(self, name, graceful_timeout):
        """A watcher whose process ignores TERM, and does so already; returns the answer of add."""
        answer = self.daemon.client.ok("add", name=name, cmd=PROBE, start=True, waiting=True,
                                       args=["--ignore", "15", "--report", self.daemon.reports],
                                       options={"graceful_timeout": graceful_timeout})
        self.daemon.report(answer["started"][0])
        return answer

    def test_StopAndStartTellWhatTheyDid(self):
        client = self.daemon.client
        pids = self.daemon.wait_active("web", 2)
        answer = client.ok("stop", name="web", waiting=True)
        self.assertIsNone(answer["info"])
        self.assertFalse(any(is_running(pid) for pid in pids))
        self.assertEqual((self.daemon.status("web"), self.daemon.pids("web")), ("stopped", []))
        info = client.ok("start", name="web", waiting=True)["info"]
        self.assertEqual(info, {"started": sorted(self.daemon.pids("web")), "kept": []})
        self.assertEqual(client.ok("start", name="web", waiting=True)["info"]["kept"],
                         sorted(self.daemon.pids("web")))

    def test_RestartAndReloadReplaceEachProcess(self):
        client = self.daemon.client
        for command, more in (("restart", {}), ("reload", {}), ("reload", {"graceful": False}),
                              ("reload", {"sequential": True})):
            with self.subTest(command=command, **more):
                old = sorted(self.daemon.wait_active("web", 2))
                info = client.ok(command, name="web", waiting=True, **more)["info"]
                new = sorted(self.daemon.wait_active("web", 2))
                self.assertEqual((info["stopped"], info["started"], info["kept"]), (old, new, []))
                self.assertFalse(set(old) & set(new))

    def test_NotWaitingIsAnsweredAtOnce(self):
        client = self.daemon.client
        self.add_stubborn("slow", 1.0)
        answer = client.ok("stop", name="slow")
        self.assertEqual(sorted(answer), ["id", "status", "time"])
        self.assertEqual(self.daemon.status("slow"), "stopping")
        wait_until(lambda: self.daemon.status("slow") == "stopped")
        client.ok("rm", name="slow", waiting=True)

    def test_ASlowStopDelaysNoOtherWatcherAndNoQuery(self):
        client, waiting = self.daemon.client, self.daemon.new_client()
        self.add_stubborn("slow", 3.0)
        waiting.send(json.dumps({"id": "s", "command": "stop", "properties": {"name": "slow", "waiting": True}}))
        wait_until(lambda: self.daemon.status("slow") == "stopping")
        client.ok("restart", name="web", waiting=True)
        self.assertEqual(self.daemon.status("slow"), "stopping")
        self.assertEqual(waiting.receive()["info"], None)
        client.ok("rm", name="slow", waiting=True)

    def test_IncrAndDecrAnswerTheWantedNumber(self):
        client = self.daemon.client
        self.daemon.wait_active("web", 2)
        self.assertEqual(client.ok("incr", name="web", nb=2, waiting=True)["numprocesses"], 4)
        self.assertEqual(len(self.daemon.wait_active("web", 4)), 4)
        self.assertEqual(client.ok("decr", name="web", nb=2, waiting=True)["numprocesses"], 2)
        self.daemon.wait_active("web", 2)
        info = client.ok("stats", name="web")["info"].values()
        self.assertEqual({each["wid"] for each in info}, {1, 2}, "at rest the wids are 1..n")
        self.assertEqual(client.ok("decr", name="web", nb=50, waiting=True)["numprocesses"], 0)
        wait_until(lambda: self.daemon.pids("web") == [])
        client.ok("set", name="web", options={"numprocesses": 2}, waiting=True)
        self.daemon.wait_active("web", 2)

    def test_ASingletonKeepsItsNumber(self):
        client = self.daemon.client
        client.ok("add", name="only", cmd=PROBE, options={"singleton": True}, start=True, waiting=True)
        answer = client.ok("incr", name="only", waiting=True)
        self.assertEqual((answer["numprocesses"], answer["singleton"]), (1, True))
        client.ok("rm", name="only", waiting=True)

    def test_AddStartsAndRemoveForgetsAtOnce(self):
        client = self.daemon.client
        answer = self.add_stubborn("New one", 1.0)
        self.assertEqual((answer["kept"], answer["started"]), ([], self.daemon.pids("new ONE")))
        self.assertNotIn("info", answer)
        self.assertIn("New one", client.ok("status")["statuses"])
        client.ok("rm", name="new one")
        self.assert_error(client.ask("status", name="New one"), 3, "program New one not found")
        self.assertTrue(is_running(answer["started"][0]))
        wait_until(lambda: not is_running(answer["started"][0]))

    def test_AddOfAProgramThatCannotStartEndsStopped(self):
        client = self.daemon.client
        answer = client.ok("add", name="bad", cmd="/nowhere/x", start=True, waiting=True, options={"max_retry": 2})
        self.assertEqual(answer["started"], [])
        wait_until(lambda: self.daemon.status("bad") == "stopped")
        client.ok("rm", name="bad", waiting=True)

    def test_RemoveNostopLeavesTheProcessesAlone(self):
        client = self.daemon.client
        pid = client.ok("add", name="kept", cmd=PROBE, start=True, waiting=True)["started"][0]
        client.ok("rm", name="kept", nostop=True, waiting=True)
        self.assertNotIn("kept", client.ok("list")["watchers"])
        self.assertTrue(holds_for(lambda: is_running(pid), 0.3))

    def test_MatchPicksByGlobRegexAndPlainName(self):
        client = self.daemon.client
        for name in ("job-a", "job-b"):
            client.ok("add", name=name, cmd=PROBE, start=True, waiting=True)
        for properties in ({"name": "JOB-*"}, {"name": "job-[ab]$", "match": "regex"}):
            answer = client.ok("stop", waiting=True, **properties)
            self.assertNotIn("info", answer)
            self.assertEqual({self.daemon.status("job-a"), self.daemon.status("job-b")}, {"stopped"})
            client.ok("start", waiting=True, **properties)
            self.assertEqual({self.daemon.status("job-a"), self.daemon.status("job-b")}, {"active"})
        self.assert_error(client.ask("stop", name="job-*", match="simple"), 3, "program job-* not found")
        for name in ("job-a", "job-b"):
            client.ok("rm", name=name, waiting=True)

    def test_StartWithoutNameLeavesOutAutostartFalse(self):
        self.daemon.client.ok("start", waiting=True)
        self.assertEqual(self.daemon.status("idle"), "stopped")
        self.daemon.client.ok("start", name="idle", waiting=True)
        self.assertEqual(self.daemon.status("idle"), "active")
        self.daemon.client.ok("stop", name="idle", waiting=True)


class WaitingTest(ContractCase):
    """Each command that takes time: what it answers at once, and what at the end."""

    config = TWO

    def fields(self, command, **properties):
        answer = self.daemon.client.ok(command, **properties)
        return {key: value for key, value in answer.items() if key not in ("id", "status", "time")}

    def test_WithoutWaitingThereIsNothingButOk(self):
        for waiting in ({}, {"waiting": False}, {"waiting": 0}, {"waiting": ""}, {"waiting": None}):
            for command, properties in (
                    ("start", {"name": "web"}), ("restart", {"name": "web"}), ("reload", {"name": "web"}),
                    ("stop", {"name": "web"}), ("start", {}), ("reload", {}), ("incr", {"name": "web"}),
                    ("decr", {"name": "web"}), ("kill", {"name": "web"}), ("stop", {}),
                    ("set", {"name": "web", "options": {"warmup_delay": 0}}),
                    ("add", {"name": "new", "cmd": "sleep 9", "start": True}), ("rm", {"name": "new"})):
                with self.subTest(command=command, **waiting):
                    self.assertEqual(self.fields(command, **properties, **waiting), {})

    def test_WithWaitingOneWatcherHasItsFields(self):
        self.fields("start", name="web", waiting=True)
        pids = sorted(self.daemon.wait_active("web", 2))
        for waiting in (True, 1, "yes", [0]):
            self.assertEqual(self.fields("start", name="web", waiting=waiting), {"info": {"started": [], "kept": pids}})
        for command, properties, keys in (
                ("stop", {}, None), ("start", {}, ["kept", "started"]), ("restart", {}, ["kept", "started", "stopped"]),
                ("reload", {}, ["kept", "started", "stopped"]),
                ("reload", {"sequential": True}, ["kept", "started", "stopped"]),
                ("reload", {"graceful": False}, ["kept", "started", "stopped"]), ("stop", {"match": "regex"}, None),
                ("start", {"match": "simple"}, ["kept", "started"])):
            with self.subTest(command=command, **properties):
                info = self.fields(command, name="web", waiting=True, **properties)
                self.assertEqual(list(info), ["info"])
                self.assertEqual(info["info"] if keys is None else sorted(info["info"]), keys)
                if keys:
                    self.assertTrue(all(each == sorted(each) for each in info["info"].values()))
        for command, properties, fields in (
                ("incr", {"nb": "2"}, {"numprocesses": 4}), ("decr", {"nb": 2}, {"numprocesses": 2}), ("kill", {}, {}),
                ("set", {"options": {"warmup_delay": 0}}, {}), ("incr", {"nb": -1}, {"numprocesses": 1}),
                ("decr", {"nb": -1}, {"numprocesses": 2})):
            with self.subTest(command=command):
                self.assertEqual(self.fields(command, name="web", waiting=True, **properties), fields)

    def test_WithWaitingSeveralWatchersHaveNone(self):
        for command, properties in (("stop", {}), ("start", {}), ("reload", {}), ("stop", {"name": "*"}),
                                    ("start", {"name": "*"}), ("restart", {"name": "[wi]*"}),
                                    ("restart", {"name": "(web|idle)", "match": "regex"})):
            with self.subTest(command=command, **properties):
                self.assertEqual(self.fields(command, waiting=True, **properties), {})

    def test_AddAnswersAtTopLevelAndRemoveNothing(self):
        answer = self.fields("add", name="new", cmd=PROBE, start=True, waiting=True, args="--ignore 1")
        self.assertEqual(answer, {"started": self.daemon.pids("new"), "kept": []})
        self.assertEqual(self.fields("rm", name="new", waiting=True), {})
        self.assertEqual(self.fields("add", name="new", cmd=PROBE, waiting=True), {})
        self.assertEqual(self.daemon.status("new"), "stopped")
        self.fields("rm", name="NEW", waiting=True)

    def test_AWaitingStopEndsTheWaitOfAStartThatItOvertakes(self):
        client, waiting = self.daemon.client, self.daemon.new_client()
        client.ok("add", name="late", cmd=PROBE, options={"numprocesses": 5, "warmup_delay": 60})
        waiting.send(json.dumps({"id": 1, "command": "start", "properties": {"name": "late", "waiting": True}}))
        wait_until(lambda: self.daemon.pids("late"))
        self.assertIsNone(client.ok("stop", name="late", waiting=True)["info"])
        self.assert_error(waiting.receive(), 5, "arbiter is already running watcher_stop command")
        client.ok("rm", name="late", waiting=True)

    def test_AReloadOrARestartOfAStoppedWatcherStartsIt(self):
        for command, more in (("restart", {}), ("reload", {}), ("reload", {"sequential": True}),
                              ("reload", {"graceful": False})):
            with self.subTest(command=command, **more):
                self.daemon.client.ok("stop", name="idle", waiting=True)
                info = self.fields(command, name="idle", waiting=True, **more)["info"]
                self.assertEqual(info, {"stopped": [], "started": self.daemon.pids("idle"), "kept": []})
        self.daemon.client.ok("stop", name="idle", waiting=True)


class MatchTest(ContractCase):
    config = "".join(f'[watcher."{name}"]\ncmd = "@PROBE@"\nautostart = {autostart}\n' for name, autostart in
                     (("job-a", "true"), ("Job-B", "true"), ("job-c", "false"), ("job*", "true"), ("my job", "true")))

    def running(self):
        return sorted(name for name, state in self.daemon.client.ok("status")["statuses"].items() if state == "active")

    def hit(self, **properties):
        """Which of them, all stopped before, a start with these properties starts, and whether it has an info."""
        client = self.daemon.client
        client.ok("stop", waiting=True)
        answer = client.ok("start", waiting=True, **properties)
        return self.running(), "info" in answer

    def test_AGlobIsTheDefaultAndMatchesTheWholeNameWithoutCase(self):
        for name, wanted, info in (("job-?", ["Job-B", "job-a"], False), ("JOB-A", ["job-a"], True),
                                   ("*b*", ["Job-B", "job*", "job-a", "my job"], False),
                                   ("job[*]", ["job*"], True), ("job", None, None), ("job-[!ac]", ["Job-B"], True),
                                   ("job-c", ["job-c"], True), ("*c", ["job-c"], True), ("my*", ["my job"], True)):
            with self.subTest(name=name):
                if wanted is None:
                    self.assert_error(self.daemon.client.ask("start", name=name), 3, f"program {name} not found")
                else:
                    self.assertEqual(self.hit(name=name), (wanted, info))
                    self.assertEqual(self.hit(name=name, match="glob"), (wanted, info))

    def test_ARegexMatchesTheBeginning(self):
        for name, wanted, info in (("job", ["Job-B", "job*", "job-a"], False), ("ob-a", None, None),
                                   ("JOB-[AB]", ["Job-B", "job-a"], False),
                                   (".*ob-a", ["job-a"], True), ("job-a$", ["job-a"], True), ("my", ["my job"], True),
                                   ("job-c|zz", ["job-c"], True), (r"\w+\s", ["my job"], True)):
            with self.subTest(name=name):
                if wanted is None:
                    answer = self.daemon.client.ask("start", name=name, match="regex")
                    self.assert_error(answer, 3, f"program {name} not found")
                else:
                    self.assertEqual(self.hit(name=name, match="regex"), (wanted, info))

    def test_SimpleIsTheNameItself(self):
        self.assertEqual(self.hit(name="JOB*", match="simple"), (["job*"], True))
        self.assert_error(self.daemon.client.ask("stop", name="job-?", match="simple"), 3, "program job-? not found")

    def test_StopMeansAlsoThoseThatDoNotStartByThemselves(self):
        client = self.daemon.client
        client.ok("start", name="job-c", waiting=True)
        client.ok("stop", name="job-*", waiting=True)
        self.assertNotIn("job-c", self.running())
        client.ok("start", waiting=True)
        self.assertEqual(self.running(), ["Job-B", "job*", "job-a", "my job"])

    def test_AWrongMethodOrPatternIsAnError(self):
        for method, shown in (("x", "x"), ("GLOB", "GLOB"), (3, "3"), (["glob"], "['glob']"), (True, "True")):
            for command in ("start", "stop", "restart"):
                self.assert_error(self.daemon.client.ask(command, name="job-a", match=method), 3,
                                  f"unknown match method {shown}")
        self.assert_error(self.daemon.client.ask("stop", name="(", match="regex"), 3,
                          lambda text: text.startswith("invalid pattern '('"))


if __name__ == "__main__":
    main()
