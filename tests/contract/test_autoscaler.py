"""The autoscaler against real processes under load: the fleet grows and shrinks, and no request fails because of it.

The workers know nothing of a graceful stop: SIGTERM ends them where they are. What saves a request that is in hand is
circusd alone. A client opens a connection for each request and counts every one that is not answered in full.
"""
import importlib.util
import pathlib
import shutil
import socket
import subprocess
import threading
import unittest

from harness import CIRCUSCTL, main, wait_until
from test_shipped_plugins import PYTHON, ShippedCase
from test_takeover import TakeoverCase

# One request at a time, 30 ms each; a connection that is accepted and not answered is a request that failed.
SERVER = """
import socket, sys, time
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        time.sleep(0.03)
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nserved")
"""

APPLICATION = """
import time

def application(environ, start_response):
    time.sleep(0.03)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""

# Asks for a job, works on it for 20 ms, says that it is done; at SIGTERM it takes no more.
CONSUMER = """
import signal, socket, sys, time
ending = False

def end(*_):
    global ending
    ending = True

signal.signal(signal.SIGTERM, end)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
    while not ending:
        server.sendall(b"?")
        server.recv(1)
        time.sleep(0.02)
        server.sendall(b".")
"""

SCALED = """
use_sockets = true
numprocesses = 2
graceful_timeout = 10
autoscale.min = 2
autoscale.max = 6
autoscale.boot_time = 0.5
autoscale.drain = 100
"""

PATIENT = 100  # seconds: what takes the autoscaler a few, on a loaded machine


class Load:
    """Users that ask again and again, each on a new connection; all of them, or the first few."""

    def __init__(self, address, family=socket.AF_INET, users=5):
        self.address, self.family = address, family
        self.failures, self.count, self.ended = [], 0, threading.Event()
        self.lock = threading.Lock()
        self.awake = [threading.Event() for _ in range(users)]
        self.ask_with(users)
        self.threads = [threading.Thread(target=self.run, args=[user]) for user in range(users)]
        for thread in self.threads:
            thread.start()

    def ask_with(self, users):
        for user, awake in enumerate(self.awake):
            awake.set() if user < users else awake.clear()

    def run(self, user):
        while self.awake[user].wait() and not self.ended.is_set():
            try:
                answer = self.ask()
                problem = None if answer.endswith(b"served") else f"half an answer: {answer!r}"
            except OSError as error:
                problem = repr(error)
            with self.lock:
                self.count += 1
                if problem:
                    self.failures.append(problem)

    def ask(self):
        with socket.socket(self.family, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(self.address)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while more := connection.recv(4096):
                answer += more
            return answer

    def stop(self):
        self.ended.set()
        self.ask_with(len(self.awake))
        for thread in self.threads:
            thread.join()


class Jobs:
    """A queue that never ends: gives a job to whoever asks, and counts what was not said to be done."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.done = self.lost = 0
        self.closed = False
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            if self.closed:
                connection.close()
                return
            self.threads.append(threading.Thread(target=self.serve, args=[connection]))
            self.threads[-1].start()

    def serve(self, connection):
        in_hand = False
        with connection:
            while said := connection.recv(1):
                if said == b"?":
                    in_hand = True
                    connection.sendall(b"!")
                else:
                    in_hand = False
                    with self.lock:
                        self.done += 1
        if not self.closed:
            self.lost += in_hand

    def close(self):
        self.closed = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join()
        self.listener.close()


