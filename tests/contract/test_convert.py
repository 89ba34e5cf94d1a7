"""What circusctl convert makes runs: two examples of each format, as their own programs would have run them."""
import pathlib
import sys

from harness import ContractCase, main, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "convert"))
from examples import convert, examples, stage  # noqa: E402  pylint: disable=wrong-import-position


class ConvertedStackTest(ContractCase):
    def run_example(self, kind, name):
        """A daemon on the example's stack, with the harness's [circus]."""
        daemon = self.new_daemon("")
        directory = pathlib.Path(daemon.directory)
        run = convert(directory, stage(next(iter(examples(kind, name))), directory))
        self.assertEqual(run.returncode, 0, run.stderr)
        head = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(head + self.without_circus(run.stdout))
        daemon.start()
        return daemon

    @staticmethod
    def without_circus(text):
        """The harness writes [circus] itself; what the examples say there is nothing that these tests look at."""
        return "\n\n".join(section for section in text.split("\n\n") if "\n[circus]\n" not in "\n" + section + "\n")

    def text_of(self, daemon, name):
        path = pathlib.Path(daemon.directory) / name
        return wait_until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text())

    def test_CircusWatchersRunWithTheirCountAndEnvironment(self):
        daemon = self.run_example("circus", "run_sleepers")
        daemon.wait_active("sleeper", 3)
        self.assertEqual(self.text_of(daemon, "writer.log"), "hello from 1\n")

    def test_CircusSocketsReachTheWorkers(self):
        daemon = self.run_example("circus", "run_socket")
        pids = daemon.wait_active("server", 2)
        self.assertEqual(len(set(pids)), 2)
        self.assertEqual(daemon.status("job"), "stopped")

    def test_SupervisorProcessesKeepTheirNumbers(self):
        daemon = self.run_example("supervisor", "run_sleepers")
        daemon.wait_active("sleeper", 3)
        for watcher in ("writer_0", "writer_1"):
            daemon.wait_active(watcher, 1)
        path = pathlib.Path(daemon.directory) / "writer.log"
        wait_until(lambda: path.exists() and path.read_text().count("\n") == 2)
        self.assertEqual(sorted(path.read_text().splitlines()),
                         ["hello, there from 00", "hello, there from 01"])

    def test_SupervisorFastCgiProgramsGetTheirSocketAsStandardInput(self):
        daemon = self.run_example("supervisor", "run_fcgi")
        daemon.wait_active("app", 2)

    def test_ProcfileCommandsRunInAShell(self):
        daemon = self.run_example("procfile", "run_sleepers")
        daemon.wait_active("web", 1)
        daemon.wait_active("worker", 1)

    def test_ProcfileCommandsGetTheirPortAndTheEnvironmentFile(self):
        daemon = self.run_example("procfile", "run_env")
        self.assertEqual(self.text_of(daemon, "web.txt"), "hello there on 7000\n")
        self.assertEqual(self.text_of(daemon, "api.txt"), "hello there on 7100\n")

    def test_Pm2AppsRunWithTheirInstancesArgumentsAndLog(self):
        daemon = self.run_example("pm2", "run_sleepers")
        daemon.wait_active("sleeper", 3)
        self.assertEqual(self.text_of(daemon, "writer.log"), "hello there 3\n")

    def test_Pm2ScriptsRunByTheInterpreterOfTheirName(self):
        daemon = self.run_example("pm2", "run_script")
        daemon.wait_active("script", 2)
        path = pathlib.Path(daemon.directory) / "job.log"
        wait_until(lambda: path.exists() and path.read_text() == "job got a b\n" * 2)


if __name__ == "__main__":
    main()
