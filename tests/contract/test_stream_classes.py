"""Each class of streams: files that others rename, that are rotated by time, that are compressed; stdout in colour;
lines in memory; sinks in trouble; streams that change."""
import contextlib
import gzip
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

from harness import CIRCUSCTL, ContractCase, fill, main, quoted, wait_until

# Echoes what it reads from a FIFO, a line at a time.
ECHO = 'exec 3<>"@DIR@/@FIFO@"; while read -r line <&3; do echo "$line"; done'


def stream_of(name, stream):
    return "".join(f"{name}.{key} = {value}\n" for key, value in stream.items())


class StreamCase(ContractCase):
    def path(self, daemon, name):
        return os.path.join(daemon.directory, name)

    def read(self, daemon, name):
        # A file may be between two names.
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(self.path(daemon, name)).read_text()
        return ""

    def echo(self, name, stream, *lines):
        """A watcher whose worker writes what say() tells it."""
        script = ECHO.replace("@FIFO@", f"{name}.fifo")
        return (f"\n[watcher.{name}]\nshell = true\ncmd = '''{script}'''\n" + "\n".join(lines) + "\n"
                + stream_of("stdout_stream", stream))

    def prepare(self, config, *names):
        daemon = self.new_daemon(config)
        for name in names:
            os.mkfifo(self.path(daemon, f"{name}.fifo"))
        return daemon

    def say(self, daemon, name, *lines):
        """To a worker that listens: what is written to a FIFO that nobody has open is lost."""
        def opened():
            with contextlib.suppress(OSError):
                return os.open(self.path(daemon, f"{name}.fifo"), os.O_WRONLY | os.O_NONBLOCK)
            return None
        fifo = wait_until(opened, what=f"{name}.fifo is read")
        try:
            os.write(fifo, "".join(line + "\n" for line in lines).encode())
        finally:
            os.close(fifo)

    def wait_text(self, daemon, name, text):
        wait_until(lambda: self.read(daemon, name) == text, what=lambda: (name, self.read(daemon, name)))


def printer(name, count, stream, *lines, width=60, then=""):
    """A watcher whose worker writes `count` lines as fast as it can."""
    text = "x" * width
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@ --print {count}:{text} {then}"\n'
            + "\n".join(lines) + "\n" + stream_of("stdout_stream", stream))


class RenamedFilesTest(StreamCase):
    WATCHED = {"class": '"WatchedFileStream"', "filename": '"@DIR@/out.log"'}

    def test_AWatchedFileIsFoundAgainAfterItWasRenamedOrRemoved(self):
        daemon = self.prepare(self.echo("w", self.WATCHED), "w").start()
        pid = daemon.wait_active("w", 1)
        self.say(daemon, "w", "one")
        self.wait_text(daemon, "out.log", "one\n")
        os.rename(self.path(daemon, "out.log"), self.path(daemon, "old.log"))
        self.say(daemon, "w", "two")
        self.wait_text(daemon, "out.log", "two\n")
        self.assertEqual(self.read(daemon, "old.log"), "one\n")
        os.unlink(self.path(daemon, "out.log"))
        self.say(daemon, "w", "three")
        self.wait_text(daemon, "out.log", "three\n")
        self.assertEqual(daemon.pids("w"), pid)

    def test_Usr1AndHupAfterARenameLoseNothing(self):
        daemon = self.prepare(self.echo("w", {"class": '"FileStream"', "filename": '"@DIR@/out.log"'}), "w").start()
        daemon.wait_active("w", 1)
        expected = ""
        for number, signo in enumerate([signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR1]):
            self.say(daemon, "w", f"line {number}")
            expected += f"line {number}\n"
            self.wait_text(daemon, "out.log", f"line {number}\n")
            os.rename(self.path(daemon, "out.log"), self.path(daemon, f"old.{number}"))
            old = daemon.pids("w")
            daemon.signal(signo)
            wait_until(lambda: os.path.exists(self.path(daemon, "out.log")))
            if signo == signal.SIGHUP:
                # Not before the old worker is gone, which would read the next line and take it along.
                wait_until(lambda before=old: daemon.pids("w") == daemon.workers() and daemon.workers() != before)
        self.assertEqual("".join(self.read(daemon, f"old.{number}") for number in range(3)), expected)

    def test_RenamesUnderTwoBusyWritersTearAndLoseNoLine(self):
        for kind in ("FileStream", "WatchedFileStream"):
            stream = {"class": quoted(kind), "filename": '"@DIR@/out.log"'}
            daemon = self.run_daemon(printer("w", 15000, stream, "numprocesses = 2"))
            moved = 0

            def lines():
                names = [f"old.{number}" for number in range(moved)] + ["out.log"]
                return "".join(self.read(daemon, name) for name in names).splitlines()

            while len(lines()) < 30000:
                if os.path.exists(self.path(daemon, "out.log")):
                    os.rename(self.path(daemon, "out.log"), self.path(daemon, f"old.{moved}"))
                    moved += 1
                if kind == "FileStream":
                    daemon.signal(signal.SIGUSR1)
            seen = {}
            for line in lines():
                match = re.fullmatch(r"(\d+) (\d+) x{60}", line)
                self.assertTrue(match, line)
                seen.setdefault(match[1], []).append(int(match[2]))
            self.assertEqual(list(seen.values()), [list(range(15000))] * 2)


