"""http_observer and redis_observer in a running circusd, in both modes: against a web server that is a watcher of the
stack, over http, https and a unix socket, and against a real Redis."""
import http.server
import os
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import BUILD, ContractCase, free_port, main, wait_until

REDIS = shutil.which("redis-server", path="/usr/local/bin:/usr/bin:/bin")
OPENSSL = shutil.which("openssl", path="/usr/local/bin:/usr/bin:/bin")

# A web server as a worker: says well as long as there is no file "ill" in its folder, and takes that away when it begins.
WEB = '''
import http.server, os, sys
if os.path.exists("ill"):
    os.remove("ill")
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists("ill") else 200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"well")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"well")

    def log_message(self, *_):
        pass

    def address_string(self):
        return "somebody"


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def serve(test, server):
    server.handle_error = lambda *_: None  # a client that does not trust it hangs up
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    test.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))


def plugin(name, kind, isolate, **options):
    def toml(value):
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
        return f'"{value}"' if isinstance(value, str) else str(value).lower()
    rows = {"use": str(BUILD / f"plugins/{kind}.so"), "isolate": isolate, "loop_rate": 0.1, **options}
    return f"\n[plugin.{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in rows.items())


class ObserverCase(ContractCase):
    isolate = False

    def gauge(self, daemon, watcher, name):
        gauge = daemon.client.ok("gauge", watcher=watcher)["gauges"].get(name)
        return gauge["value"] if gauge else None

    def wait_gauge(self, daemon, watcher, name, value):
        wait_until(lambda: self.gauge(daemon, watcher, name) == value,
                   what=lambda: f"{name} = {value}, not {self.gauge(daemon, watcher, name)}\n{daemon.log_tail()}")


class Http(ObserverCase):
    def stack(self, **options):
        port = free_port()
        daemon = self.new_daemon("")
        script = os.path.join(daemon.directory, "web.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(WEB)
        daemon.write_config(
            f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'
            f'\n[watcher.web]\ncmd = "/usr/bin/python3 {script} {port}"\nworking_dir = "{daemon.directory}"\n'
            + plugin("health", "http_observer", self.isolate, check_url=f"http://127.0.0.1:{port}/", **options))
        return daemon.start()

    def test_ALatencyIsAGaugeOfTheWatcher(self):
        daemon = self.stack(watcher="web", expected_body="well")
        self.wait_gauge(daemon, "web", "http_observer.up", 1)
        self.assertGreater(self.gauge(daemon, "web", "http_observer.latency"), 0)
        self.assertEqual(daemon.client.ok("plugins")["plugins"]["health"]["errors"], 0)

    def test_AWebServerThatIsIllIsRestartedAndWellAgain(self):
        daemon = self.stack(restart_on_error="web", down_after=3, boot_time=3)
        self.wait_gauge(daemon, "web", "http_observer.up", 1)
        before = daemon.wait_active("web", 1)
        with open(os.path.join(daemon.directory, "ill"), "w", encoding="utf-8"):
            pass
        wait_until(lambda: daemon.pids("web") and daemon.pids("web") != before, what=daemon.log_tail)
        self.wait_gauge(daemon, "web", "http_observer.up", 1)
        daemon.wait_log("web (http_observer) is down: status 503, expected 200-299")

    def test_WhatIsStoppedStaysStopped(self):
        daemon = self.stack(restart_on_error="web", boot_time=3)
        self.wait_gauge(daemon, "web", "http_observer.up", 1)
        daemon.client.ok("stop", name="web", waiting=True)
        events = daemon.new_events("web")
        wait_until(lambda: sum(each["result"] == "error" for each in events.of("web", "http_observer")) >= 3)
        self.assertEqual(daemon.status("web"), "stopped")
        self.assertIn("Failed to connect", events.of("web", "http_observer")[-1]["reason"])

    @unittest.skipUnless(OPENSSL, "openssl makes the certificate")
    def test_HttpsIsTrustedByItsCertificateOnly(self):
        folder = tempfile.mkdtemp(prefix="circus-tls-")
        self.addCleanup(shutil.rmtree, folder)
        subprocess.run([OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        f"{folder}/key", "-out", f"{folder}/cert"], check=True, capture_output=True, timeout=30)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/cert", f"{folder}/key")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        serve(self, server)
        url = f"https://127.0.0.1:{server.server_port}/"
        observers = (("known", {"ca_file": f"{folder}/cert"}), ("unknown", {}), ("whatever", {"verify": False}))
        daemon = self.run_daemon("".join(plugin(name, "http_observer", self.isolate, check_url=url, label=name, **more)
                                         for name, more in observers))
        self.wait_gauge(daemon, "known", "known.up", 1)
        self.wait_gauge(daemon, "whatever", "whatever.up", 1)
        self.wait_gauge(daemon, "unknown", "unknown.up", 0)
        daemon.wait_log(re.compile("unknown is down: .*certificate"))

    def test_AUnixSocketIsAsked(self):
        daemon = self.new_daemon("")
        path = f"{daemon.directory}/web.sock"
        server = UnixServer(path, Page)
        serve(self, server)
        daemon.write_config(
            f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'
            + plugin("local", "http_observer", self.isolate, check_url="http://web/", unix_socket=path))
        daemon.start()
        self.wait_gauge(daemon, "http_observer", "http_observer.up", 1)
        os.remove(path)


class HttpIsolated(Http):
    isolate = True


@unittest.skipUnless(REDIS, "no redis-server here")
class Redis(ObserverCase):
    """The server is a watcher of the stack; clients of the test speak its protocol by themselves."""

    def stack(self, **options):
        port = free_port()
        config = (f'[watcher.redis]\ncmd = "{REDIS} --port {port} --bind 127.0.0.1 --save \'\' --appendonly no '
                  f'--unixsocket @DIR@/redis.sock"\nworking_dir = "@DIR@"\n')
        if "redis_url" not in options:
            options["redis_url"] = f"redis://127.0.0.1:{port}/0"
        daemon = self.run_daemon(config + plugin("queue", "redis_observer", self.isolate, watcher="redis",
                                                 gauges={"jobs": "LLEN jobs"}, **options))
        self.port = port
        self.wait_gauge(daemon, "redis", "redis_observer.up", 1)
        return daemon

    def redis(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            return link.makefile("rb").readline().strip()

    def test_TheLengthOfAQueueIsAGauge(self):
        daemon = self.stack()
        self.wait_gauge(daemon, "redis", "redis_observer.jobs", 0)
        self.assertEqual(self.redis(b"RPUSH", b"jobs", b"a", b"b", b"c"), b":3")
        self.wait_gauge(daemon, "redis", "redis_observer.jobs", 3)
        self.assertGreater(self.gauge(daemon, "redis", "redis_observer.used_memory"), 100_000)
        self.assertEqual(daemon.client.ok("plugins")["plugins"]["queue"]["errors"], 0)

    def test_AServerThatHangsIsRestartedAndFoundAgain(self):
        daemon = self.stack(timeout=0.5, restart_on_timeout="redis", boot_time=3)
        before = daemon.wait_active("redis", 1)
        os.kill(before[0], signal.SIGSTOP)
        wait_until(lambda: "restarting redis: redis (redis_observer): no answer within 0.5 s" in daemon.log(),
                   what=daemon.log_tail)
        os.kill(before[0], signal.SIGCONT)  # so that it hears its stop signal
        wait_until(lambda: daemon.pids("redis") and daemon.pids("redis") != before, what=daemon.log_tail)
        self.wait_gauge(daemon, "redis", "redis_observer.up", 1)

    def test_ALostConnectionIsMadeAnew(self):
        self.stack()

        def killed():  # others than the one that asks
            return int(self.redis(b"CLIENT", b"KILL", b"TYPE", b"normal").removeprefix(b":"))
        wait_until(lambda: killed() == 1)
        wait_until(lambda: killed() == 1)


class RedisIsolated(Redis):
    isolate = True


if __name__ == "__main__":
    main()
