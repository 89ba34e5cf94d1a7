"""configs/fronted.toml and configs/nginx.conf for real, on ports of their own: nginx in front of the web workers, over TCP
and a unix socket, and in front of the console."""
import concurrent.futures
import importlib.util
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.request

import test_console
from harness import ROOT, ContractCase, free_port, is_running, main, wait_until
from test_console import TOKEN, Web
from tools import tool

NEEDED = {"nginx (configs/packages.sh test)": tool("nginx"), "chaussette": importlib.util.find_spec("chaussette")}


@unittest.skipUnless(all(NEEDED.values()), f"needs {[name for name, found in NEEDED.items() if not found]}")
class Fronted(ContractCase):
    limit = 240

    def run_fronted(self, hosts="[]", conf=lambda text: text):
        """The shipped files as they are, but for ports and the folder that is written to."""
        daemon = self.new_daemon("", environment={"CONSOLE_TOKEN": TOKEN})
        self.ports = {port: free_port() for port in (8000, 8001, 8088, 8089)}

        def own(text):
            for old, new in self.ports.items():
                text = re.sub(rf"\b{old}\b", str(new), text)
            return text.replace("configs/run/", daemon.directory + "/run/")
        os.mkdir(daemon.directory + "/run")
        stack = own((ROOT / "configs/fronted.toml").read_text()).replace("/usr/sbin/nginx", tool("nginx"))
        self.assertIn("hosts = []", stack)
        daemon.write_config(f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'
                            + stack.replace("hosts = []", f"hosts = {hosts}"))
        with open(daemon.directory + "/nginx.conf", "w") as file:
            file.write(conf(own((ROOT / "configs/nginx.conf").read_text())))
        daemon.working_dir = ROOT
        daemon.ports = list(self.ports.values())
        daemon.start()
        daemon.wait_active("nginx", 1)
        self.site, self.front = self.ports[8000], self.ports[8001]
        wait_until(lambda: Web(self.front).get("/healthz")[0] == 200, what=daemon.log_tail)
        return daemon

    def fetch(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.site}{path}", timeout=60) as answer:
            return float(answer.read())

    def test_TheWorkersAnswerOverBothSocketsAndAReloadLosesNoRequest(self):
        daemon = self.run_fronted()
        ended = threading.Event()
        answers = {"/": [], "/unix/": []}

        def use(path):
            while not ended.is_set():
                answers[path].append(self.fetch(path))
        before = {name: daemon.pids(name) for name in ("web", "web_unix", "nginx")}
        with concurrent.futures.ThreadPoolExecutor(4) as users:
            running = [users.submit(use, path) for path in ("/", "/unix/", "/", "/unix/")]
            try:
                # A request takes as long as the machine lets it, and so does a worker that ends after its own.
                for name in ("web", "web_unix"):
                    daemon.client.ok("reload", name=name)
                    wait_until(lambda: len(daemon.pids(name)) == 2 and not set(before[name]) & set(daemon.pids(name)), 60)
                daemon.client.ok("reload", name="nginx", waiting=True)
                seen = {path: len(found) for path, found in answers.items()}
                wait_until(lambda: all(len(found) > seen[path] for path, found in answers.items()), 60,
                           lambda: [each.exception(0) for each in running if each.done()])
            finally:
                ended.set()
        for each in running:
            each.result()  # a request that failed is an exception here
        self.assertFalse(set(before["web"]) & set(daemon.pids("web")))
        self.assertFalse(set(before["web_unix"]) & set(daemon.pids("web_unix")))
        self.assertEqual(daemon.pids("nginx"), before["nginx"], "nginx reloads itself")

    def test_NginxComesBackAndEndsWithEverything(self):
        daemon = self.run_fronted()
        master, = daemon.pids("nginx")
        os.kill(master, signal.SIGKILL)
        fresh, = wait_until(lambda: [pid for pid in daemon.pids("nginx") if pid != master])
        wait_until(lambda: self.answers("/"), what=daemon.log_tail)
        self.assertGreater(self.fetch("/unix/"), 0)
        self.assertEqual(daemon.terminate(30), 0)
        self.assertFalse(is_running(fresh))

    def answers(self, path):
        try:
            return self.fetch(path)
        except OSError:
            return None

    def log_in(self, web):
        status, body, headers = web.ask("POST", "/api/v1/login", {"token": TOKEN})
        self.assertEqual((status, body.get("role")), (200, "operate"))
        web.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
        web.headers["X-Circus-Csrf"] = body["csrf"]
        return headers["Set-Cookie"]

    def test_TheConsoleIsBehindItWithItsWebSocket(self):
        daemon = self.run_fronted()
        web = Web(self.front)
        self.assertIn("<title>circusd</title>", web.get("/")[1])
        self.assertEqual(web.get("/api/v1/watchers")[0], 401)
        # As a browser says it: the origin is nginx's, with its port.
        web.headers["Origin"] = f"http://127.0.0.1:{self.front}"
        self.log_in(web)
        client = test_console.WebSocket(self.front, "?overview=1", Cookie=web.headers["Cookie"],
                                        Origin=web.headers["Origin"])
        self.addCleanup(client.close)
        self.assertEqual(client.status, 101)
        self.assertEqual(web.run("incr", name="web", waiting=True)[0], 200)
        daemon.wait_active("web", 3)
        wait_until(lambda: "watcher.web.spawn" in client.topics(), what=client.topics)
        wait_until(lambda: client.of("overview"))
        # The arbiter goes, with the console; nginx stays, and leads to the next one.
        nginx_before = daemon.pids("nginx")
        daemon.kill_arbiter()
        wait_until(lambda: web.get("/healthz")[0] == 200)
        self.assertEqual(daemon.pids("nginx"), nginx_before)
        wait_until(lambda: client.received() is not None and client.ended)
        again = test_console.WebSocket(self.front, "?overview=1", Authorization=f"Bearer {TOKEN}")
        self.addCleanup(again.close)
        self.assertEqual(again.status, 101)

    def test_WhatTheConsoleRefusesItRefusesBehindNginxToo(self):
        self.run_fronted(hosts='["console.example.com"]')
        web = Web(self.front, Authorization=f"Bearer {TOKEN}")
        self.assertEqual(web.get("/api/v1/watchers", Host="evil.example")[0], 403)
        self.assertEqual(web.get("/api/v1/watchers", Host="console.example.com")[0], 200)
        self.assertEqual(web.get("/api/v1/watchers", Host="console.example.com",
                                 Origin="https://console.example.com")[0], 200)
        self.assertEqual(web.get("/api/v1/watchers", Origin="http://evil.example")[0], 403)
        evil = test_console.WebSocket(self.front, "", Authorization=f"Bearer {TOKEN}", Origin="http://evil.example")
        self.addCleanup(evil.close)
        self.assertEqual(evil.status, 403)
        visitor = Web(self.front)
        self.log_in(visitor)
        visitor.headers.pop("X-Circus-Csrf")
        self.assertEqual(visitor.run("stop", name="web")[0], 403)
        # More than the console takes.
        self.assertEqual(web.ask("POST", "/api/v1/commands/list", {"x": "y" * (300 << 10)})[0], 413)

    def test_LoginsAreLimitedByAddress(self):
        self.run_fronted()
        with concurrent.futures.ThreadPoolExecutor(12) as users:
            found = list(users.map(lambda _: Web(self.front).ask("POST", "/api/v1/login", {"token": "wrong" * 5})[0],
                                   range(12)))
        self.assertIn(429, found)
        self.assertLessEqual(set(found), {401, 429})

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl here")
    def test_BehindTlsTheCookieIsForTlsAlone(self):
        port = free_port()
        folder = self.make_key()

        def speak_tls(text):
            listen = f"listen 127.0.0.1:{self.ports[8001]};"
            self.assertIn(listen, text)
            return text.replace(listen, f"{listen}\nlisten 127.0.0.1:{port} ssl;\n"
                                f"ssl_certificate {folder}/tls.pem;\nssl_certificate_key {folder}/tls.key;")
        self.run_fronted(conf=speak_tls).ports.append(port)
        context = ssl.create_default_context(cafile=folder + "/tls.pem")
        origin = f"https://localhost:{port}"
        request = urllib.request.Request(origin + "/api/v1/login", b'{"token": "%s"}' % TOKEN.encode(),
                                         {"Content-Type": "application/json", "Origin": origin})
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            self.assertIn("; Secure", answer.headers["Set-Cookie"])

    def make_key(self):
        """A folder with a key and its certificate for localhost."""
        folder = tempfile.mkdtemp(prefix="circus-contract-tls-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", folder + "/tls.key", "-out", folder + "/tls.pem"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return folder


if __name__ == "__main__":
    main()
