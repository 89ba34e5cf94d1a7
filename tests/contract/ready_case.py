"""What the tests of readiness, reloads, dependencies and limits share: stacks of ready_worker.py, and HTTP load."""
import collections
import os
import pathlib
import socket
import subprocess
import threading

from harness import CIRCUSCTL, ContractCase, wait_until

WORKER = str(pathlib.Path(__file__).with_name("ready_worker.py"))
SOCKET = '[socket.web]\nhost = "127.0.0.1"\nport = 0\n'


def section(name, *lines, version="one", args=()):
    words = " ".join(str(word) for word in args)
    return f'\n[watcher.{name}]\ncmd = "/usr/bin/python3 {WORKER} {version} {words}"\n' + "\n".join(lines) + "\n"


def served(*lines, version="one", args=()):
    """A watcher `web` on the managed socket."""
    return section("web", "use_sockets = true", *lines, version=version,
                   args=("--fd", "$(circus.sockets.web)", *args))


class Load:
    """Requests one after the other in a few threads, until it is stopped: what was answered, and what failed."""

    def __init__(self, port, threads=3):
        self.port = port
        self.answers = collections.Counter()
        self.failures = []
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.over.is_set():
            try:
                answer = request(self.port)
            except OSError as error:
                with self.lock:
                    self.failures.append(repr(error))
                continue
            with self.lock:
                if answer:
                    self.answers[answer] += 1
                else:
                    self.failures.append("an empty answer")

    def total(self):
        with self.lock:
            return sum(self.answers.values())

    def wait_more(self, count=30, of=None):
        before = self.answers[of] if of else self.total()
        wait_until(lambda: (self.answers[of] if of else self.total()) >= before + count, 30,
                   lambda: f"{count} more answers of {of}: {self.answers} {self.failures[:3]}")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(20)


def request(port):
    """The version that answers."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.settimeout(20)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        text = b""
        while part := connection.recv(4096):
            text += part
    return text.partition(b"\r\n\r\n")[2].decode()


class ReadyCase(ContractCase):
    def begin(self, config, circus="check_delay = 1\n", **more):
        self.daemon_ = self.run_daemon(config, circus, **more)
        self.client = self.daemon_.client
        return self.daemon_

    def path(self, name):
        return os.path.join(self.daemon_.directory, name)

    def open_gate(self, name="gate"):
        pathlib.Path(self.path(name)).touch()

    def wait_status(self, status, name="web"):
        wait_until(lambda: self.daemon_.status(name) == status, 30,
                   lambda: f"{name} {status}: {self.daemon_.status(name)}\n{self.daemon_.log_tail()}")

    def port(self, name="web"):
        return {each["name"]: each for each in self.client.ok("listsockets")["sockets"]}[name]["port"]

    def ctl(self, *words):
        return subprocess.run([CIRCUSCTL, "--endpoint", self.daemon_.endpoint, "--timeout", "60", *words],
                              capture_output=True, text=True, timeout=80)

    def set_command(self, version, *args, name="web", fd=True):
        words = ["--fd", "$(circus.sockets.web)"] if fd else []
        cmd = " ".join(["/usr/bin/python3", WORKER, version, *words, *map(str, args)])
        return self.client.ask("set", name=name, options={"cmd": cmd}, waiting=True, patience=60)
