"""depends_on: who is needed starts first and stops last, and what cannot be had is said; critical: whose end is the end."""
import pathlib
import signal

from harness import main, wait_until
from ready_case import ReadyCase, section


def waits_for_gate(name, *lines):
    """Ready when the file `gate` is there."""
    return section(name, 'ready = {exec = "/bin/test -e @DIR@/gate"}', *lines)


def job(name, code, *lines):
    return f'\n[watcher.{name}]\ncmd = "@PROBE@ --exit-after 0.1:{code}"\nrespawn = false\n' + "\n".join(lines) + "\n"


class DependsTest(ReadyCase):
    def test_WhoDependsOnAnotherStartsWhenThatIsReady(self):
        self.begin(section("web", 'depends_on = ["db"]', "priority = 50") + waits_for_gate("db"))
        wait_until(lambda: self.daemon_.pids("db"), what="db's process")
        self.assertEqual(self.daemon_.status("web"), "starting")
        self.assertEqual(self.daemon_.pids("web"), [])
        self.open_gate()
        self.wait_status("active", "web")
        self.assertEqual(self.daemon_.status("db"), "active")

    def test_StartedIsNotReady(self):
        self.begin(section("web", 'depends_on = {db = "started"}') + waits_for_gate("db"))
        self.wait_status("active", "web")
        self.assertEqual(self.daemon_.status("db"), "starting")

    def test_CompletedIsAnEndWithZeroAndAnotherEndIsAnError(self):
        self.begin(job("migrate", 0) + section("web", 'depends_on = {migrate = "completed"}') +
                   job("broken", 3, "autostart = false") +
                   section("other", 'depends_on = {broken = "completed"}', "autostart = false"))
        self.wait_status("active", "web")
        self.assertEqual(self.daemon_.status("migrate"), "stopped")
        answer = self.client.ask("start", name="other", waiting=True, patience=30)
        self.assert_error(answer, 5, lambda text: "broken did not complete" in text)
        self.assertEqual(self.daemon_.status("other"), "stopped")

    def test_AStartOfOneStartsWhatItNeeds(self):
        self.begin(section("db", "autostart = false") + section("web", 'depends_on = ["db"]', "autostart = false"))
        self.assertEqual(self.daemon_.status("db"), "stopped")
        self.client.ok("start", name="web", waiting=True)
        self.assertEqual([self.daemon_.status(name) for name in ("db", "web")], ["active", "active"])

    def test_StopIsInReverse(self):
        self.begin(section("web", 'depends_on = ["worker"]') + section("worker", 'depends_on = ["db"]') + section("db"))
        for name in ("web", "worker", "db"):
            self.wait_status("active", name)
        events = {name: self.daemon_.new_events(name) for name in ("web", "worker", "db")}
        self.client.ok("stop", waiting=True)
        times = [events[name].wait_for(name, "stop") and events[name].of(name, "stop")[0]["time"] for name in events]
        self.assertEqual(times, sorted(times))
        self.client.ok("start", waiting=True)
        times = [events[name].wait_for(name, "start") and events[name].of(name, "start")[0]["time"] for name in events]
        self.assertEqual(times, sorted(times, reverse=True))

    def test_WhatReloadconfigBringsStartsInOrder(self):
        self.begin(section("other"))
        text = pathlib.Path(self.daemon_.config_path).read_text()
        self.daemon_.write_config(text + section("web", 'depends_on = ["db"]') + waits_for_gate("db"))
        self.client.cast("reloadconfig")
        wait_until(lambda: "db" in self.client.ok("list")["watchers"] and self.daemon_.pids("db"), what="db's process")
        self.assertEqual(self.daemon_.status("web"), "starting")
        self.open_gate()
        self.wait_status("active", "web")

    def test_ReloadconfigRefusesACycleAndAnUnknownNameAndSaysWhere(self):
        self.begin(section("db"))
        self.daemon_.wait_active("db")
        before = self.daemon_.pids("db")
        text = pathlib.Path(self.daemon_.config_path).read_text()
        for lines, said in ((section("web", 'depends_on = ["worker"]') + section("worker", 'depends_on = ["web"]'),
                             "web → worker → web"), (section("web", 'depends_on = ["dbb"]'), 'did you mean "db"?')):
            self.daemon_.write_config(text + lines)
            told = self.ctl("reloadconfig", "--waiting")
            self.assertEqual(told.returncode, 3, told)
            self.assertIn(said, told.stderr)
            self.assertRegex(told.stderr, r"stack\.toml:\d+:\d+: ")
        self.assertEqual(self.daemon_.pids("db"), before)


class CriticalTest(ReadyCase):
    def test_ItsEndIsTheEndOfAllAndItsCodeIsTheDaemons(self):
        for what, code in (("--exit-after 0.3:5", 5), ("--exit-after 0.3:0", 0)):
            with self.subTest(what):
                daemon = self.new_daemon(f'[watcher.main]\ncmd = "@PROBE@ {what}"\nrespawn = false\ncritical = true\n'
                                         '[watcher.side]\ncmd = "@PROBE@"\n').launch()
                self.assertEqual(daemon.wait_end(30), code, daemon.log_tail())
                self.assertIn("watcher main is critical and has ended", daemon.log())

    def test_ASignalIsAHundredAndTwentyEightAndItsNumber(self):
        self.begin('[watcher.main]\ncmd = "@PROBE@"\nrespawn = false\ncritical = true\n')
        pid = self.daemon_.wait_active("main")[0]
        self.client.ok("signal", name="main", pid=pid, signum=signal.SIGUSR1)
        self.assertEqual(self.daemon_.wait_end(30), 128 + signal.SIGUSR1)

    def test_OneThatIsReplacedOrStoppedEndsNothing(self):
        self.begin('[watcher.main]\ncmd = "@PROBE@"\ncritical = true\n')
        pid = self.daemon_.wait_active("main")[0]
        self.client.ok("signal", name="main", pid=pid, signum=9)
        wait_until(lambda: self.daemon_.pids("main") not in ([], [pid]), what="another process")
        self.client.ok("stop", name="main", waiting=True)
        self.assertEqual(self.daemon_.status("main"), "stopped")


if __name__ == "__main__":
    main()