class AutoscalerCase(ShippedCase):
    limit = 270

    def scaled(self, watchers, options="", files=None):
        daemon = self.run_with(watchers, "autoscaler", options, files=files)
        wait_until(lambda: daemon.client.ask("autoscale", action="explain", name="web").get("status") == "ok",
                   what=lambda: daemon.log_tail())
        return daemon

    def wait_count(self, daemon, count, name="web"):
        """That the watcher wants so many, and that as many live."""
        def reached():
            wanted = daemon.client.ok("get", name=name, keys=["numprocesses"])["options"]["numprocesses"]
            return wanted == count == len(daemon.pids(name))
        wait_until(reached, PATIENT, lambda: f"{count} workers of {name}: {daemon.pids(name)}\n" + daemon.client.ok(
            "autoscale", action="explain", name=name)["explanation"] + "\n" + daemon.log_tail())

    def grows_and_shrinks(self, daemon, address, family=socket.AF_INET, users_of_the_shrink=2):
        """Two rounds. On a shared listener a worker is never idle while a queue stands, so nobody would go."""
        load = Load(address, family)
        try:
            for _ in range(2):
                load.ask_with(5)
                self.wait_count(daemon, 6)
                load.ask_with(users_of_the_shrink)
                # Too many at once: the hardest a decision can be.
                daemon.client.ok("autoscale", action="set", name="web", max=2)
                self.wait_count(daemon, 2)
                daemon.client.ok("autoscale", action="set", name="web")
        finally:
            load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.count, 20)

    def socket_of(self, daemon, name=None):
        """Where the socket of that name, or the only one, is asked: (address, family)."""
        row = next(row for row in daemon.client.ok("listsockets")["sockets"] if name in (None, row["name"]))
        if "path" in row:
            return row["path"], socket.AF_UNIX
        daemon.ports.append(row["port"])
        return ("127.0.0.1", row["port"]), socket.AF_INET

    def run_servers(self, options, more=""):
        daemon = self.scaled(f"""
[socket.door]
{options}

[watcher.web]
cmd = "{PYTHON} @DIR@/server.py $(circus.sockets.door)"
""" + SCALED + more)
        return daemon, *self.socket_of(daemon)

    def run_with(self, config, name, options="", circus="", files=None):
        """As the base's, with the programs above in its folder; `files`: more of them, name -> text."""
        daemon = self.new_daemon(config + f'\n[plugin.{name}]\nuse = "{name}"\nisolate = '
                                 f'{"true" if self.isolate else "false"}\n{options}\n', circus)
        programs = {"server.py": SERVER, "application.py": APPLICATION, "consumer.py": CONSUMER, **(files or {})}
        for file, text in programs.items():
            pathlib.Path(daemon.directory, file).write_text(text)
        daemon.start()
        wait_until(lambda: daemon.client.ok("plugins")["plugins"][name]["state"] == "active",
                   what=lambda: f"{name} active\n{daemon.log_tail()}")
        return daemon