class OldFilesTest(StreamCase):
    def test_AFileOfYesterdayIsRotatedUnderItsDay(self):
        stream = {"class": '"TimedRotatingFileStream"', "filename": '"@DIR@/out.log"', "rotate_when": '"midnight"',
                  "utc": "true", "backup_count": "2"}
        daemon = self.prepare(self.echo("w", stream), "w")
        yesterday = time.time() - 86400
        for name in ("out.log.20200101", "out.log.20200102", "out.log"):
            pathlib.Path(self.path(daemon, name)).write_text(f"{name}\n")
            os.utime(self.path(daemon, name), (yesterday, yesterday))
        daemon.start()
        daemon.wait_active("w", 1)
        self.say(daemon, "w", "today")
        self.wait_text(daemon, "out.log", "today\n")
        found = sorted(name for name in os.listdir(daemon.directory) if name.startswith("out.log"))
        day = time.strftime("%Y%m%d", time.gmtime(yesterday))
        self.assertEqual(found, ["out.log", "out.log.20200102", f"out.log.{day}"])
        self.assertEqual(self.read(daemon, f"out.log.{day}"), "out.log\n")

    def test_APeriodIsAsManyDaysAsRotateIntervalSays(self):
        # Periods are counted from 1970: one of so many days ended with yesterday, a longer one goes on.
        today = int(time.time()) // 86400
        for interval, begin in ((today, "19700101"), (today + 5, None)):
            stream = {"class": '"TimedRotatingFileStream"', "filename": '"@DIR@/out.log"', "rotate_when": '"D"',
                      "rotate_interval": str(interval), "utc": "true"}
            daemon = self.prepare(self.echo("w", stream), "w")
            pathlib.Path(self.path(daemon, "out.log")).write_text("yesterday\n")
            os.utime(self.path(daemon, "out.log"), (today * 86400 - 1, today * 86400 - 1))
            daemon.start()
            daemon.wait_active("w", 1)
            self.say(daemon, "w", "today")
            self.wait_text(daemon, "out.log", "today\n" if begin else "yesterday\ntoday\n")
            found = sorted(name for name in os.listdir(daemon.directory) if name.startswith("out.log."))
            self.assertEqual(found, [f"out.log.{begin}"] if begin else [])

    def test_OldFilesAreCompressedAndHoldEachByte(self):
        stream = {"class": '"FileStream"', "filename": '"@DIR@/out.log"', "max_bytes": "50000", "backup_count": "20",
                  "compress": "true"}
        daemon = self.run_daemon(printer("w", 4000, stream, "respawn = false", then="--exit-after 0"))
        wait_until(lambda: daemon.status("w") == "stopped")

        def old():
            return [name for name in os.listdir(daemon.directory) if name.startswith("out.log.")]
        wait_until(lambda: old() and all(name.endswith(".gz") for name in old()), what=old)
        text = ""
        for number in range(len(old()), 0, -1):
            with gzip.open(self.path(daemon, f"out.log.{number}.gz"), "rt") as file:
                text += file.read()
        text += self.read(daemon, "out.log")
        self.assertEqual([int(line.split()[1]) for line in text.splitlines()], list(range(4000)))


