"""Circus's own Python tools, unchanged, against this circusd: CircusClient, AsyncCircusClient, CircusConsumer,
circusctl, circus-top, circus-plugin and the plugins. They come from CIRCUS_SRC (circus_source.py).
"""
import concurrent.futures
import contextlib
import fcntl
import http.server
import itertools
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
import unittest

from circus_source import SOURCE, CircusCase, circus, python
from harness import BUILD, PATIENCE, free_port, main_or_skipped, quoted, wait_quietly, wait_until


class CircusClientTest(CircusCase):
    def client(self):
        module = circus("circus.client")
        client = module.CircusClient(endpoint=self.daemon.endpoint, timeout=PATIENCE)
        self.addCleanup(client.stop)
        return client, module

    def test_ItIsAnsweredInCircussFields(self):
        circus("circus.client")
        self.start_stack()
        client, _ = self.client()
        self.daemon.wait_active("web", 2)
        self.assertEqual(client.send_message("list")["watchers"], ["later", "single", "web"])
        self.assertEqual(client.send_message("status")["statuses"],
                         {"Web": "active", "single": "active", "later": "stopped"})
        self.assertEqual(client.send_message("status", name="web")["status"], "active")
        self.assertEqual(client.send_message("numwatchers")["numwatchers"], 3)
        self.assertEqual(client.call({"command": "numprocesses", "properties": {"name": "WEB"}})["numprocesses"], 2)
        self.assertEqual(client.send_message("incr", name="web", nb=2, waiting=True)["numprocesses"], 4)
        self.assertEqual(len(client.send_message("list", name="web")["pids"]), 4)
        self.assertTrue(client.send_message("incr", name="single")["singleton"])
        answer = client.send_message("set", name="web", options={"numprocesses": 1}, waiting=True)
        self.assertEqual(answer["status"], "ok")
        self.assertEqual(client.send_message("get", name="web", keys=["numprocesses"])["options"], {"numprocesses": 1})

    def test_ErrorsAreAnswersWithCircussNumbers(self):
        circus("circus.client")
        self.start_stack()
        client, _ = self.client()
        for message, errno in (({"command": "status", "properties": {"name": "nobody"}}, 3),
                               ({"command": "nosuch"}, 2), ({"command": "incr"}, 3)):
            answer = client.call(dict(message))
            self.assertEqual((answer["status"], answer["errno"]), ("error", errno), answer)

    def test_AnEndpointThatIsSilentIsACallError(self):
        module = circus("circus.client")
        client = module.CircusClient(endpoint=f"tcp://127.0.0.1:{free_port()}", timeout=0.2)
        self.addCleanup(client.stop)
        with self.assertRaises(circus("circus.exc").CallError):
            client.send_message("list")

    def test_TheAsynchronousClientCallsOnItsLoop(self):
        module = circus("circus.client")
        self.start_stack()
        loop = circus("tornado.ioloop").IOLoop.current()
        client = module.AsyncCircusClient(endpoint=self.daemon.endpoint)
        self.addCleanup(client.stop)
        # pyzmq 24 gives up a future of tornado's coroutines when the stream's callback sets it twice; one at a time.
        for command, field in (("list", "watchers"), ("numwatchers", "numwatchers"), ("status", "statuses")):
            answer = loop.run_sync(lambda command=command: client.send_message(command), timeout=PATIENCE)
            self.assertIn(field, answer)
        answer = loop.run_sync(lambda: client.send_message("restart", name="web", waiting=True), timeout=PATIENCE)
        self.assertEqual(len(answer["info"]["started"]), 2, answer)

    def test_TwentyAsynchronousClientsShareALoop(self):
        module = circus("circus.client")
        multi = circus("tornado.gen").multi
        self.start_stack()
        self.daemon.wait_active("web", 2)
        loop = circus("tornado.ioloop").IOLoop.current()
        clients = [module.AsyncCircusClient(endpoint=self.daemon.endpoint) for _ in range(20)]
        for client in clients:
            self.addCleanup(client.stop)

        async def together():
            first = await multi([client.send_message("incr", name="web", waiting=True) for client in clients])
            return first, await multi([client.send_message("list", name="web") for client in clients])
        first, second = loop.run_sync(together, timeout=PATIENCE * 2)
        self.assertEqual({answer["status"] for answer in first}, {"ok"})
        self.assertEqual(max(answer["numprocesses"] for answer in first), 22)
        self.assertEqual({len(answer["pids"]) for answer in second}, {22})

    def test_TheConsumerReadsTopicsAndPayloads(self):
        module = circus("circus.consumer")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        events = self.daemon.new_events("web")
        consumer = module.CircusConsumer(["watcher.web."], endpoint=self.daemon.pubsub)
        self.addCleanup(consumer.stop)
        messages = iter(consumer)
        # Subscribed when something comes: ask until then.
        seen = []
        wait_until(lambda: self.daemon.client.ok("set", name="web", options={"graceful_timeout": 30}) and
                   consumer.pubsub_socket.poll(50))
        self.daemon.client.ok("incr", name="web", waiting=True)
        while not seen or not seen[-1][0].endswith(b".spawn"):
            seen.append(next(messages))
        topic, payload = seen[-1]
        self.assertEqual(topic, b"watcher.web.spawn")
        self.assertIn(json.loads(payload)["process_pid"], self.daemon.pids("web"))
        self.assertTrue(events.wait_for("web", "spawn"))

    def test_ACastIsDoneAndNotAnswered(self):
        module = circus("circus.client")
        self.start_stack()
        client, _ = self.client()
        self.daemon.wait_active("web", 2)
        client.socket.send_json(module.cast_message("incr", name="web", nb=2))
        self.assertEqual(self.daemon.wait_active("web", 4), client.send_message("list", name="web")["pids"])


