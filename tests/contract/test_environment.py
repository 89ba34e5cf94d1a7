"""What a worker finds around it: substituted texts, the Python helpers, and its environment, as the probe sees them."""
import contextlib
import os
import re
import shutil
import tempfile

from harness import PROBE, ContractCase, main, quoted, wait_until


def watcher(name, *lines, args=(), cmd="@PROBE@"):
    words = ["--report", "@REPORTS@", *args]
    return (f'\n[watcher.{name}]\ncmd = {quoted(cmd)}\nargs = [' + ", ".join(quoted(word) for word in words) + "]\n" +
            "\n".join(lines) + "\n")


def read(path):
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return None


def as_map(report):
    return dict(entry.split("=", 1) for entry in report["env"])


class SubstitutionTest(ContractCase):
    environment = {"HUE": "dark red", "PORT_OF_WEB": "0", "COUNT": "2", "PLACE": "/usr", "TOOL": PROBE}
    WORDS = ["$(circus.wid)", "((circus.wid))", "$(wid)", "$WID", "$(CIRCUS.WID)", "x$(circus.wid)y",
             "$(circus.env.hue)", "((circus.env.HUE))", "$(circus.sockets.web)", "((circus.sockets.WEB))",
             "$(circus.numprocesses)", "$(circus.graceful_timeout)", "$(circus.working_dir)", "$(circus.stop_signal)",
             "$(circus.name)", "$(circus.unheard_of)", "$WIDE", "$(date)"]
    MEANT = ["{wid}", "{wid}", "{wid}", "{wid}", "{wid}", "x{wid}y", "dark red", "dark red", "3", "3", "2", "7.5", "/usr",
             "10", "Web", "$(circus.unheard_of)", "$WIDE", "$(date)"]
    config = """
[env]
FROM_ENV = "wid $(circus.wid) of $(circus.numprocesses), ${HUE}"

[socket.web]
host = "127.0.0.1"
port = "$(circus.env.port_of_web)"

[socket.file]
path = "@DIR@/$(circus.env.count).sock"
""" + watcher("Web", 'working_dir = "$(circus.env.place)"', 'numprocesses = "$(circus.env.count)"',
              "graceful_timeout = 7.5", 'stop_signal = "usr1"', "use_sockets = true",
              'env = {OWN = "((circus.sockets.web)) $HUE $UNSET."}',
              'stdout_stream = {class = "FileStream", filename = "@DIR@/out-$(circus.wid)-$(circus.env.count).log"}',
              args=["--print", "1:hello", "--exit-on", "10:0", "--", *WORDS]) + \
        watcher("script", "shell = true", 'shell_args = ["zero", "$(circus.wid) $(circus.env.hue)"]',
                cmd='exec @PROBE@ --report @REPORTS@ -- "$0" "$1" \'a  b\' $((1 + 2)) #') + \
        watcher("named", 'executable = "$(circus.env.tool)"', cmd="other-name")

    def test_EveryFormInArgumentsOfEachWorker(self):
        wids = set()
        for pid in self.daemon.wait_active("web", 2):
            argv = self.daemon.report(pid)["argv"]
            words = argv[argv.index("--") + 1:]
            wids.add(words[0])
            self.assertEqual(words, [text.format(wid=words[0]) for text in self.MEANT])
        self.assertEqual(wids, {"1", "2"})

    def test_InTheEnvironmentAndTheFolder(self):
        for pid in self.daemon.wait_active("web", 2):
            seen = self.daemon.report(pid)
            env = as_map(seen)
            wid = seen["argv"][seen["argv"].index("--") + 1]
            self.assertEqual((env["FROM_ENV"], env["OWN"]), (f"wid {wid} of 2, dark red", "3 dark red ."))
            self.assertEqual(seen["cwd"], "/usr")

    def test_InTheFileOfAStreamAndOfASocket(self):
        for wid in (1, 2):
            path = os.path.join(self.daemon.directory, f"out-{wid}-2.log")
            wait_until(lambda at=path: b"hello" in (read(at) or b""))
        self.assertTrue(os.path.exists(os.path.join(self.daemon.directory, "2.sock")))

    def test_InAShellsArguments(self):
        argv = self.daemon.report(self.daemon.wait_active("script", 1)[0])["argv"]
        self.assertEqual(argv[argv.index("--") + 1:], ["zero", "1 dark red", "a  b", "3"])

    def test_InExecutable(self):
        seen = self.daemon.report(self.daemon.wait_active("named", 1)[0])
        self.assertEqual(seen["argv"][0], "other-name")

    def test_AnUnknownNameIsToldWithWhatWasMeant(self):
        self.daemon.wait_log(re.compile(r"\$\(circus\.unheard_of\) is unknown and stays as it is"))


