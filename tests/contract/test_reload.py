"""Reloads that cannot take a site down: under load nothing fails, and a new version that is no good changes nothing."""
import os
import pathlib
import signal

from harness import holds_for, main, wait_until
from ready_case import SOCKET, Load, ReadyCase, served


class ReloadCase(ReadyCase):
    def serve(self, *lines, count=3, **more):
        self.begin(SOCKET + served(f"numprocesses = {count}", *lines, **more))
        self.daemon_.wait_active("web", count)
        self.load = Load(self.port())
        self.addCleanup(self.load.stop)
        self.load.wait_more()

    def check_nothing_failed(self):
        self.load.wait_more()
        self.load.stop()
        self.assertEqual(self.load.failures, [], self.daemon_.log_tail())

    def pids(self):
        return sorted(self.daemon_.pids("web"))


class UnderLoadTest(ReloadCase):
    NOTIFY = ("--say", "notify")

    def test_NoModeOfReloadFailsARequest(self):
        self.serve('ready = "notify"', args=self.NOTIFY)
        for properties in ({}, {"sequential": True}, {"max_surge": 1}, {"max_surge": 1, "max_unavailable": 1},
                           {"canary": 1, "canary_seconds": 0.2}):
            with self.subTest(properties):
                before = self.pids()
                answer = self.client.ask("reload", name="web", waiting=True, patience=60, **properties)
                self.assertEqual(answer["status"], "ok", answer)
                self.assertEqual(sorted(answer["info"]["stopped"]), before)
                self.assertEqual(len(answer["info"]["started"]), 3)
        self.check_nothing_failed()

    def test_ANewVersionTakesOver(self):
        self.serve('ready = "notify"', args=self.NOTIFY)
        self.assertEqual(self.set_command("two", *self.NOTIFY)["status"], "ok")
        self.load.wait_more(30, "two")
        self.check_nothing_failed()

    def test_ARollingReloadHasNeverMoreProcessesThanItsSurge(self):
        self.serve('ready = "notify"', "max_surge = 1", args=self.NOTIFY)
        events = self.daemon_.new_events("web")
        self.client.ok("reload", name="web", waiting=True, patience=60)
        events.wait_for("web", "reload")
        running = most = 3
        for name in events.names("web"):
            running += {"spawn": 1, "reap": -1}.get(name, 0)
            most = max(most, running)
        self.assertEqual(most, 4, events.names("web"))
        self.check_nothing_failed()