class CircusctlTest(CircusCase):
    def test_EveryQueryLooksAsOurCircusctlPrintsIt(self):
        circus("circus.circusctl")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        for line in ("list", "list web", "status", "status single", "numwatchers", "numprocesses", "numprocesses web",
                     "options web", "get web numprocesses cmd env", "globaloptions", "globaloptions endpoint",
                     "listsockets", "list nobody", "get web nosuch"):
            with self.subTest(line):
                code, out, err = self.circusctl(*line.split())
                our_code, our_out, our_err = self.ours(*line.split())
                self.assertEqual((code, sorted(out.splitlines()), err),
                                 (our_code, sorted(our_out.splitlines()), our_err))
        # Circus's prints "error" alone here: it shows the field status of whatever the answer is.
        self.assertEqual(self.circusctl("status", "nobody"), (3, "", "error\n"))

    def test_FiguresHaveTheSameShape(self):
        circus("circus.circusctl")
        self.start_stack()
        pids = self.daemon.wait_active("web", 2)
        figures = r"\S+ \S+ -?\d+ [\d.]+[BKMG] [\d.]+[BKMG] [\d.]+ [\d.]+ \d+:\d\d\.\d+"
        for line, shape in (("stats web", f"web:\n({pids[0]}|{pids[1]}): \\d+  {figures}\n"),
                            (f"stats web {pids[0]}", f"{pids[0]}: {pids[0]}  {figures}\n\n"),
                            ("dstats", f"Main Process:\n    \\d+  {figures}\n")):
            for run in (self.circusctl, self.ours):
                code, out, err = run(*line.split())
                self.assertEqual((code, err), (0, ""), line)
                self.assertRegex(out, "^" + shape)
        code, out, err = self.circusctl("stats")
        self.assertEqual((code, err), (0, ""))
        for name in ("Web:", "single:", "later:"):
            self.assertIn(name + "\n", out)

    def test_EveryChangeIsDone(self):
        circus("circus.circusctl")
        self.start_stack()
        first = self.daemon.wait_active("web", 2)
        self.assertEqual(self.circusctl("incr", "web", "2", "--waiting"), (0, "4\n", ""))
        self.assertEqual(self.circusctl("decr", "web", "--waiting"), (0, "3\n", ""))
        self.assertEqual(self.circusctl("incr", "single")[1],
                         "This watcher is a Singleton - not changing the number of processes\n")
        self.assertEqual(self.circusctl("set", "web", "numprocesses", "2", "stop_signal", "TERM", "--waiting"),
                         (0, "ok\n", ""))
        for line in ("reload web --waiting", "reload web --sequential --waiting", "restart web --waiting",
                     "reload web --terminate --waiting", "stop web --waiting", "start w* --waiting",
                     "kill web --signum TERM --graceful_timeout 5", "start later --waiting",
                     "add job sleep 1000 --start", "signal web HUP", "rm job"):
            with self.subTest(line):
                self.assertEqual(self.circusctl(*line.split()), (0, "ok\n", ""))
        wait_until(lambda: len(self.daemon.pids("web")) == 2 and not set(first) & set(self.daemon.pids("web")))
        self.assertEqual(self.daemon.status("later"), "active")
        self.assertEqual(self.circusctl("quit", "--waiting"), (0, "ok\n", ""))
        self.assertEqual(self.daemon.wait_end(), 0)

    def test_TheShellReadsCommandsUntilItsInputEnds(self):
        circus("circus.circusctl")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        shell = python("from circus.circusctl import main; main()", "--endpoint", self.daemon.endpoint,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.helpers.append(shell)
        out, _ = shell.communicate("numprocesses web\nlist\nincr web\n", timeout=PATIENCE * 4)
        self.assertEqual(shell.returncode, 0)
        for line in ("Web: active", "later: stopped", "2", "later,single,web", "ok"):
            self.assertIn(line, out)
        self.daemon.wait_active("web", 3)

    def test_JsonIsWhatOursPrints(self):
        circus("circus.circusctl")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        for line in ("list", "options web", "listsockets"):
            theirs = json.loads(self.circusctl("--json", *line.split())[1])
            ours = json.loads(self.ours("--json", *line.split())[1])
            for answer in (theirs, ours):
                answer.pop("id"), answer.pop("time")
            self.assertEqual(theirs, ours, line)

    def test_ListenPrintsEvents(self):
        circus("circus.circusctl")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        self.helper("from circus.circusctl import main; main()", "--endpoint", self.daemon.pubsub, "listen",
                    "watcher.web.", log="listen.txt")

        def printed():
            self.daemon.client.ok("set", name="web", options={"graceful_timeout": 30})
            return "watcher.web.updated" in self.text_of("listen.txt")
        wait_until(printed)


class Failing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)

    def log_message(self, *_):
        pass


