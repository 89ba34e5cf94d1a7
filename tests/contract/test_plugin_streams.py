"""Classes of streams that plugins offer (circus.sinks/1): every test in both modes."""
import json
import os
import pathlib
import subprocess

from harness import BUILD, CIRCUSD, ContractCase, cmdline, descendants, holds_for, kill_child, main, wait_until

PLUGINS = BUILD / "tests/plugins"
EVERYTHING = PLUGINS / "so/everything.so"
JSON_LINES = PLUGINS / "json_lines.so"
# Numbered lines, to both outputs in turn; a last one when it is told to stop.
COUNTER = r'''
import os, signal, sys, time
def bye(*_):
    os.write(1, b"bye\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
count, pause, both = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
step = 1 if pause or both else 50
for n in range(0, count, step):
    os.write(1 + n % 2 * both, b"".join(b"%d\n" % each for each in range(n, min(n + step, count))))
    if pause:
        time.sleep(pause)
open(os.path.join(os.path.dirname(__file__), "written"), "w").close()
while True:
    signal.pause()
'''


def counter(name, count, pause=0.0, both=0, more=""):
    return f'\n[watcher.{name}]\ncmd = "/usr/bin/python3 @DIR@/count.py {count} {pause} {both}"\n{more}\n'


class StreamCase(ContractCase):
    isolate = False

    def run_with(self, config):
        daemon = self.new_daemon(config)
        pathlib.Path(daemon.directory, "count.py").write_text(COUNTER)
        return daemon.start()

    def plugin(self, name, file, more=""):
        return f'\n[plugin.{name}]\nuse = "{file}"\nisolate = {"true" if self.isolate else "false"}\n{more}\n'

    def wait_state(self, daemon, name, state="active"):
        wait_until(lambda: daemon.client.ok("plugins")["plugins"][name]["state"] == state,
                   what=lambda: f"{name} {state}\n{daemon.log_tail()}")

    def rows(self, daemon, name):
        path = pathlib.Path(daemon.directory, name)
        # The last line may be in the making.
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def lines(self, daemon, name):
        return [row["line"] for row in self.rows(daemon, name)]


class AnExample(StreamCase):
    """The SDK's example, which writes to a file in a thread of its own."""

    def start(self, count, pause=0.0, both=0, more=""):
        stream = 'stdout_stream.class = "JsonLinesStream"\nstdout_stream.filename = "@DIR@/out"\n'
        return self.run_with(counter("web", count, pause, both, stream + more)
                               + self.plugin("json_lines", JSON_LINES))

    def test_ALineIsThereWithWatcherPidStreamAndTime(self):
        daemon = self.start(4, both=1, more='stderr_stream.class = "JsonLinesStream"\n'
                                            'stderr_stream.filename = "@DIR@/err"\n')
        pid = daemon.wait_active("web", 1)[0]
        wait_until(lambda: self.lines(daemon, "out") == ["0", "2"] and self.lines(daemon, "err") == ["1", "3"],
                   what=lambda: f"{self.rows(daemon, 'out')} {self.rows(daemon, 'err')}\n{daemon.log_tail()}")
        row = self.rows(daemon, "err")[0]
        self.assertEqual((row["watcher"], row["pid"], row["stream"]), ("web", pid, "stderr"))
        self.assertEqual(self.rows(daemon, "out")[0]["stream"], "stdout")
        self.assertAlmostEqual(row["time"], os.path.getmtime(os.path.join(daemon.directory, "err")), delta=60)
        options = daemon.client.ok("options", name="web")["options"]
        self.assertEqual(options["stderr_stream_conf"], {"filename": f"{daemon.directory}/err"})
        self.assertNotIn("log JsonLinesStream of", daemon.log())

    def test_NothingIsLostFastAndToTheLastLine(self):
        daemon = self.start(200_000)
        wait_until(lambda: self.lines(daemon, "out")[-1:] == ["199999"], 60, what=lambda: daemon.log_tail())
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual(self.lines(daemon, "out"), [str(n) for n in range(200_000)] + ["bye"])

    def test_ARestartOfThePluginLosesNothing(self):
        daemon = self.start(1500, pause=0.002)
        for _ in range(4):
            before = wait_until(lambda: len(self.lines(daemon, "out")))
            daemon.client.ok("plugin", name="json_lines", action="restart", waiting=True)
            wait_until(lambda: len(self.lines(daemon, "out")) > before, what=lambda: daemon.log_tail())
        daemon.client.ok("plugin", name="json_lines", action="disable", waiting=True)
        daemon.wait_log("log JsonLinesStream of web: nobody offers the class JsonLinesStream at the moment")
        daemon.client.ok("plugin", name="json_lines", action="enable", waiting=True)
        wait_until(lambda: self.lines(daemon, "out")[-1:] == ["1499"], 60, what=lambda: daemon.log_tail())
        self.assertEqual(self.lines(daemon, "out"), [str(n) for n in range(1500)])
        daemon.wait_log("log JsonLinesStream of web: in order again, 0 bytes were lost")

    def test_AnOptionThatTheClassDoesNotHaveIsToldAndNoWorkerWaits(self):
        daemon = self.start(200_000, more='stdout_stream.colour = "red"\n')
        daemon.wait_log("log JsonLinesStream of web: there is no option colour; trying again each second")
        daemon.wait_active("web", 1)
        daemon.wait_log("trying again each second")
        daemon.client.ok("set", name="web", options={"stdout_stream": {"class": "JsonLinesStream",
                                                                       "filename": f"{daemon.directory}/new"}})
        wait_until(lambda: self.lines(daemon, "new")[-1:] == ["199999"], 60, what=lambda: daemon.log_tail())


