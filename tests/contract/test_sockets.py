"""Sockets that circusd binds and its workers inherit."""
import os
import pwd
import shutil
import signal
import socket
import tempfile
import threading
import unittest

from harness import ContractCase, free_port, listening_ports, main, quoted, wait_until


def serving(name, fd, *lines, more=()):
    args = ["--report", "@REPORTS@", "--serve", fd, *more]
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@"\nuse_sockets = true\nargs = ['
            + ", ".join(quoted(word) for word in args) + "]\n" + "\n".join(lines) + "\n")


def ask(address, family=socket.AF_INET, patience=10):
    """The pid that answers on the address."""
    with socket.socket(family) as connection:
        connection.settimeout(patience)
        connection.connect(address)
        return int(connection.makefile().readline())


class InheritedTest(ContractCase):
    config = """
[socket.v4]
host = "127.0.0.1"
port = 0

[socket.v6]
host = "::1"
family = "AF_INET6"
port = 0

[socket.file]
path = "@DIR@/file.sock"
umask = "0117"
""" + serving("four", "$(circus.sockets.v4)") + serving("six", "$(circus.sockets.v6)") + \
        serving("file", "((circus.sockets.file))") + \
        '\n[watcher.none]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\n' + \
        '\n[watcher.every]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nuse_sockets = true\n'

    def sockets(self):
        return {each["name"]: each for each in self.daemon.client.ok("listsockets")["sockets"]}

    def test_EachFamilyServes(self):
        four, six, file = (self.daemon.wait_active(name, 1)[0] for name in ("four", "six", "file"))
        found = self.sockets()
        self.assertEqual(ask(("127.0.0.1", found["v4"]["port"])), four)
        self.assertEqual(ask(("::1", found["v6"]["port"]), socket.AF_INET6), six)
        self.assertEqual(ask(found["file"]["path"], socket.AF_UNIX), file)

    def test_PortZeroIsAnyFreePortAndIsTold(self):
        self.assertIn(self.sockets()["v4"]["port"], listening_ports())

    def test_TheUmaskOfTheFileIsObeyed(self):
        path = self.sockets()["file"]["path"]
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)

    def seen(self, name):
        return self.daemon.report(self.daemon.wait_active(name, 1)[0])

    def test_AWorkerHasTheSocketsItNamesOrElseAllAtTheToldNumbers(self):
        numbers = {name: str(each["fd"]) for name, each in self.sockets().items()}
        for name, wanted in (("none", []), ("four", ["v4"]), ("six", ["v6"]), ("every", ["v4", "v6", "file"])):
            with self.subTest(watcher=name):
                seen = self.seen(name)
                self.assertEqual(sorted(seen["fds"]), ["0", "1", "2"] + sorted(numbers[each] for each in wanted))
                self.assertEqual(sorted(seen["listeners"]), sorted(numbers[each] for each in wanted))

    def test_SystemdsVariablesNameThem(self):
        seen = self.seen("every")
        env = dict(entry.split("=", 1) for entry in seen["env"])
        self.assertEqual(env["LISTEN_FDS"], "3")
        self.assertEqual(env["LISTEN_FDNAMES"].split(":"), ["v4", "v6", "file"])
        self.assertEqual(env["LISTEN_PID"], str(seen["pid"]))
        self.assertFalse([entry for entry in self.seen("none")["env"] if entry.startswith("LISTEN_")])

    def test_ListenersAreNonBlockingByDefault(self):
        seen = self.daemon.report(self.daemon.wait_active("four", 1)[0])
        self.assertEqual({each["nonblocking"] for each in seen["listeners"].values()}, {1})


