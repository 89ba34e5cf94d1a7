"""The daemon of the stack, started as badly as somebody can start it: signals ignored and held back, descriptors that
are inherited, no umask, a standard output that is full and that nobody reads, a clock that jumps, a small disk."""
import contextlib
import os
import pathlib
import subprocess
import sys

import stack
from daemon import BUILD, CIRCUSD, Daemon
from harness import fill

SMALL_DISK = "128k"

# argv: the folder for a small disk, or nothing; circusd and its arguments.
SPOIL = r"""
import os, signal, subprocess, sys
small, *command = sys.argv[1:]
if small:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=@SIZE@", "none", small], check=True)
preload, jump_file = os.environ.pop("PRELOAD"), os.environ.pop("JUMP")
os.environ.update(LD_PRELOAD=preload, JUMP_FILE=jump_file)
for signo in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGCHLD, signal.SIGALRM):
    signal.signal(signo, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGTERM})
for fd in (7, 57):
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), fd, inheritable=True)
os.umask(0)
os.execv(command[0], command)
""".replace("@SIZE@", SMALL_DISK)


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
                                                capture_output=True, check=False).returncode == 0


class Tormented(Daemon):
    def __init__(self, port, arbiter_timeout):
        super().__init__(stack.config(port), stack.CIRCUS + f"arbiter_timeout = {arbiter_timeout}\n", endpoints=False)
        self.endpoint, self.pubsub = (f"ipc://{self.directory}/run/{name}" for name in ("endpoint", "pubsub"))
        self.head = pathlib.Path(self.config_path).read_text().partition("\n[socket.web]")[0]
        self.port = port
        self.ports = [port]
        self.has_small_disk = can_mount()
        self.small_folder = os.path.join(self.directory, "small")
        os.makedirs(self.small_folder)
        self.jump_path = os.path.join(self.directory, "jump")
        self.jump(0)
        self.environment.update(PRELOAD=str(BUILD / "tests/bin/jump.so"), JUMP=self.jump_path, SECRET="s")
        self.read_end, self.full_stdout = os.pipe()
        fill(self.full_stdout)
        stack.lay(self.directory)

    def configure(self, web, jobs, more):
        """Returns what the file was."""
        before = pathlib.Path(self.config_path).read_text()
        self.write_config(self.head + stack.config(self.port, web, jobs, more))
        return before

    def launch(self, *arguments, output=None):
        """What it says before it has a log, or has lost it, is in the file "stderr"."""
        unshare = ["unshare", "--mount", "--propagation", "private"] if self.has_small_disk else []
        with open(os.path.join(self.directory, "stderr"), "ab") as errors:
            self.process = subprocess.Popen(
                [*unshare, sys.executable, "-c", SPOIL, self.small_folder if self.has_small_disk else "", CIRCUSD,
                 "--config", self.config_path, *arguments],
                cwd=self.working_dir, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.full_stdout,
                stderr=errors, start_new_session=True)
        return self

    def log(self):
        with contextlib.suppress(OSError):
            return super().log() + pathlib.Path(self.directory, "stderr").read_text(errors="replace")
        return super().log()

    def small(self, name=""):
        """A file on the small disk, as it is seen from outside."""
        root = f"/proc/{self.keeper}/root" if self.has_small_disk else ""
        return os.path.join(f"{root}{self.small_folder}", name)

    def jump(self, seconds):
        """The wall clock of the daemon is so far off from now on."""
        file = os.open(self.jump_path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, seconds.to_bytes(8, sys.byteorder, signed=True), 0)
        finally:
            os.close(file)
        self.jumped = seconds

    def destroy(self):
        super().destroy()
        for end in (self.read_end, self.full_stdout):
            os.close(end)