class AnExampleIsolated(AnExample):
    isolate = True


class Memory(StreamCase):
    """A class whose plugin can be told to take nothing, or to fail."""

    def start(self, watcher):
        daemon = self.run_with(watcher + self.plugin("all", EVERYTHING))
        self.wait_state(daemon, "all")
        return daemon

    def memory(self, daemon, **properties):
        return daemon.client.ok("memory", **properties)

    def wait_lines(self, daemon, count, patience=60):
        """All of them, in order, once each."""
        expected = "".join(f"{n}\n" for n in range(count))
        wait_until(lambda: len(self.memory(daemon)["text"]) >= len(expected), patience,
                   what=lambda: f"{len(self.memory(daemon)['text'])} of {len(expected)}\n{daemon.log_tail()}")
        self.assertTrue(self.memory(daemon)["text"] == expected)

    def watcher(self, count, more="", autostart=False):
        return counter("web", count, more=f'autostart = {"true" if autostart else "false"}\n'
                                          'stdout_stream.class = "MemoryStream"\n' + more)

    def test_ItsOwnOptionsReachTheClassAndOnSlowDoesNot(self):
        daemon = self.start(self.watcher(1, 'stdout_stream.depth = 3\nstdout_stream.names = ["a", "ä"]\n'
                                            'stdout_stream.on_slow = "drop"\n', autostart=True))
        pid = daemon.wait_active("web", 1)[0]
        self.wait_lines(daemon, 1)
        shown = self.memory(daemon)
        self.assertEqual(shown["options"], {"depth": 3, "names": ["a", "ä"]})
        self.assertEqual((shown["opened"], shown["closed"]), (1, 0))
        self.assertEqual(shown["origins"], [f"web {pid} stdout"])

    def test_OneThatIsFullHoldsUpTheWorkerAndNobodyElseAndNothingIsLost(self):
        daemon = self.start(self.watcher(300_000))
        self.memory(daemon, shut=True)
        daemon.client.ok("start", name="web", waiting=True)
        pid = daemon.pids("web")[0]
        wait_until(lambda: self.is_blocked_in_write(pid), what=lambda: daemon.log_tail())
        self.assertTrue(holds_for(lambda: self.is_blocked_in_write(pid), 0.5))
        self.assertEqual(self.memory(daemon)["text"], "")
        self.memory(daemon, shut=False)
        self.wait_lines(daemon, 300_000)
        self.assertNotIn("log MemoryStream of", daemon.log())
        self.assertEqual(daemon.client.ok("plugins")["plugins"]["all"]["errors"], 0)

    @staticmethod
    def is_blocked_in_write(pid):
        return ("pipe_write" in pathlib.Path(f"/proc/{pid}/wchan").read_text()
                or pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("1 0x1 "))

    def test_OneThatFailsIsToldAndTriedAgainAndLosesWhatDoesNotFitAlone(self):
        daemon = self.start(self.watcher(1000))
        self.memory(daemon, fails=True)
        daemon.client.ok("start", name="web", waiting=True)
        daemon.wait_log("log MemoryStream of web: there is no memory; trying again each second")
        self.memory(daemon, fails=False)
        self.wait_lines(daemon, 1000)
        daemon.wait_log("log MemoryStream of web: in order again, 0 bytes were lost")

    def test_ASinkLivesAsLongAsSomebodyWrites(self):
        daemon = self.start(self.watcher(3, autostart=True))
        self.wait_lines(daemon, 3)
        daemon.client.ok("set", name="web", options={"stdout_stream": {"class": "StdoutStream"}}, waiting=True)
        wait_until(lambda: self.memory(daemon)["closed"] == 1, what=lambda: self.memory(daemon))

    def test_ANameThatIsTakenOrIsNoneIsRefusedWhereItIsOffered(self):
        daemon = self.start(self.watcher(1))
        for name, code in (("FileStream", -4), ("MemoryStream", -4), ("no name", -1)):
            answer = daemon.client.ok("take_class", name=name)
            self.assertEqual((answer["taken"], answer["code"]), (False, code), name)
        self.assertTrue(daemon.client.ok("take_class", name="FreshStream")["taken"])
        self.assert_error(daemon.client.ask("add", name="x", cmd="sleep 1",
                                            options={"stdout_stream": {"class": "FreshStream"}}), 3,
                          lambda text: "no such class of streams" in text)
        daemon.client.ok("add", name="x", cmd="sleep 1", options={"stdout_stream": {"class": "MemoryStream"}})

    def test_AClassThatNobodyOffersIsToldWhenItIsUsed(self):
        daemon = self.start(counter("web", 3, more='stdout_stream.class = "MemoryStrem"\n'))
        daemon.wait_active("web", 1)
        # Before an isolated plugin has started there is nothing near.
        daemon.wait_log("log MemoryStrem of web: nobody offers the class MemoryStrem at the moment; "
                      + ("" if self.isolate else "did you mean MemoryStream?; trying again each second"))

    def test_WithoutAPluginThatHasClassesItIsAnErrorOfTheFile(self):
        daemon = self.new_daemon(counter("web", 3, more='stdout_stream.class = "MemoryStream"\n')
                                 + self.plugin("tick", PLUGINS / "ticker.so"))
        check = subprocess.run([CIRCUSD, "--check", daemon.config_path], capture_output=True, text=True, timeout=30)
        self.assertEqual(check.returncode, 1)
        self.assertIn("no such class of streams", check.stderr)


class MemoryIsolated(Memory):
    isolate = True

    def test_WhatAKilledProcessHadNotTakenIsThereForTheNext(self):
        # Less than the 512 KiB that wait for who offers the class; the worker is held up by them or not, as the
        # pump's reads happen to fall.
        daemon = self.start(self.watcher(80_000))
        self.memory(daemon, shut=True)
        daemon.client.ok("start", name="web", waiting=True)
        pid = daemon.wait_active("web", 1)[0]
        wait_until(lambda: self.is_blocked_in_write(pid) or os.path.exists(f"{daemon.directory}/written"))
        [host] = [pid for pid in descendants(daemon.keeper) if "--isolated all" in cmdline(pid)]
        kill_child(daemon.keeper, host)
        wait_until(lambda: daemon.client.ask("memory")["status"] == "ok" and self.memory(daemon)["opened"] == 1)
        self.wait_lines(daemon, 80_000)


if __name__ == "__main__":
    main()
