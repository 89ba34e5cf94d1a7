"""configs/full-stack.toml for real, on ports of its own: Redis, memcached, Chaussette and nginx, in the order in which they
need each other, reloaded and scaled under load; and Django behind Chaussette."""
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest
import urllib.request

from harness import CIRCUSD, PATIENCE, ROOT, ContractCase, Daemon, free_port, is_running, main, wait_until
from test_bounded import AsUser
from tools import tool
from users import LOAD, Users

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = {"nginx": tool("nginx"), **{name: shutil.which(name, path=PATH) for name in ("redis-server", "memcached")},
          "chaussette": importlib.util.find_spec("chaussette"), "wsgi_load": shutil.which(LOAD)}
MISSING = [name for name, found in NEEDED.items() if not found]
PORTS = ("FRONT_PORT", "WEB_PORT", "REDIS_PORT", "MEMCACHED_PORT")
USERS = 6


class Shipped(ContractCase):
    limit = 270

    def run_shipped(self, name, environment, kind=Daemon, text=lambda text: text, prepare=lambda daemon: None):
        """configs/NAME, but for its endpoint, with that environment."""
        daemon = kind("", environment=environment)
        self.started.append(daemon)
        prepare(daemon)
        shipped = text((ROOT / "configs" / name).read_text())
        if "[circus]\n" not in shipped:
            shipped += "\n[circus]\n"
        daemon.write_config(shipped.replace(
            "[circus]\n", f'[circus]\nendpoint = "{daemon.endpoint}"\npubsub_endpoint = "{daemon.pubsub}"\n'))
        daemon.working_dir = ROOT
        daemon.ports = [int(value) for name, value in environment.items() if name.endswith("PORT")]
        daemon.environment = {name: value.replace("@DIR@", daemon.directory) for name, value in daemon.environment.items()}
        daemon.start()
        return daemon

    def fetch(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return answer.read().decode()

    def ends_whole(self, daemon):
        everything = daemon.workers()
        self.assertEqual(daemon.terminate(60), 0)
        self.assertFalse([pid for pid in everything if is_running(pid)])


@unittest.skipIf(MISSING, f"needs {', '.join(MISSING)}")
class FullStack(Shipped):
    def run_stack(self, kind=Daemon):
        environment = {name: str(free_port()) for name in PORTS} | {"RUN_DIR": "@DIR@"}
        installed = tool("nginx") == "/usr/sbin/nginx"
        daemon = self.run_shipped(
            "full-stack.toml", environment, kind,
            text=lambda text: text if installed else text.replace("configs/full-stack/nginx.sh", "@DIR@/nginx.sh"),
            prepare=lambda daemon: None if installed else self.bring_nginx(daemon.directory))
        for name in ("redis", "memcached", "web", "nginx"):
            wait_until(lambda name=name: daemon.status(name) == "active", 60,
                       lambda name=name: f"{name} active\n{daemon.log_tail()}\n{self.logs(daemon)}")
        return daemon, int(environment["FRONT_PORT"]), int(environment["REDIS_PORT"])

    def bring_nginx(self, folder):
        """It was only unpacked, where the users of this stack may not go."""
        shutil.copy(tool("nginx"), folder + "/nginx-program")
        script = (ROOT / "configs/full-stack/nginx.sh").read_text()
        self.assertIn("/usr/sbin/nginx", script)
        pathlib.Path(folder, "nginx.sh").write_text(script.replace("/usr/sbin/nginx", folder + "/nginx-program"))

    def ends_whole(self, daemon):
        super().ends_whole(daemon)
        left = [path.name for path in pathlib.Path(daemon.directory, "nginx").glob("*.pid")]
        self.assertEqual(left, [], "nginx was not ended in its own way")

    def logs(self, daemon):
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-1500:]}"
                         for path in pathlib.Path(daemon.directory).glob("*.log") if path.name != "circusd.log")

    def gauge(self, daemon, watcher, name):
        return daemon.client.ok("gauge", watcher=watcher)["gauges"].get(name, {}).get("value")

    def wait_workers(self, daemon, fits, what):
        wait_until(lambda: fits(len(daemon.pids("web"))), 100, lambda: f"{what}: {daemon.pids('web')}\n" + daemon.client.ok(
            "autoscale", action="explain", name="web")["explanation"] + daemon.log_tail())

    def no_failure(self, users, daemon, more_than):
        failed = users.stop()
        self.assertEqual(failed, {}, self.logs(daemon))
        self.assertGreater(users.requests, more_than)

    def test_EachIsStartedWhenWhatItNeedsIsReadyAndStoppedAfterWhoNeedsIt(self):
        daemon, front, _ = self.run_stack()
        names = ("redis", "memcached", "web", "nginx")
        events = {name: daemon.new_events(name) for name in names}
        daemon.client.ok("stop", waiting=True)
        stopped = {name: events[name].wait_for(name, "stop")[0]["time"] for name in names}
        self.assertLess(stopped["nginx"], stopped["web"])
        self.assertLess(stopped["web"], min(stopped["redis"], stopped["memcached"]))
        for each in events.values():
            each.clear()
        daemon.client.ok("start", waiting=True)
        ready = {name: events[name].wait_for(name, "ready")[0]["time"] for name in names}
        spawned = {name: events[name].of(name, "spawn")[0]["time"] for name in names}
        self.assertLessEqual(max(ready["redis"], ready["memcached"]), spawned["web"])
        self.assertLessEqual(ready["web"], spawned["nginx"])
        self.assertIn("visitor ", self.fetch(front))
        self.ends_whole(daemon)

    def test_ItIsReloadedUnderLoadWithoutAFailedRequest(self):
        daemon, front, _ = self.run_stack()
        self.reload_under_load(daemon, front)
        self.ends_whole(daemon)

    def reload_under_load(self, daemon, front):
        before = {name: daemon.pids(name) for name in ("redis", "memcached", "web", "nginx")}
        with Users(front, USERS, daemon.directory) as users:
            for name in ("web", "nginx"):
                daemon.client.ask("reload", name=name, waiting=True, patience=60)
            # Redis and memcached too, one process after the other: the application waits for them.
            answer = daemon.client.ask("reload", waiting=True, patience=90)
            self.assertEqual(answer["status"], "ok", answer)
            for name, pids in before.items():
                self.assertFalse(set(pids) & set(daemon.pids(name)), name)
            self.no_failure(users, daemon, 2 * USERS)

    def test_ItIsScaledUnderLoadWithoutAFailedRequest(self):
        daemon, front, _ = self.run_stack()
        ask = daemon.client.ok
        with Users(front, USERS, daemon.directory) as users:
            self.wait_workers(daemon, lambda count: count >= 5, "the autoscaler makes it more")
            ask("autoscale", action="set", name="web", max=3)
            self.wait_workers(daemon, lambda count: count == 3, "the autoscaler makes it fewer")
            ask("autoscale", action="pause", name="web")
            self.assertEqual(ask("incr", name="web", nb=3, waiting=True)["numprocesses"], 6)
            daemon.wait_active("web", 6, PATIENCE * 2)
            self.assertEqual(ask("decr", name="web", nb=4, waiting=True)["numprocesses"], 2)
            daemon.wait_active("web", 2, PATIENCE * 2)
            self.no_failure(users, daemon, 2 * USERS)
        self.ends_whole(daemon)

    def test_TheObserversSayHowItIsAndARedisThatHangsIsReplaced(self):
        daemon, front, _ = self.run_stack()
        self.fetch(front)
        wait_until(lambda: self.gauge(daemon, "nginx", "http_observer.up") == 1, 30, lambda: daemon.log_tail())
        wait_until(lambda: self.gauge(daemon, "redis", "redis_observer.up") == 1, 30, lambda: daemon.log_tail())
        wait_until(lambda: (self.gauge(daemon, "redis", "redis_observer.keys") or 0) >= 1, 30)
        hanging = daemon.pids("redis")[0]
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: daemon.pids("redis") and hanging not in daemon.pids("redis"), 90, lambda: daemon.log_tail())
        wait_until(lambda: self.gauge(daemon, "redis", "redis_observer.up") == 1, 30, lambda: daemon.log_tail())
        self.assertIn("visitor ", self.fetch(front))
        self.ends_whole(daemon)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be another user")
    def test_AnybodyMayRunIt(self):
        daemon, front, _ = self.run_stack(AsUser)
        self.assertIn("visitor ", self.fetch(front))
        self.reload_under_load(daemon, front)
        self.ends_whole(daemon)

    def test_ThePortsThatAreShippedPassTheCheck(self):
        lines = (ROOT / "configs/full-stack/ports.env").read_text().split()
        check = subprocess.run([CIRCUSD, "--check", "configs/full-stack.toml"], cwd=ROOT, capture_output=True, text=True,
                               env=dict(line.split("=") for line in lines), timeout=30, check=False)
        self.assertEqual((check.returncode, check.stderr), (0, ""))


