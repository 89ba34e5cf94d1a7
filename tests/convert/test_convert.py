"""circusctl convert: every example gives exactly its expected file, and that passes circusd --check.

test_convert.py --update writes the expected files anew; read the difference before you commit it.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from examples import CIRCUSD, FORMATS, convert, examples, stage


def converted(example, directory):
    run = convert(directory, stage(example, directory))
    return run.returncode, run.stdout.replace(str(directory), "@HERE@"), run.stderr


class Folder(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        keep = tempfile.TemporaryDirectory(prefix="convert-")
        self.addCleanup(keep.cleanup)
        self.directory = pathlib.Path(keep.name).resolve()

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def errors(self, name, text, *arguments):
        """What convert complains of; nothing may be written then."""
        self.write(name, text)
        run = convert(self.directory, name, *arguments)
        self.assertEqual((run.returncode, run.stdout), (1, ""), run.stderr)
        return run.stderr.splitlines()


class EveryExample(Folder):
    def test_ThereAreTenOfEachFormat(self):
        for kind in FORMATS:
            self.assertGreaterEqual(len(examples(kind)), 10, kind)
            self.assertGreaterEqual(len(examples(kind, "run_")), 2, kind)

    def test_GivesExactlyItsExpectedFile(self):
        for kind in FORMATS:
            for example in examples(kind):
                with self.subTest(f"{kind}/{example.name}"), tempfile.TemporaryDirectory() as name:
                    code, text, errors = converted(example, pathlib.Path(name).resolve())
                    self.assertEqual((code, errors), (0, ""))
                    self.assertEqual(text, example.with_suffix(".toml").read_text())

    def test_PassesTheCheckWithoutAWarning(self):
        for kind in FORMATS:
            for example in examples(kind):
                with self.subTest(f"{kind}/{example.name}"), tempfile.TemporaryDirectory() as name:
                    directory = pathlib.Path(name).resolve()
                    run = convert(directory, stage(example, directory), "-o", "stack.toml")
                    self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
                    environment = {**os.environ, "HOSTNAME": "here", "HOME": str(directory), "DATABASE_URL": "x"}
                    check = subprocess.run([CIRCUSD, "--check", "stack.toml"], cwd=directory, capture_output=True,
                                           text=True, timeout=30, check=False, env=environment)
                    self.assertEqual((check.returncode, check.stderr), (0, ""), (directory / "stack.toml").read_text())


class TheFormat(Folder):
    def test_IsSeenFromTheContentWhateverTheName(self):
        for kind in FORMATS:
            for example in examples(kind):
                with self.subTest(f"{kind}/{example.name}"), tempfile.TemporaryDirectory() as name:
                    directory = pathlib.Path(name).resolve()
                    os.rename(directory / stage(example, directory), directory / "config")
                    guessed = convert(directory, "config")
                    told = convert(directory, "config", "--from", kind)
                    self.assertEqual(told.returncode, 0, told.stderr)
                    self.assertEqual(guessed.stdout, told.stdout)

    def test_IsAskedForWhereNothingTells(self):
        self.assertEqual(self.errors("notes.txt", "hello\nworld\n"),
                         ["notes.txt: is none of circus.ini, supervisord.conf, Procfile and pm2 ecosystem JSON; name the "
                          "format with --from"])

    def test_ThatDoesNotExistIsAUsageErrorThatNamesAllOfThem(self):
        self.write("x", "")
        run = convert(self.directory, "x", "--from", "systemd")
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("circus, supervisor, procfile, pm2", run.stderr)

    def test_JavaScriptIsRefusedWithTheWayToJson(self):
        lines = self.errors("ecosystem.config.js", "module.exports = {apps: []}\n")
        self.assertIn("ecosystem.config.js: is JavaScript, and only JSON is read", lines[0])
        self.assertIn("JSON.stringify", lines[1])


class TheOutput(Folder):
    def test_GoesToAFileThatIsNotOverwritten(self):
        self.write("Procfile", "web: sleep 5\n")
        self.assertEqual(convert(self.directory, "Procfile", "-o", "stack.toml").returncode, 0)
        text = (self.directory / "stack.toml").read_text()
        self.assertIn("[watcher.web]", text)
        again = convert(self.directory, "Procfile", "--output", "stack.toml")
        self.assertEqual(again.returncode, 1)
        self.assertIn("stack.toml: exists already", again.stderr)
        self.assertEqual((self.directory / "stack.toml").read_text(), text)

    def test_NeedsNoDaemon(self):
        self.write("Procfile", "web: sleep 5\n")
        run = convert(self.directory, "Procfile", "--endpoint", "ipc:///nowhere/at/all")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_AFileThatIsNotThereIsNamed(self):
        run = convert(self.directory, "nowhere.ini")
        self.assertEqual((run.returncode, run.stderr), (1, "nowhere.ini: cannot be read: No such file or directory\n"))


class EveryProblemIsToldWithItsLine(Folder):
    def test_OfCircusIni(self):
        self.write("more.ini", "[watcher:c]\nnumprocesses = many\n")
        self.assertEqual(self.errors("circus.ini", """before = 1
