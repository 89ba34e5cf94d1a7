"""The plugin `metrics` against circusd, from outside: read by prometheus_client's parsers, by promtool, and scraped by
a Prometheus, which runs the dashboard's queries and the alert rules of docs/monitoring. In both modes.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as open_parser

from harness import BUILD, CIRCUSD, ROOT, ContractCase, free_port, main, wait_until
from tools import tool

MONITORING = ROOT / "docs/monitoring"
OPEN = "application/openmetrics-text; version=1.0.0"
SLEEPER = '"/bin/sleep 1000"'
ACCEPTOR = ("import socket, sys, threading\\ns = socket.socket(fileno=int(sys.argv[1]))\\ns.setblocking(True)\\n"
            "def keep(it):\\n    while it.recv(99):\\n        pass\\n    it.close()\\n"
            "while True:\\n    threading.Thread(target=keep, args=[s.accept()[0]]).start()")
SLOW = BUILD / "tests/plugins/so/sleeps.so"


needs_prometheus = unittest.skipUnless(tool("prometheus") and tool("promtool"),
                                       "there is no Prometheus here (configs/packages.sh test)")


class Page:
    """One scrape: its text, its families by name and its samples by name and labels."""

    def __init__(self, text, is_open):
        self.text = text
        parse = open_parser if is_open else text_parser
        self.families = {family.name: family for family in parse.text_string_to_metric_families(text)}
        self.samples = {(sample.name, frozenset(sample.labels.items())): sample.value
                        for family in self.families.values() for sample in family.samples}

    def value(self, name, **labels):
        """None: there is no such sample."""
        return self.samples.get((name, frozenset(labels.items())))

    def counters(self):
        return {key: value for key, value in self.samples.items()
                if key[0].endswith(("_total", "_bucket", "_count", "_sum"))}


class MetricsCase(ContractCase):
    isolate = False

    def run_with(self, config, options="", circus=""):
        daemon = self.run_daemon(config + f'''
[plugin.metrics]
use = "metrics"
isolate = {"true" if self.isolate else "false"}
listen = "127.0.0.1:0"
{options}
''', circus)
        daemon.metrics = wait_until(lambda: self.ports_told(daemon), what=daemon.log_tail)[-1]
        return daemon

    def ports_told(self, daemon):
        """One for each start of the plugin."""
        return [int(port) for port in re.findall(r"metrics at http://127\.0\.0\.1:(\d+)/metrics", daemon.log())]

    def fetch(self, daemon, accept=OPEN):
        """(the content's type, the text)."""
        request = urllib.request.Request(f"http://127.0.0.1:{daemon.metrics}/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.headers["Content-Type"], response.read().decode()

    def scrape(self, daemon):
        return Page(self.fetch(daemon)[1], True)

    def wait_value(self, daemon, wanted, name, **labels):
        """Waits until a page shows that value (a callable judges it); returns the page."""
        seen = []

        def shown():
            page = self.scrape(daemon)
            seen.append(page.value(name, **labels))
            good = wanted(seen[-1]) if callable(wanted) else seen[-1] == wanted
            return page if good else None
        return wait_until(shown, what=lambda: f"{name} {labels}: {seen[-5:]}\n{daemon.log_tail()}")


class Metrics(MetricsCase):
    def test_AnotherParserReadsBothFormatsAlike(self):
        daemon = self.run_with(f'[watcher."a b"]\ncmd = {SLEEPER}\nnumprocesses = 2\n'
                               '[socket.web]\nhost = "127.0.0.1"\nport = 0\n')
        daemon.wait_active("a b", 2)
        self.wait_value(daemon, 2, "circus_watcher_processes_running", watcher="a b")
        kind, text = self.fetch(daemon)
        self.assertEqual(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertTrue(text.endswith("# EOF\n"))
        page = Page(text, True)
        kind, text = self.fetch(daemon, "text/plain")
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        plain = Page(text, False)
        def keys(one):
            return {(name, tuple(sorted((label, value) for label, value in labels if label != "le")))
                    for name, labels in one.samples}
        self.assertEqual(keys(page), keys(plain))
        for family in page.families.values():
            self.assertRegex(family.name, r"^circus_[a-z_]+$")
            self.assertTrue(family.documentation, family.name)
            self.assertIn(family.type, {"counter", "gauge", "histogram"})

    def test_NoLabelGrowsWithTheProcesses(self):
        daemon = self.run_with(f"[watcher.web]\ncmd = {SLEEPER}\nnumprocesses = 2\n")
        daemon.wait_active("web", 2)
        before = self.wait_value(daemon, 2, "circus_watcher_processes_running", watcher="web")
        daemon.client.ok("incr", name="web", nb=10, waiting=True)
        after = self.wait_value(daemon, 12, "circus_watcher_processes_running", watcher="web")
        self.assertEqual(set(before.samples), set(after.samples))

    def test_EachReasonOfAReplacementIsCounted(self):
        daemon = self.run_with(f"[watcher.web]\ncmd = {SLEEPER}\nnumprocesses = 2\n")
        pids = daemon.wait_active("web", 2)
        os.kill(pids[0], signal.SIGKILL)
        labels = {"watcher": "web", "reason": "died"}
        self.wait_value(daemon, 1, "circus_watcher_restarts_total", **labels)
        daemon.wait_active("web", 2)
        for command, reason in (("reload", "reload"), ("restart", "restart"), ("kill", "kill")):
            daemon.client.ok(command, name="web", waiting=True)
            daemon.wait_active("web", 2)
            page = self.wait_value(daemon, 2, "circus_watcher_restarts_total", watcher="web", reason=reason)
        daemon.client.ok("decr", name="web", waiting=True)
        daemon.client.ok("stop", name="web", waiting=True)
        page = self.wait_value(daemon, 0, "circus_watcher_processes_running", watcher="web")
        counted = {reason: page.value("circus_watcher_restarts_total", watcher="web", reason=reason)
                   for reason in ("died", "reload", "restart", "kill", "memory", "not_ready", "max_age")}
        self.assertEqual(counted, {"died": 1, "reload": 2, "restart": 2, "kill": 2, "memory": 0, "not_ready": 0,
                                   "max_age": 0})
        self.assertEqual(page.value("circus_watcher_processes_wanted", watcher="web"), 0)
        self.assertEqual(page.value("circus_watcher_status", watcher="web", status="stopped"), 1)
        self.assertEqual(page.value("circus_watcher_deaths_total", watcher="web", cause="SIGKILL", asked="false"), 1)
        self.assertEqual(page.value("circus_watcher_deaths_total", watcher="web", cause="SIGTERM", asked="true"), 8)
        self.assertEqual(page.value("circus_watcher_spawns_total", watcher="web"), 9)

    def test_AWatcherThatGaveUpIsToldFromOneThatWasStopped(self):
        daemon = self.run_with(f'[watcher.web]\ncmd = {SLEEPER}\n'
                               '[watcher.off]\ncmd = "/nonexistent/program"\nmax_retry = 1\n')
        self.wait_value(daemon, 1, "circus_watcher_gave_up", watcher="off")
        self.assertIn("/nonexistent/program", daemon.client.ok("deaths", name="off")["deaths"][-1]["why"])
        self.assertIn("failed spawns", daemon.client.ok("figures")["watchers"]["off"]["gave_up"])
        daemon.client.ok("stop", name="web", waiting=True)
        daemon.kill_arbiter()
        daemon.metrics = wait_until(lambda: self.ports_told(daemon)[1:], what=daemon.log_tail)[-1]
        page = self.wait_value(daemon, 0, "circus_watcher_gave_up", watcher="web")
        self.assertEqual(page.value("circus_watcher_gave_up", watcher="off"), 1)
        daemon.client.ok("stop", name="off", waiting=True)
        self.wait_value(daemon, 0, "circus_watcher_gave_up", watcher="off")

    def test_OldAgeAndMemoryAreReasonsToo(self):
        daemon = self.run_with(f'''
[watcher.old]
cmd = {SLEEPER}
max_age = 1
max_age_variance = 0
[watcher.big]
cmd = "/usr/bin/python3"
args = ["-c", "import time; x = bytearray(80 << 20); time.sleep(1000)"]
memory_max = "40M"
''', circus="check_delay = 0.5\n")
        self.wait_value(daemon, lambda value: value, "circus_watcher_restarts_total", watcher="old", reason="max_age")
        self.wait_value(daemon, lambda value: value, "circus_watcher_restarts_total", watcher="big", reason="memory")

    def test_AProgramThatCannotBeStartedIsCounted(self):
        daemon = self.run_with('[watcher.none]\ncmd = "/does/not/exist"\nmax_retry = 2\nmax_backoff = 0.05\n')
        page = self.wait_value(daemon, 2, "circus_watcher_spawn_failures_total", watcher="none")
        self.assertEqual(page.value("circus_watcher_spawns_total", watcher="none"), 0)

    def test_TheTimeOfTheDeadIsKept(self):
        """A process burns half a second of cpu, says so and waits; then it is killed."""
        burn = ("import time, pathlib\nwhile time.process_time() < 0.5: pass\n"
                "pathlib.Path('@DIR@/burnt').touch(); time.sleep(1000)")
        daemon = self.run_with(f'[watcher.hot]\ncmd = "/usr/bin/python3"\nargs = ["-c", {json.dumps(burn)}]\n')
        burnt = pathlib.Path(daemon.directory) / "burnt"
        wait_until(burnt.exists, 60)
        living = self.wait_value(daemon, lambda value: value >= 0.4,  # /proc has ticks
                                  "circus_watcher_cpu_seconds_total", watcher="hot")
        self.assertGreater(living.value("circus_watcher_resident_memory_bytes", watcher="hot"), 1 << 20)
        daemon.client.ok("stop", name="hot", waiting=True)
        dead = self.wait_value(daemon, 0, "circus_watcher_resident_memory_bytes", watcher="hot")
        self.assertGreaterEqual(dead.value("circus_watcher_cpu_seconds_total", watcher="hot"),
                                living.value("circus_watcher_cpu_seconds_total", watcher="hot"))

    def test_OutputIsCountedWhatIsDroppedToo(self):
        """What goes into a full disk is dropped once there is more of it than is kept."""
        daemon = self.run_with('''
[watcher.talks]
cmd = "/bin/sh -c 'printf %1000s; echo; echo error >&2; exec sleep 1000'"
stdout_stream = { class = "FileStream", filename = "@DIR@/out.log" }
stderr_stream = { class = "FileStream", filename = "@DIR@/err.log" }
[watcher.shouts]
cmd = "/bin/sh -c 'yes line | head -c 2000000; exec sleep 1000'"
stdout_stream = { class = "FileStream", filename = "/dev/full" }
''')
        self.wait_value(daemon, 1001, "circus_watcher_log_bytes_total", watcher="talks", stream="stdout")
        self.wait_value(daemon, 6, "circus_watcher_log_bytes_total", watcher="talks", stream="stderr")
        page = self.wait_value(daemon, 2000000, "circus_watcher_log_bytes_total", watcher="shouts", stream="stdout")
        dropped = page.value("circus_watcher_log_dropped_bytes_total", watcher="shouts", stream="stdout")
        self.assertGreater(dropped, 1000000)
        self.assertLess(dropped, 2000000)
        self.assertEqual(page.value("circus_watcher_log_dropped_bytes_total", watcher="talks", stream="stdout"), 0)

    @contextlib.contextmanager
    def visitors(self, daemon, count):
        """So many connections to the one socket there is, once its worker runs."""
        daemon.wait_active("web", 1)
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        with contextlib.ExitStack() as open_ones:
            for _ in range(count):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            yield

    def test_ASocketShowsWhoWaits(self):
        daemon = self.run_with(f'''
[socket.web]
host = "127.0.0.1"
port = 0
backlog = 16
[watcher.web]
cmd = {SLEEPER}
use_sockets = true
''')
        with self.visitors(daemon, 3):
            page = self.wait_value(daemon, 3, "circus_socket_queue_connections", socket="web")
            self.assertEqual(page.value("circus_socket_queue_limit_connections", socket="web"), 16)
            self.assertEqual(page.value("circus_socket_in_flight_connections", socket="web"), 0)
            figures = daemon.client.ok("listsockets", figures=True)["sockets"][0]["figures"]
            self.assertEqual(page.value("circus_socket_connections_total", socket="web"), figures["accepted"])

    def test_ASocketShowsWhoIsServed(self):
        daemon = self.run_with(f'''
[socket.web]
host = "127.0.0.1"
port = 0
[watcher.web]
cmd = "/usr/bin/python3 -c"
args = ["{ACCEPTOR}", "$(circus.sockets.web)"]
use_sockets = true
''')
        with self.visitors(daemon, 3):
            page = self.wait_value(daemon, 3, "circus_socket_in_flight_connections", socket="web")
            self.assertEqual(page.value("circus_socket_queue_connections", socket="web"), 0)
        self.wait_value(daemon, 0, "circus_socket_in_flight_connections", socket="web")

    def test_CountersOnlyGrowWhateverDies(self):
        daemon = self.run_with(f'''
[watcher.dies]
cmd = "/bin/sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 1'"
numprocesses = 3
max_backoff = 0.05
[watcher.web]
cmd = {SLEEPER}
''')
        last = {}
        seen = set()

        def grows():
            page = self.scrape(daemon)
            for key, value in page.counters().items():
                self.assertGreaterEqual(value, last.get(key, 0), f"{key} went back")
            last.update(page.counters())
            seen.add(page.text)
            return len(seen) >= 4
        wait_until(grows, 60)
        deaths = ("circus_watcher_deaths_total",
                  frozenset({"watcher": "dies", "cause": "exit 1", "asked": "false"}.items()))
        self.assertGreater(last[deaths], 0)
        # What circusd counts outlives the plugin.
        daemon.client.ok("plugin", name="metrics", action="restart", waiting=True)
        # The log is written a moment later.
        daemon.metrics = wait_until(lambda: self.ports_told(daemon)[1:], what=daemon.log_tail)[-1]
        again = self.wait_value(daemon, lambda value: value is not None, "circus_watcher_deaths_total",
                                watcher="dies", cause="exit 1", asked="false")
        for key, value in again.counters().items():
            if key[0].startswith(("circus_watcher_deaths", "circus_watcher_restarts", "circus_watcher_spawns",
                                  "circus_watcher_log", "circus_loop")):
                self.assertGreaterEqual(value, last[key], key)

    def test_WhatBecameOfProcessesIsCountedOnByTheNextArbiter(self):
        """With a process that has used CPU time before: what it used is not counted once more."""
        daemon = self.run_with(f'''
[watcher.busy]
cmd = "/usr/bin/python3"
args = ["-c", "import time\\nwhile time.process_time() < 0.5: pass\\ntime.sleep(1000)"]
[watcher.web]
cmd = {SLEEPER}
numprocesses = 2
''')
        os.kill(daemon.wait_active("web", 2)[0], signal.SIGKILL)
        self.wait_value(daemon, 1, "circus_watcher_restarts_total", watcher="web", reason="died")
        before = self.wait_value(daemon, lambda value: value and value >= 0.1, "circus_watcher_cpu_seconds_total",
                                 watcher="busy")
        daemon.client.ok("stop", name="busy", waiting=True)
        daemon.kill_arbiter()
        daemon.metrics = wait_until(lambda: self.ports_told(daemon)[1:], what=daemon.log_tail)[-1]
        after = self.wait_value(daemon, 2, "circus_watcher_processes_running", watcher="web")
        for key, value in before.counters().items():
            if key[0] in ("circus_watcher_spawns_total", "circus_watcher_restarts_total",
                          "circus_watcher_deaths_total"):
                self.assertGreaterEqual(after.samples[key], value, key)
        self.assertEqual(after.value("circus_watcher_restarts_total", watcher="web", reason="died"), 1)
        self.assertEqual(after.value("circus_watcher_deaths_total", watcher="busy", cause="SIGTERM", asked="true"), 1)
        cpu = after.value("circus_watcher_cpu_seconds_total", watcher="busy")
        [death] = daemon.client.ok("deaths", name="busy")["deaths"]
        self.assertAlmostEqual(cpu, death["cpu_user"] + death["cpu_system"], places=3)

    def test_CircusdAndItsPluginsAreShownToo(self):
        daemon = self.run_with(f"[watcher.web]\ncmd = {SLEEPER}\n[plugin.flapping]\nuse = \"flapping\"\n")
        page = self.wait_value(daemon, 1, "circus_plugin_active", plugin="flapping")
        for process, pid in (("keeper", daemon.keeper), ("arbiter", daemon.arbiter)):
            self.assertGreater(page.value("circus_daemon_resident_memory_bytes", process=process), 1 << 20)
            held = len(os.listdir(f"/proc/{pid}/fd"))
            self.assertLess(abs(page.value("circus_daemon_open_fds", process=process) - held), 20)
            self.assertIsNotNone(page.value("circus_daemon_cpu_seconds_total", process=process))
        self.assertGreater(page.value("circus_plugin_callbacks_total", plugin="metrics"), 0)
        self.assertGreater(page.value("circus_loop_turn_seconds_count"), 0)
        self.assertGreater(page.value("circus_loop_turn_seconds_sum"), 0)

    def test_WhatPluginsAndClientsSetIsShown(self):
        daemon = self.run_with(f"[watcher.Web]\ncmd = {SLEEPER}\n")
        daemon.client.ok("gauge", watcher="web", name="autoscaler.wanted.busy", value=4)
        daemon.client.ok("gauge", watcher="web", name="latency", value=0.25)
        page = self.wait_value(daemon, 0.25, "circus_gauge", watcher="Web", gauge="latency")
        self.assertEqual(page.value("circus_autoscaler_wanted_workers", watcher="Web", reason="busy"), 4)

    def test_ASlowTurnOfTheLoopIsSeen(self):
        """A plugin's command that takes 50 ms holds up the loop of the arbiter that it runs in."""
        daemon = self.run_with(f'[watcher.web]\ncmd = {SLEEPER}\n[plugin.slow]\nuse = "{SLOW}"\n')
        wait_until(lambda: daemon.client.ok("plugins")["plugins"]["slow"]["state"] == "active")
        daemon.client.ok("nap")

        def slow_turns():
            page = self.scrape(daemon)
            return (page.value("circus_loop_turn_seconds_count")
                    - page.value("circus_loop_turn_seconds_bucket", le="0.01"))
        wait_until(lambda: slow_turns() > 0, what=lambda: f"{slow_turns()}\n{daemon.log_tail()}")
        page = self.wait_value(daemon, lambda value: value > 0, "circus_plugin_slow_callbacks_total", plugin="slow")
        self.assertGreater(page.value("circus_plugin_callback_seconds_total", plugin="slow"), 0.01)

    def test_TheConsoleShowsThePageToWhoMayRead(self):
        port = free_port()
        console = (f'[plugin.console]\nuse = "console"\nlisten = "127.0.0.1:{port}"\n'
                   'read_token = "a-token-that-only-reads"\n')
        daemon = self.run_with(f"[watcher.web]\ncmd = {SLEEPER}\n{console}")
        wait_until(lambda: daemon.client.ok("plugins")["plugins"]["console"]["state"] == "active")

        def ask(**headers):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.headers["Content-Type"], response.read().decode()
        with self.assertRaises(urllib.error.HTTPError) as refused:
            ask()
        self.assertEqual(refused.exception.code, 401)
        refused.exception.close()
        kind, text = ask(Authorization="Bearer a-token-that-only-reads", Accept=OPEN)
        self.assertTrue(kind.startswith("application/openmetrics-text"), kind)
        self.assertEqual(Page(text, True).value("circus_watcher_processes_wanted", watcher="web"), 1)

    def test_AnAddressOfOtherMachinesIsRefusedUnlessItIsMeant(self):
        daemon = self.run_daemon('[plugin.metrics]\nuse = "metrics"\nlisten = "0.0.0.0:0"\n'
                                 f'isolate = {"true" if self.isolate else "false"}\n')
        shown = wait_until(lambda: daemon.client.ok("plugins")["plugins"]["metrics"].get("error"))
        self.assertIn("remote = true", shown)

    @needs_prometheus
    def test_PromtoolFindsNothingToSayOfThePage(self):
        daemon = self.run_with(stack_with_everything(), circus="check_delay = 1\n")
        page = self.eventful(daemon)
        _, text = self.fetch(daemon, "text/plain")
        self.assertIn("circus_watcher_deaths_total", page.text)
        check = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertEqual((check.returncode, check.stdout, check.stderr), (0, "", ""))

    def eventful(self, daemon):
        """Waits until something of everything has happened; returns the page."""
        daemon.wait_active("web", 1)
        return self.wait_value(daemon, lambda value: value, "circus_watcher_deaths_total", watcher="dies",
                               cause="exit 1", asked="false")


class MetricsIsolated(Metrics):
    isolate = True


def stack_with_everything():
    return f'''
[socket.web]
host = "127.0.0.1"
port = 0
[watcher.web]
cmd = {SLEEPER}
use_sockets = true
stdout_stream = {{ class = "QueueStream" }}
autoscale = {{ min = 1, max = 2 }}
[watcher.dies]
cmd = "/bin/sh -c 'exit 1'"
max_backoff = 1
[plugin.flapping]
use = "flapping"
[plugin.autoscaler]
use = "autoscaler"
'''


class Prometheus:
    """A server on loopback, in a folder of its own, that scrapes one page each second."""

    def __init__(self, port):
        self.folder = tempfile.mkdtemp(prefix="circus-prometheus-", dir="/tmp")
        self.port = free_port()
        config = (MONITORING / "prometheus.yml").read_text()
        assert "127.0.0.1:9464" in config and "scrape_interval: 15s" in config
        config = config.replace("127.0.0.1:9464", f"127.0.0.1:{port}").replace("scrape_interval: 15s",
                                                                                "scrape_interval: 1s")
        pathlib.Path(self.folder, "prometheus.yml").write_text("global:\n  evaluation_interval: 1s\n" + config)
        shutil.copy(MONITORING / "alerts.yml", self.folder)
        self.process = None

    def __enter__(self):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [tool("prometheus"), f"--config.file={self.folder}/prometheus.yml",
                 f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--log.level=warn"], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return pathlib.Path(self.folder, "log").read_text(errors="replace")

    def ask(self, path, **query):
        """The `data` of its answer; None: it does not answer yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=20) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{path} {query}: {error.read().decode()}") from None
        except OSError:
            assert self.process.poll() is None, self.log()
            return None

    def query(self, expression):
        found = self.ask("query", query=expression)
        return found["result"] if found else []


def dashboard_queries():
    """[(title, expression)] of the panels, and those of the variables by name."""
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    panels = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    variables = {each["name"]: each["query"]["query"] for each in dashboard["templating"]["list"]
                 if each["type"] == "query"}
    return panels, variables


def rules():
    """[(name, expression)]."""
    return re.findall(r"- alert: (\w+)\n\s+expr: (.*)", (MONITORING / "alerts.yml").read_text())


def names_in(expression):
    return set(re.findall(r"\bcircus_\w+", expression))


class Monitoring(MetricsCase):
    """What is in docs/monitoring, against a real Prometheus."""

    @needs_prometheus
    def test_PrometheusScrapesAndEveryQueryOfTheDashboardAndEveryAlertRuns(self):
        daemon = self.run_with(stack_with_everything())
        with Prometheus(daemon.metrics) as server:
            # Rates need two scrapes, of which the first has the death already.
            self.wait_value(daemon, lambda value: value is not None, "circus_autoscaler_wanted_workers", watcher="web",
                            reason="busy")
            wait_until(lambda: server.query('circus_autoscaler_wanted_workers') and server.query(
                                            'min_over_time(circus_watcher_deaths_total{watcher="dies"}[1h]) > 0 and '
                                            'count_over_time(circus_watcher_deaths_total[1h]) > 3'), 60,
                       lambda: f"scrapes\n{server.log()}\n{daemon.log_tail()}")
            targets = server.ask("targets")["activeTargets"]
            self.assertEqual([(each["health"], each["lastError"]) for each in targets], [("up", "")])
            metadata = server.ask("metadata")
            page = self.scrape(daemon)
            for family in page.families.values():
                self.assertIn(family.name, {name.removesuffix("_total") for name in metadata}, "known to Prometheus")
            self.check_queries(server, page)
            self.check_rules(server, page)

    def exposed(self, page):
        return {name for name, _ in page.samples}

    def check_queries(self, server, page):
        exposed = self.exposed(page)
        panels, variables = dashboard_queries()
        self.assertGreater(len(panels), 20)
        for expression in variables.values():
            self.assertLessEqual(names_in(expression), exposed)
        may_be_absent = set()
        if page.value("circus_socket_connections_total", socket="web") is None:  # bpf(2) is not permitted here
            may_be_absent.add("circus_socket_connections_total")
        for title, expression in panels:
            with self.subTest(title, expression=expression):
                self.assertLessEqual(names_in(expression), exposed | may_be_absent)
                self.assertTrue(names_in(expression))
                written = expression.replace("$__rate_interval", "1m")
                for name in variables:
                    written = written.replace("$" + name, ".*")
                self.assertNotIn("$", written)
                found = server.query(written)
                is_filter = re.search(r"(==|[<>]) \d", written)
                if not is_filter and not names_in(expression) & may_be_absent:
                    self.assertTrue(found, f"{written} finds nothing")

    def check_rules(self, server, page):
        written = dict(rules())
        self.assertGreater(len(written), 8)
        for name, expression in written.items():
            self.assertLessEqual(names_in(expression), self.exposed(page) | {"circus_socket_connections_total"}, name)

        def evaluated():
            groups = server.ask("rules")["groups"]
            loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
            self.assertEqual(set(loaded), set(written))
            return loaded if all(rule["health"] != "unknown" for rule in loaded.values()) else None
        for name, rule in wait_until(evaluated, 60).items():
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), name)

    def test_TheExampleIsAGoodConfiguration(self):
        check = subprocess.run([CIRCUSD, "--check", "configs/monitored.toml"], cwd=ROOT, capture_output=True, text=True,
                               timeout=30, check=False)
        self.assertEqual((check.returncode, check.stderr), (0, ""))

    @needs_prometheus
    def test_PromtoolAcceptsRulesAndConfiguration(self):
        for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"],
                          ["check", "config", "prometheus.yml"]):
            check = subprocess.run([tool("promtool"), *arguments], cwd=MONITORING, capture_output=True, text=True,
                                   timeout=60, check=False)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
            self.assertIn("SUCCESS", check.stdout)


if __name__ == "__main__":
    main()