@unittest.skipUnless(importlib.util.find_spec("django") and not {"chaussette", "wsgi_load"} & set(MISSING),
                     "needs python3-django, chaussette and the built wsgi_load")
class Django(Shipped):
    def run_site(self):
        port = free_port()
        daemon = self.run_shipped("django/django.toml", {"WEB_PORT": str(port)}, text=lambda text: text.replace(
            "port = 8080", f"port = {port}").replace("configs/run/", "@DIR@/"))
        daemon.wait_active("web", 4, 60)
        return daemon, port

    def test_ItServesAndIsReloadedUnderLoadWithoutAFailedRequest(self):
        daemon, port = self.run_site()
        before = daemon.pids("web")
        answer = json.loads(self.fetch(port))
        self.assertIn(answer["process"], before)
        with Users(port, 4, daemon.directory) as users:
            users.wait_more(4)
            daemon.client.ask("reload", name="web", waiting=True, patience=60)
            self.assertFalse(set(before) & set(daemon.pids("web")))
            wait_until(lambda: json.loads(self.fetch(port))["process"] not in before)
            self.assertEqual(users.stop(), {})
        self.ends_whole(daemon)

    def test_ASiteThatDoesNotPassItsCheckIsNotStarted(self):
        daemon = self.run_shipped("django/django.toml", {"WEB_PORT": "0"}, text=lambda text: text.replace(
            "port = 8080", "port = 0").replace("configs/run/", "@DIR@/").replace(
                "/usr/bin/python3 -B", "/usr/bin/env DJANGO_SETTINGS_MODULE=nowhere /usr/bin/python3 -B"))
        daemon.ports = []
        wait_until(lambda: "before_start" in daemon.log(), 30, lambda: daemon.log_tail())
        wait_until(lambda: daemon.status("web") == "stopped", 30, lambda: daemon.log_tail())
        self.assertEqual(daemon.pids("web"), [])