class StdoutTest(StreamCase):
    def test_FancyLinesHaveCircussBytes(self):
        daemon = self.run_daemon(printer("w", 2, {"class": '"FancyStdoutStream"', "color": '"magenta"',
                                                  "time_format": '"%Y/%m/%d"'}, width=3))
        pid = daemon.wait_active("w", 1)[0]
        stamp = r"\d{4}/\d\d/\d\d"
        for number in (0, 1):
            line = rf"\x1b\[0;35;40m{stamp} \[{pid}\] \| {pid} {number} xxx\x1b\[0m\n"
            wait_until(lambda line=line: re.search(line, daemon.log()), what=lambda line=line: (line, daemon.log()))

    def test_ABlockedStdoutStopsNeitherOthersNorWhoMayDrop(self):
        config = (printer("waits", 20000, {"class": '"StdoutStream"'})
                  + printer("drops", 20000, {"class": '"FancyStdoutStream"', "on_slow": '"drop"'}, "respawn = false",
                            then="--exit-after 0")
                  + printer("file", 20000, {"class": '"FileStream"', "filename": '"@DIR@/out.log"'}))
        daemon = self.new_daemon(config)
        read_end, write_end = os.pipe()
        fill(write_end)
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        daemon.start(output=write_end)
        wait_until(lambda: self.read(daemon, "out.log").count("\n") == 20000)
        wait_until(lambda: daemon.status("drops") == "stopped")
        for name in ("waits", "file"):
            pid = daemon.wait_active(name, 1)[0]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda name=name, gone=pid: gone not in daemon.pids(name))
        daemon.client.ok("stop", waiting=True)
        self.assertEqual(daemon.terminate(), 0)


