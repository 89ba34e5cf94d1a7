"""circusctl as a person meets it: at a terminal (a pseudo-terminal here), at its prompt, with TAB, and by --ssh."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

import zmq

from harness import BUILD, CIRCUSCTL, PATIENCE, ContractCase, NotReached, free_port, kill_child, main, wait_until

PROMPT = "(circusctl) "
HERE = os.path.dirname(CIRCUSCTL)
PLAIN_ENVIRONMENT = {"PATH": f"{HERE}:/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"}


class Terminal:
    """A program on a pseudo-terminal: what it shows is in `text`, escape sequences and all."""

    def __init__(self, words, environment=None, columns=100):
        self.text = ""
        self.pid, self.side = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(words[0], words, {**PLAIN_ENVIRONMENT, **(environment or {})})
            finally:
                os._exit(127)
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.code = None

    def read(self, patience=0.05):
        """Takes what is there; False at the end."""
        if not select.select([self.side], [], [], patience)[0]:
            return True
        try:
            piece = os.read(self.side, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)

    def type(self, text):
        os.write(self.side, text.encode())

    def wait_for(self, what, since=0, patience=PATIENCE):
        """The text from `since` on, once `what` (a text or a pattern) is in it."""
        pattern = what if isinstance(what, re.Pattern) else re.compile(re.escape(what))
        deadline = time.monotonic() + patience
        while not pattern.search(self.text, since):
            if time.monotonic() > deadline or (not self.read() and not pattern.search(self.text, since)):
                raise NotReached(f"{what!r} was not shown; shown: {self.text[since:]!r}")
        return self.text[since:]

    def wait_end(self, patience=PATIENCE):
        """The exit code, after everything was read."""
        deadline = time.monotonic() + patience
        while self.read():
            if time.monotonic() > deadline:
                raise NotReached(f"the program goes on; shown: {self.text!r}")
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def close(self):
        if self.code is None:
            kill_child(os.getpid(), self.pid)
            os.waitpid(self.pid, 0)
        os.close(self.side)


def shown(text):
    """Without escape sequences and carriage returns; what a backspace goes back over is written once more."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)
    while "\b" in text:
        text = re.sub("[^\b]\b|^\b", "", text)
    return text


class TerminalCase(ContractCase):
    config = """
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.Web]
cmd = "@PROBE@"
numprocesses = 2

[watcher."My job"]
cmd = "@PROBE@"
autostart = false
"""

    def setUp(self):
        super().setUp()
        self.daemon.wait_active("web", 2)
        self.folder = tempfile.mkdtemp(prefix="circus-terminal-")
        self.terminals = []

    def tearDown(self):
        for terminal in self.terminals:
            terminal.close()
        shutil.rmtree(self.folder)
        super().tearDown()

    def on_terminal(self, *words, environment=None, endpoint=None, **more):
        self.terminals.append(Terminal(
            [CIRCUSCTL, "--endpoint", endpoint or self.daemon.endpoint, *words],
            {"HOME": self.folder, **(environment or {})}, **more))
        return self.terminals[-1]

    def output(self, *words, **more):
        terminal = self.on_terminal(*words, **more)
        self.assertEqual(terminal.wait_end(), 0, terminal.text)
        return terminal.text.replace("\r\n", "\n")

    def run_ctl(self, *words, environment=None, stdin="", program=CIRCUSCTL):
        """(exit code, stdout, stderr) without a terminal."""
        run = subprocess.run([program, "--endpoint", self.daemon.endpoint, *words], input=stdin, text=True,
                             capture_output=True, timeout=PATIENCE * 2, check=False,
                             env={**PLAIN_ENVIRONMENT, "HOME": self.folder, **(environment or {})})
        return run.returncode, run.stdout, run.stderr


