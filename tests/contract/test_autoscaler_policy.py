"""What the autoscaler decides by itself about real processes: nobody sets anything while it does.

Workers go when load falls, by the policy's own windows, while requests go on and none fails, however long one takes; and
the signals beside the load: CPU, memory, the latency that http_observer measures. What the workers are, and what a failed
request is, is test_autoscaler.py's.
"""
import importlib.util
import shutil
import socket

from harness import holds_for, main, wait_until
from test_autoscaler import APPLICATION, PATIENT, SERVER, AutoscalerCase, Load
from test_shipped_plugins import PYTHON, plugin

TCP = 'host = "127.0.0.1"\nport = 0\n'
SOCKETS = {"shared": TCP, "unix": 'path = "@DIR@/unix.sock"\n', "reuseport": TCP + "so_reuseport = true\n",
           "steered": TCP + 'so_reuseport = true\nsteering = "least_loaded"\n'}
HAS_CHAUSSETTE = importlib.util.find_spec("chaussette") and shutil.which("chaussette")
CHAUSSETTE = "/usr/bin/chaussette --fd $(circus.sockets.{name}) --backend wsgiref application.application"
OWN = PYTHON + " @DIR@/server.py $(circus.sockets.{name})"

# Longer requests: a user keeps a worker busy, and the machine is not.
SLOWER = {"server.py": SERVER.replace("0.03", "0.1"), "application.py": APPLICATION.replace("0.03", "0.1")}

# Fewer than 2 are never wanted, however slow the user is on a loaded machine.
WATCHER = """
[socket.{name}]
{socket}blocking = true

[watcher.{name}]
cmd = "{command}"
working_dir = "@DIR@"
env = {{PYTHONPATH = "@DIR@"}}
use_sockets = true
numprocesses = 4
autoscale = {{min = 2, max = 4, down_window = 5, boot_time = 0.5}}
"""

# Is ready when it has what it holds: 30 MiB, and what Python takes.
HOLDER = """
import os, socket, time
held = b"x" * (30 << 20)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as arbiter:
    arbiter.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
while True:
    time.sleep(1000)
"""

# Takes its time for a request, and says when it can be asked.
READY_SERVER = """
import os
import socket as sockets
with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as arbiter:
    arbiter.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
""" + SERVER.replace("0.03", "0.3")

EATER = """
import time
while True:
    sum(range(100000))
    time.sleep(0.002)
"""


class PolicyCase(AutoscalerCase):
    def decisions(self, daemon, name="web"):
        return daemon.client.ok("autoscale", action="explain", name=name, decisions=True)["decisions"]

    def wait_decision(self, daemon, condition, name="web"):
        """The first of the kept decisions that is so."""
        return wait_until(lambda: next((each for each in self.decisions(daemon, name) if condition(each)), None), PATIENT,
                          lambda: f"{self.decisions(daemon, name)[-1:]}\n{daemon.log_tail()}", pause=0.05)

    def new_events(self, daemon, name="web"):
        events = daemon.new_events(name)
        self.addCleanup(events.close)
        return events

    def changes(self, events, name="web"):
        return [(each["from"], each["to"]) for each in events.of(name, "autoscale") if not each["dry_run"]]