class Autoscaler(AutoscalerCase):
    @unittest.skipUnless(importlib.util.find_spec("chaussette") and shutil.which("chaussette"), "needs chaussette")
    def test_ChaussetteGrowsAndShrinksUnderLoadWithoutAFailedRequest(self):
        daemon = self.scaled("""
[socket.door]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "/usr/bin/chaussette --fd $(circus.sockets.door) --backend wsgiref application.application"
working_dir = "@DIR@"
env = {PYTHONPATH = "@DIR@"}
""" + SCALED)
        self.grows_and_shrinks(daemon, *self.socket_of(daemon))

    def test_QueueConsumersWithoutASocketFollowAGauge(self):
        daemon = self.scaled("""
[watcher.web]
cmd = "/bin/sleep 1000"
autoscale.max = 5
autoscale.external = "jobs"
autoscale.external_target = 10
autoscale.boot_time = 0.5
""")
        events = daemon.new_events("web")
        self.addCleanup(events.close)
        daemon.client.ok("gauge", watcher="web", name="jobs", value=43)
        self.wait_count(daemon, 5)
        change = wait_until(lambda: events.of("web", "autoscale"))[0]
        self.assertEqual((change["from"], change["to"], change["reason"]), (1, 5, "external"))
        told = daemon.client.ok("gauge", watcher="web")["gauges"]
        self.assertEqual(told["autoscaler.wanted.external"]["value"], 5)
        # Smaller only after a while: the operator may be quicker.
        subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "autoscale", "set", "web", "--max=2"], check=True)
        self.wait_count(daemon, 2)
        shown = subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "autoscale", "explain", "web"],
                               check=True, capture_output=True, text=True).stdout
        self.assertIn("wanted by external", shown)

    def test_QueueConsumersThatGrowAndShrinkLoseNoJob(self):
        jobs = Jobs()
        self.addCleanup(jobs.close)
        daemon = self.scaled(f"""
[watcher.web]
cmd = "{PYTHON} @DIR@/consumer.py {jobs.port}"
graceful_timeout = 20
autoscale.max = 6
autoscale.external = "jobs"
autoscale.external_target = 10
autoscale.boot_time = 0.5
""")
        for _ in range(2):
            daemon.client.ok("gauge", watcher="web", name="jobs", value=60)
            self.wait_count(daemon, 6)
            done = jobs.done
            wait_until(lambda before=done: jobs.done > before + 20, PATIENT, lambda: daemon.log_tail())
            # Smaller only after a while: the operator may be quicker.
            daemon.client.ok("autoscale", action="set", name="web", max=1)
            self.wait_count(daemon, 1)
            daemon.client.ok("autoscale", action="set", name="web")
        self.assertEqual(jobs.lost, 0)

    def test_WhereTheWatcherTellsWhoIsReadyTheBootTimeIsMeasured(self):
        daemon = self.scaled("""
[watcher.web]
cmd = "/bin/sleep 1000"
ready = {exec = "/bin/sleep 1.5"}
autoscale.max = 4
autoscale.external = "jobs"
autoscale.external_target = 10
autoscale.boot_time = 777
""")
        daemon.client.ok("gauge", watcher="web", name="jobs", value=40)
        self.wait_count(daemon, 4)

        def boot_time():
            told = daemon.client.ok("gauge", watcher="web")["gauges"]
            return told.get("autoscaler.boot_time", {}).get("value", 777)
        wait_until(lambda: boot_time() != 777, PATIENT, lambda: daemon.log_tail())
        self.assertGreaterEqual(boot_time(), 1.5)


class Takeover(AutoscalerCase, TakeoverCase):
    """Another arbiter goes on where this one ended; a gauge says at once what there is to do."""

    def kill_scaled(self, daemon):
        self.kill_arbiter(daemon)
        wait_until(lambda: daemon.client.ask("autoscale", action="explain", name="web").get("status") == "ok",
                   PATIENT, lambda: daemon.log_tail())

    def test_WhatAnOperatorSaidHoldsInTheNextArbiter(self):
        daemon = self.scaled("""
[watcher.web]
cmd = "/bin/sleep 1000"
autoscale.max = 9
autoscale.external = "jobs"
autoscale.external_target = 10
autoscale.boot_time = 0.5
""")
        daemon.client.ok("autoscale", action="set", name="web", max=4)
        daemon.client.ok("autoscale", action="pause", name="web")
        for _ in range(2):
            self.kill_scaled(daemon)
            daemon.client.ok("gauge", watcher="web", name="jobs", value=80)
            wait_until(lambda: "8 wanted by external, now 4 (max, paused)" in self.explained(daemon), PATIENT,
                       lambda: self.explained(daemon))
            self.assertEqual(len(daemon.pids("web")), 1)
        daemon.client.ok("autoscale", action="resume", name="web")
        self.wait_count(daemon, 4)
        self.kill_scaled(daemon)
        daemon.client.ok("gauge", watcher="web", name="jobs", value=80)
        wait_until(lambda: "8 wanted by external, no change (max)" in self.explained(daemon), PATIENT,
                   lambda: self.explained(daemon))
        self.wait_count(daemon, 4)
        daemon.client.ok("plugin", name="autoscaler", action="restart", waiting=True)
        self.wait_count(daemon, 8)

    def explained(self, daemon):
        return daemon.client.ok("autoscale", action="explain", name="web")["explanation"]


class TakeoverIsolated(Takeover):
    isolate = True


class AutoscalerIsolated(Autoscaler):
    isolate = True