class ColourTest(TerminalCase):
    TABLE = "WATCHER  STATUS\nMy job   stopped\nWeb      active\n"
    LINES = "My job: stopped\nWeb: active\n"

    def test_ATerminalGetsATableInColour(self):
        text = self.output("status")
        self.assertEqual(shown(text), self.TABLE)
        self.assertIn("\x1b[32mactive\x1b[0m", text)
        self.assertIn("\x1b[31mstopped\x1b[0m", text)

    def test_NoColorAndDumbTerminalsGetATableWithoutColour(self):
        self.assertEqual(self.output("status", environment={"NO_COLOR": "1"}), self.TABLE)
        self.assertEqual(self.output("status", environment={"TERM": "dumb"}), self.TABLE)
        self.assertEqual(self.output("--color=never", "status"), self.TABLE)
        self.assertIn("\x1b[32m", self.output("--color", "always", "status", environment={"NO_COLOR": "1"}))
        self.assertIn("\x1b[32m", self.output("status", environment={"NO_COLOR": ""}))

    def test_APipeGetsCircusLines(self):
        self.assertEqual(self.run_ctl("status"), (0, self.LINES, ""))
        self.assertEqual(self.run_ctl("status", "--color=never"), (0, self.LINES, ""))
        self.assertEqual(shown(self.run_ctl("status", "--color=always")[1]), self.TABLE)

    def test_EveryListHasItsTable(self):
        pids = self.daemon.pids("web")
        self.assertRegex(shown(self.output("stats")),
                         rf"^WATCHER  PID +COMMAND .*\nMy job\nWeb      {min(pids)} +probe .*\n +{max(pids)} +probe .*\n$")
        self.assertRegex(self.output("listsockets", "--color=never"),
                         r"^FD  SOCKET  ADDRESS +BACKLOG\n 3  web     127\.0\.0\.1:\d+ +2048\n$")
        self.assertRegex(self.output("options", "web", "--color=never"), r"\nnumprocesses +2\n")
        self.assertRegex(self.output("dstats", "--color=never"), rf"\ncircusd  {self.daemon.keeper} +circusd ")
        self.assertEqual(self.output("list"), "my job  web\n")
        self.assertEqual(sorted(map(int, self.output("list", "web").split())), sorted(pids))

    def test_JsonIsTheSameOnATerminal(self):
        self.assertEqual(json.loads(self.output("--json", "list"))["watchers"], ["my job", "web"])

    def test_OnlyThePromptLoadsTheLineEditor(self):
        """A command costs what it needs: no library of the prompt's."""
        tell = {"LD_DEBUG": "files"}
        self.assertNotIn("libreadline", self.run_ctl("status", environment=tell)[2])
        self.assertNotIn("libreadline", self.run_ctl(environment=tell)[2])
        terminal = self.on_terminal(environment=tell)
        terminal.wait_for("libreadline")

    def test_AnErrorIsRedWhereItIsSeen(self):
        terminal = self.on_terminal("list", "zz")
        self.assertEqual(terminal.wait_end(), 3)
        self.assertEqual(terminal.text, "\x1b[31merror:\x1b[0m program zz not found\r\n")


