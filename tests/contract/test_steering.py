"""Which worker gets a new connection, with so_reuseport and `steering`.

The workers are plain programs. HOLDER takes every connection, says its wid and keeps it until the client ends it.
SERVER takes one after the other, ten milliseconds each, and ends as a program should: at SIGTERM it accepts no more,
gets through with what it has in hand, and goes.
"""
import collections
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import unittest

from harness import CIRCUSCTL, ContractCase, main, wait_until
from test_autoscaler import PATIENT, Load
from test_takeover import TakeoverCase

HOLDER = """
import os, select, socket, sys
listener, wid = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
if os.path.exists(sys.argv[0] + ".broken." + wid):
    sys.exit(1)
if "NOTIFY_SOCKET" in os.environ:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))
held = []
while True:
    for ready in select.select([listener, *held], [], [])[0]:
        if ready is not listener:
            if not ready.recv(100):
                held.remove(ready)
                ready.close()
            continue
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            continue
        connection.sendall(wid.encode() + b"\\n")
        held.append(connection)
"""

SERVER = """
import os, select, signal, socket, sys, time
listener = socket.socket(fileno=int(sys.argv[1]))
wakes, woken = os.pipe2(os.O_NONBLOCK)
ending = False

def end(*_):
    global ending
    ending = True

signal.set_wakeup_fd(woken)
signal.signal(signal.SIGTERM, end)
while not ending:
    select.select([listener, wakes], [], [])
    if ending:
        break
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    with connection:
        connection.recv(1000)
        time.sleep(0.01)
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nserved")
"""

TCP = 'host = "127.0.0.1"\nport = 0\n'
OWN = TCP + "so_reuseport = true\n"
KINDS = {"shared": TCP, "unix": 'path = "@DIR@/door.sock"\n', "reuseport": OWN,
         "round_robin": OWN + 'steering = "round_robin"\n', "least_loaded": OWN + 'steering = "least_loaded"\n'}


def configured(socket_options, program, count, options=""):
    return f"""
[socket.door]
{socket_options}

[watcher.web]
cmd = "/usr/bin/python3 @DIR@/{program}.py $(circus.sockets.door) $(circus.wid)"
use_sockets = true
numprocesses = {count}
graceful_timeout = 10
{options}
"""


