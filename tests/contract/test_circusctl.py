"""circusctl as a user meets it: what it prints, where, and how it exits."""
import json
import os
import signal
import subprocess
import threading

from harness import CIRCUSCTL, PROBE, ContractCase, free_port, main, wait_until


def circusctl(*words, endpoint=None, environment=None, patience=20):
    """(exit code, stdout, stderr)"""
    command = [CIRCUSCTL] + (["--endpoint", endpoint] if endpoint else []) + list(words)
    run = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False,
                         env={"PATH": "/usr/bin:/bin", **(environment or {})}, stdin=subprocess.DEVNULL)
    return run.returncode, run.stdout, run.stderr


class CircusctlTest(ContractCase):
    config = """
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.Web]
cmd = "@PROBE@"
numprocesses = 2
env = {B = "2", A = "1"}

[watcher.idle]
cmd = "@PROBE@"
autostart = false

[watcher.one]
cmd = "@PROBE@"
singleton = true
"""

    def ctl(self, *words, **more):
        return circusctl(*words, endpoint=self.daemon.endpoint, **more)

    def ok(self, *words):
        code, out, err = self.ctl(*words)
        self.assertEqual((code, err), (0, ""), out)
        return out

    def setUp(self):
        super().setUp()
        self.daemon.wait_active("web", 2)
        self.daemon.wait_active("one", 1)

    def test_ListAndCounts(self):
        self.assertEqual(self.ok("list"), "idle,one,web\n")
        pids = self.ok("list", "web").strip().split(",")
        self.assertEqual(sorted(map(int, pids)), sorted(self.daemon.pids("web")))
        self.assertEqual(self.ok("numprocesses", "web"), "2\n")
        self.assertEqual(self.ok("numwatchers"), "3\n")

    def test_StatusIsSortedLines(self):
        self.assertEqual(self.ok("status").splitlines(), ["Web: active", "idle: stopped", "one: active"])
        self.assertEqual(self.ok("status", "idle"), "stopped\n")

    def test_CommandsThatWorkPrintOk(self):
        for words in (("stop", "idle"), ("start", "idle", "--waiting"), ("restart", "idle", "--waiting"),
                      ("reload", "idle", "--waiting"), ("reload", "idle", "--sequential", "--waiting"),
                      ("signal", "idle", "cont"), ("set", "idle", "stop_signal", "int"), ("stop", "idle", "--waiting")):
            with self.subTest(words=words):
                self.assertEqual(self.ok(*words), "ok\n")
        self.assertEqual(self.ok("get", "idle", "stop_signal"), "stop_signal: 2\n")

    def test_IncrAndDecrPrintTheNewNumber(self):
        self.assertEqual(self.ok("incr", "web", "2", "--waiting"), "4\n")
        self.assertEqual(self.ok("decr", "web", "2", "--waiting"), "2\n")
        self.assertEqual(self.ok("incr", "one", "--waiting"),
                         "This watcher is a Singleton - not changing the number of processes\n")

    def test_OptionsAreSortedAndSpeltAsPythonDoes(self):
        lines = self.ok("options", "web").splitlines()
        self.assertEqual(lines, sorted(lines, key=lambda line: line.partition(":")[0]))
        self.assertIn("respawn: True", lines)
        self.assertIn("copy_env: False", lines)
        self.assertIn("env: A=1,B=2", lines)
        self.assertIn("uid: ", lines)
        self.assertEqual(self.ok("get", "web", "numprocesses", "cmd"), f"numprocesses: 2\ncmd: {PROBE}\n")
        self.assertIn(f"endpoint: {self.daemon.endpoint}\n", self.ok("globaloptions"))

    def test_Listsockets(self):
        self.assertRegex(self.ok("listsockets"), r"^\d+:socket 'web' at 127\.0\.0\.1:\d+\n$")

    def test_StatsAndDstats(self):
        pids = self.daemon.pids("web")
        lines = self.ok("stats", "web").splitlines()
        self.assertEqual(lines[0], "web:")
        for pid in pids:
            self.assertTrue([line for line in lines if line.startswith(f"{pid}: {pid}  probe ")], lines)
        out = self.ok("stats", "web", str(pids[0]))
        self.assertRegex(out, rf"^{pids[0]}: {pids[0]}  probe .*\n\n$")
        lines = self.ok("dstats").splitlines()
        self.assertEqual(lines[0], "Main Process:")
        self.assertTrue(lines[1].startswith(f"    {self.daemon.keeper}  circusd"), lines)

    def test_AddAndRm(self):
        self.assertEqual(self.ok("add", "--start", "added", PROBE, "--ignore", "1"), "ok\n")
        wait_until(lambda: self.daemon.status("added") == "active")
        self.assertEqual(self.ok("rm", "added", "--waiting"), "ok\n")
        self.assertNotIn("added", self.ok("list"))

    def test_JsonIsTheAnswerOnOneLine(self):
        out = self.ok("--json", "list")
        self.assertEqual(out.count("\n"), 1)
        self.assertEqual(json.loads(out)["watchers"], ["idle", "one", "web"])
        self.assertEqual(json.loads(self.ok("--prettify", "list"))["status"], "ok")

    def test_AnErrorIsOnStderrWithExitThree(self):
        self.assertEqual(self.ctl("list", "zz"), (3, "", "error: program zz not found\n"))
        code, out, _ = self.ctl("--json", "list", "zz")
        self.assertEqual((code, json.loads(out)["reason"]), (3, "program zz not found"))

    def test_WrongUseExitsOneOrTwo(self):
        code, out, err = self.ctl("incr")
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err)
        self.assertEqual(self.ctl("nosuchcommand")[0], 2)
        self.assertEqual(self.ctl("--nosuchoption", "list")[0], 2)

    def test_TheEnvironmentNamesTheEndpoint(self):
        code, out, _ = circusctl("numwatchers", environment={"CIRCUSCTL_ENDPOINT": self.daemon.endpoint})
        self.assertEqual((code, out), (0, "3\n"))

    def test_NoAnswerNamesTheEndpointAndExitsOne(self):
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        code, out, err = circusctl("--timeout", "0.3", "list", endpoint=endpoint)
        self.assertEqual(code, 1)
        self.assertIn("Timed out.", out + err)
        self.assertIn(endpoint, out + err)

    def test_HelpNeedsNoDaemon(self):
        for words in (("--help",), ("help",), ("help", "incr"), ("incr", "--help")):
            with self.subTest(words=words):
                code, out, _ = circusctl(*words)
                self.assertEqual(code, 0)
                self.assertIn("incr", out)
        code, out, _ = circusctl("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\d+\.\d+")

    def test_ListenPrintsTopicAndJson(self):
        # Circus's circusctl is given the endpoint of the events here.
        for endpoint in (self.daemon.endpoint, self.daemon.pubsub):
            with self.subTest(endpoint):
                self.listen_at(endpoint)

    def listen_at(self, endpoint):
        listening = subprocess.Popen([CIRCUSCTL, "--endpoint", endpoint, "listen"], text=True,
                                     stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=1)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(listening.stdout.readline, "")))
        reader.start()
        try:
            def provoked():
                self.daemon.client.ok("set", name="web", options={"warmup_delay": 0}, waiting=True)
                return lines
            wait_until(provoked)
        finally:
            listening.send_signal(signal.SIGINT)
            listening.wait(10)
            reader.join(10)
            listening.stdout.close()
        topic, _, payload = lines[0].partition(": ")
        self.assertEqual(topic, "watcher.web.updated")
        self.assertIsInstance(json.loads(payload)["time"], float)

    def test_ControlFilesAreTheOwnersAlone(self):
        mode = os.stat(self.daemon.endpoint.removeprefix("ipc://")).st_mode
        self.assertEqual(mode & 0o077, 0, oct(mode))


if __name__ == "__main__":
    main()