class PromptTest(TerminalCase):
    def prompt(self, *words, **more):
        terminal = self.on_terminal(*words, **more)
        terminal.wait_for(PROMPT)
        return terminal

    def line(self, terminal, text):
        """Types a line; what was shown until the next prompt."""
        since = len(terminal.text)
        terminal.type(text + "\n")
        return shown(terminal.wait_for(re.compile(r"\n.*" + re.escape(PROMPT), re.S), since))

    def history(self):
        return pathlib.Path(self.folder, ".local/state/circus/history")

    def test_APipeIsReadAsItComes(self):
        code, out, err = self.run_ctl(stdin="numwatchers\n\nlist zz\nnonsense\nlist 'My job\nstatus 'My job'\n")
        self.assertEqual(code, 0)
        lines = out.split("\n")
        self.assertRegex(lines[0], r"^circusctl \d")
        self.assertEqual("\n".join(lines[1:]), "My job: stopped\nWeb: active\n" + PROMPT + "2\n" + PROMPT * 5 +
                         "stopped\n" + PROMPT + "\n")
        self.assertRegex(err, r"^error: program zz not found\ncircusctl: unknown command: 'nonsense'\n"
                              r"circusctl: .*quot.*\n$")
        self.assertFalse(self.history().exists())

    def test_OwnOptionsHoldForEachLine(self):
        code, out, _ = self.run_ctl("--json", stdin="list\nexit\nlist\n")
        self.assertEqual(code, 0)
        answers = re.findall(r"\{.*\}", out)
        self.assertEqual([sorted(json.loads(each))[-1] for each in answers], ["time", "watchers"])
        self.assertTrue(out.endswith("}\n" + PROMPT), out)

    def test_ATerminalSaysWhatRunsAndTakesCommands(self):
        terminal = self.prompt()
        self.assertRegex(shown(terminal.text), r"^circusctl \d.*\nWATCHER +STATUS\nMy job +stopped\nWeb +active\n")
        self.assertIn("\n2\n", self.line(terminal, "numwatchers"))
        self.assertIn("error: program zz not found", self.line(terminal, "list zz"))
        self.assertIn("quit ends circusd", self.line(terminal, "help"))
        terminal.type("\x04")
        self.assertEqual(terminal.wait_end(), 0)

    def test_ExitLeavesAndTheDaemonGoesOn(self):
        terminal = self.prompt()
        terminal.type("exit\n")
        self.assertEqual(terminal.wait_end(), 0)
        self.assertEqual(self.daemon.status("web"), "active")

    def test_CtrlCClearsTheLineAndEndsWhatWaits(self):
        terminal = self.prompt()
        since = len(terminal.text)
        terminal.type("stop web")
        terminal.wait_for("stop web", since)
        since = len(terminal.text)
        terminal.type("\x03")
        terminal.wait_for(PROMPT, since)
        self.assertIn("\n2\n", self.line(terminal, "numwatchers"))
        since = len(terminal.text)
        terminal.type("listen watcher.web.\n")
        self.provoke(terminal, "watcher.web.updated: {", since)
        since = len(terminal.text)
        terminal.type("\x03")
        terminal.wait_for(PROMPT, since)
        self.assertIn("\n2\n", self.line(terminal, "numwatchers"))
        self.assertEqual(self.daemon.status("web"), "active")

    def provoke(self, terminal, what, since):
        def came():
            self.daemon.client.ok("set", name="web", options={"warmup_delay": 0}, waiting=True)
            terminal.read()
            return what in terminal.text[since:]
        wait_until(came)

    def test_TabCompletesCommandsWatchersSwitchesAndOptions(self):
        terminal = self.prompt(environment={"INPUTRC": "/dev/null"})
        for typed, whole, answer in (
                ("numw\t", "numwatchers ", "2"), ("statu\tWe\t", "status Web ", "active"),
                ("status My\t", r"status My\ job ", "stopped"), ('status "My\t', 'status "My job" ', "stopped"),
                ("list We\t--js\t", "list Web --json ", '"pids"'), ("get Web numpro\t", "get Web numprocesses ", "2"),
                ("set Web warmup_d\t0 --wait\t", "set Web warmup_delay 0 --waiting ", "ok")):
            with self.subTest(typed=typed):
                since = len(terminal.text)
                for key in typed:
                    terminal.type(key)
                self.assertIn(whole, shown(terminal.wait_for(re.compile(re.escape(whole)), since)))
                self.assertIn(answer, self.line(terminal, ""))

    def test_TabShowsWhatIsPossible(self):
        terminal = self.prompt(environment={"INPUTRC": "/dev/null"})
        since = len(terminal.text)
        terminal.type("kill Web \t\t\t")
        for pid in self.daemon.pids("web"):
            terminal.wait_for(str(pid), since)

    def test_LinesAreKeptForTheNextTime(self):
        terminal = self.prompt()
        self.line(terminal, "numwatchers")
        self.line(terminal, " list web")
        terminal.type("exit\n")
        terminal.wait_end()
        self.assertEqual(self.history().read_text(), "numwatchers\nexit\n")
        self.assertEqual(self.history().stat().st_mode & 0o777, 0o600)
        terminal = self.prompt()
        since = len(terminal.text)
        terminal.type("\x1b[A\x1b[A")
        terminal.wait_for("numwatchers", since)
        self.assertIn("\n2\n", self.line(terminal, ""))

    def test_WithoutADaemonThePromptStillComes(self):
        terminal = self.prompt("--timeout", "0.2", endpoint=f"ipc://{self.folder}/nobody")
        self.assertIn("Timed out.", terminal.text)
        self.assertIn("/nobody", terminal.text)
        since = len(terminal.text)
        terminal.type("statu\t")
        terminal.wait_for("status ", since)

    def test_QuitEndsTheDaemonAndThePromptStays(self):
        daemon = self.run_daemon('[watcher.only]\ncmd = "@PROBE@"\n')
        terminal = self.prompt(endpoint=daemon.endpoint)
        self.assertIn("\nok\n", self.line(terminal, "quit --waiting"))
        self.assertEqual(daemon.wait_end(), 0)
        terminal.type("exit\n")
        self.assertEqual(terminal.wait_end(), 0)


