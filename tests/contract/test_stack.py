"""configs/stack.toml for real, on ports of its own: a WSGI application, Redis, memcached, a periodic job."""
import importlib.util
import os
import re
import shutil
import signal
import socket
import unittest
import urllib.request

from harness import ROOT, ContractCase, free_port, is_running, main, wait_until

NEEDED = {"redis-server": shutil.which("redis-server"), "memcached": shutil.which("memcached"),
          "chaussette": importlib.util.find_spec("chaussette")}


@unittest.skipUnless(all(NEEDED.values()), f"needs {[name for name, found in NEEDED.items() if not found]}")
class StackTest(ContractCase):
    def setUp(self):
        super().setUp()
        self.daemon_of_stack = self.new_daemon("")
        ports = {old: free_port() for old in ("8080", "6399", "11299")}
        with open(ROOT / "configs/stack.toml") as original:
            text = original.read()
        for old, new in ports.items():
            text, count = re.subn(rf"\b{old}\b", str(new), text)
            self.assertGreater(count, 0, f"the stack no longer uses port {old}")
        text = text.replace("configs/run/", "@DIR@/")
        self.daemon_of_stack.working_dir = ROOT
        text = text.replace("[circus]\n", f'[circus]\nendpoint = "{self.daemon_of_stack.endpoint}"\n'
                                          f'pubsub_endpoint = "{self.daemon_of_stack.pubsub}"\n')
        self.daemon_of_stack.write_config(text)
        self.daemon_of_stack.ports = list(ports.values())
        self.web, self.redis, self.memcached = ports.values()
        self.daemon_of_stack.start()

    def fetch(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/", timeout=30) as answer:
            return answer.read().decode()

    def says(self, port, line):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(line)
            return connection.recv(100)

    def test_ItServesGrowsHealsAndEnds(self):
        daemon = self.daemon_of_stack
        self.assertGreater(float(self.fetch()), 0)
        self.assertTrue(wait_until(lambda: self.answers(self.redis, b"PING\r\n")).startswith(b"+PONG"))
        self.assertTrue(wait_until(lambda: self.answers(self.memcached, b"version\r\n")).startswith(b"VERSION"))
        before = daemon.client.ok("numprocesses", name="web")["numprocesses"]
        self.assertEqual(daemon.client.ok("incr", name="web", waiting=True)["numprocesses"], before + 1)
        pids = daemon.wait_active("web", before + 1)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: pids[0] not in daemon.pids("web") and len(daemon.pids("web")) == before + 1)
        self.assertGreater(float(self.fetch()), 0)
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


if __name__ == "__main__":
    main()