class PythonTest(ContractCase):
    """virtualenv, virtualenv_py_ver and copy_path."""

    environment = {"PYTHONPATH": "/daemon/modules", "SECRET": "s"}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="circus-venv-", dir="/tmp")
        os.chmod(cls.folder, 0o755)
        cls.one, cls.two = os.path.join(cls.folder, "one"), os.path.join(cls.folder, "two")
        for root, version in ((cls.one, "3.11"), (cls.two, "3.9"), (cls.two, "3.12")):
            os.makedirs(f"{root}/bin", exist_ok=True)
            os.makedirs(f"{root}/lib/python{version}/site-packages")
        with open(f"{cls.two}/pyvenv.cfg", "w") as notes:
            notes.write("home = /usr/bin\nversion = 3.12.1\n")
        site = f"{cls.one}/lib/python3.11/site-packages"
        os.makedirs(f"{cls.one}/src/package")
        with open(f"{site}/linked.pth", "w") as pth:
            pth.write("# a comment\nimport sys; sys.exit(1)\n../../../src/package\n/nowhere/at/all\n")
        os.symlink(PROBE, f"{cls.one}/bin/tool-of-one")
        cls.config = watcher("bare", f"virtualenv = {quoted(cls.one)}", cmd="tool-of-one") + \
            watcher("copied", f"virtualenv = {quoted(cls.one)}", "copy_env = true") + \
            watcher("own", f"virtualenv = {quoted(cls.one)}",
                    'env = {PATH = "/own/bin", PYTHONPATH = "/own/modules", VIRTUAL_ENV = "/other"}') + \
            watcher("noted", f"virtualenv = {quoted(cls.two)}") + \
            watcher("chosen", f"virtualenv = {quoted(cls.two)}", 'virtualenv_py_ver = "3.9"') + \
            watcher("path", "copy_path = true") + watcher("plain") + \
            watcher("below", "copy_path = true", 'env = {PYTHONPATH = "/own/modules"}')
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            shutil.rmtree(cls.folder)

    def env(self, name):
        return as_map(self.daemon.report(self.daemon.wait_active(name, 1)[0]))

    def site(self, root, version):
        return f"{root}/lib/python{version}/site-packages"

    def test_ItsProgramsAndModulesAreFoundWithoutAnyOtherEnvironment(self):
        env = self.env("bare")
        self.assertEqual(env["PATH"], f"{self.one}/bin:{self.daemon.environment['PATH']}")
        self.assertEqual(env["VIRTUAL_ENV"], self.one)
        self.assertEqual(env["PYTHONPATH"], f"{self.one}/src/package:{self.site(self.one, '3.11')}")
        self.assertNotIn("SECRET", env)

    def test_ItGoesAroundWhatCopyEnvBrings(self):
        env = self.env("copied")
        self.assertEqual(env["PATH"], f"{self.one}/bin:{self.daemon.environment['PATH']}")
        self.assertEqual(env["PYTHONPATH"], f"{self.one}/src/package:/daemon/modules:{self.site(self.one, '3.11')}")
        self.assertEqual(env["SECRET"], "s")

    def test_ItGoesAroundTheWatchersOwn(self):
        env = self.env("own")
        self.assertEqual((env["PATH"], env["VIRTUAL_ENV"]), (f"{self.one}/bin:/own/bin", self.one))
        self.assertEqual(env["PYTHONPATH"], f"{self.one}/src/package:/own/modules:{self.site(self.one, '3.11')}")

    def test_TheVersionIsTheNotedOneOrTheOneAskedFor(self):
        self.assertEqual(self.env("noted")["PYTHONPATH"], self.site(self.two, "3.12"))
        self.assertEqual(self.env("chosen")["PYTHONPATH"], self.site(self.two, "3.9"))

    def test_CopyPathBringsTheDaemonsPythonpathAndNothingElse(self):
        env = self.env("path")
        env.pop("CIRCUS_INSTANCE")
        self.assertEqual(env, {"PYTHONPATH": "/daemon/modules"})
        self.assertNotIn("PYTHONPATH", self.env("plain"))
        self.assertEqual(self.env("below")["PYTHONPATH"], "/own/modules")

    def test_AFolderThatIsNoneIsRefusedByName(self):
        answer = self.daemon.client.ask("add", name="new", cmd="x", options={"virtualenv": "/usr/share"})
        self.assert_error(answer, 3, lambda text: "virtualenv" in text and "no virtualenv" in text)


if __name__ == "__main__":
    main()