class KindsTest(ContractCase):
    """Each socket of another kind; the worker's own view of it, and an answer over it."""

    config = """
[socket.udp]
host = "127.0.0.1"
port = 0
type = "SOCK_DGRAM"

[socket.udp6]
host = "::1"
port = 0
family = "AF_INET6"
type = "SOCK_DGRAM"
proto = "udp"

[socket.packets]
path = "@DIR@/packets.sock"
type = "SOCK_SEQPACKET"

[socket.datagrams]
path = "@DIR@/datagrams.sock"
type = "SOCK_DGRAM"

[socket.blocking]
host = "127.0.0.1"
port = 0
blocking = true
interface = "lo"
proto = 6

[socket."odd:name"]
port = 0
backlog = 7
""" + "".join(serving(name, f"$(circus.sockets.{name})")
              for name in ("udp", "udp6", "packets", "datagrams", "blocking")) + \
        '\n[watcher.every]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nuse_sockets = true\n'

    def of(self, name):
        found = {each["name"]: each for each in self.daemon.client.ok("listsockets")["sockets"]}[name]
        pid = self.daemon.wait_active(name, 1)[0]
        return found, pid, self.daemon.report(pid)["sockets"][str(found["fd"])]

    def ask_datagram(self, address, family, bind=None):
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            if bind:
                asking.bind(bind)
            asking.sendto(b"who", address)
            return int(asking.recv(64))

    def test_UdpServesInBothFamilies(self):
        for name, host, family in (("udp", "127.0.0.1", socket.AF_INET), ("udp6", "::1", socket.AF_INET6)):
            with self.subTest(socket=name):
                found, pid, seen = self.of(name)
                self.assertEqual(self.ask_datagram((host, found["port"]), family), pid)
                self.assertEqual((seen["type"], seen["family"], seen["protocol"]),
                                 (socket.SOCK_DGRAM, family, socket.IPPROTO_UDP))

    def test_SeqpacketServes(self):
        found, pid, seen = self.of("packets")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.settimeout(10)
            asking.connect(found["path"])
            self.assertEqual(int(asking.recv(64)), pid)
        self.assertEqual(seen["type"], socket.SOCK_SEQPACKET)

    def test_UnixDatagramsServe(self):
        found, pid, seen = self.of("datagrams")
        own = os.path.join(self.daemon.directory, "asking.sock")
        self.addCleanup(os.unlink, own)
        self.assertEqual(self.ask_datagram(found["path"], socket.AF_UNIX, own), pid)
        self.assertEqual(seen["type"], socket.SOCK_DGRAM)

    def test_BlockingInterfaceAndProtocolAreObeyed(self):
        found, pid, seen = self.of("blocking")
        self.assertEqual((seen["nonblocking"], seen["device"], seen["protocol"]), (0, "lo", socket.IPPROTO_TCP))
        self.assertEqual(self.of("udp")[2]["nonblocking"], 1)
        self.assertEqual(ask(("127.0.0.1", found["port"])), pid)

    def test_TheHostIsLocalhostAndTheBacklogIsObeyed(self):
        found = {each["name"]: each for each in self.daemon.client.ok("listsockets")["sockets"]}["odd:name"]
        self.assertEqual((found["host"], found["backlog"]), ("127.0.0.1", 7))
        seen = self.daemon.report(self.daemon.wait_active("every", 1)[0])
        self.assertEqual(seen["listeners"][str(found["fd"])]["backlog"], 7)

    def test_ANameInListenFdnamesNeverLooksLikeTwo(self):
        seen = self.daemon.report(self.daemon.wait_active("every", 1)[0])
        env = dict(entry.split("=", 1) for entry in seen["env"])
        self.assertEqual(env["LISTEN_FDNAMES"].split(":"),
                         ["udp", "udp6", "packets", "datagrams", "blocking", "odd_name"])


@unittest.skipUnless(os.geteuid() == 0, "raw sockets and other owners need root")
class PrivilegedTest(ContractCase):
    config = """
[socket.raw]
host = "127.0.0.1"
type = "SOCK_RAW"
proto = "icmp"

[socket.file]
path = "@DIR@/file.sock"
owner = "nobody"
group = 23456
umask = "0177"
""" + '\n[watcher.every]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\nuse_sockets = true\n'

    def test_ARawSocketHasItsProtocol(self):
        seen = self.daemon.report(self.daemon.wait_active("every", 1)[0])["sockets"]["3"]
        self.assertEqual((seen["type"], seen["protocol"]), (socket.SOCK_RAW, socket.IPPROTO_ICMP))

    def test_OwnerGroupAndUmaskAreThoseOfTheFile(self):
        found = os.stat(os.path.join(self.daemon.directory, "file.sock"))
        self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o777),
                         (pwd.getpwnam("nobody").pw_uid, 23456, 0o600))