class BrokenVersionTest(ReloadCase):
    NOTIFY = ("--say", "notify")

    def check_old_ones_serve(self, before):
        wait_until(lambda: self.pids() == before, what=lambda: f"{before}: {self.pids()}\n{self.daemon_.log_tail()}")
        self.assertEqual(self.daemon_.status("web"), "active")
        self.check_nothing_failed()
        self.assertEqual(set(self.load.answers), {"one"})

    def test_OneThatEndsBeforeItIsReadyKeepsTheOldOnes(self):
        self.serve('ready = "notify"', args=self.NOTIFY)
        before = self.pids()
        answer = self.set_command("two", "--exit", 7)
        self.assert_error(answer, 5, lambda text: "exited with 7 before it was ready" in text)
        self.check_old_ones_serve(before)

    def test_OneThatIsNotReadyInTimeKeepsTheOldOnes(self):
        self.serve('ready = "notify"', "ready_timeout = 20", args=self.NOTIFY)
        before = self.pids()
        self.client.ok("set", name="web", options={"ready_timeout": 0.5})
        answer = self.set_command("two", "--gate", "/nowhere")
        self.assert_error(answer, 5, lambda text: "was not ready within 0.5 s" in text)
        self.check_old_ones_serve(before)

    def test_ACommandThatThereIsNotKeepsTheOldOnes(self):
        self.serve("max_retry = 2")
        before = self.pids()
        answer = self.client.ask("set", name="web", options={"cmd": "/no/such/program"}, waiting=True, patience=60)
        self.assert_error(answer, 5, lambda text: "No such file or directory" in text)
        self.check_old_ones_serve(before)

    def test_CircusctlExitsWithThreeAndSaysWhy(self):
        self.serve(count=2)
        before = self.pids()
        self.client.ok("set", name="web", options={"ready_timeout": 0.5, "ready": {"exec": "/bin/false"}})
        for words in (("reload", "web", "--waiting"), ("reload", "--waiting"),
                      ("reload", "web", "--canary", "1", "1", "--waiting")):
            with self.subTest(words):
                told = self.ctl(*words)
                self.assertEqual(told.returncode, 3, told)
                self.assertIn("was not ready within 0.5 s", told.stderr)
                wait_until(lambda: self.pids() == before, what="the old ones alone")
        self.check_old_ones_serve(before)

    def test_ARollingOneThatIsNotReadyStopsWhereItIs(self):
        """Of the old ones only those are gone that may be missing; what is missing comes when it can."""
        for surge, unavailable in ((1, 0), (0, 1), (1, 1)):
            with self.subTest(max_surge=surge, max_unavailable=unavailable):
                self.serve(f"max_surge = {surge}", f"max_unavailable = {unavailable}", count=4)
                before = self.pids()
                self.client.ok("set", name="web", options={"ready_timeout": 0.5, "ready": {"exec": "/bin/false"},
                                                               "max_retry": 2})
                told = self.ctl("reload", "web", "--waiting")
                self.assertEqual(told.returncode, 3, told)
                self.assertIn("was not ready within 0.5 s", told.stderr)
                kept = set(before) & set(self.pids())
                self.assertEqual(len(kept), 4 - unavailable)
                # Where one is missing it is tried again and again, and no number of failures ends those that serve.
                events = self.daemon_.new_events("web")
                if unavailable:
                    events.wait_for("web", "not_ready", 3)
                self.assertLessEqual(kept, set(self.pids()))
                self.client.ok("set", name="web", options={"ready": "spawned"})
                wait_until(lambda: len(self.pids()) == 4 and self.daemon_.status("web") == "active",
                           what=lambda: f"{self.pids()}\n{self.daemon_.log_tail()}")
                self.assertLessEqual(kept, set(self.pids()))
                self.check_nothing_failed()

    def test_ACanaryThatDiesIsRolledBack(self):
        # No load: who is killed takes his request with him.
        self.begin(SOCKET + served("numprocesses = 3"))
        before = sorted(self.daemon_.wait_active("web", 3))
        events = self.daemon_.new_events("web")
        self.client.cast("reload", name="web", canary=1, canary_seconds=60)
        events.wait_for("web", "spawn")
        new = events.of("web", "spawn")[0]["process_pid"]
        self.client.ok("signal", name="web", pid=new, signum=9)
        events.wait_for("web", "reload_failed")
        self.assertIn("was ended by SIGKILL", events.of("web", "reload_failed")[0]["reason"])
        wait_until(lambda: self.pids() == before, what="the old ones alone")
        self.assertEqual(self.daemon_.status("web"), "active")

    def test_ReloadconfigTakesTheSameWay(self):
        self.serve('ready = "notify"', "ready_timeout = 20", args=self.NOTIFY)
        before = self.pids()
        text = pathlib.Path(self.daemon_.config_path).read_text()
        self.daemon_.write_config(text.replace("ready_worker.py one", "ready_worker.py two --exit 4"))
        answer = self.client.ask("reloadconfig", waiting=True, patience=60)
        self.assert_error(answer, 5, lambda reason: "watcher web" in reason and "exited with 4" in reason)
        self.check_old_ones_serve(before)


class MissingProgramTest(ReloadCase):
    """Twelve who serve, more than twice max_retry, and a program that is not there for a while."""

    def setUp(self):
        super().setUp()
        config = SOCKET + served("numprocesses = 12").replace("/usr/bin/python3", "@DIR@/python3")
        self.daemon_ = self.new_daemon(config, "check_delay = 1\n")
        self.put_program()
        self.client = self.daemon_.start().client
        self.daemon_.wait_active("web", 12)
        self.load = Load(self.port())
        self.addCleanup(self.load.stop)
        self.load.wait_more()

    def put_program(self):
        os.symlink("/usr/bin/python3", self.path("python3"))

    def check_they_stay_until_it_is_there(self, kept):
        """And what is missing comes then by itself."""
        self.assertTrue(holds_for(lambda: set(self.pids()) == kept, 1.5), self.daemon_.log_tail())
        self.put_program()
        self.daemon_.wait_active("web", 12)
        self.assertLessEqual(kept, set(self.pids()))

    def test_NoReloadEndsWhoServes(self):
        for words, missing in (((), 0), (("--max_surge", "3"), 0), (("--sequential",), 1),
                               (("--max_surge", "0", "--max_unavailable", "2"), 2)):
            with self.subTest(words):
                before = set(self.pids())
                os.unlink(self.path("python3"))
                told = self.ctl("reload", "web", *words, "--waiting")
                self.assertEqual(told.returncode, 3, told)
                self.assertIn("the old processes stay: ", told.stderr)
                self.assertIn("No such file or directory", told.stderr)
                kept = set(self.pids())
                self.assertLessEqual(kept, before)
                self.assertEqual(len(kept), 12 - missing)
                self.check_they_stay_until_it_is_there(kept)
        self.check_nothing_failed()

    def test_OneThatDiesTakesNobodyAlong(self):
        self.load.stop()  # who is killed takes his request with him
        os.unlink(self.path("python3"))
        victim = self.pids()[0]
        os.kill(victim, signal.SIGKILL)
        self.daemon_.wait_log("5 failed spawns in a row; it is tried again every 1 s, beside the 11 that are ready")
        self.check_they_stay_until_it_is_there(set(self.pids()) - {victim})
        self.assertEqual(self.daemon_.log().count("cannot spawn"), 5, self.daemon_.log_tail())


if __name__ == "__main__":
    main()