class SteeringCase(ContractCase):
    limit = 270

    def prepared(self, config):
        daemon = self.new_daemon(config)
        for name, text in (("holder", HOLDER), ("server", SERVER)):
            pathlib.Path(daemon.directory, name + ".py").write_text(text)
        return daemon

    def steered(self, kind, program="holder", count=4, options=""):
        """A daemon whose workers all accept."""
        daemon = self.prepared(configured(KINDS[kind], program, count, options)).start()
        self.wait_accepting(daemon, count)
        return daemon

    def figures(self, daemon):
        return daemon.client.ok("listsockets", figures=True)["sockets"][0]["figures"]

    def slots(self, daemon):
        figures = self.figures(daemon)
        if "steering" in figures["absent"]:
            self.skipTest(figures["absent"]["steering"])
        return figures.get("slots", [])

    def wait_accepting(self, daemon, count, watchers=("web",)):
        """That so many slots have a worker; nobody knows where they are not steered, and each worker lives."""
        for name in watchers:
            daemon.wait_active(name, count // len(watchers))

        def accepting():
            slots = self.slots(daemon)
            return all("accepting" not in slot for slot in slots) or sum(slot["accepting"] for slot in slots) == count
        wait_until(accepting, what=lambda: f"{count} accepting: {self.slots(daemon)}\n{daemon.log_tail()}")

    def address(self, daemon):
        row = daemon.client.ok("listsockets")["sockets"][0]
        if "path" in row:
            return row["path"], socket.AF_UNIX
        daemon.ports.append(row["port"])
        return ("127.0.0.1", row["port"]), socket.AF_INET

    def knock(self, daemon):
        """A connection, and the wid of the worker that has it."""
        address, _ = self.address(daemon)
        connection = socket.create_connection(address, 30)
        self.addCleanup(connection.close)
        return connection, int(connection.makefile().readline())

    def knock_and_go(self, daemon, times):
        """How many connections each wid got, one after the other."""
        wids = collections.Counter()
        for _ in range(times):
            connection, wid = self.knock(daemon)
            connection.close()
            wids[wid] += 1
        return wids


class Steering(SteeringCase):
    def test_RoundRobinGivesEachSlotAsMany(self):
        daemon = self.steered("round_robin")
        self.assertEqual(self.figures(daemon)["steering"], "round_robin")
        self.assertEqual(self.knock_and_go(daemon, 400), {1: 100, 2: 100, 3: 100, 4: 100})
        self.assertEqual(sum(slot["picks"] for slot in self.slots(daemon)), 400)

    def test_Ipv6IsSteeredToo(self):
        daemon = self.prepared(configured('host = "::1"\nfamily = "AF_INET6"\nport = 0\nso_reuseport = true\n'
                                          'steering = "round_robin"', "holder", 3)).start()
        self.wait_accepting(daemon, 3)
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        wids = collections.Counter()
        for _ in range(30):
            with socket.create_connection(("::1", port), 30) as connection:
                wids[int(connection.makefile().readline())] += 1
        self.assertEqual(wids, {1: 10, 2: 10, 3: 10})

    def test_LeastLoadedAvoidsTheWorkerThatHoldsManyConnections(self):
        daemon = self.steered("least_loaded", count=1)
        for _ in range(30):
            self.knock(daemon)
        wait_until(lambda: self.slots(daemon)[0]["load"] >= 30, what=lambda: self.slots(daemon))
        daemon.client.ok("incr", name="web", nb=3, waiting=True)
        self.wait_accepting(daemon, 4)
        wids = collections.Counter(self.knock(daemon)[1] for _ in range(60))
        self.assertEqual(wids[1], 0, wids)
        for wid in (2, 3, 4):  # a connection that is under way while it is measured counts in its slot or not yet
            self.assertAlmostEqual(wids[wid], 20, delta=3, msg=wids)

    def test_ASlotWithoutAWorkerThatIsReadyIsNotChosen(self):
        daemon = self.steered("round_robin", options='ready = "notify"\nmin_uptime = 0.0')
        broken = pathlib.Path(daemon.directory, "holder.py.broken.2")
        broken.write_text("")
        second = daemon.pids("web")[1]
        os.kill(second, signal.SIGKILL)
        wait_until(lambda: [slot["accepting"] for slot in self.slots(daemon)] == [True, False, True, True],
                   what=lambda: self.slots(daemon))
        self.assertEqual(self.knock_and_go(daemon, 90), {1: 30, 3: 30, 4: 30})
        broken.unlink()
        self.wait_accepting(daemon, 4)
        self.assertEqual(self.knock_and_go(daemon, 8), {1: 2, 2: 2, 3: 2, 4: 2})

    def test_TheSlotsOfAWatcherThatIsStoppedAreNotChosen(self):
        daemon = self.prepared(configured(KINDS["round_robin"], "holder", 2) + """
[watcher.more]
cmd = "/usr/bin/python3 @DIR@/holder.py $(circus.sockets.door) 1$(circus.wid)"
use_sockets = true
numprocesses = 2
""").start()
        self.wait_accepting(daemon, 4, ("web", "more"))
        self.assertEqual(self.knock_and_go(daemon, 40), {1: 10, 2: 10, 11: 10, 12: 10})
        daemon.client.ok("stop", name="more", waiting=True)
        self.assertEqual(self.knock_and_go(daemon, 40), {1: 20, 2: 20})
        daemon.client.ok("start", name="more", waiting=True)
        self.wait_accepting(daemon, 4, ("web", "more"))
        self.assertEqual(self.knock_and_go(daemon, 40), {1: 10, 2: 10, 11: 10, 12: 10})

    def test_WhatWaitsInASlotIsServedByItsNextWorker(self):
        for kind in ("round_robin", "least_loaded"):
            with self.subTest(kind):
                daemon = self.steered(kind, options="min_uptime = 0.0")
                pids = daemon.pids("web")
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                address, _ = self.address(daemon)
                waiting = [socket.create_connection(address, 30) for _ in range(40)]
                self.assertEqual([slot["queue"] for slot in self.slots(daemon)], [10, 10, 10, 10])
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                served = collections.Counter()
                for connection in waiting:
                    with connection:
                        served[int(connection.makefile().readline())] += 1
                self.assertEqual(served, {1: 10, 2: 10, 3: 10, 4: 10})

    def test_AReloadOfTheConfigurationChangesHow(self):
        daemon = self.steered("round_robin", count=2)
        for kind in ("least_loaded", "reuseport", "round_robin"):
            text = pathlib.Path(daemon.config_path).read_text()
            lines = [line for line in text.split("\n") if not line.startswith("steering")]
            wanted = "kernel" if kind == "reuseport" else kind
            lines.insert(lines.index("so_reuseport = true"), f'steering = "{wanted}"')
            pathlib.Path(daemon.config_path).write_text("\n".join(lines))
            before = daemon.pids("web")
            daemon.client.ok("reloadconfig", waiting=True)
            self.assertEqual(self.figures(daemon)["steering"], wanted)
            self.assertEqual(daemon.pids("web"), before)
            self.wait_accepting(daemon, 2)
            wids = self.knock_and_go(daemon, 20)
            self.assertEqual(wids.total(), 20)
            if wanted == "round_robin":
                self.assertEqual(wids, {1: 10, 2: 10})

    def test_AWatcherThatUsesTheSocketNoMoreGetsNoneOfItsConnections(self):
        more = """
[watcher.more]
cmd = "/usr/bin/python3 @DIR@/{}.py $(circus.sockets.door) 1$(circus.wid)"
use_sockets = true
numprocesses = 2
"""
        for kind in ("reuseport", "round_robin"):
            for removed in (False, True):
                with self.subTest(kind, removed=removed):
                    daemon = self.prepared(configured(KINDS[kind], "holder", 2) + more.format("holder")).start()
                    self.wait_accepting(daemon, 4, ("web", "more"))
                    path = pathlib.Path(daemon.config_path)
                    text, section, rest = path.read_text().partition("[watcher.more]")
                    kept = section + "\ncmd = \"sleep 60\"\nnumprocesses = 2\n"
                    path.write_text(text if removed else text + kept)
                    daemon.client.ok("reloadconfig", waiting=True)
                    self.assertEqual({slot["watcher"] for slot in self.slots(daemon)}, {"web"})
                    wids = self.knock_and_go(daemon, 40)
                    self.assertEqual(wids[1] + wids[2], 40, wids)
                    path.write_text(text + section + rest)
                    daemon.client.ok("reloadconfig", waiting=True)
                    self.wait_accepting(daemon, 4, ("web", "more"))
                    wait_until(lambda: len(self.knock_and_go(daemon, 40)) == 4, what="all of them")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "takes root, to be nobody")
    def test_WithoutPrivilegeTheKernelDoesItAndItIsSaidWhy(self):
        daemon = self.prepared(configured(KINDS["least_loaded"], "holder", 3))
        for path in (daemon.directory, daemon.reports):
            shutil.chown(path, "nobody")
        daemon.through = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        daemon.start()
        daemon.wait_active("web", 3)
        figures = self.figures(daemon)
        self.assertEqual(figures["steering"], "kernel")
        self.assertIn("Operation not permitted", figures["absent"]["steering"])
        self.assertEqual(self.knock_and_go(daemon, 60).total(), 60)
        daemon.wait_log("kernel's hash")
        told = [line for line in daemon.log().splitlines() if "kernel's hash" in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn("socket door: connections go by the kernel's hash, not by least_loaded: ", told[0])
        self.assertIn("Operation not permitted", told[0])
        shown = subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "listsockets", "--figures"], check=True,
                               capture_output=True, text=True).stdout
        self.assertIn("steered by kernel (", shown)