class WhenLoadFalls(PolicyCase):
    """Every kind of socket at once: the policy takes its time, a tenth of the fleet each 10 s."""

    def stack(self):
        def command(name):
            return (CHAUSSETTE if name == "shared" and HAS_CHAUSSETTE else OWN).format(name=name)
        daemon = self.run_with("".join(WATCHER.format(name=name, socket=socket, command=command(name))
                                       for name, socket in SOCKETS.items()), "autoscaler", files=SLOWER)
        for name in SOCKETS:  # until there is load: nobody is to go before
            wait_until(lambda name=name: daemon.client.ask("autoscale", action="pause", name=name)["status"] == "ok")
        return daemon

    def loads(self, daemon):
        """Three users of each socket, whom the autoscaler has seen."""
        loads = {}
        for name in SOCKETS:
            loads[name] = Load(*self.socket_of(daemon, name), users=3)
            self.addCleanup(loads[name].stop)
        for name in SOCKETS:
            self.wait_decision(daemon, lambda each: each["wishes"].get("busy", 0) >= 4, name)
        return loads

    def test_IdleWorkersAreRetiredByThePolicyAndNoRequestFails(self):
        daemon = self.stack()
        events = self.new_events(daemon, "shared")
        loads = self.loads(daemon)
        for name, load in loads.items():
            load.ask_with(1)
            daemon.client.ok("autoscale", action="resume", name=name)
        for name in SOCKETS:
            self.wait_count(daemon, 2, name)
        counts = {name: load.count for name, load in loads.items()}
        for name, load in loads.items():
            wait_until(lambda name=name, load=load: load.count > counts[name] + 5, PATIENT, daemon.log_tail)
            with self.subTest(name):
                self.assertEqual(self.changes(events, name), [(4, 3), (3, 2)])
                self.assertEqual(sorted(self.wid_of(daemon, name)), [1, 2])
        # And back, when there are more users again.
        for load in loads.values():
            load.ask_with(3)
        for name in SOCKETS:
            self.wait_count(daemon, 4, name)
        for name, load in loads.items():
            load.stop()
            self.assertEqual(load.failures, [], name)


class LongRequests(PolicyCase):
    def test_ARequestThatTakesLongerThanTheDrainIsNotCutByAShrinkOfThePolicy(self):
        """Two clients have a worker each, and what they have to say comes late; the policy wants one worker."""
        daemon = self.scaled(f"""
[socket.door]
host = "127.0.0.1"
port = 0
blocking = true

[watcher.web]
cmd = "{PYTHON} @DIR@/server.py $(circus.sockets.door)"
use_sockets = true
numprocesses = 2
autoscale = {{min = 1, max = 2, concurrency = 4, down_window = 1, boot_time = 0.5, drain = 0.5, dry_run = true}}
""")
        daemon.wait_active("web", 2)
        address, _ = self.socket_of(daemon)

        def count():
            return daemon.client.ok("get", name="web", keys=["numprocesses"])["options"]["numprocesses"]
        with socket.create_connection(address, 30) as first, socket.create_connection(address, 30) as second:
            wait_until(lambda: daemon.client.ok("listsockets", figures=True)["sockets"][0]["figures"]["in_flight"] == 2)
            daemon.client.ok("autoscale", action="set", name="web", dry_run=False)
            wait_until(lambda: count() == 1, PATIENT, daemon.log_tail)
            self.assertTrue(holds_for(lambda: len(daemon.pids("web")) == 2 and count() == 1, 3), daemon.log_tail())
            for each in (first, second):
                each.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertTrue(each.makefile("rb").read().endswith(b"served"))
        self.wait_count(daemon, 1)