class ShellCompletionTest(TerminalCase):
    """The installed files, each in its shell."""

    def candidates(self, shell, line):
        """What the shell would offer behind `line`."""
        script = BUILD / "completions" / {"bash": "circusctl.bash", "zsh": "_circusctl", "fish": "circusctl.fish"}[shell]
        self.assertTrue(script.exists(), script)
        words = getattr(self, shell)(script, line)
        run = subprocess.run(words, text=True, capture_output=True, timeout=PATIENCE * 2, check=False,
                             env={**PLAIN_ENVIRONMENT, "HOME": self.folder,
                                  "CIRCUSCTL_ENDPOINT": self.daemon.endpoint})
        return sorted(filter(None, (each.rstrip() for each in run.stdout.split("\n"))))

    @staticmethod
    def bash(script, line):
        # As bash itself calls a completion function: COMP_WORDS as it splits them, : and = for themselves.
        return ["bash", "--norc", "-c", """
            source "$1"; COMP_LINE=$2; COMP_POINT=${#2}
            compopt() { echo "compopt $*"; }
            read -ra COMP_WORDS <<< "$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
            complete -p circusctl | grep -q -- '-F _circusctl' || echo "not registered"
            _circusctl circusctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """, "bash", str(script), line]

    @staticmethod
    def fish(script, line):
        return ["fish", "--no-config", "-c", f"source {script}; complete --do-complete $argv[1] | string replace -r '\\t.*' ''",
                line]

    def check(self, shell):
        for line, expected in (("circusctl sta", ["start", "stats", "status"]),
                               ("circusctl --json statu", ["status"]),
                               ("circusctl start We", ["Web"]),
                               ("circusctl incr Web --wa", ["--waiting"]),
                               ("circusctl kill Web --signum HU", ["HUP"]),
                               ("circusctl list ", ["My job", "Web"]),
                               ("circusctl kill Web ", sorted(map(str, self.daemon.pids("web"))))):
            with self.subTest(shell=shell, line=line):
                found = [each.replace("\\ ", " ") for each in self.candidates(shell, line)]
                self.assertEqual(found, expected)

    def test_Bash(self):
        self.check("bash")
        self.assertEqual(self.candidates("bash", "circusctl start --match=re"), ["regex"])
        self.assertEqual(self.candidates("bash", "circusctl listen watcher.w"), ["compopt -o nospace", "watcher.web."])
        self.assertEqual(self.candidates("bash", "circusctl convert "), ["compopt -o default"])

    def test_BashOnATerminal(self):
        """TAB itself, in an interactive bash."""
        terminal = Terminal(["bash", "--norc", "--noprofile", "-i"],
                            {"HOME": self.folder, "CIRCUSCTL_ENDPOINT": self.daemon.endpoint, "PS1": "READY ",
                             "INPUTRC": "/dev/null"})
        self.terminals.append(terminal)
        terminal.wait_for("READY ")
        terminal.type(f"source {BUILD}/completions/circusctl.bash && PS1='NOW '\n")
        terminal.wait_for("NOW ", terminal.text.index("READY ") + 6)
        for typed, whole in (("circusctl statu\tWe\t", "circusctl status Web "),
                             ("circusctl start My\t", r"circusctl start My\ job "),
                             ("circusctl start --match=sim\t", "circusctl start --match=simple ")):
            with self.subTest(typed=typed):
                since = len(terminal.text)
                for key in typed:
                    terminal.type(key)
                terminal.wait_for(whole, since)
                terminal.type("\x15\n")
                terminal.wait_for("NOW ", len(terminal.text))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_Fish(self):
        self.check("fish")

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_Zsh(self):
        """zsh completes only in its line editor: TAB at a terminal."""
        completions = BUILD / "completions"
        for typed, whole in (("circusctl statu\tWe\t", "circusctl status Web "),
                             ("circusctl start My\t", r"circusctl start My\ job "),
                             ("circusctl start Web --wa\t", "circusctl start Web --waiting "),
                             ("circusctl start --match=sim\t", "circusctl start --match=simple "),
                             ("circusctl kill Web --signum HU\t", "circusctl kill Web --signum HUP ")):
            with self.subTest(typed=typed):
                terminal = Terminal(["zsh", "-f", "-i"],
                                    {"HOME": self.folder, "CIRCUSCTL_ENDPOINT": self.daemon.endpoint, "PS1": "READY "})
                self.terminals.append(terminal)
                terminal.wait_for("READY ")
                since = len(terminal.text)
                terminal.type(f"fpath=({completions} $fpath); autoload -Uz compinit && compinit -D -u; PS1='NOW '\n")
                terminal.wait_for(re.compile("(?<!')NOW "), since)
                since = len(terminal.text)
                for key in typed:
                    terminal.type(key)
                wait_until(lambda: terminal.read() and whole.rstrip() in shown(terminal.text[since:]),
                           what=lambda: repr(terminal.text[since:]))


