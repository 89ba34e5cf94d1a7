"""`ready`: a new process counts when it says so, when a line of its output says so, or when somebody who looks finds it so.
"""
import os
import pathlib
import signal
import socket

from harness import free_port, holds_for, is_running, main, wait_until
from ready_case import ReadyCase, section

OUTPUT = 'stdout_stream.class = "FileStream"\nstdout_stream.filename = "@DIR@/out"'


class ReadyTest(ReadyCase):
    def shown(self, name="web"):
        return self.client.ask("status", name=name)["ready"]

    def check_waits_for_its_gate(self, name="web"):
        """It is starting until the gate is opened, and active after that."""
        wait_until(lambda: len(self.daemon_.pids(name)) == 1, what="its process")
        self.assertEqual(self.daemon_.status(name), "starting")
        self.assertEqual(self.shown(name), 0)
        pid = str(self.daemon_.pids(name)[0])
        self.assertIs(self.client.ok("stats", name=name)["info"][pid]["ready"], False)
        events = self.daemon_.new_events(name)
        self.open_gate()
        self.wait_status("active", name)
        self.assertEqual(self.shown(name), 1)
        self.assertIs(self.client.ok("stats", name=name)["info"][pid]["ready"], True)
        events.wait_for(name, "ready")
        self.assertEqual(events.of(name, "ready")[0]["process_pid"], int(pid))

    def test_ByNotifyOfTheProcess(self):
        self.begin(section("web", 'ready = "notify"', args=("--gate", "@DIR@/gate", "--say", "notify")))
        self.check_waits_for_its_gate()

    def test_ByNotifyOfAChildOfIt(self):
        self.begin(section("web", 'ready = "notify"', args=("--gate", "@DIR@/gate", "--say", "child")))
        self.check_waits_for_its_gate()

    def test_AStrangersWordIsWorthNothing(self):
        self.begin(section("web", 'ready = "notify"', args=("--gate", "@DIR@/gate", "--say", "notify")))
        wait_until(lambda: self.daemon_.pids("web"), what="its process")
        pid = self.daemon_.pids("web")[0]
        wait_until(lambda: b"NOTIFY_SOCKET=" in pathlib.Path(f"/proc/{pid}/environ").read_bytes(), what="its exec")
        entry = [each for each in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                 if each.startswith(b"NOTIFY_SOCKET=")]
        name = entry[0].split(b"=", 1)[1].decode()
        self.assertTrue(name.startswith("@"), name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"READY=1", "\0" + name[1:])
        self.client.ok("list")
        self.assertTrue(holds_for(lambda: self.daemon_.status("web") == "starting", 0.3))
        self.open_gate()
        self.wait_status("active")

    def check_takeover(self, *lines, args):
        """The arbiter dies while its worker is not ready: the next one waits for the same process."""
        self.begin(section("web", *lines, args=("--gate", "@DIR@/gate", *args)))
        wait_until(lambda: len(self.daemon_.pids("web")) == 1, what="its process")
        pids = self.daemon_.pids("web")
        for _ in range(2):
            self.daemon_.kill_arbiter()
            self.client = self.daemon_.client = self.daemon_.new_client()
            self.assertEqual(self.daemon_.status("web"), "starting")
            self.assertEqual(self.shown(), 0)
        # It becomes ready while no arbiter can take its word: that waits.
        arbiter = self.daemon_.arbiter
        os.kill(arbiter, signal.SIGSTOP)
        self.open_gate()
        wait_until(lambda: os.path.exists(self.path("gate.said")), what="its word")
        os.kill(arbiter, signal.SIGKILL)
        wait_until(lambda: not is_running(arbiter))
        self.client = self.daemon_.client = self.daemon_.new_client()
        self.wait_status("active")
        self.assertEqual((self.shown(), self.daemon_.pids("web")), (1, pids))

    def test_ATakeoverLosesNoNotice(self):
        self.check_takeover('ready = "notify"', args=("--say", "notify"))

    def test_ATakeoverLosesNoLine(self):
        self.check_takeover('ready = {log = "accepting \\\\w+$"}', OUTPUT, args=("--say", "log"))

    def test_ATakeoverLooksAgain(self):
        port = free_port()
        self.check_takeover(f'ready = {{tcp = "localhost:{port}"}}', args=("--listen", port))

    def test_OneThatIsNeverReadyStopsItsWatcherAfterMaxRetryOfThem(self):
        self.begin(section("web", 'ready = {exec = "/bin/false"}', "ready_timeout = 0.2", "max_retry = 2"))
        self.wait_status("stopped")
        self.daemon_.wait_log("watcher web: stopped after 2 failed starts in a row; process")
        self.assertEqual(self.daemon_.log().count("[error] watcher web: process"), 2)

    def test_ByALineOfItsOutput(self):
        self.begin(section("web", 'ready = {log = "accepting \\\\w+$"}', OUTPUT,
                           args=("--gate", "@DIR@/gate", "--say", "log")))
        self.check_waits_for_its_gate()
        wait_until(lambda: "now accepting connections\n" in pathlib.Path(self.path("out")).read_text(), what="the line itself")

    def test_ByAListenerAndByAnAnswer(self):
        for what, url in (("tcp", "localhost:{}"), ("http", "http://127.0.0.1:{}/health")):
            with self.subTest(what):
                port = free_port()
                self.begin(section("web", f'ready = {{{what} = "{url.format(port)}"}}',
                                   args=("--gate", "@DIR@/gate", "--listen", port)))
                self.check_waits_for_its_gate()

    def test_ByACommand(self):
        self.begin(section("web", 'ready = {exec = "/bin/test -e @DIR@/gate -a -d /proc/$(circus.pid)"}'))
        self.check_waits_for_its_gate()

    def test_OneThatIsNeverReadyIsReplacedAgainAndAgainAndAStartSaysSo(self):
        self.begin(section("web", 'ready = {exec = "/bin/false"}', "ready_timeout = 0.3", "autostart = false"))
        events = self.daemon_.new_events("web")
        answer = self.client.ask("start", name="web", waiting=True)
        self.assert_error(answer, 5, lambda text: "was not ready within 0.3 s: its check exited with 1" in text)
        events.wait_for("web", "not_ready", 2)
        self.assertNotEqual(events.of("web", "not_ready")[0]["process_pid"], events.of("web", "not_ready")[1]["process_pid"])
        self.assertIn("was not ready within", events.of("web", "not_ready")[0]["reason"])
        self.client.ok("stop", name="web", waiting=True)
        self.assertEqual(self.daemon_.workers(), [])

    def test_ACheckThatHangsGoesWithItsWatcher(self):
        self.begin(section("web", 'ready = {exec = "/bin/sleep 1000"}'))
        wait_until(lambda: len(self.daemon_.workers()) == 2, what="the worker and its check")
        self.client.ok("stop", name="web", waiting=True)
        self.assertEqual(self.daemon_.workers(), [])

    def test_OptionsShowItAsWritten(self):
        self.begin(section("web", 'ready = {tcp = "localhost:1"}', "ready_timeout = 5", "autostart = false"))
        options = self.client.ok("options", name="web")["options"]
        self.assertEqual(options["ready"], {"tcp": "localhost:1"})
        self.assertEqual(options["ready_timeout"], 5)
        self.assertEqual(self.ctl("set", "web", "ready", "notify").returncode, 0)
        self.assertEqual(self.ctl("set", "web", "ready", '{"exec": "true"}').returncode, 0)
        self.assertEqual(self.client.ok("get", name="web", keys=["ready"])["options"], {"ready": {"exec": "true"}})
        wrong = self.ctl("set", "web", "ready", "soon")
        self.assertEqual(wrong.returncode, 3, wrong)
        self.assertIn("'ready'", wrong.stderr)


if __name__ == "__main__":
    main()