class SteeringTakeover(SteeringCase, TakeoverCase):
    def test_EachArbiterGoesOnAndNobodysConnectionIsLost(self):
        daemon = self.steered("round_robin", "server")
        load = Load(*self.address(daemon), users=8)
        try:
            for _ in range(3):
                count = load.count
                self.kill_arbiter(daemon)
                wait_until(lambda before=count: load.count > before + 50, PATIENT)
            old = daemon.arbiter
            subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "upgrade"], check=True, capture_output=True)
            wait_until(lambda: daemon.arbiter not in (old, None), PATIENT)
            self.wait_answer(daemon)
            count = load.count
            wait_until(lambda: load.count > count + 50, PATIENT)
        finally:
            load.stop()
        self.assertEqual(load.failures, [])
        self.wait_accepting(daemon, 4)
        self.assertEqual(self.figures(daemon)["steering"], "round_robin")

    def test_AfterATakeoverTheyTakeTurnsAsBefore(self):
        for kind in ("round_robin", "least_loaded"):
            with self.subTest(kind):
                daemon = self.steered(kind)
                self.kill_arbiter(daemon)
                self.wait_accepting(daemon, 4)
                held = [self.knock(daemon)[1] for _ in range(40)]
                for wid, count in collections.Counter(held).items():
                    self.assertAlmostEqual(count, 10, delta=0 if kind == "round_robin" else 2, msg=f"{wid}: {held}")
                daemon.client.ok("incr", name="web", waiting=True)
                self.wait_accepting(daemon, 5)


if __name__ == "__main__":
    main()
