"""memory_soft and memory_max: who uses more than it should is replaced, or killed, and it is known why."""
from harness import main, wait_until
from ready_case import SOCKET, Load, ReadyCase, section, served


class MemoryTest(ReadyCase):
    def test_OverMaxItIsKilledReplacedAndTheReasonIsKept(self):
        self.begin(section("web", 'memory_max = "60M"', args=("--grow", 100)) + section("other", 'memory_max = "900M"'))
        events = self.daemon_.new_events("web")
        events.wait_for("web", "memory")
        told = events.of("web", "memory")[0]
        self.assertEqual(told["limit"], "max")
        self.assertGreater(told["bytes"], 60 << 20)
        events.wait_for("web", "reap")
        reap = events.of("web", "reap")[0]
        self.assertEqual(reap["exit_code"], -9)
        self.assertRegex(reap["reason"], r"used \d+\.\d\dM, more than memory_max")
        self.daemon_.wait_log("more than memory_max")
        wait_until(lambda: self.daemon_.pids("web") not in ([], [reap["process_pid"]]), what="another process")

        def shown():
            pid = self.daemon_.pids("web")
            info = self.client.ok("stats", name="web")["info"].get(str(pid[0])) if pid else None
            return isinstance(info, dict) and "more than memory_max" in info.get("last_trouble", "")
        wait_until(shown, what="the reason in stats")
        self.assertEqual(self.daemon_.status("other"), "active")

    def test_ADescendantsMemoryCounts(self):
        self.begin('[watcher.web]\ncmd = "/bin/sh -c \'/usr/bin/python3 -c \\"import time; hoard = bytearray(100 << 20); '
                   'time.sleep(1000)\\"; true\'"\nmemory_max = "60M"\n')
        events = self.daemon_.new_events("web")
        events.wait_for("web", "memory")
        events.wait_for("web", "reap")

    def test_OverSoftItIsReplacedAndNoRequestFails(self):
        self.begin(SOCKET + served("numprocesses = 2", 'ready = "notify"', args=("--say", "notify", "--grow", 40)))
        self.daemon_.wait_active("web", 2)
        load = Load(self.port())
        self.addCleanup(load.stop)
        load.wait_more()
        events = self.daemon_.new_events("web")
        self.client.ok("set", name="web", options={"memory_soft": "30M"})
        events.wait_for("web", "memory", 2)
        self.client.ok("set", name="web", options={"memory_soft": "30G"})
        told = events.of("web", "memory")
        self.assertEqual({each["limit"] for each in told}, {"soft"})
        wait_until(lambda: {each["process_pid"] for each in told} <=
                   {each["process_pid"] for each in events.of("web", "reap")}, 30, "their ends")
        for reap in events.of("web", "reap"):
            self.assertIn("more than memory_soft", reap["reason"])
            self.assertEqual(reap["exit_code"], 0)
        load.wait_more()
        load.stop()
        self.assertEqual(load.failures, [])

    def test_OptionsShowTheSizeAsItWasWritten(self):
        self.begin(section("web", 'memory_soft = "1.5G"', "memory_max = 4_000_000_000", "autostart = false"))
        options = self.client.ok("options", name="web")["options"]
        self.assertEqual((options["memory_soft"], options["memory_max"]), ("1.5G", 4_000_000_000))
        told = self.ctl("set", "web", "memory_soft", "much")
        self.assertEqual(told.returncode, 3, told)
        self.assertIn("memory_soft", told.stderr)


if __name__ == "__main__":
    main()