class SshTest(TerminalCase):
    """A program in the place of ssh: it notes its words and runs the last one by a shell, as sshd would."""

    def setUp(self):
        super().setUp()
        self.ssh = os.path.join(self.folder, "ssh")
        pathlib.Path(self.ssh).write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > {self.folder}/words\n'
            f'[ -n "$FAIL" ] && exit 255\nfor word; do :; done\nexport CIRCUSCTL_ENDPOINT={self.daemon.endpoint}\n'
            'exec sh -c "$word"\n')
        os.chmod(self.ssh, 0o755)

    def by_ssh(self, *words, environment=None, **more):
        run = subprocess.run([CIRCUSCTL, "--ssh", "me@far:2222", *words], text=True, capture_output=True,
                             timeout=PATIENCE * 2, check=False,
                             env={**PLAIN_ENVIRONMENT, "CIRCUSCTL_SSH": self.ssh, **(environment or {})},
                             **{"input": "", **more})
        return run.returncode, run.stdout, run.stderr

    def words(self):
        return pathlib.Path(self.folder, "words").read_text().splitlines()

    def test_TheCommandRunsThereAndItsExitCodeComesBack(self):
        self.assertEqual(self.by_ssh("numwatchers"), (0, "2\n", ""))
        self.assertEqual(self.words(), ["-n", "-T", "-p", "2222", "--", "me@far", "circusctl numwatchers"])
        self.assertEqual(self.by_ssh("list", "it's $HOME"), (3, "", "error: program it's $HOME not found\n"))
        self.assertEqual(self.by_ssh("status", "My job"), (0, "stopped\n", ""))
        self.assertEqual(self.by_ssh("nonsense")[0], 2)
        self.assertEqual(self.by_ssh("list", environment={"FAIL": "1"})[0], 255)

    def test_TheEndpointIsOneOverThere(self):
        code, _, err = self.by_ssh("--endpoint", "ipc:///there", "--timeout", "0.2", "list")
        self.assertEqual(code, 1)
        self.assertIn("ipc:///there", err)

    def test_ThePromptRunsThereToo(self):
        code, out, _ = self.by_ssh(input="numwatchers\n")
        self.assertEqual(code, 0)
        self.assertIn(PROMPT + "2\n", out)
        self.assertEqual(self.words()[0], "-T")
        terminal = self.on_terminal("--ssh", "far", environment={"CIRCUSCTL_SSH": self.ssh})
        terminal.wait_for(PROMPT)
        terminal.type("exit\n")
        self.assertEqual(terminal.wait_end(), 0)
        self.assertEqual(self.words()[:3], ["-t", "--", "far"])

    def test_ColourFollowsTheTerminalHere(self):
        self.assertIn("\x1b[32mactive", self.output("--ssh", "far", "status", environment={"CIRCUSCTL_SSH": self.ssh}))
        self.assertIn("--color=always", self.words()[-1])

    def test_WithoutSshItIsSaid(self):
        code, _, err = self.by_ssh("list", environment={"CIRCUSCTL_SSH": "/nowhere/ssh"})
        self.assertEqual((code, err), (1, "circusctl: cannot run /nowhere/ssh: No such file or directory\n"))
        self.assertEqual(self.by_ssh("--ssh", "")[0], 2)