class LastingTest(ContractCase):
    def test_ConnectionsQueuedWhileNoWorkerLivesAreServedByTheNext(self):
        daemon = self.run_daemon('[socket.web]\nhost = "127.0.0.1"\nport = 0\n' +
                                 serving("web", "$(circus.sockets.web)"))
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        daemon.ports.append(port)
        daemon.wait_active("web", 1)
        daemon.client.ok("stop", name="web", waiting=True)
        waiting = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(20)]
        daemon.client.ok("start", name="web", waiting=True)
        pid = daemon.wait_active("web", 1)[0]
        for connection in waiting:
            with connection:
                connection.settimeout(10)
                self.assertEqual(int(connection.makefile().readline()), pid)

    def test_AReuseportListenerSurvivesItsProcess(self):
        daemon = self.run_daemon('[socket.web]\nhost = "127.0.0.1"\nport = 0\nso_reuseport = true\n' +
                                 serving("web", "$(circus.sockets.web)", "numprocesses = 3", "min_uptime = 0.0"))
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        daemon.ports.append(port)
        pids = daemon.wait_active("web", 3)
        inodes = {pid: daemon.report(pid)["fds"]["3"] for pid in pids}
        self.assertEqual(len(set(inodes.values())), 3, "a listener of its own for each slot")
        self.assertEqual({daemon.report(pid)["listeners"]["3"]["reuseport"] for pid in pids}, {1})
        # Stopped, the workers leave connections in their own queues; each must find the slot's next process.
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        waiting = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(60)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        replacements = wait_until(lambda: not set(daemon.pids("web")) & set(pids) and len(daemon.pids("web")) == 3 and
                                  daemon.pids("web"))
        served = set()
        for connection in waiting:
            with connection:
                connection.settimeout(10)
                served.add(int(connection.makefile().readline()))
        self.assertEqual(served, set(replacements))
        self.assertEqual({daemon.report(pid)["fds"]["3"] for pid in replacements}, set(inodes.values()))

    def test_EachDatagramOfAReuseportSocketReachesAWorker(self):
        daemon = self.run_daemon('[socket.web]\nhost = "127.0.0.1"\nport = 0\nso_reuseport = true\n'
                                 'type = "SOCK_DGRAM"\n' +
                                 serving("web", "$(circus.sockets.web)", "numprocesses = 3"))
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        pids = daemon.wait_active("web", 3)
        answers = set()
        for _ in range(60):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(10)
                asking.sendto(b"who", ("127.0.0.1", port))
                answers.add(int(asking.recv(64)))
        self.assertEqual(answers, set(pids))
        # With no slot left the port is still kept, and what comes in waits for the next worker.
        daemon.client.ok("set", name="web", options={"numprocesses": 0}, waiting=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.sendto(b"who", ("127.0.0.1", port))
            daemon.client.ok("incr", name="web", waiting=True)
            self.assertEqual([int(asking.recv(64))], daemon.pids("web"))

    def test_NoRequestFailsOverReloadIncrDecrAndKills(self):
        daemon = self.run_daemon('[socket.web]\nhost = "127.0.0.1"\nport = 0\n' +
                                 serving("web", "$(circus.sockets.web)", "numprocesses = 3", "min_uptime = 0.0"))
        port = daemon.client.ok("listsockets")["sockets"][0]["port"]
        daemon.wait_active("web", 3)
        failures, count, ended = [], [0], threading.Event()

        def knock():
            while not ended.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", port), 10):
                        count[0] += 1
                except OSError as error:
                    failures.append(error)
        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            for command, more in (("reload", {}), ("reload", {"sequential": True}), ("incr", {"nb": 2}),
                                  ("decr", {"nb": 2}), ("restart", {})):
                daemon.client.ok(command, name="web", waiting=True, **more)
                daemon.wait_active("web", 3 if command != "incr" else 5)
        finally:
            ended.set()
            knocking.join()
        self.assertEqual(failures, [])
        self.assertGreater(count[0], 10)

    def test_AStdinSocketIsDescriptorZero(self):
        daemon = self.run_daemon("""
[socket.web]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@", "--serve", "0"]
stdin_socket = "web"
""")
        pid = daemon.wait_active("web", 1)[0]
        self.assertEqual(list(daemon.report(pid)["listeners"]), ["0"])
        self.assertEqual(ask(("127.0.0.1", daemon.client.ok("listsockets")["sockets"][0]["port"])), pid)


class UnboundTest(ContractCase):
    def refused(self, config, *words):
        """circusd ends with 1, names what it could not bind, and no worker ever ran."""
        daemon = self.new_daemon(config + '\n[watcher.web]\ncmd = "@PROBE@"\nargs = ["--report", "@REPORTS@"]\n')
        daemon.launch()
        self.assertEqual(daemon.wait_end(5), 1, daemon.log_tail())
        for word in words:
            daemon.wait_log(word)
        self.assertEqual(daemon.all_reports(), [])
        return daemon

    def test_APortInUseNamesSectionAddressAndErrno(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.refused(f'[socket.web]\nhost = "127.0.0.1"\nport = {port}\n', "socket.web", f"127.0.0.1:{port}",
                         "Address already in use")

    def test_OneBadSocketTakesTheGoodOnesDownToo(self):
        port = free_port()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            daemon = self.refused(f'[socket.good]\nhost = "127.0.0.1"\nport = {port}\n[socket.path]\n'
                                  f'path = "@DIR@/good.sock"\n[socket.bad]\nhost = "127.0.0.1"\n'
                                  f"port = {taken.getsockname()[1]}\n", "socket.bad")
            self.assertNotIn(port, listening_ports())
            self.assertEqual(daemon.leftover_sockets(), [])

    def test_AnExistingFileIsAnErrorUnlessReplaced(self):
        config = '[socket.file]\npath = "@DIR@/old.sock"\n'
        folder = tempfile.mkdtemp(prefix="circus-contract-")
        self.addCleanup(shutil.rmtree, folder)
        config = config.replace("@DIR@", folder)
        path = os.path.join(folder, "old.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        self.refused(config, "socket.file", path, "Address already in use")
        self.assertTrue(os.path.exists(path))
        daemon = self.run_daemon(config + "replace = true\n" +
                                 serving("web", "$(circus.sockets.file)"))
        pid = daemon.wait_active("web", 1)[0]
        self.assertEqual(ask(path, socket.AF_UNIX), pid)

    def test_AnInterfaceThatIsNotThere(self):
        self.refused('[socket.web]\nhost = "127.0.0.1"\nport = 0\ninterface = "nope0"\n', "socket.web", "nope0",
                     "No such device")

    def test_AKindThatTheKernelDoesNotHave(self):
        self.refused('[socket.web]\nhost = "127.0.0.1"\nport = 0\ntype = "SOCK_RDM"\n', "socket.web",
                     "Socket type not supported")

    def test_AFolderThatIsNotThere(self):
        self.refused('[socket.file]\npath = "@DIR@/none/x.sock"\n', "socket.file", "none/x.sock",
                     "No such file or directory")

    def test_ASecondDaemonOnTheSameEndpointIsRefused(self):
        first = self.run_daemon('[watcher.web]\ncmd = "@PROBE@"\n')
        first.wait_active("web", 1)
        second = self.new_daemon("")
        with open(first.config_path) as config:
            second.write_config(config.read())
        second.launch()
        self.assertEqual(second.wait_end(5), 1, second.log_tail())
        self.assertIn("endpoint", second.log())
        self.assertEqual(len(first.pids("web")), 1)


if __name__ == "__main__":
    main()
