"""restart without a name, circusd starting over in itself; and no failed request over anything that replaces
workers on a managed socket."""
import json
import os
import pathlib
import signal
import socket
import sys
import threading

from harness import ContractCase, ignores, main, quoted, wait_until

# A worker as they should be: TERM ends it after the request at hand.
SERVER = '''
import os, select, signal, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(False)
woken, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGINT, lambda *_: None)
while True:
    ready, _, _ = select.select([listener, woken], [], [])
    if woken in ready:
        break
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    connection.setblocking(True)
    with connection:
        request = b""
        while b"\\r\\n\\r\\n" not in request:
            part = connection.recv(4096)
            if not part:
                break
            request += part
        body = str(os.getpid()).encode()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s"
                           % (len(body), body))
'''


def get(port):
    """The body of an answer: who served it."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.settimeout(30)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := connection.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or int(head.rpartition(b":")[2]) != len(body):
        raise OSError(f"no whole answer: {answer!r}")
    return int(body)


class Load:
    """Requests without a pause from several threads for the length of the block."""

    def __init__(self, port, threads=3):
        self.port = port
        self.failures, self.served = [], set()
        self.count = 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.knock) for _ in range(threads)]

    def knock(self):
        while not self.ended.is_set():
            try:
                self.served.add(get(self.port))
                self.count += 1
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


class RestartCase(ContractCase):
    def head(self, circus=""):
        return ('[circus]\nendpoint = "ipc://@DIR@/endpoint"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                f'stats_endpoint = "ipc://@DIR@/stats"\n{circus}\n')

    def web(self, *lines, numprocesses=2):
        return ('\n[socket.web]\nhost = "127.0.0.1"\nport = 0\n\n[watcher.web]\nuse_sockets = true\n'
                f'cmd = {quoted(sys.executable)}\nargs = ["@DIR@/server.py", "$(circus.sockets.web)"]\n'
                f'min_uptime = 0.0\nnumprocesses = {numprocesses}\n' + "\n".join(lines) + "\n")

    def begin(self, config):
        daemon = self.new_daemon(config)
        pathlib.Path(daemon.directory, "server.py").write_text(SERVER)
        daemon.start()
        self.port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        daemon.ports.append(self.port)
        daemon.wait_active("web")
        return daemon


class RestartTest(RestartCase):
    def test_TheDaemonTheSocketsAndTheirQueuesStayAndTheFileIsReadAgain(self):
        daemon = self.begin(self.web() + '[watcher.old]\ncmd = "sleep 1000"\n[watcher.off]\ncmd = "sleep 1000"\n'
                            'autostart = false\n')
        daemon.client.ok("incr", name="web", waiting=True)
        daemon.client.ok("start", name="off", waiting=True)
        daemon.client.ok("add", name="extra", cmd="sleep 1000", start=True, waiting=True)
        before = {name: daemon.pids(name) for name in ("web", "old", "off", "extra")}
        own = daemon.keeper, daemon.arbiter
        daemon.write_config(self.head() + self.web() + '[watcher.new]\ncmd = "sleep 1000"\n[watcher.off]\n'
                            'cmd = "sleep 1000"\nautostart = false\n')
        events = daemon.new_events("web")
        answer = daemon.client.ok("restart", waiting=True)
        self.assertEqual(sorted(answer), ["id", "status", "time"])
        self.assertEqual((daemon.keeper, daemon.arbiter), own)
        self.assertEqual(daemon.client.ok("list")["watchers"], ["new", "off", "web"])
        self.assertEqual([daemon.status(name) for name in ("web", "new", "off")], ["active", "active", "stopped"])
        self.assertEqual(len(daemon.pids("web")), 2)
        self.assertFalse(set(daemon.pids("web")) & set(before["web"]))
        self.assertEqual(daemon.client.ok("listsockets")["sockets"][0]["port"], self.port)
        self.assertIn(get(self.port), daemon.pids("web"))
        events.wait_for("web", "start")
        names = [name for name in events.names("web") if name != "reap"]
        self.assertEqual(names, ["kill"] * 3 + ["stop"] + ["spawn"] * 2 + ["start"])

    def test_ABrokenFileIsAnErrorAndNobodyIsStopped(self):
        daemon = self.begin(self.web())
        before = daemon.pids("web")
        daemon.write_config(self.head() + self.web("numproceses = 3"))
        self.assert_error(daemon.client.ask("restart", waiting=True), 6, "server error")
        daemon.client.ok("restart")
        wait_until(lambda: daemon.log().count("numproceses") >= 2)
        self.assertEqual(daemon.pids("web"), before)

    def test_QueriesAreAnsweredAndAStopIsNotRefusedMeanwhile(self):
        daemon = self.begin(self.web() + '[watcher.slow]\ncmd = "@PROBE@"\nargs = ["--ignore", "15"]\n'
                            "graceful_timeout = 60\npriority = 1\n")
        slow = daemon.wait_active("slow")[0]
        wait_until(lambda: ignores(slow, signal.SIGTERM))
        waiting = daemon.new_client()
        waiting.send(json.dumps({"id": 1, "command": "restart", "properties": {"waiting": True}}))
        wait_until(lambda: daemon.status("slow") == "stopping")
        for command in ("list", "status", "stats", "numprocesses", "listsockets", "globaloptions"):
            daemon.client.ok(command)
        self.assertEqual(daemon.status("web"), "stopped", "it is of a lower priority")
        os.kill(slow, signal.SIGKILL)
        self.assertEqual(waiting.receive()["status"], "ok")
        self.assertEqual([daemon.status(name) for name in ("web", "slow")], ["active", "active"])
        daemon.client.ok("set", name="slow", options={"graceful_timeout": 0})

    def test_TermDuringARestartEndsTheDaemon(self):
        daemon = self.begin(self.web() + '[watcher.slow]\ncmd = "@PROBE@"\nargs = ["--ignore", "15"]\n'
                            "graceful_timeout = 1\n")
        slow = daemon.wait_active("slow")[0]
        wait_until(lambda: ignores(slow, signal.SIGTERM))
        daemon.client.ok("restart")
        wait_until(lambda: daemon.status("slow") == "stopping")
        self.assertEqual(daemon.terminate(40), 0)


class LoadTest(RestartCase):
    def test_NoRequestFailsWhateverReplacesTheWorkers(self):
        daemon = self.begin(self.web())
        acts = [("restart", {}), ("reload", {"name": "web"}), ("reload", {"name": "web", "sequential": True}),
                ("reload", {}), ("incr", {"name": "web", "nb": 2}), ("decr", {"name": "web", "nb": 2}),
                ("restart", {"name": "web"})]
        changes = [self.web("nice = 1"), self.web("nice = 1", numprocesses=4), self.web('env = { A = "1" }'),
                   "\n[socket.aaa]\nhost = \"127.0.0.1\"\nport = 0\n" + self.web(),
                   self.web("stop_signal = 'INT'"), self.web()]
        with Load(self.port) as load:
            for command, properties in acts:
                self.act(daemon, load, command, properties)
            for config in changes:
                daemon.write_config(self.head() + config)
                self.act(daemon, load, "reloadconfig", {})
            self.act(daemon, load, "restart", {})
        self.assertEqual(load.failures, [])

    def act(self, daemon, load, command, properties):
        """The command, and then some more requests: its effects are part of the load."""
        with self.subTest(command=command, **properties):
            daemon.client.ok(command, waiting=True, **properties)
            wait_until(lambda count=load.count: load.failures or load.count >= count + 5,
                       what=lambda: f"requests after {command}: {load.count}")


if __name__ == "__main__":
    main()