[circus]
check_delay = often
include = more.ini
[watcher:a]
cmd = sleep 1
numprocesses = -2
copy_env = perhaps
stop_signal = NOSUCH
just words
[watcher:A]
cmd = unbalanced "
stdout_stream.max_bytes = 10 MB
working_dir = %(nowhere)s
[watcher:b]
numprocesses = 1
"""), ["circus.ini:1: stands before the first [section]",
       "circus.ini:3: check_delay must be a number, not \"often\"",
       "circus.ini:7: numprocesses = -2 in [watcher.a]: must not be negative",
       "circus.ini:8: copy_env must be a boolean (true or false), not \"perhaps\"",
       "circus.ini:9: stop_signal = \"NOSUCH\" in [watcher.a]: no such signal",
       "circus.ini:10: neither a [section] nor an option with \"=\": just words",
       "circus.ini:11: [watcher.A] is already made of circus.ini:5: names are matched without case",
       "circus.ini:12: the command cannot be split into words: no closing quotation (\")",
       "circus.ini:13: stdout_stream.max_bytes must be an integer, not \"10 MB\"",
       "circus.ini:14: %(nowhere)s: [watcher:A] has no option of this name",
       "circus.ini:15: [watcher:b] has no command to run",
       "more.ini:1: [watcher:c] has no command to run",
       "more.ini:2: numprocesses must be an integer, not \"many\""])

    def test_OfSupervisordConf(self):
        self.assertEqual(self.errors("supervisord.conf", """[supervisord]
loglevel=loud
environment=A
[program:a]
command=run %(nosuch)s
numprocs=two
stopsignal=NOSUCH
priority=high
autostart=perhaps
stdout_logfile=x.log
stdout_logfile_maxbytes=much
[program:b]
directory=/tmp/100%
environment=A="1
[fcgi-program:c]
command=run
socket=http://x
[include]
""", "--from", "supervisor"), [
            "supervisord.conf:2: loglevel: no such level: loud",
            "supervisord.conf:3: environment: no \"=\" behind A; write NAME=\"value\",NAME=\"value\"",
            "supervisord.conf:4: [program:a] has no command to run",
            "supervisord.conf:5: command: %(nosuch)s: supervisord knows no such name here",
            "supervisord.conf:6: numprocs: must be a number from 0 to 1000, not \"two\"",
            "supervisord.conf:7: stop_signal = \"NOSUCH\" in [watcher.a]: no such signal",
            "supervisord.conf:8: priority: must be an integer, not \"high\"",
            "supervisord.conf:9: autostart must be a boolean (true or false), not \"perhaps\"",
            "supervisord.conf:11: stdout_logfile_maxbytes: not a size: \"much\"; write 50MB",
            "supervisord.conf:12: [program:b] has no command to run",
            "supervisord.conf:13: directory: a % that is no %(name)s; write %% for a percent sign",
            "supervisord.conf:14: environment: no closing \"",
            "supervisord.conf:17: socket: must be tcp://HOST:PORT or unix:///PATH, not http://x",
            "supervisord.conf:18: [include] has no files"])

    def test_OfAProcfileAndItsEnvironment(self):
        self.write(".env", "# fine\nA=1\nnot a variable\nPORT=high\n")
        self.assertEqual(self.errors("Procfile", "web: run\nno command\nweb: again\nempty:\n"), [
            ".env:3: not NAME=value: not a variable", ".env:4: PORT is no port: high",
            "Procfile:2: not \"name: command\": no command",
            "Procfile:3: [watcher.web] is already made of Procfile:1: names are matched without case",
            "Procfile:4: empty: has no command to run"])

    def test_OfAPm2Ecosystem(self):
        self.assertEqual(self.errors("ecosystem.json", """{ "apps": [
  { "name": "no script" },
  { "name": "a", "script": "a.js",
    "instances": "some",
    "autorestart": "perhaps",
    "kill_timeout": "soon",
    "cwd": 5,
    "env": { "A": { } } },
  3,
  { "name": "A", "script": "a.js" } ] }
"""), ["ecosystem.json:2: an app has no script",
       "ecosystem.json:4: instances must be a number or \"max\", not \"some\"",
       "ecosystem.json:5: autorestart must be true or false, not \"perhaps\"",
       "ecosystem.json:6: kill_timeout must be milliseconds, or a text like \"10s\", not \"soon\"",
       "ecosystem.json:7: cwd must be a text, not 5",
       "ecosystem.json:8: env: A must be a text",
       "ecosystem.json:9: an app must be an object",
       "ecosystem.json:10: [watcher.A] is already made of ecosystem.json:3: names are matched without case"])

    def test_OfBrokenJson(self):
        for text, error in (("{\n\"apps\": [\n", ":3: the end of the file where a \"]\" is missing"),
                            ("{\"apps\":\n[{\"script\": run()}]}", ":2: \"run\" is no JSON value: only data is read, no JavaScript"),
                            ("{\"apps\": \"x\n\"}", ":1: a text that does not end"),
                            ("{} x", ":1: something behind the end of the value"),
                            ("[" * 200, ":1: nested too deeply"),
                            ("{}", ":1: there are no apps: {\"apps\": [{\"script\": …}]}"),
                            ("/* ", ":1: a comment that does not end")):
            with self.subTest(text):
                self.assertEqual(self.errors("x.json", text), ["x.json" + error])


def update():
    for kind in FORMATS:
        for example in examples(kind):
            with tempfile.TemporaryDirectory() as name:
                code, text, errors = converted(example, pathlib.Path(name).resolve())
                if code or errors:
                    print(f"{kind}/{example.name}: {errors}", end="")
                else:
                    example.with_suffix(".toml").write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main()
