"""The shipped plugins against real processes: every test in both modes, in the arbiter and in a process of its own."""
import json
import os
import pathlib
import re
import socket

import zmq

from harness import ContractCase, holds_for, kill_child, main, wait_until

SLEEPER = '"/bin/sleep 1000"'
PYTHON = "/usr/bin/python3"


def plugin(name, isolate, options="", use=None):
    return (f'\n[plugin.{name}]\nuse = "{use or name}"\nisolate = {"true" if isolate else "false"}\n{options}\n')


class Receiver:
    """A UDP server on loopback."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.lines = []

    def close(self):
        self.socket.close()

    def received(self):
        try:
            while True:
                self.lines += self.socket.recv(65536).decode().split("\n")
        except BlockingIOError:
            return self.lines


class ShippedCase(ContractCase):
    isolate = False

    def run_with(self, config, name, options="", circus=""):
        """A daemon in which that plugin is active."""
        daemon = self.run_daemon(config + plugin(name, self.isolate, options), circus)
        wait_until(lambda: daemon.client.ok("plugins")["plugins"][name]["state"] == "active",
                   what=lambda: f"{name} active\n{daemon.log_tail()}")
        shown = daemon.client.ok("plugins")["plugins"][name]
        self.assertEqual(shown["mode"], "isolated" if self.isolate else "in-process")
        return daemon

    def wid_of(self, daemon, watcher):
        """pid by wid."""
        info = daemon.client.ok("stats", name=watcher)["info"]
        return {each["wid"]: int(pid) for pid, each in info.items() if isinstance(each, dict)}


class Flapping(ShippedCase):
    def daemon_with(self, watchers, options="retry_in = 0.3\nmax_retry = 1\n"):
        """The watchers do not start by themselves, so that nothing of them goes unheard."""
        daemon = self.run_with("\n[watcher.quiet]\ncmd = " + SLEEPER + "\n" + watchers, "flapping", options)
        events = daemon.new_events("quiet")
        self.addCleanup(events.close)
        return daemon, events

    def states(self, events, watcher):
        return [payload["state"] for payload in events.of(watcher, "flapping")]

    def test_AWatcherWhoseWorkersAllDieIsTriedAgainAndThenStaysStopped(self):
        daemon, events = self.daemon_with('[watcher.bad]\ncmd = "/bin/false"\nnumprocesses = 2\nautostart = false\n')
        daemon.client.ok("start", name="bad")
        wait_until(lambda: self.states(events, "bad") == ["retry", "stopped"],
                   what=lambda: f"{events.names('bad')}\n{daemon.log_tail()}")
        wait_until(lambda: daemon.status("bad") == "stopped")
        self.assertEqual(events.names("bad").count("stop"), 2)
        self.assertTrue(holds_for(lambda: daemon.status("bad") == "stopped", 0.8))

    def test_AHealthySiblingIsNotStopped(self):
        daemon, events = self.daemon_with('''
[watcher.half]
cmd = "/bin/sh -c '[ $(circus.wid) = 1 ] && exit 1; exec sleep 1000'"
numprocesses = 2
autostart = false
max_backoff = 0.05
''')
        daemon.client.ok("start", name="half")
        healthy = wait_until(lambda: self.wid_of(daemon, "half").get(2))
        wait_until(lambda: events.of("half", "flapping"), what=lambda: daemon.log_tail())
        first = events.of("half", "flapping")[0]
        self.assertEqual((first["state"], first["wids"]), ("slots", [1]))
        wait_until(lambda: len(events.of("half", "reap")) > 10)
        self.assertEqual(self.wid_of(daemon, "half")[2], healthy)
        self.assertNotIn("kill", events.names("half"))

    def test_WhatTheOperatorStoppedIsNotStartedAgain(self):
        daemon, events = self.daemon_with(
            '[watcher.bad]\ncmd = "/bin/false"\nautostart = false\nflapping.retry_in = 1.5\n')
        daemon.client.ok("start", name="bad")
        wait_until(lambda: self.states(events, "bad") == ["retry"], what=lambda: daemon.log_tail())
        self.assertEqual(events.of("bad", "flapping")[0]["retry_in"], 1.5)
        daemon.client.ok("stop", name="bad", waiting=True)
        spawned = events.names("bad").count("spawn")
        self.assertTrue(holds_for(lambda: daemon.status("bad") == "stopped", 2.5))
        self.assertEqual(events.names("bad").count("spawn"), spawned)

    def test_ReloadsAndKillsAreNoFlapping(self):
        daemon, events = self.daemon_with("[watcher.web]\ncmd = " + SLEEPER + "\n")
        daemon.wait_active("web", 1)
        for _ in range(4):
            daemon.client.ok("reload", name="web", waiting=True)
            daemon.client.ok("kill", name="web", waiting=True)
            daemon.wait_active("web", 1)
        # Deaths of another one, unasked, have been judged: what came before them has, too.
        daemon.client.ok("add", name="bad", cmd="/bin/false", start=True)
        wait_until(lambda: self.states(events, "bad"), what=lambda: daemon.log_tail())
        self.assertEqual(self.states(events, "web"), [])


class FlappingIsolated(Flapping):
    isolate = True


class ResourceWatcher(ShippedCase):
    def test_OnlyTheProcessThatUsesTooMuchIsReplaced(self):
        program = "import sys, time; x = bytearray(80 << 20 if sys.argv[1] == '1' else 1); time.sleep(1000)"
        daemon = self.replaced(program, 'max_mem = "60M"\n')
        daemon.wait_log("over_memory")

    def replaced(self, program, options, numprocesses=2, count=1):
        """Runs workers of that program, which knows its wid, until two were replaced; checks that wid 2 never was."""
        daemon = self.run_with(f'''
[watcher.web]
cmd = "{PYTHON}"
args = ["-c", "{program}", "$(circus.wid)"]
numprocesses = {numprocesses}
''', "resource_watcher", f'watcher = "web"\nloop_rate = 0.2\nmax_count = {count}\n' + options)
        events = daemon.new_events("web")
        self.addCleanup(events.close)
        modest = wait_until(lambda: self.wid_of(daemon, "web").get(2))
        wait_until(lambda: len(events.of("web", "reap")) >= 2, what=lambda: daemon.log_tail())
        self.assertNotIn(modest, [each["process_pid"] for each in events.of("web", "reap")])
        self.assertEqual(self.wid_of(daemon, "web")[2], modest)
        return daemon

    def test_MemoryMayBeAPerCentOfAll(self):
        program = "import sys, time; x = bytearray(80 << 20 if sys.argv[1] == '1' else 1); time.sleep(1000)"
        with open("/proc/meminfo", encoding="ascii") as file:
            total = int(file.readline().split()[1]) / 1024
        daemon = self.replaced(program, f"health_threshold = 0\nmax_cpu = 0\nmax_mem = {60 / total * 100:.6f}\n")
        daemon.wait_log("over_memory")

    def test_CpuIsAPerCentOfOneCore(self):
        program = "import sys, time\\nwhile sys.argv[1] == '1': pass\\ntime.sleep(1000)"
        # To start is work too, for everybody: it is over after some looks.
        daemon = self.replaced(program, "health_threshold = 0\nmax_cpu = 4\nmax_mem = 0\n", count=5)
        daemon.wait_log("over_cpu")

    def test_OfAWatchersSumTheOneThatIsFurthestOutIsReplaced(self):
        program = ("import sys, time; x = bytearray({'1': 80 << 20, '2': 1, '3': 60 << 20}[sys.argv[1]]); "
                   "time.sleep(1000)")
        daemon = self.replaced(program, 'health_threshold = 0\nper = "watcher"\nmax_cpu = 0\nmax_mem = "130M"\n', 3)
        daemon.wait_log("over_memory")


class ResourceWatcherIsolated(ResourceWatcher):
    isolate = True


class Watchdog(ShippedCase):
    def test_AWorkerThatFallsSilentIsReplacedAndTheOthersAreNot(self):
        receiver = Receiver()
        port = receiver.port
        receiver.close()
        program = ("import os, socket, sys, time\\n"
                   "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\\n"
                   "while sys.argv[1] == '1':\\n"
                   f"    s.sendto(b'%d;%f' % (os.getpid(), time.time()), ('127.0.0.1', {port}))\\n"
                   "    time.sleep(0.05)\\n"
                   "time.sleep(1000)")
        daemon = self.run_with(f'''
[watcher.web]
cmd = "{PYTHON}"
args = ["-c", "{program}", "$(circus.wid)"]
numprocesses = 2
''', "watchdog", f'loop_rate = 0.5\nmax_count = 10\nport = {port}\nwatchers_stop_signal = "SIGKILL"\n')
        events = daemon.new_events("web")
        self.addCleanup(events.close)
        beating = wait_until(lambda: self.wid_of(daemon, "web").get(1))
        wait_until(lambda: len(events.of("web", "reap")) >= 2, 40, what=lambda: daemon.log_tail())
        # The silent ones are the first of that wid and what was spawned since, one after the other.
        reaped = [each["process_pid"] for each in events.of("web", "reap")]
        silent = [each["process_pid"] for each in events.of("web", "spawn")]
        self.assertNotIn(beating, reaped)
        self.assertEqual(set(reaped[1:]) - set(silent), set())
        self.assertEqual(len(set(reaped)), len(reaped))
        self.assertEqual({each["exit_code"] for each in events.of("web", "reap")}, {-9})
        self.assertEqual(self.wid_of(daemon, "web")[1], beating)
        for event, fields in (("reap", ["exit_code", "process_pid", "time"]), ("spawn", ["process_pid", "time"]),
                              ("kill", ["process_pid", "time"])):
            self.assertEqual({tuple(sorted(each)) for each in events.of("web", event)}, {tuple(fields)}, event)


class WatchdogIsolated(Watchdog):
    isolate = True


class CommandReloader(ShippedCase):
    def write(self, path, text):
        fresh = path + ".new"
        pathlib.Path(fresh).write_text(text)
        os.chmod(fresh, 0o755)
        os.rename(fresh, path)

    def test_AChangedScriptReloadsItsWatcherAndNoOther(self):
        daemon = self.new_daemon('''
[watcher.web]
cmd = "@DIR@/app.sh"

[watcher.other]
cmd = ''' + SLEEPER + plugin("command_reloader", self.isolate, "loop_rate = 0.1"), 'loglevel = "debug"\n')
        app = os.path.join(daemon.directory, "app.sh")
        self.write(app, "#!/bin/sh\nexec sleep 1000\n")
        daemon.start()
        before = daemon.wait_active("web", 1) + daemon.wait_active("other", 1)
        daemon.wait_log(f"{app} is watched")
        self.write(app, "#!/bin/sh\nexec sleep 2000\n")
        after = wait_until(lambda: [pid for pid in daemon.pids("web") if pid != before[0]],
                           what=lambda: daemon.log_tail())
        wait_until(lambda: daemon.pids("web") == after)
        self.assertEqual(daemon.pids("other"), before[1:])
        # In place, in two parts: nothing happens before the file is closed.
        with open(app, "r+") as file:
            file.write("#!/bin/sh\n")
            file.flush()
            self.assertTrue(holds_for(lambda: daemon.pids("web") == after, 0.4))
            file.write("exec sleep 3000\n")
        wait_until(lambda: daemon.pids("web") and after[0] not in daemon.pids("web"), what=lambda: daemon.log_tail())


class CommandReloaderIsolated(CommandReloader):
    isolate = True


class StatsD(ShippedCase):
    def test_EventsAreCounted(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = self.run_with("[watcher.web]\ncmd = " + SLEEPER + "\n", "statsd",
                               f'host = "localhost"\nport = {receiver.port}\ntags = ["env:test"]\n')
        pid = daemon.wait_active("web", 1)[0]
        kill_child(daemon.keeper, pid)
        wait_until(lambda: "circus.app.watcher.web.reap:1|c|#env:test" in receiver.received(),
                   what=lambda: f"{receiver.lines}\n{daemon.log_tail()}")

    def test_FiguresAreGauges(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = self.run_with("[watcher.web]\ncmd = " + SLEEPER + "\nnumprocesses = 3\n", "full_stats",
                               f'host = "127.0.0.1"\nport = {receiver.port}\nloop_rate = 0.2\n')
        daemon.wait_active("web", 3)
        stats = "circus.app.watcher._stats.web."
        wait_until(lambda: stats + "watchers_num:3|g" in receiver.received(),
                   what=lambda: f"{receiver.lines}\n{daemon.log_tail()}")
        sums = [float(found.group(1)) for line in receiver.lines
                if (found := re.fullmatch(re.escape(stats) + r"mem_sum:([\d.]+)\|g", line))]
        self.assertGreater(sums[-1], 3 * 100_000)

    def test_TheWatcherIsATagOfDogStatsD(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = self.run_with("[watcher.web]\ncmd = " + SLEEPER + "\n", "full_stats",
                               f'host = "127.0.0.1"\nport = {receiver.port}\nloop_rate = 0.2\ndogstatsd = true\n'
                               'tags = ["env:test"]\n')
        daemon.wait_active("web", 1)
        wait_until(lambda: "circus.app.watcher._stats.watchers_num:1|g|#env:test,watcher:web" in receiver.received(),
                   what=lambda: f"{receiver.lines}\n{daemon.log_tail()}")


class StatsDIsolated(StatsD):
    isolate = True


class Stats(ShippedCase):
    def test_ASubscriberGetsProcessesTheirSumsCircusdAndTheSockets(self):
        daemon = self.run_with("[watcher.My-Web]\ncmd = " + SLEEPER + '''
numprocesses = 2

[socket.door]
host = "127.0.0.1"
port = 0
''', "stats", "interval = 0.1\n")
        pids = daemon.wait_active("my-web", 2)
        subscriber = daemon.context.socket(zmq.SUB)
        subscriber.linger = 0
        daemon.clients.append(subscriber)  # closed with it
        subscriber.connect(f"ipc://{daemon.directory}/stats")
        subscriber.subscribe("stat.")
        seen = {}

        def collect():
            while subscriber.poll(0):
                topic, payload = subscriber.recv_multipart()
                seen[topic.decode()] = json.loads(payload)
            return seen
        topics = {"stat.my-web", "stat.circus", *(f"stat.my-web.{pid}" for pid in pids)}
        wait_until(lambda: topics <= set(collect()), what=lambda: f"{sorted(seen)}\n{daemon.log_tail()}")
        one = seen[f"stat.my-web.{pids[0]}"]
        self.assertEqual((one["pid"], one["subtopic"]), (pids[0], pids[0]))
        self.assertEqual(set(one), {"pid", "subtopic", "name", "cmdline", "cpu", "mem", "mem_info1", "mem_info2", "age",
                                    "create_time", "ctime", "nice", "username", "children"})
        total = seen["stat.my-web"]
        self.assertEqual((sorted(total), sorted(total["pid"])), (["age", "cpu", "mem", "pid"], sorted(pids)))
        self.assertIn(daemon.keeper, [each["pid"] for topic, each in seen.items() if topic.startswith("stat.circus.")])
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        figures = daemon.client.ok("listsockets", figures=True)["sockets"][0].get("figures", {})
        if figures.get("accepted") is None:
            self.skipTest("connections cannot be counted here: " + str(figures))
        reads = []
        for _ in range(5):
            socket.create_connection(("127.0.0.1", port), 5).close()

        def counted():
            while subscriber.poll(0):
                topic, payload = subscriber.recv_multipart()
                if topic == b"stat.sockets":
                    reads.append(json.loads(payload)["reads"])
            return sum(reads) >= 5
        wait_until(counted, what=lambda: f"{reads}\n{daemon.log_tail()}")
        self.assertTrue(holds_for(lambda: counted() and sum(reads) == 5, 0.5))


class StatsIsolated(Stats):
    isolate = True


if __name__ == "__main__":
    main()