@unittest.skipIf({"chaussette", "wsgi_load"} & set(MISSING), "needs chaussette and the built wsgi_load")
class Backends(ContractCase):
    """What configs/app/serve.py makes of Chaussette: a worker that is told to end answers what it has accepted first."""

    limit = 270

    def test_NoRequestFailsWhenAWorkerOfWsgirefIsToldToEnd(self):
        self.each_is_told_to_end("wsgiref")

    @unittest.skipUnless(importlib.util.find_spec("waitress"), "needs python3-waitress")
    def test_NoRequestFailsWhenAWorkerOfWaitressIsToldToEnd(self):
        self.each_is_told_to_end("waitress")

    @unittest.skipUnless(importlib.util.find_spec("gevent"), "needs python3-gevent")
    def test_NoRequestFailsWhenAWorkerOfGeventIsToldToEnd(self):
        self.each_is_told_to_end("gevent", "--spawn 100 --graceful-timeout 20")

    def each_is_told_to_end(self, backend, more=""):
        for options in ("", "so_reuseport = true"):
            with self.subTest(options):
                self.each_ends(backend, more, options)

    def each_ends(self, backend, more, options):
        daemon = self.run_daemon(f"""
[socket.door]
host = "127.0.0.1"
port = 0
{options}

[watcher.web]
cmd = "/usr/bin/python3 serve.py --fd $(circus.sockets.door) --backend {backend} {more} --log-level error work:application"
working_dir = "{ROOT}/configs/app"
use_sockets = true
numprocesses = 3
ready = "notify"
graceful_timeout = 30
stdout_stream.class = "QueueStream"
stderr_stream.class = "QueueStream"
""")
        before = daemon.wait_active("web", 3, 60)
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        with Users(port, 6, daemon.directory) as users:
            for pid in before:
                users.wait_more(6)
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda pid=pid: not is_running(pid), 60)
                daemon.wait_active("web", 3, 60)
            self.assertEqual(users.stop(), {}, daemon.log_tail())
            self.assertGreater(users.requests, 6)
        self.assertEqual(daemon.terminate(60), 0)


if __name__ == "__main__":
    main()
