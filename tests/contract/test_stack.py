"""The shipped configurations for real, on ports of their own: a WSGI application, Redis, memcached, a periodic job;
and the classic bench."""
import concurrent.futures
import importlib.util
import os
import re
import shutil
import signal
import socket
import threading
import unittest
import urllib.request

from harness import ROOT, ContractCase, free_port, is_running, main, wait_until

NEEDED = {"redis-server": shutil.which("redis-server"), "memcached": shutil.which("memcached"),
          "chaussette": importlib.util.find_spec("chaussette")}


@unittest.skipUnless(all(NEEDED.values()), f"needs {[name for name, found in NEEDED.items() if not found]}")
class ShippedConfig(ContractCase):
    def run_config(self, name, *ports):
        """configs/NAME as it is, but for the ports, which are returned, and for where its endpoint and files are."""
        daemon = self.new_daemon("")
        free = {old: free_port() for old in ports}
        text = (ROOT / "configs" / name).read_text()
        for old, new in free.items():
            text, count = re.subn(rf"^([^#\n]*)\b{old}\b", rf"\g<1>{new}", text, flags=re.MULTILINE)
            self.assertGreater(count, 0, f"{name} no longer uses port {old}")
        text = text.replace("configs/run/", "@DIR@/")
        if "[circus]\n" not in text:
            text += "\n[circus]\n"
        daemon.write_config(text.replace(
            "[circus]\n", f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'))
        daemon.working_dir = ROOT
        daemon.ports = list(free.values())
        daemon.start()
        return daemon, *free.values()

    def fetch(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return answer.read().decode()


class StackTest(ShippedConfig):
    def setUp(self):
        super().setUp()
        self.daemon_of_stack, self.web, self.redis, self.memcached = self.run_config(
            "stack.toml", 8080, 6399, 11299)

    def says(self, port, line):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(line)
            return connection.recv(100)

    def test_ItServesGrowsHealsAndEnds(self):
        daemon = self.daemon_of_stack
        self.assertGreater(float(self.fetch(self.web)), 0)
        self.assertTrue(wait_until(lambda: self.answers(self.redis, b"PING\r\n")).startswith(b"+PONG"))
        self.assertTrue(wait_until(lambda: self.answers(self.memcached, b"version\r\n")).startswith(b"VERSION"))
        before = daemon.client.ok("numprocesses", name="web")["numprocesses"]
        self.assertEqual(daemon.client.ok("incr", name="web", waiting=True)["numprocesses"], before + 1)
        pids = daemon.wait_active("web", before + 1)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: pids[0] not in daemon.pids("web") and len(daemon.pids("web")) == before + 1)
        self.assertGreater(float(self.fetch(self.web)), 0)
        wait_until(lambda: os.path.exists(os.path.join(daemon.directory, "report.log")) and
                   os.path.getsize(os.path.join(daemon.directory, "report.log")), 20)
        everything = daemon.workers()
        self.assertEqual(daemon.terminate(30), 0)
        self.assertFalse([pid for pid in everything if is_running(pid)])

    def answers(self, port, line):
        try:
            return self.says(port, line)
        except OSError:
            return None


class WsgiBenchTest(ShippedConfig):
    def test_FiftyWorkersAnswerManyUsersAtOnce(self):
        daemon, web = self.run_config("wsgi-bench.toml", 8080)
        pids = daemon.wait_active("web", 50)
        with concurrent.futures.ThreadPoolExecutor(100) as users:
            answers = list(users.map(lambda _: float(self.fetch(web)), range(200)))
        # Each is the time that the work took, a sleep of 0.1 s included.
        self.assertGreaterEqual(min(answers), 0.1)
        self.assertEqual(daemon.pids("web"), pids)
        self.assertEqual(daemon.terminate(30), 0)
        self.assertFalse([pid for pid in pids if is_running(pid)])


class AutoscaledTest(ShippedConfig):
    def test_ManyUsersMakeMoreWorkers(self):
        daemon, web = self.run_config("autoscaled.toml", 8080)
        daemon.wait_active("web", 4)
        ended = threading.Event()

        def use(_):
            answers = []
            while not ended.is_set():
                answers.append(float(self.fetch(web)))
            return answers
        with concurrent.futures.ThreadPoolExecutor(30) as users:
            answers = users.map(use, range(30))
            try:
                wait_until(lambda: len(daemon.pids("web")) >= 12, 60, lambda: daemon.client.ok(
                    "autoscale", action="explain", name="web")["explanation"])
            finally:
                ended.set()
            self.assertGreaterEqual(min(min(each) for each in answers), 0.1)


if __name__ == "__main__":
    main()
