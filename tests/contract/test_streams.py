"""What workers write, and what arrives in the files."""
import glob
import os
import pathlib
import re
import signal

from harness import ContractCase, holds_for, main, quoted, wait_until


def writer(name, args, stream, *lines, channel="stdout"):
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@"\nargs = [' + ", ".join(quoted(word) for word in args) + "]\n"
            + "\n".join(lines) + "\n" + "".join(f"{channel}_stream.{key} = {value}\n" for key, value in stream.items()))


def file_stream(filename, **more):
    return {"class": '"FileStream"', "filename": quoted(filename), **more}


class FilesTest(ContractCase):
    def read(self, daemon, name):
        path = os.path.join(daemon.directory, name)
        return pathlib.Path(path).read_text() if os.path.exists(path) else ""

    def test_NothingIsLostAndNoLineIsTornWhenManyWriteAndExitAtOnce(self):
        daemon = self.run_daemon(writer("w", ["--torn", "3000:" + "x" * 60, "--exit-after", "0"],
                                        file_stream("@DIR@/out.log"), "numprocesses = 6", "respawn = false"))
        wait_until(lambda: daemon.status("w") == "stopped")
        wait_until(lambda: self.read(daemon, "out.log").count("\n") >= 18000,
                   what=lambda: self.read(daemon, "out.log").count("\n"))
        seen = {}
        for line in self.read(daemon, "out.log").splitlines():
            match = re.fullmatch(r"(\d+) (\d+) x{60}", line)
            self.assertTrue(match, line)
            seen.setdefault(match[1], []).append(int(match[2]))
        self.assertEqual(list(seen.values()), [list(range(3000))] * 6)

    def test_RotationKeepsEachByteInItsOrder(self):
        daemon = self.run_daemon(writer("w", ["--print", "4000:" + "y" * 40, "--exit-after", "0"],
                                        file_stream("@DIR@/out.log", max_bytes=50000, backup_count=20),
                                        "respawn = false"))
        wait_until(lambda: daemon.status("w") == "stopped")
        self.assertEqual(daemon.terminate(), 0)
        paths = [os.path.join(daemon.directory, "out.log")]
        backups = glob.glob(paths[0] + ".*")
        paths = sorted(backups, key=lambda path: -int(path.rpartition(".")[2])) + paths
        self.assertGreater(len(paths), 2)
        self.assertTrue(all(os.path.getsize(path) <= 50000 for path in paths))
        text = "".join(pathlib.Path(path).read_text() for path in paths)
        numbers = [int(line.split()[1]) for line in text.splitlines()]
        self.assertEqual(numbers, list(range(4000)))
        self.assertTrue(all(pathlib.Path(path).read_text().endswith("\n") for path in paths), "rotation is between lines")

    def test_NoMoreBackupsThanAskedFor(self):
        daemon = self.run_daemon(writer("w", ["--print", "4000:" + "y" * 40, "--exit-after", "0"],
                                        file_stream("@DIR@/out.log", max_bytes=20000, backup_count=2),
                                        "respawn = false"))
        wait_until(lambda: daemon.status("w") == "stopped")
        daemon.terminate()
        found = sorted(os.path.basename(path) for path in glob.glob(daemon.directory + "/out.log*"))
        self.assertEqual(found, ["out.log", "out.log.1", "out.log.2"])

    def test_ATimeFormatPrefixesEachLine(self):
        daemon = self.run_daemon(writer("w", ["--print", "3:hello", "--exit-after", "0"],
                                        file_stream("@DIR@/out.log", time_format=quoted("%Y-%m-%d")),
                                        "respawn = false"))
        lines = wait_until(lambda: self.read(daemon, "out.log").count("\n") == 3 and
                           self.read(daemon, "out.log").splitlines())
        for number, line in enumerate(lines):
            self.assertRegex(line, rf"^\d{{4}}-\d\d-\d\d \[(\d+)\] \| \1 {number} hello$")

    def test_AFileForEachWid(self):
        daemon = self.run_daemon(writer("w", ["--print", "1:hello"], file_stream("@DIR@/out-$(circus.wid).log"),
                                        "numprocesses = 3"))
        for wid in (1, 2, 3):
            wait_until(lambda name=f"out-{wid}.log": self.read(daemon, name).count("\n") == 1)

    def test_ErrorsGoTheirOwnWayAndAnUnfinishedLineIsKept(self):
        daemon = self.run_daemon(writer("w", ["--print", "1:out", "--print-err", "1:err", "--unfinished", "the end",
                                              "--exit-after", "0"], file_stream("@DIR@/out.log"), "respawn = false")
                                 + "".join(f"stderr_stream.{key} = {value}\n"
                                           for key, value in file_stream("@DIR@/err.log").items()))
        wait_until(lambda: "the end" in self.read(daemon, "out.log"))
        self.assertRegex(self.read(daemon, "out.log"), r"^\d+ 0 out\nthe end\n?$")
        self.assertRegex(wait_until(lambda: self.read(daemon, "err.log")), r"^\d+ 0 err\n$")

    def test_OutputUpToTheStopIsInTheFile(self):
        daemon = self.run_daemon(writer("w", ["--print", "500:hello", "--report", "@REPORTS@"],
                                        file_stream("@DIR@/out.log")))
        daemon.report(daemon.wait_active("w", 1)[0])
        daemon.client.ok("stop", name="w", waiting=True)
        wait_until(lambda: self.read(daemon, "out.log").count("\n") == 500)

    def test_Usr1OpensTheFileAgainAfterARename(self):
        daemon = self.run_daemon(writer("w", ["--print", "1:hello"], file_stream("@DIR@/out.log")))
        wait_until(lambda: self.read(daemon, "out.log"))
        os.rename(os.path.join(daemon.directory, "out.log"), os.path.join(daemon.directory, "old.log"))
        daemon.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(os.path.join(daemon.directory, "out.log")))
        daemon.client.ok("restart", name="w", waiting=True)
        wait_until(lambda: self.read(daemon, "out.log").count("\n") == 1)
        self.assertEqual(self.read(daemon, "old.log").count("\n"), 1)