class KindsOfSockets(AutoscalerCase):
    def test_AUnixSocketsWorkersGrowAndShrinkUnderLoadWithoutAFailedRequest(self):
        daemon, address, family = self.run_servers('path = "@DIR@/door.sock"\nblocking = true')
        self.grows_and_shrinks(daemon, address, family)

    def test_ReuseportWorkersGrowAndShrinkUnderLoadWithoutAFailedRequest(self):
        daemon, address, family = self.run_servers('host = "127.0.0.1"\nport = 0\nso_reuseport = true\nblocking = true')
        # Who leaves gets no new connections there, however many users there are.
        self.grows_and_shrinks(daemon, address, family, 5)

    def test_SteeredWorkersGrowAndShrinkUnderLoadWithoutAFailedRequest(self):
        for steering in ("round_robin", "least_loaded"):
            with self.subTest(steering):
                daemon, address, family = self.run_servers(
                    f'host = "127.0.0.1"\nport = 0\nso_reuseport = true\nblocking = true\nsteering = "{steering}"')
                figures = daemon.client.ok("listsockets", figures=True)["sockets"][0]["figures"]
                if "steering" in figures["absent"]:
                    self.skipTest(figures["absent"]["steering"])
                self.grows_and_shrinks(daemon, address, family, 5)

    def test_TheLastWorkerGoesAndTheNextConnectionStartsOne(self):
        daemon, address, family = self.run_servers('host = "127.0.0.1"\nport = 0\nblocking = true', """
on_demand = true
autoscale.down_window = 1
""")
        daemon.client.ok("autoscale", action="set", name="web", min=0)
        self.assertEqual(daemon.status("web"), "stopped")
        with_one = Load(address, family, users=1)
        try:
            wait_until(lambda: with_one.count > 3, PATIENT, lambda: daemon.log_tail())
        finally:
            with_one.stop()
        wait_until(lambda: daemon.status("web") == "stopped" and not daemon.pids("web"), 120,
                   lambda: daemon.client.ok("autoscale", action="explain", name="web")["explanation"])
        again = Load(address, family, users=1)
        try:
            wait_until(lambda: again.count > 3, PATIENT, lambda: daemon.log_tail())
        finally:
            again.stop()
        self.assertEqual(with_one.failures + again.failures, [])


class Drain(AutoscalerCase):
    def test_DecrWithADrainLetsARequestBeAnsweredAndTheOthersGoFirst(self):
        daemon = self.new_daemon(f"""
[socket.door]
host = "127.0.0.1"
port = 0
blocking = true

[watcher.web]
cmd = "{PYTHON} @DIR@/server.py $(circus.sockets.door)"
use_sockets = true
numprocesses = 2
""")
        pathlib.Path(daemon.directory, "server.py").write_text(SERVER)
        daemon.start()
        daemon.wait_active("web", 2)
        address, _ = self.socket_of(daemon)
        with socket.create_connection(address, 10) as first, socket.create_connection(address, 10) as second:
            # Both are taken, and wait for what their clients have to say.
            wait_until(lambda: daemon.client.ok("listsockets", figures=True)["sockets"][0]["figures"]["in_flight"] == 2)
            daemon.client.cast("decr", name="web", nb=2, drain=60)
            wait_until(lambda: daemon.client.ok("get", name="web", keys=["numprocesses"])["options"]["numprocesses"] == 0)
            self.assertEqual(len(daemon.pids("web")), 2)
            first.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(first.makefile("rb").read().endswith(b"served"))
            wait_until(lambda: len(daemon.pids("web")) == 1)
            second.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(second.makefile("rb").read().endswith(b"served"))
            wait_until(lambda: daemon.pids("web") == [])

    def test_TheUsersOfASocketAreTold(self):
        daemon = self.run_daemon("""
[socket.door]
port = 0

[socket.other]
port = 0

[watcher.Web]
cmd = "/bin/sleep 1000"
env = {DOOR = "$(circus.sockets.door)"}
use_sockets = true

[watcher.std]
cmd = "/bin/sleep 1000"
stdin_socket = "other"

[watcher.all]
cmd = "/bin/sleep 1000"
use_sockets = true
""")
        rows = daemon.client.ok("listsockets", figures=True)["sockets"]
        self.assertEqual({row["name"]: row["watchers"] for row in rows}, {"door": ["all", "Web"], "other": ["all", "std"]})


if __name__ == "__main__":
    main()