class Signals(PolicyCase):
    def test_ALatencyThatHttpObserverMeasuresDoublesABusyFleetOnceAndNoIdleOne(self):
        daemon = self.scaled(f"""
[socket.door]
path = "@DIR@/door.sock"
blocking = true

[watcher.web]
cmd = "{PYTHON} @DIR@/server.py $(circus.sockets.door)"
use_sockets = true
ready = "notify"
numprocesses = 3
autoscale = {{min = 3, max = 12, target = 0.5, latency_target = 100}}
""" + plugin("http_observer", self.isolate, 'check_url = "http://web/"\nunix_socket = "@DIR@/door.sock"\n'
             'watcher = "web"\nloop_rate = 1\nactive = false\n'), files={"server.py": READY_SERVER})
        events = self.new_events(daemon)
        daemon.wait_active("web", 3)
        self.wait_decision(daemon, lambda each: each["signals"]["ready"] == 3)
        daemon.client.ok("plugin", name="http_observer", action="enable", waiting=True)
        slow = self.wait_decision(daemon, lambda each: each["signals"]["latency"] is not None)
        self.assertGreaterEqual(slow["signals"]["latency"], 300)
        self.assertNotIn("latency", slow["wishes"], "a slow backend must not make the fleet grow")
        self.assertEqual(len(daemon.pids("web")), 3)
        load = Load(*self.socket_of(daemon), users=2)
        try:
            grown = self.wait_decision(daemon, lambda each: each["reason"] == "latency" and each["to"] > each["workers"])
            self.assertEqual((grown["workers"], grown["to"], grown["wishes"]["latency"]), (3, 6, 6), grown)
            self.wait_count(daemon, 6)
            self.wait_decision(daemon, lambda each: each["workers"] == each["signals"]["ready"] == 6 and
                               each["signals"]["latency_age"] < 1)
            self.assertTrue(holds_for(lambda: len(daemon.pids("web")) == 6, 3), self.decisions(daemon)[-1])
        finally:
            load.stop()
        self.assertEqual([(each["from"], each["to"], each["reason"]) for each in events.of("web", "autoscale")],
                         [(3, 6, "latency")])
        self.assertEqual(load.failures, [])

    def test_CpuThatIsUsedStartsMoreWorkersAndIdleOnesDoNot(self):
        daemon = self.scaled("".join(f"""
[watcher.{name}]
cmd = "{command}"
autoscale = {{max = 3, boot_time = 0.5, cpu_target = 5}}
""" for name, command in (("web", f"{PYTHON} @DIR@/eater.py"), ("idle", "/bin/sleep 1000"))), files={"eater.py": EATER})
        self.wait_count(daemon, 3)
        grown = self.wait_decision(daemon, lambda each: each["to"] > each["workers"])
        self.assertEqual(grown["reason"], "cpu")
        self.assertGreater(grown["signals"]["cpu"], 5)
        idle = self.wait_decision(daemon, lambda each: "cpu" in each["wishes"], "idle")
        self.assertLess(idle["wishes"]["cpu"], 2, idle)
        self.assertEqual(len(daemon.pids("idle")), 1)

    def test_NoWorkerIsStartedBeyondTheMemoryLimit(self):
        daemon = self.scaled(f"""
[watcher.web]
cmd = "{PYTHON} @DIR@/holder.py"
ready = "notify"
autoscale = {{max = 8, boot_time = 0.5, memory_limit = "100M", external = "jobs", external_target = 10}}
""", files={"holder.py": HOLDER})
        daemon.client.ok("gauge", watcher="web", name="jobs", value=80)
        self.wait_count(daemon, 2)
        full = self.wait_decision(daemon, lambda each: each["workers"] == each["signals"]["ready"] == 2)
        self.assertEqual((full["wanted"], full["reason"], full["to"], full["limit"]), (8, "external", 2, "memory_limit"))
        self.assertLessEqual(full["signals"]["rss"], 100 << 20)
        self.assertGreater(full["signals"]["rss"] + full["signals"]["rss_worker"], 100 << 20)
        # It is the limit that holds them.
        daemon.client.ok("autoscale", action="set", name="web", memory_limit="1G", max=4)
        self.wait_count(daemon, 4)

    def test_ADryRunDecidesAndChangesNothing(self):
        daemon = self.scaled("""
[watcher.web]
cmd = "/bin/sleep 1000"
autoscale = {max = 5, boot_time = 0.5, external = "jobs", external_target = 10, dry_run = true}
""")
        events = self.new_events(daemon)
        pids = daemon.wait_active("web", 1)
        daemon.client.ok("gauge", watcher="web", name="jobs", value=50)
        told = wait_until(lambda: events.of("web", "autoscale"), PATIENT, daemon.log_tail)[0]
        self.assertEqual((told["from"], told["to"], told["reason"], told["dry_run"]), (1, 5, "external", True))
        wait_until(lambda: sum(each["held"] == "dry run" for each in self.decisions(daemon)) >= 3, PATIENT)
        self.assertEqual(daemon.pids("web"), pids)
        self.assertEqual(daemon.client.ok("get", name="web", keys=["numprocesses"])["options"]["numprocesses"], 1)
        self.assertEqual(len(events.of("web", "autoscale")), 1)
        daemon.client.ok("autoscale", action="set", name="web", dry_run=False)
        self.wait_count(daemon, 5)


if __name__ == "__main__":
    main()