class TroubleTest(StreamCase):
    def test_AFileThatMayNotGrowIsToldAndEveryByteIsCounted(self):
        stream = {"class": '"FileStream"', "filename": '"@DIR@/out.log"'}
        daemon = self.new_daemon(printer("w", 30000, stream, "autostart = false", "respawn = false",
                                         then="--exit-after 0")
                                 + printer("fine", 10, {"class": '"FileStream"', "filename": '"@DIR@/fine.log"'}))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = 500_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            daemon.start()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        events = daemon.new_events("w")
        daemon.client.ok("start", name="w", waiting=True)
        pid = events.wait_for("w", "spawn")[0]["process_pid"]
        # The worker is not held up: it writes all it has, which is more than what is kept.
        events.wait_for("w", "stop")
        begins = events.wait_for("w", "log_trouble")[0]
        self.assertEqual((begins["target"], begins["begins"], begins["lost_bytes"]),
                         (self.path(daemon, "out.log"), True, 0))
        self.assertIn("File too large", begins["reason"])
        wait_until(lambda: self.read(daemon, "fine.log").count("\n") == 10)
        resource.prlimit(daemon.arbiter, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        events.wait_for("w", "log_trouble", 2)
        over = events.of("w", "log_trouble")[1]
        self.assertEqual((over["begins"], over["reason"]), (False, None))
        numbers = [int(line.split()[1]) for line in self.read(daemon, "out.log").splitlines()]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreater(over["lost_bytes"], 0)
        total = sum(len(f"{pid} {number} ") + 61 for number in range(30000))
        self.assertEqual(os.path.getsize(self.path(daemon, "out.log")) + over["lost_bytes"], total)
        self.assertEqual(events.of("fine", "log_trouble"), [])


class ChangedStreamsTest(StreamCase):
    CONFIG = (printer("other", 3, {"class": '"FileStream"', "filename": '"@DIR@/other.log"'}))

    def test_ReloadconfigOfAStreamReplacesOnlyItsWatcherAndLosesNothing(self):
        daemon = self.new_daemon(printer("w", 2000, {"class": '"FileStream"', "filename": '"@DIR@/a.log"'}) + self.CONFIG)
        daemon.start()
        old = daemon.wait_active("w", 1)
        other = daemon.wait_active("other", 1)
        wait_until(lambda: self.read(daemon, "a.log").count("\n") == 2000)
        head = pathlib.Path(daemon.config_path).read_text()
        pathlib.Path(daemon.config_path).write_text(
            head.replace('stdout_stream.class = "FileStream"\nstdout_stream.filename = "' + daemon.directory + '/a.log"',
                         'stdout_stream.class = "TimedRotatingFileStream"\nstdout_stream.rotate_when = "H"\n'
                         'stdout_stream.filename = "' + daemon.directory + '/b.log"'))
        answer = daemon.client.ok("reloadconfig", waiting=True, explain=True)
        self.assertIn("stdout_stream", answer["plan"]["restarted"]["w"])
        self.assertIn("other", answer["plan"]["kept"])
        self.assertNotEqual(daemon.wait_active("w", 1), old)
        self.assertEqual(daemon.pids("other"), other)
        wait_until(lambda: self.read(daemon, "b.log").count("\n") == 2000)
        self.assertEqual(self.read(daemon, "a.log").count("\n"), 2000)

    def test_SetMovesAStreamToAnotherClass(self):
        daemon = self.run_daemon(printer("w", 5, {"class": '"FileStream"', "filename": '"@DIR@/a.log"'}))
        old = daemon.wait_active("w", 1)
        daemon.client.ok("set", name="w", options={"stdout_stream.class": "WatchedFileStream"}, waiting=True)
        self.assertEqual(daemon.client.ok("options", name="w")["options"]["stdout_stream_conf"],
                         {"filename": self.path(daemon, "a.log")})
        self.assertNotEqual(daemon.wait_active("w", 1), old)
        wait_until(lambda: self.read(daemon, "a.log").count("\n") == 10)
        self.assert_error(daemon.client.ask("set", name="w", options={"stdout_stream.rotate_when": "H"}, waiting=True),
                          3, "unknown key 'stdout_stream.rotate_when'")


class LogsTest(StreamCase):
    def ctl(self, daemon, *words):
        run = subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, *words], capture_output=True, text=True,
                             timeout=20, check=False, stdin=subprocess.DEVNULL)
        return run.returncode, run.stdout, run.stderr

    def start_echo(self):
        daemon = self.prepare(self.echo("w", {"class": '"QueueStream"', "lines": "4"})
                              + self.echo("file", {"class": '"FileStream"', "filename": '"@DIR@/out.log"'})
                              + '\n[watcher.err]\ncmd = "@PROBE@"\nargs = ["--print-err", "2:oops"]\n'
                              'stderr_stream.class = "QueueStream"\n'
                              '\n[watcher.idle]\ncmd = "@PROBE@"\nautostart = false\nstdout_stream.class = "QueueStream"\n',
                              "w", "file").start()
        self.pid = daemon.wait_active("w", 1)[0]
        self.say(daemon, "w", *[f"line {number}" for number in range(6)])
        wait_until(lambda: [line["text"] for line in daemon.client.ok("logs", name="w")["lines"]]
                   == [f"line {number}" for number in range(2, 6)])
        return daemon

    def test_TheCommandAnswersTheLastLinesAndGoesOnFromItsCursor(self):
        daemon = self.start_echo()
        answer = daemon.client.ok("logs", name="W", lines=2)
        self.assertEqual([(line["pid"], line["text"]) for line in answer["lines"]],
                         [(self.pid, "line 4"), (self.pid, "line 5")])
        self.assertAlmostEqual(answer["lines"][0]["time"], time.time(), delta=60)
        self.assertEqual(answer["skipped"], 0)
        self.assertEqual(daemon.client.ok("logs", name="w", cursor=answer["cursor"])["lines"], [])
        self.say(daemon, "w", *[f"more {number}" for number in range(6)])
        wait_until(lambda: daemon.client.ok("logs", name="w")["lines"][-1]["text"] == "more 5")
        later = daemon.client.ok("logs", name="w", cursor=answer["cursor"])
        self.assertEqual([line["text"] for line in later["lines"]], [f"more {number}" for number in range(2, 6)])
        self.assertEqual(later["skipped"], 2)
        self.assertEqual(daemon.client.ok("logs", name="w", pid=self.pid + 1)["lines"], [])
        idle = daemon.client.ok("logs", name="idle")
        self.assertEqual((idle["lines"], idle["cursor"], idle["skipped"]), ([], "", 0))
        # They are there when the process is gone, and gone with the watcher.
        daemon.client.ok("stop", name="w", waiting=True)
        self.assertEqual(len(daemon.client.ok("logs", name="w")["lines"]), 4)
        daemon.client.ok("rm", name="w", waiting=True)
        daemon.client.ok("add", name="w", cmd="sleep 100", options={"stdout_stream": {"class": "QueueStream"}}, start=True,
                         waiting=True)
        self.assertEqual(daemon.client.ok("logs", name="w")["lines"], [])

    def test_ErrorsSayWhatIsMissing(self):
        daemon = self.start_echo()
        self.assert_error(daemon.client.ask("logs"), 3, "message invalid 'name' is missing")
        self.assert_error(daemon.client.ask("logs", name="nobody"), 3, "program nobody not found")
        self.assert_error(daemon.client.ask("logs", name="w", lines="many"), 3, "'lines' isn't an integer")
        self.assert_error(daemon.client.ask("logs", name="w", cursor=5), 3, "'cursor' isn't a string")
        self.assert_error(daemon.client.ask("logs", name="w", stderr=True), 5,
                          'no lines of w are kept in memory: its stderr is circusd\'s own; give it a stream, as '
                          'stderr_stream.class = "QueueStream"')
        code, out, err = self.ctl(daemon, "logs", "nobody")
        self.assertEqual((code, out, err), (3, "", "error: program nobody not found\n"))

    def test_CircusctlPrintsAndFollows(self):
        daemon = self.start_echo()
        self.assertEqual(self.ctl(daemon, "logs", "w"), (0, "line 2\nline 3\nline 4\nline 5\n", ""))
        self.assertEqual(self.ctl(daemon, "logs", "-n", "1", "w", str(self.pid)), (0, "line 5\n", ""))
        self.assertEqual(self.ctl(daemon, "logs", "idle"), (0, "", ""))
        wait_until(lambda: self.ctl(daemon, "logs", "--stderr", "err")[1].count("\n") == 2)
        code, out, _ = self.ctl(daemon, "logs", "--prefix", "-n", "1", "w")
        self.assertEqual(code, 0)
        self.assertRegex(out, rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \[{self.pid}\] \| line 5\n$")
        code, out, _ = self.ctl(daemon, "logs", "--json", "-n", "1", "w")
        self.assertEqual([line["text"] for line in json.loads(out)["lines"]], ["line 5"])
        follower = subprocess.Popen([CIRCUSCTL, "--endpoint", daemon.endpoint, "logs", "-f", "-n", "2", "w"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            self.assertEqual([follower.stdout.readline(), follower.stdout.readline()], [b"line 4\n", b"line 5\n"])
            for number in range(3):
                self.say(daemon, "w", f"followed {number}")
                self.assertEqual(follower.stdout.readline(), f"followed {number}\n".encode())
            daemon.client.ok("rm", name="w", waiting=True)
            self.assertEqual(follower.wait(20), 3)
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()

    def texts(self, daemon, name, **more):
        return [line["text"] for line in daemon.client.ok("logs", name=name, **more)["lines"]]

    def test_StreamsOfEveryClassHaveLastLines(self):
        daemon = self.prepare(self.echo("file", {"class": '"FileStream"', "filename": '"@DIR@/out.log"'})
                              + self.echo("out", {"class": '"StdoutStream"'})
                              + self.echo("fancy", {"class": '"FancyStdoutStream"', "color": '"red"'})
                              + '\n[watcher.err]\ncmd = "@PROBE@"\nargs = ["--print-err", "2:oops"]\n'
                              'stderr_stream.class = "WatchedFileStream"\nstderr_stream.filename = "@DIR@/err.log"\n',
                              "file", "out", "fancy").start()
        for name in ("file", "out", "fancy"):
            pid = daemon.wait_active(name, 1)[0]
            self.say(daemon, name, f"one of {name}", "two")
            wait_until(lambda n=name: self.texts(daemon, n) == [f"one of {n}", "two"], what=lambda n=name: self.texts(daemon, n))
            self.assertEqual(self.ctl(daemon, "logs", "-n", "1", name, str(pid)), (0, "two\n", ""))
        wait_until(lambda: [text.split()[-1] for text in self.texts(daemon, "err", stderr=True)] == ["oops", "oops"],
                   what=lambda: self.texts(daemon, "err", stderr=True))
        # Also of one that is gone, beside the lines of the next.
        pid = daemon.pids("file")[0]
        daemon.client.ok("restart", name="file", waiting=True)
        daemon.wait_active("file", 1)
        self.say(daemon, "file", "three")
        wait_until(lambda: self.texts(daemon, "file") == ["one of file", "two", "three"])
        self.assertEqual(self.texts(daemon, "file", pid=pid), ["one of file", "two"])
        # For the next arbiter they begin anew.
        daemon.kill_arbiter()
        daemon.client = daemon.new_client()
        daemon.wait_active("file", 1)
        self.say(daemon, "file", "four")
        wait_until(lambda: self.texts(daemon, "file")[-1:] == ["four"], what=lambda: self.texts(daemon, "file"))
        self.assertNotIn("two", self.texts(daemon, "file"))
        self.wait_text(daemon, "out.log", "one of file\ntwo\nthree\nfour\n")

    def test_LinesOfAFileAreFollowedAndTakeNoMoreThanTheirShareOfMemory(self):
        daemon = self.prepare(printer("loud", 200_000, {"class": '"FileStream"', "filename": '"@DIR@/loud.log"'})
                              + self.echo("file", {"class": '"FileStream"', "filename": '"@DIR@/out.log"'}), "file").start()
        daemon.wait_active("file", 1)
        wait_until(lambda: self.read(daemon, "loud.log").count("\n") == 200_000)
        kept = daemon.client.ok("logs", name="loud", lines=1_000_000)["lines"]
        self.assertLessEqual(sum(len(line["text"]) + 1 for line in kept), 32 * 1024)
        self.assertGreaterEqual(len(kept), 100)
        follower = subprocess.Popen([CIRCUSCTL, "--endpoint", daemon.endpoint, "logs", "-f", "file"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            for number in range(3):
                self.say(daemon, "file", f"followed {number}")
                self.assertEqual(follower.stdout.readline(), f"followed {number}\n".encode())
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()


if __name__ == "__main__":
    main()