class PluginsTest(CircusCase):
    """Circus's plugins, from outside: they find their way by endpoint and pubsub endpoint."""

    def run_plugin(self, name, before="", **config):
        module, _, factory = name.rpartition(".")
        if not hasattr(circus(module), factory):
            raise unittest.SkipTest(f"{module} of CIRCUS_SRC has no {factory}")
        plugin = self.helper(before + "from circus import plugins; plugins.main()", "--endpoint", self.daemon.endpoint,
                             "--pubsub", self.daemon.pubsub, "--check-delay", "1", "--config",
                             ":::".join(f"{key}:{value}" for key, value in config.items()), name, log="plugin.log")
        wait_until(lambda: "Starting" in self.plugin_log() or plugin.poll() is not None, what=self.plugin_log)
        self.assertIsNone(plugin.poll(), self.plugin_log())
        return plugin

    def plugin_log(self):
        return self.text_of("plugin.log")

    def test_FlappingStopsAWatcherThatDiesAgainAndAgain(self):
        circus("circus.plugins.flapping")
        self.start_stack('[watcher.crash]\ncmd = "false"\nmax_backoff = 0.1\nautostart = false\n'
                         '[watcher.calm]\ncmd = "sleep 3600"\n')
        self.run_plugin("circus.plugins.flapping.Flapping", attempts=2, window=5, retry_in=0.2, max_retry=1)

        def flaps():
            # Until the plugin has subscribed nobody sees the deaths.
            if "flapping detected" not in self.plugin_log() and self.daemon.status("crash") == "stopped":
                self.daemon.client.ok("start", name="crash")
            return "flapping detected: retry" in self.plugin_log()
        wait_until(flaps, what=self.plugin_log)
        wait_until(lambda: "reached max retry limit" in self.plugin_log(), what=self.plugin_log)
        wait_until(lambda: self.daemon.status("crash") == "stopped")
        self.assertEqual(self.daemon.status("calm"), "active")

    def test_TheWatchdogKillsWorkersWithoutAHeartbeat(self):
        circus("circus.plugins.watchdog")
        self.start_stack()
        before = self.daemon.wait_active("single", 1)
        self.run_plugin("circus.plugins.watchdog.WatchDog", loop_rate=0.1, max_count=1, watchers_regex="^single$",
                        port=free_port(), watchers_graceful_timeout=5)
        wait_until(lambda: self.daemon.pids("single") and self.daemon.pids("single") != before, what=self.plugin_log)
        self.assertIn("is not responding", self.plugin_log())

    def test_TheResourceWatcherRestartsAboveItsLimit(self):
        circus("circus.plugins.resource_watcher")
        self.start_stack()
        before = self.daemon.wait_active("single", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
            statsd.bind(("127.0.0.1", 0))
            self.run_plugin("circus.plugins.resource_watcher.ResourceWatcher", watcher="single", loop_rate=0.1,
                            max_mem="1B", max_count=0, host="127.0.0.1", port=statsd.getsockname()[1])
            wait_until(lambda: self.daemon.pids("single") not in ([], before), what=self.plugin_log)

    def test_FullStatsSendsTheFiguresOfEveryWatcher(self):
        circus("circus.plugins.statsd")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
            statsd.bind(("127.0.0.1", 0))
            statsd.settimeout(PATIENCE)
            self.run_plugin("circus.plugins.statsd.FullStats", loop_rate=0.1, host="127.0.0.1",
                            port=statsd.getsockname()[1])
            wanted = {"Web.watchers_num:2", "later.watchers_num:0", "Web.mem_sum", "single.cpu_max"}
            deadline = time.monotonic() + PATIENCE
            while wanted:
                self.assertLess(time.monotonic(), deadline, f"{wanted}\n{self.plugin_log()}")
                packet = statsd.recv(1000).decode()
                self.assertRegex(packet, r"^circus\.app\.watcher\._stats\.\S+:[\d.]+\|g$")
                wanted = {one for one in wanted if f"_stats.{one}" not in packet}


    def test_TheStatsdEmitterCountsEvents(self):
        circus("circus.plugins.statsd")
        self.start_stack()
        self.daemon.wait_active("web", 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
            statsd.bind(("127.0.0.1", 0))
            statsd.setblocking(False)
            self.run_plugin("circus.plugins.statsd.StatsdEmitter", host="127.0.0.1", port=statsd.getsockname()[1],
                            application_name="mine")
            seen = set()

            def counted():
                self.daemon.client.ok("restart", name="single", waiting=True)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        seen.add(statsd.recv(1000).decode())
                events = ("kill", "reap", "stop", "spawn", "start")
                return seen >= {f"circus.mine.watcher.single.{event}:1|c" for event in events}
            wait_until(counted, what=lambda: f"{seen}\n{self.plugin_log()}")

    def test_TheCommandReloaderRestartsWhatWasWrittenAnew(self):
        circus("circus.plugins.command_reloader")
        # It looks at cmd of every watcher as a path.
        self.start_stack('[watcher.Job]\ncmd = "@DIR@/job"\n[watcher.other]\ncmd = "@DIR@/other"\n')
        paths = [os.path.join(self.daemon.directory, name) for name in ("job", "other")]
        for path in paths:
            with open(path, "w", encoding="utf-8") as script:
                script.write("#!/bin/sh\nexec sleep 3600\n")
            os.chmod(path, 0o755)
        for name in ("job", "other"):
            self.daemon.client.ok("start", name=name)
        before, other = (self.daemon.wait_active(name, 1) for name in ("job", "other"))
        self.run_plugin("circus.plugins.command_reloader.CommandReloader", loop_rate=1)
        stamps = itertools.count(1)

        def restarted():
            # A time that it has not seen yet: it compares from its second look on.
            os.utime(paths[0], (next(stamps), next(stamps)))
            return self.daemon.pids("job") not in ([], before)
        wait_until(restarted, what=self.plugin_log)
        self.assertIn(f"{paths[0]} modified. Restarting.", self.plugin_log())
        self.assertEqual(self.daemon.pids("other"), other)

    def test_TheHttpObserverRestartsWhenTheUrlFails(self):
        circus("circus.plugins.http_observer")
        self.start_stack()
        before = self.daemon.wait_active("single", 1)
        with http.server.HTTPServer(("127.0.0.1", 0), Failing) as broken, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd, \
                concurrent.futures.ThreadPoolExecutor() as threads:
            statsd.bind(("127.0.0.1", 0))
            statsd.settimeout(PATIENCE)
            threads.submit(broken.serve_forever)
            try:
                self.run_plugin("circus.plugins.http_observer.HttpObserver", before=TORNADO_4, loop_rate=0.2,
                                check_url=f"http://127.0.0.1:{broken.server_port}/", restart_on_error="single",
                                host="127.0.0.1", port=statsd.getsockname()[1])
                wait_until(lambda: self.daemon.pids("single") not in ([], before), what=self.plugin_log)
                self.assertEqual(statsd.recv(1000), b"circus.http_observer.watcher.http_stats.error:1|c")
            finally:
                broken.shutdown()

    def test_APluginRunsAsAWatcher(self):
        circus("circus.plugins.flapping")
        command = "from circus import plugins; plugins.main()"
        self.start_stack(f"""
            [watcher.guard]
            cmd = {quoted(sys.executable)}
            args = ["-W", "ignore", "-c", "{command}", "--endpoint", "ipc://@DIR@/endpoint",
                    "--pubsub", "ipc://@DIR@/pubsub", "--check-delay", "1",
                    "--config", "attempts:2:::window:60:::max_retry:0", "circus.plugins.flapping.Flapping"]
            env = {{PYTHONPATH = {quoted(SOURCE)}, PYTHONDONTWRITEBYTECODE = "1"}}
            singleton = true
            priority = 1
            [watcher.crash]
            cmd = "false"
            max_backoff = 0.1
            autostart = false
            """)
        plugin = self.daemon.wait_active("guard", 1)

        def stopped():
            self.daemon.client.ok("start", name="crash", waiting=True)
            return wait_quietly(lambda: self.daemon.status("crash") == "stopped", 1)
        wait_until(stopped, what=self.daemon.log_tail)
        self.assertEqual(self.daemon.pids("guard"), plugin)


# http_observer calls tornado's client as it was up to tornado 4 (a loop may be given) and 5 (a callback is).
TORNADO_4 = """
from tornado.ioloop import IOLoop
from circus.plugins import http_observer
Now = http_observer.AsyncHTTPClient
class Then:
    def __init__(self, io_loop=None):
        self.loop = io_loop or IOLoop.current()
    def fetch(self, url, callback, request_timeout):
        async def fetched():
            callback(await Now().fetch(url, request_timeout=request_timeout, raise_error=False))
        self.loop.spawn_callback(fetched)
http_observer.AsyncHTTPClient = Then
"""


class StatsTest(CircusCase):
    """What stands on stats_endpoint, as StatsClient and circus-top read it."""

    def setUp(self):
        super().setUp()
        if not (BUILD / "plugins/stats.so").exists():
            raise unittest.SkipTest("this build has no stats plugin, which publishes the figures at stats_endpoint")

    def test_TheStatsStreamIsReadByTopics(self):
        module = circus("circus.stats.client")
        self.start_stack()
        pids = self.daemon.wait_active("web", 2)
        client = module.StatsClient(endpoint=f"ipc://{self.daemon.directory}/stats")
        self.addCleanup(client.stop)
        wanted = {("web", str(pid)) for pid in pids} | {("web", None), ("circus", None), ("sockets", None)}
        deadline = time.monotonic() + PATIENCE
        for watcher, pid, figures in client:
            self.assertLess(time.monotonic(), deadline, wanted)
            if (watcher, pid) == ("web", None):
                self.assertEqual(sorted(figures), ["age", "cpu", "mem", "pid"])
                self.assertEqual(sorted(figures["pid"]), sorted(pids))
            elif watcher == "web":
                self.assertEqual((figures["pid"], figures["subtopic"], figures["name"]), (int(pid), int(pid), None))
            wanted -= {(watcher, pid)}
            if not wanted:
                break

    def test_CircusTopShowsEveryWatcher(self):
        circus("circus.stats.client")
        self.start_stack()
        pids = self.daemon.wait_active("web", 2)
        screen = top_of(self, f"ipc://{self.daemon.directory}/stats", [str(pid).encode() for pid in pids] + [b"single"])
        for text in (b"Circus Top", b"MEMORY (%)", b"(circusd)", b"ADDRESS"):
            self.assertIn(text, screen)


def top_of(case, endpoint, wanted):
    """What circus-top wrote on a terminal until all of `wanted` stood there."""
    ours, theirs = pty.openpty()
    case.addCleanup(os.close, ours)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    top = python("from circus.stats.client import main; main()", "--endpoint", endpoint, stdin=theirs, stdout=theirs,
                 stderr=theirs)
    os.close(theirs)
    case.helpers.append(top)
    screen = b""

    def shown():
        nonlocal screen
        if select.select([ours], [], [], 0)[0]:
            screen += os.read(ours, 65536)
        return all(text in screen for text in wanted)
    wait_until(shown, what=lambda: screen)
    return screen


if __name__ == "__main__":
    main_or_skipped()