class PluginCommandTest(TerminalCase):
    """A daemon with a command that circusctl has never heard of."""

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.asked = []
        self.ended = threading.Event()
        self.server = threading.Thread(target=self.serve)
        self.server.start()

    def tearDown(self):
        self.ended.set()
        self.server.join()
        super().tearDown()

    def serve(self):
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
            socket.linger = 0
            socket.bind(f"tcp://127.0.0.1:{self.port}")
            while not self.ended.is_set():
                if not socket.poll(20):
                    continue
                who, body = socket.recv_multipart()
                message = json.loads(body)
                self.asked.append((message["command"], message["properties"]))
                answer = {"id": message["id"], "time": 1.0, "status": "ok"}
                if message["command"] == "commands":
                    answer["commands"] = {"scale": {"summary": "scale now", "help": "Scales a watcher.",
                                                    "usage": "scale WATCHER [BY]", "plugin": "scaler"}}
                elif message["properties"].get("by", 0) < 0:
                    answer.update(status="error", reason="not below 0", errno=5, tb=None)
                else:
                    answer["wanted"] = 7
                socket.send_multipart([who, json.dumps(answer).encode()])

    def ctl(self, *words):
        run = subprocess.run([CIRCUSCTL, "--endpoint", f"tcp://127.0.0.1:{self.port}", *words], text=True,
                             capture_output=True, timeout=PATIENCE * 2, check=False, env=PLAIN_ENVIRONMENT)
        return run.returncode, run.stdout, run.stderr

    def test_ItIsSentAndShown(self):
        self.assertEqual(self.ctl("scale", "web", "3", "--force"), (0, "7\n", ""))
        self.assertEqual(self.asked[-1], ("scale", {"watcher": "web", "by": 3, "force": True}))
        self.assertEqual(json.loads(self.ctl("--json", "scale", "web")[1])["wanted"], 7)
        self.assertEqual(self.ctl("scale", "web", "-1"), (3, "", "error: not below 0\n"))

    def test_HelpAndCompletionKnowIt(self):
        code, out, _ = self.ctl("help", "scale")
        self.assertEqual(code, 0)
        self.assertIn("Scales a watcher.", out)
        self.assertEqual(self.ctl("complete", "circusctl sca"), (0, "words\nscale\tscale now\n", ""))

    def test_WhatNobodyOffersIsUnknown(self):
        self.assertEqual(self.ctl("scael"), (2, "", "circusctl: unknown command: 'scael'\n"))
        code, _, err = self.run_ctl("statuss")
        self.assertEqual((code, err), (2, "circusctl: unknown command: 'statuss'; did you mean status?\n"))
        code, _, err = self.run_ctl("--endpoint", f"ipc://{self.folder}/nobody", "scale")
        self.assertEqual(code, 2)
        self.assertIn("does not answer", err)


class ListenTest(TerminalCase):
    def test_ItEndsQuietlyWhenItsReaderGoes(self):
        """At once, not at the next event: none comes here."""
        events = subprocess.Popen([CIRCUSCTL, "--endpoint", self.daemon.endpoint, "listen"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: pathlib.Path(f"/proc/{events.pid}/task").exists() and
                       len(os.listdir(f"/proc/{events.pid}/task")) > 1)
            events.stdout.close()
            self.assertEqual((events.wait(PATIENCE), events.stderr.read()), (0, b""))
        finally:
            if events.poll() is None:
                events.kill()
                events.wait()
            events.stderr.close()

    def test_AnInterruptIsItsUsualEnd(self):
        events = subprocess.Popen([CIRCUSCTL, "--endpoint", self.daemon.endpoint, "listen", "watcher.web."],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            def came():
                self.daemon.client.ok("set", name="web", options={"warmup_delay": 0}, waiting=True)
                return select.select([events.stdout], [], [], 0.05)[0]
            wait_until(came)
            events.send_signal(signal.SIGINT)
            out, err = events.communicate(timeout=PATIENCE)
            self.assertEqual((events.returncode, err), (0, b""))
            self.assertRegex(out, rb'^watcher\.web\.updated: \{"time": ?[0-9.]+\}\n')
        finally:
            with contextlib.suppress(ProcessLookupError):
                events.kill()
            events.wait()

    def test_OutputThatCannotBeWrittenIsAnError(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            run = subprocess.run([CIRCUSCTL, "--endpoint", self.daemon.endpoint, "list"], stdout=full,
                                 stderr=subprocess.PIPE, text=True, timeout=PATIENCE * 2, check=False)
        self.assertEqual((run.returncode, run.stderr), (1, "circusctl: standard output cannot be written\n"))


if __name__ == "__main__":
    main()