class TroubleTest(ContractCase):
    def test_AFullDiskOfOneWatcherDisturbsNobody(self):
        daemon = self.run_daemon(writer("full", ["--print", "20000:" + "z" * 100, "--report", "@REPORTS@"],
                                        file_stream("/dev/full"))
                                 + writer("fine", ["--print", "10:hello"], file_stream("@DIR@/fine.log")))
        pid = daemon.wait_active("full", 1)[0]
        daemon.report(pid)
        path = os.path.join(daemon.directory, "fine.log")
        wait_until(lambda: os.path.exists(path) and pathlib.Path(path).read_text().count("\n") == 10)
        self.assertEqual(daemon.pids("full"), [pid])
        daemon.wait_log("No space left on device")
        daemon.client.ok("stop", name="full", waiting=True)

    def test_AFolderThatComesLaterIsFound(self):
        daemon = self.new_daemon(writer("w", ["--print", "1:early"], file_stream("@DIR@/late/out.log"))
                                 + writer("again", ["--print", "1:late"], file_stream("@DIR@/late/out.log"),
                                          "autostart = false"))
        daemon.start()
        pid = daemon.wait_active("w", 1)[0]
        os.mkdir(os.path.join(daemon.directory, "late"))
        daemon.client.ok("start", name="again", waiting=True)
        path = os.path.join(daemon.directory, "late", "out.log")

        def arrived():
            if os.path.exists(path) and "late" in pathlib.Path(path).read_text():
                return True
            daemon.client.ok("restart", name="again", waiting=True)
            return holds_for(lambda: True, 0.3) and False
        wait_until(arrived)
        self.assertEqual(daemon.pids("w"), [pid])


if __name__ == "__main__":
    main()
