"""Nothing grows, nothing blocks, and what was wanted comes back: many commands and deaths, messages without measure,
readers that do not read, and a machine that has run out of something.

The flatness tests run a shorter version of themselves. The full one (20,000 respawns, 1,000,000 commands):
    CIRCUS_BUILD=build CIRCUS_RESPAWNS=20000 CIRCUS_COMMANDS=1000000 tests/contract/test_bounded.py FlatTest
"""
import contextlib
import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import time
import unittest

import zmq
from harness import BUILD, CIRCUSD, PATIENCE, ContractCase, Daemon, is_running, kill_child, main, wait_until

MIB = 1 << 20
WEB = '[watcher.web]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nnumprocesses = @COUNT@\nmin_uptime = 0.0\n'


def rss(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def peak(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Growth:
    """What the two processes have more than after the warm-up."""

    def __init__(self, daemon):
        self.pids = {"keeper": daemon.keeper, "arbiter": daemon.arbiter}
        self.before = self.look()

    def look(self):
        return {name: (rss(pid), fds(pid)) for name, pid in self.pids.items()}

    def expect_none(self, case, allowed):
        """Memory is not given back to the last byte, and descriptors may be on their way."""
        def flat():
            now = self.look()
            return all(now[name][0] - self.before[name][0] < allowed[name] and now[name][1] <= self.before[name][1]
                       for name in now)
        wait_until(flat, what=lambda: f"(bytes, descriptors) before {self.before}, now {self.look()}")
        case.assertEqual({name: is_running(pid) for name, pid in self.pids.items()}, {"keeper": True, "arbiter": True})


class FlatTest(ContractCase):
    RESPAWNS = int(os.environ.get("CIRCUS_RESPAWNS", "2000"))
    COMMANDS = int(os.environ.get("CIRCUS_COMMANDS", "50000"))
    limit = 120 + RESPAWNS // 20 + COMMANDS // 1000
    ALLOWED = {"keeper": MIB // 4, "arbiter": 2 * MIB}

    def test_MemoryAndDescriptorsAreFlatOverManyRespawns(self):
        daemon = self.run_daemon(
            '[watcher.short]\ncmd = "echo a line; exit 3"\nshell = true\nnumprocesses = 10\nmin_uptime = 0.0\n'
            '[watcher.short.stdout_stream]\nclass = "FileStream"\nfilename = "@DIR@/out"\nmax_bytes = 10000\n'
            'backup_count = 1\n')
        events = daemon.new_events("short")
        reaped = 0

        def respawn(count):
            nonlocal reaped
            until = reaped + count

            def enough():
                nonlocal reaped
                reaped += len(events.of("short", "reap"))
                events.seen.clear()
                return reaped >= until
            wait_until(enough, PATIENCE + count / 20, lambda: f"{until} deaths, {reaped} so far")
        respawn(self.RESPAWNS // 4)
        growth = Growth(daemon)
        respawn(self.RESPAWNS - self.RESPAWNS // 4)
        daemon.client.ok("stop", name="short", waiting=True)
        growth.expect_none(self, self.ALLOWED)

    def test_MemoryAndDescriptorsAreFlatOverManyCommands(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "3"))
        daemon.wait_active("web", 3)
        client = daemon.new_client()
        requests = [json.dumps({"id": number, "command": command, "properties": properties}) for number, (command, properties) in
                    enumerate([("list", {}), ("status", {}), ("list", {"name": "web"}), ("options", {"name": "web"}),
                               ("stats", {"name": "web"}), ("numprocesses", {}), ("dstats", {}), ("get", {"name": "web", "keys": ["env"]}),
                               ("set", {"name": "web", "options": {"graceful_timeout": 3}}), ("globaloptions", {}),
                               ("incr", {"name": "web", "nb": 0}), ("nosuch", {}), ("list", {"name": "nosuch"}),
                               ("signal", {"name": "web", "signum": 0}), ("listsockets", {}), ("commands", {})])]
        requests.append('{"broken')

        def ask(count):
            for _ in range(count // len(requests) + 1):
                for request in requests:
                    client.send(request)
                for _ in requests:
                    self.assertTrue(client.socket.poll(PATIENCE * 1000), "no answer")
                    client.socket.recv()
        ask(self.COMMANDS // 4)
        growth = Growth(daemon)
        ask(self.COMMANDS - self.COMMANDS // 4)
        growth.expect_none(self, self.ALLOWED)

    def test_ClientsThatComeAndGoLeaveNothing(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "1"))

        def come_and_go(count):
            for _ in range(count):
                client = daemon.new_client()
                client.ok("numwatchers")
                daemon.clients.remove(client)
                client.close()
        come_and_go(self.COMMANDS // 50)
        growth = Growth(daemon)
        come_and_go(self.COMMANDS // 50)
        growth.expect_none(self, self.ALLOWED)


class MessagesTest(ContractCase):
    """What somebody sends or does not read, whatever its size."""

    def test_SixtyFourMegabytesHarmNobodyAndAreGivenBack(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "1"))
        arbiter, other = daemon.arbiter, daemon.new_client()
        before = rss(arbiter)
        filler = "y" * (64 * MIB)
        for text in (json.dumps({"id": 1, "command": "numwatchers", "x": filler}), filler, "[" * (64 * MIB)):
            # Answered, or this client's connection is closed: nobody else's business.
            sender = daemon.new_client()
            sender.send(text)
            other.ok("numwatchers")
            answered = sender.socket.poll(1000)
            if answered:
                self.assertIn(json.loads(sender.socket.recv())["status"], ("ok", "error"))
            daemon.clients.remove(sender)
            sender.close()
        wait_until(lambda: rss(arbiter) < before + 16 * MIB, what=lambda: f"{before} bytes before, {rss(arbiter)} now")
        self.assertLess(peak(arbiter), before + 5 * 64 * MIB)
        self.assertEqual(daemon.arbiter, arbiter)
        self.assertEqual(other.ok("list")["watchers"], ["web"])

    def test_BytesThatAreNoMessagesHarmNobodyAndLeaveNothing(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "1"))
        chance = random.Random(8)

        def throw(count):
            """Connections that say all sorts of things, or nothing, and are open at the same time."""
            opened = []
            for number in range(count):
                greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00NULL" + b"\0" * 16 + b"\0" + b"\0" * 31
                for text in (b"GET / HTTP/1.1\r\n\r\n", chance.randbytes(number), greeting + chance.randbytes(number), b""):
                    one = socket.socket(socket.AF_UNIX)
                    one.connect(daemon.endpoint[len("ipc://"):])
                    with contextlib.suppress(OSError):  # it may be closed already
                        one.sendall(text)
                    opened.append(one)
            daemon.client.ok("numwatchers")
            for one in opened:
                one.close()
        for _ in range(10):  # two hundred at a time, until memory for so many has been made
            throw(50)
        growth = Growth(daemon)
        for _ in range(10):
            throw(50)
        growth.expect_none(self, {"keeper": MIB // 4, "arbiter": 4 * MIB})

    def test_SubscribersThatNeverReadCostBoundedMemoryAndOthersNoEvent(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "1"))
        deaf = []
        for _ in range(5):
            subscriber = daemon.context.socket(zmq.SUB)
            daemon.clients.append(subscriber)
            subscriber.setsockopt(zmq.LINGER, 0)
            subscriber.setsockopt(zmq.RCVHWM, 1)
            subscriber.setsockopt(zmq.SUBSCRIBE, b"")
            subscriber.connect(daemon.pubsub)
            deaf.append(subscriber)
        for subscriber in deaf:  # each has a subscription that counts
            wait_until(lambda subscribed=subscriber: daemon.client.ok(
                "set", name="web", options={"warmup_delay": 0}, waiting=True) and subscribed.poll(10))
        events = daemon.new_events("web")
        before, seen = rss(daemon.arbiter), 0
        for wanted in range(200, 20001, 200):  # fewer at a time than what a reader may be behind
            for _ in range(200):
                daemon.client.cast("set", name="web", options={"warmup_delay": 0})

            def all_seen():
                nonlocal seen
                seen += len(events.of("web", "updated"))
                events.seen.clear()
                return seen >= wanted
            wait_until(all_seen, PATIENCE * 2, lambda: f"{seen} events")
        self.assertEqual(seen, 20000)
        self.assertLess(rss(daemon.arbiter), before + 12 * MIB)


class ShortageCase(ContractCase):
    def assert_idle(self, daemon, pids):
        """Neither process is busy while it waits for better times: at most a third of a processor."""
        before, begin = sum(map(cpu, pids)), time.monotonic()
        wait_until(lambda: time.monotonic() - begin > 2)
        self.assertLess(sum(map(cpu, pids)) - before, 0.33 * (time.monotonic() - begin))

    def set_limit(self, pid, which, value):
        before = resource.prlimit(pid, which)
        resource.prlimit(pid, which, (value, before[1]))
        return before


class DescriptorsTest(ShortageCase):
    def test_WithoutDescriptorsItGoesOnAndTheCountComesBackByItself(self):
        daemon = self.run_daemon(WEB.replace("@COUNT@", "5"))
        daemon.wait_active("web", 5)
        own = (daemon.keeper, daemon.arbiter)
        for wanted, which in enumerate((own, own[:1], own[1:]), 6):
            with self.subTest(which=which):
                limits = {pid: self.set_limit(pid, resource.RLIMIT_NOFILE, fds(pid)) for pid in which}
                for pid in daemon.pids("web"):
                    kill_child(daemon.keeper, pid)
                daemon.client.ok("incr", name="web")
                daemon.client.ok("numwatchers")
                self.assert_idle(daemon, own)
                daemon.client.ok("numwatchers")
                for pid, before in limits.items():
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
                pids = daemon.wait_active("web", wanted, PATIENCE * 2)
                self.assertEqual(daemon.workers(), sorted(pids))
        self.assertEqual((daemon.keeper, daemon.arbiter), own)


class AsUser(Daemon):
    """Run by a user whose processes are counted: nobody else has that number."""

    UID = 64000 + os.getpid() % 1000

    def launch(self, *arguments, output=None):
        os.chown(self.directory, self.UID, self.UID)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([CIRCUSD, "--config", self.config_path, *arguments], cwd=self.working_dir,
                                            env=self.environment, stdin=subprocess.DEVNULL, stdout=output or log,
                                            stderr=subprocess.STDOUT, start_new_session=True, user=self.UID,
                                            group=self.UID, extra_groups=[])
        return self


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be another user")
class ForkTest(ShortageCase):
    def allow(self, daemon, processes):
        """The keeper's limit, set by its own user: root may not everywhere."""
        subprocess.run(["prlimit", "--pid", str(daemon.keeper), f"--nproc={processes}:"], check=True, user=AsUser.UID,
                       group=AsUser.UID, extra_groups=[])

    def test_WhenNothingCanBeForkedItWaitsAndTheCountComesBackByItself(self):
        daemon = AsUser(WEB.replace("@COUNT@", "4") + "max_retry = 2\n", "check_delay = 0.3\n")
        self.started.append(daemon)
        daemon.start()
        daemon.wait_active("web", 4)
        self.allow(daemon, "1")
        for pid in daemon.pids("web"):
            kill_child(daemon.keeper, pid)
        wait_until(lambda: daemon.log().count("fork: Resource temporarily unavailable") >= 12, what=daemon.log_tail)
        self.assert_idle(daemon, (daemon.keeper, daemon.arbiter))
        self.assertNotEqual(daemon.status("web"), "stopped")
        self.allow(daemon, resource.prlimit(0, resource.RLIMIT_NPROC)[1])
        pids = daemon.wait_active("web", 4)
        self.assertEqual(daemon.workers(), sorted(pids))


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
                                                capture_output=True, check=False).returncode == 0


class OnSmallDisk(Daemon):
    """@DIR@/small is a disk of its own, of 128 KiB, for this daemon alone; from outside it is below /proc."""

    def launch(self, *arguments, output=None):
        small = os.path.join(self.directory, "small")
        os.makedirs(small, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 'mount -t tmpfs -o size=128k none "$1" && shift && exec "$@"', "sh", small, CIRCUSD, "--config",
                 self.config_path, *arguments],
                cwd=self.working_dir, env=self.environment, stdin=subprocess.DEVNULL, stdout=output or log,
                stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def small(self, name):
        return f"/proc/{self.process.pid}/root{self.directory}/small/{name}"


@unittest.skipUnless(can_mount(), "needs to mount")
class DiskTest(ShortageCase):
    CONFIG = """
[watcher.talks]
cmd = "n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.01; done"
shell = true
[watcher.talks.stdout_stream]
class = "FileStream"
filename = "@DIR@/small/talk"
""" + WEB.replace("@COUNT@", "3")

    def test_AFullDiskStopsNothingAndWhenThereIsRoomTheLinesComeAgain(self):
        daemon = OnSmallDisk(self.CONFIG, 'logoutput = "@DIR@/small/log"\npidfile = "@DIR@/small/pid"\n'
                             'endpoint = "ipc://@DIR@/small/endpoint"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                             'stats_endpoint = "ipc://@DIR@/stats"\n', endpoints=False)
        self.started.append(daemon)
        daemon.launch()
        # A socket is reached through another root as well; its path is short enough by the descriptor.
        wait_until(lambda: os.path.exists(daemon.small("endpoint")), what=daemon.log_tail)
        daemon.endpoint = f"ipc://{daemon.small('endpoint')}"
        daemon.client = daemon.new_client()
        daemon.wait_active("web", 3)
        wait_until(lambda: os.path.exists(daemon.small("talk")) and os.path.getsize(daemon.small("talk")) > 100)
        fill = daemon.small("fill")
        with open(fill, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        full = os.path.getsize(daemon.small("talk"))
        for _ in range(5):  # each of them writes a row into a lock file that may not grow
            pids = daemon.wait_active("web", 3)
            daemon.client.ok("incr", name="web", nb=20, waiting=True)
            daemon.client.ok("decr", name="web", nb=20, waiting=True)
            kill_child(daemon.keeper, pids[0])
            wait_until(lambda gone=pids[0]: gone not in daemon.pids("web"))
        daemon.wait_active("web", 3)
        self.assert_idle(daemon, (daemon.keeper, daemon.arbiter))
        self.assertEqual(daemon.status("talks"), "active")
        os.unlink(fill)
        wait_until(lambda: os.path.getsize(daemon.small("talk")) > full + 1000, PATIENCE * 2)
        with open(daemon.small("talk")) as talk:
            for line in talk.read().splitlines()[:-1]:
                self.assertRegex(line, r"^tick \d+$")


@unittest.skipIf(sys.maxsize < 1 << 32, "eight bytes at once")
class ClockTest(ContractCase):
    """The clock on the wall jumps for circusd, by a library of the tests; no timer of its moves."""

    YEAR = 365 * 24 * 3600
    CONFIG = WEB.replace("@COUNT@", "2") + "max_age = 3600\nmax_age_variance = 1\n" + """
[watcher.stubborn]
cmd = "@PROBE@"
args = ["--ignore", "15", "--report", "@REPORTS@"]
graceful_timeout = 1

[watcher.slow]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@"]
numprocesses = 3
warmup_delay = 0.3
autostart = false
"""

    def start_jumping(self):
        daemon = self.new_daemon(self.CONFIG)
        self.jump_file = os.path.join(daemon.directory, "jump")
        self.jump(0)
        library = str(BUILD / "tests/bin/jump.so")
        daemon.environment.update(LD_PRELOAD=library, JUMP_FILE=self.jump_file)
        daemon.start()
        daemon.report(daemon.wait_active("stubborn", 1)[0])
        return daemon

    def jump(self, seconds):
        flags = os.O_WRONLY | os.O_CREAT
        file = os.open(self.jump_file, flags, 0o644)
        os.pwrite(file, seconds.to_bytes(8, sys.byteorder, signed=True), 0)
        os.close(file)

    def test_NoTimerMovesWithIt(self):
        daemon = self.start_jumping()
        real = time.time()
        for years in (10, -20, 0):
            with self.subTest(years=years):
                pids = daemon.wait_active("web", 2)
                stubborn = daemon.wait_active("stubborn", 1)[0]
                daemon.report(stubborn)
                daemon.client.send(json.dumps({"id": "stop", "command": "stop",
                                               "properties": {"name": "stubborn", "waiting": True}}))
                wait_until(lambda: is_running(stubborn))
                self.jump(years * self.YEAR)
                # The stop's grace goes on, and the answer's time is that of the wall.
                answer = daemon.client.receive()
                self.assertEqual((answer["id"], answer["status"]), ("stop", "ok"))
                self.assertAlmostEqual(answer["time"], real + years * self.YEAR, delta=600)
                daemon.client.ok("start", name="slow", waiting=True)
                self.assertEqual(len(daemon.pids("slow")), 3)
                daemon.client.ok("stop", name="slow", waiting=True)
                # Nobody is an hour old, and no age is out of this world.
                self.assertEqual(daemon.pids("web"), pids)
                for each in daemon.client.ok("stats", name="web")["info"].values():
                    self.assertTrue(0 <= each["age"] < 600, each)
                # What dies is replaced at once.
                kill_child(daemon.keeper, pids[0])
                wait_until(lambda gone=pids[0]: gone not in daemon.pids("web"))
                daemon.wait_active("web", 2)
                daemon.client.ok("start", name="stubborn", waiting=True)
        self.assertEqual(daemon.terminate(), 0)


if __name__ == "__main__":
    main()
