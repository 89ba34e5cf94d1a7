"""Who may command circusd: its endpoints, their owner, and who is told where they are."""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import unittest

from harness import CIRCUSCTL, CIRCUSD, ContractCase, Daemon, free_port, is_running, main, wait_until

GOOD = '[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 1\n'
OWNER, STRANGER = 65534, 65533

# A client in a process of its own, as another user: argv is the endpoint, then the uid, then the requests. It prints
# an answer a line; none within the time is "nothing".
CLIENT = r"""
import json, os, sys, zmq
endpoint, uid, *requests = sys.argv[1:]
os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
dealer = zmq.Context().socket(zmq.DEALER)
dealer.setsockopt(zmq.LINGER, 0)
dealer.connect(endpoint)
for request in requests:
    dealer.send(request.encode())
    print(dealer.recv().decode() if dealer.poll(int(os.environ["WAIT"])) else "nothing")
"""

# As Circus's own finders ask: a datagram to the group, answered to the sender.
FINDER = r"""
import socket, sys
group, port = sys.argv[1], int(sys.argv[2])
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(5)
asker.sendto(b'""', (group, port))
print(asker.recvfrom(1024)[0].decode())
"""


def request(command, **properties):
    return json.dumps({"id": "x", "command": command, "properties": properties})


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class EndpointCase(ContractCase):
    def start_in(self, folder, circus="", mask=None):
        daemon = self.new_daemon(GOOD, endpoints=False)
        daemon.endpoint = f"ipc://{daemon.directory}/{folder}/endpoint"
        daemon.write_config(f'[circus]\nendpoint = "{daemon.endpoint}"\n{circus}\n{GOOD}')
        if mask is not None:
            before = os.umask(mask)
            try:
                return daemon.start()
            finally:
                os.umask(before)
        return daemon.start()


class EndpointTest(EndpointCase):
    def test_OnlyItsOwnerReachesItWhateverTheUmask(self):
        for mask in (0o000, 0o777):
            for circus in ("", 'umask = "000"\n'):
                with self.subTest(mask=oct(mask), circus=circus):
                    daemon = self.start_in("a/b", circus, mask)
                    self.assertEqual(mode_of(os.path.join(daemon.directory, "a")), 0o700)
                    self.assertEqual(mode_of(os.path.join(daemon.directory, "a/b")), 0o700)
                    for name in ("endpoint", "pubsub"):
                        self.assertEqual(mode_of(os.path.join(daemon.directory, "a/b", name)), 0o600)

    def test_ATcpEndpointIsServedAndASecondDaemonOnItRefused(self):
        port = free_port()
        circus = (f'endpoint = "tcp://127.0.0.1:{port}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                  'stats_endpoint = "ipc://@DIR@/stats"\n')
        daemon = self.new_daemon(GOOD, circus, endpoints=False)
        daemon.endpoint = f"tcp://127.0.0.1:{port}"
        daemon.ports.append(port)
        daemon.start()
        second = self.new_daemon(GOOD, circus, endpoints=False)
        second.launch()
        self.assertEqual(second.wait_end(), 1)
        self.assertIn(f"cannot use tcp://127.0.0.1:{port}: another circusd has it, process {daemon.keeper}", second.log())
        # The same port by another name.
        third = self.new_daemon(GOOD, circus.replace("tcp://127.0.0.1", "tcp://0.0.0.0") +
                                'curve_secret = "key"\ncurve_keys = "keys"\n', endpoints=False)
        subprocess.run([CIRCUSCTL, "keygen", f"{third.directory}/key"], check=True, stdout=subprocess.DEVNULL, timeout=30)
        pathlib.Path(third.directory, "keys").touch(0o600)
        self.assertEqual(third.launch().wait_end(), 1)
        self.assertIn(f"cannot bind tcp://0.0.0.0:{port}: Address already in use", third.log())
        daemon.wait_active("web", 1)

    def test_AStaleSocketIsReplacedALiveOneIsNot(self):
        daemon = self.run_daemon(GOOD)
        pids = daemon.wait_active("web", 1)
        text = pathlib.Path(daemon.config_path).read_text()
        second = self.new_daemon("", directory=daemon.directory)
        second.write_config(text)
        second.launch()
        self.assertEqual(second.wait_end(), 1)
        self.assertIn(f"another circusd has it, process {daemon.keeper}", second.log())
        self.assertEqual(daemon.pids("web"), pids)
        second.destroy()
        self.started.remove(second)
        # Who is killed removes nothing.
        left = [daemon.arbiter, *daemon.workers()]
        os.kill(daemon.arbiter, signal.SIGSTOP)
        os.kill(daemon.keeper, signal.SIGKILL)
        daemon.wait_end()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not [pid for pid in left if is_running(pid)])
        self.assertTrue(os.path.exists(os.path.join(daemon.directory, "endpoint")))
        daemon.start()
        daemon.wait_active("web", 1)


@unittest.skipUnless(os.geteuid() == 0, "needs root to be several users")
class OwnerTest(EndpointCase):
    def ask_as(self, daemon, uid, *requests, patience=10):
        run = subprocess.run([sys.executable, "-c", CLIENT, daemon.endpoint, str(uid), *requests], capture_output=True,
                             text=True, timeout=60, check=True, env={"WAIT": str(patience * 1000), "PATH": "/bin"})
        return [json.loads(line) if line != "nothing" else None for line in run.stdout.splitlines()]

    def test_HeCommandsItAndNobodyElse(self):
        daemon = self.start_in("run", f"endpoint_owner = {OWNER}\n")
        found = os.stat(os.path.join(daemon.directory, "run/endpoint"))
        self.assertEqual((found.st_uid, stat.S_IMODE(found.st_mode)), (OWNER, 0o600))
        self.assertEqual(mode_of(os.path.join(daemon.directory, "run")), 0o711)
        self.assertEqual(self.ask_as(daemon, OWNER, request("list"))[0]["watchers"], ["web"])
        self.assertEqual(self.ask_as(daemon, STRANGER, request("list"), patience=1), [None])

    def test_WhatHeAddsRunsAsHimself(self):
        daemon = self.start_in("run", f"endpoint_owner = {OWNER}\n")
        mismatch = self.ask_as(daemon, OWNER, request("add", name="x", cmd="/bin/sleep 100", start=True),
                               request("add", name="x", cmd="/bin/sleep 100", options={"uid": 0}),
                               request("add", name="x", cmd="/bin/sleep 100", options={"uid": STRANGER}))
        self.assertEqual([(each["errno"], each["reason"]) for each in mismatch],
                         [(3, "uid does not match endpoint_owner")] * 3)
        self.ask_as(daemon, OWNER, request("add", name="x", cmd="/bin/sleep 100", options={"uid": OWNER}, start=True))
        pid = daemon.wait_active("x", 1)[0]
        with open(f"/proc/{pid}/status") as status:
            self.assertIn(f"Uid:\t{OWNER}\t{OWNER}\t{OWNER}\t{OWNER}\n", status.readlines())
        refused = self.ask_as(daemon, OWNER, request("set", name="x", options={"uid": 0}),
                              request("set", name="web", options={"cmd": "/bin/sh"}))
        self.assertEqual([each["status"] for each in refused], ["error", "error"])
        daemon.client.ok("rm", name="x", waiting=True)

    def test_HeBecomesNobodyElse(self):
        daemon = self.start_in("run", f"endpoint_owner = {OWNER}\n")
        pids, arbiter = daemon.wait_active("web", 1), daemon.arbiter
        mark = os.path.join(daemon.directory, "mark")
        evil = os.path.join(daemon.directory, "evil")
        pathlib.Path(evil).write_text(f"#!/bin/sh\nid -u > {mark}\n")
        os.chmod(evil, 0o755)
        his = {"uid": OWNER}
        refused = self.ask_as(daemon, OWNER, request("upgrade", binary=evil),
                              request("options", name="web", secrets=True),
                              *[request("add", name="x", cmd="/bin/sleep 100", options=his | more)
                                for more in ({"copy_env": True}, {"env": {"A": "$HOME"}}, {"use_sockets": True},
                                             {"working_dir": "/root"}, {"args": "$(circus.env.HOME)"},
                                             {"stdout_stream": {"class": "FileStream", "filename": mark}})])
        self.assertEqual([(each["status"], each["errno"]) for each in refused],
                         [("error", 4)] * 2 + [("error", 3)] * 6, refused)
        self.assertIn("permission denied: endpoint_owner may not say which binary", refused[0]["reason"])
        daemon.wait_log(f"refused: uid {OWNER}")
        self.assertFalse(os.path.exists(mark))
        # What is not his to choose he may still begin.
        self.assertEqual(self.ask_as(daemon, OWNER, request("upgrade"))[0]["status"], "ok")
        wait_until(lambda: daemon.arbiter not in (arbiter, None))
        daemon.client = daemon.new_client()
        self.assertEqual(daemon.wait_active("web", 1), pids)

    def test_NothingIsMadeThroughALinkThatSomebodyPlanted(self):
        daemon = self.new_daemon(GOOD, endpoints=False)
        real, planted = (os.path.join(daemon.directory, name) for name in ("real", "run"))
        os.mkdir(real)
        os.symlink(real, planted)
        os.lchown(planted, STRANGER, STRANGER)
        daemon.write_config(f'[circus]\nendpoint = "ipc://{planted}/a/b/endpoint"\n{GOOD}')
        self.assertEqual(daemon.launch().wait_end(), 1)
        self.assertIn(f"{planted} is a link of another user's", daemon.log())
        self.assertEqual(os.listdir(real), [])

    def test_HeComesAndGoesByReloadconfig(self):
        daemon = self.start_in("run", f"endpoint_owner = {OWNER}\n")
        text = pathlib.Path(daemon.config_path).read_text()
        path = os.path.join(daemon.directory, "run/endpoint")
        for line, uid in (("", 0), (f"endpoint_owner = {STRANGER}\n", STRANGER)):
            daemon.write_config(text.replace(f"endpoint_owner = {OWNER}\n", line))
            plan = daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]
            self.assertEqual(list(plan["circus"]), ["endpoint_owner"])
            self.assertEqual(os.stat(path).st_uid, uid)
        self.assertEqual(len(self.ask_as(daemon, STRANGER, request("list"))), 1)
        daemon.write_config(text.replace("run/endpoint", "run/other"))
        daemon.client.ok("reloadconfig", waiting=True)
        found = os.stat(os.path.join(daemon.directory, "run/other"))
        self.assertEqual((found.st_uid, stat.S_IMODE(found.st_mode)), (OWNER, 0o600))

    def test_WhoCannotReachItIsSaidInTheLog(self):
        daemon = self.new_daemon(GOOD, endpoints=False)
        os.mkdir(os.path.join(daemon.directory, "run"), 0o700)
        daemon.endpoint = f"ipc://{daemon.directory}/run/endpoint"
        daemon.write_config(f'[circus]\nendpoint = "{daemon.endpoint}"\nendpoint_owner = {OWNER}\n{GOOD}')
        daemon.start()
        wait_until(lambda: "chmod 711" in daemon.log(), what=daemon.log)


class NetworkDaemon(Daemon):
    """In a network of its own: what is sent to the group leaves it by no wire. self.process is circusd itself."""

    def launch(self, *arguments, output=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c",
                 'ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"', "sh", CIRCUSD,
                 "--config", self.config_path, *arguments],
                cwd=self.working_dir, env=self.environment, stdin=subprocess.DEVNULL, stdout=output or log,
                stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def inside(self, *words):
        """Runs a command in that network."""
        return subprocess.run(["nsenter", "--net", "-t", str(self.keeper), *words], capture_output=True, text=True,
                              timeout=30, check=False)


def can_unshare():
    return (os.geteuid() == 0 and shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip")
            and subprocess.run(["unshare", "--net", "sh", "-c", "ip link set lo up multicast on"], capture_output=True,
                               check=False).returncode == 0)


@unittest.skipUnless(can_unshare(), "needs root, network namespaces and ip(8)")
class DiscoveryTest(ContractCase):
    def find(self, daemon, group="237.219.251.97", port=12027):
        run = daemon.inside(sys.executable, "-c", FINDER, group, str(port))
        return json.loads(run.stdout) if run.returncode == 0 else None

    def test_AnyDatagramToTheGroupIsAnsweredWithTheEndpoint(self):
        daemon = NetworkDaemon(GOOD, 'multicast_endpoint = "udp://237.219.251.97:12027"\n')
        self.started.append(daemon)
        daemon.start()
        self.assertEqual(self.find(daemon), {"endpoint": daemon.endpoint})
        self.assertEqual(self.find(daemon, "127.0.0.1"), {"endpoint": daemon.endpoint})

    def test_ReloadconfigMovesItAndTurnsItOff(self):
        daemon = NetworkDaemon(GOOD)
        self.started.append(daemon)
        daemon.start()
        text = pathlib.Path(daemon.config_path).read_text()
        for port in (12027, 12028):
            daemon.write_config(text.replace("[circus]\n",
                                             f'[circus]\nmulticast_endpoint = "udp://239.1.2.3:{port}"\n'))
            daemon.client.ok("reloadconfig", waiting=True)
            self.assertEqual(self.find(daemon, "239.1.2.3", port), {"endpoint": daemon.endpoint})
            self.assertEqual(daemon.client.ok("globaloptions", option="multicast_endpoint")["options"],
                             {"multicast_endpoint": f"udp://239.1.2.3:{port}"})
        sockets = daemon.inside("cat", "/proc/net/udp").stdout
        self.assertNotIn(f":{12027:04X} ", sockets)
        daemon.write_config(text)
        daemon.client.ok("reloadconfig", waiting=True)
        self.assertNotIn(f":{12028:04X} ", daemon.inside("cat", "/proc/net/udp").stdout)

    def test_AFloodStopsNothing(self):
        daemon = NetworkDaemon(GOOD, 'multicast_endpoint = "udp://237.219.251.97:12027"\n')
        self.started.append(daemon)
        daemon.start()
        flood = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                 "for _ in range(20000): s.sendto(b'x', ('127.0.0.1', 12027))\n"
                 "s.settimeout(0.5)\nn = 0\n"
                 "try:\n    while s.recv(2048): n += 1\nexcept OSError: print(n)\n")
        run = daemon.inside(sys.executable, "-c", flood)
        self.assertGreater(int(run.stdout), 0, run.stderr)
        self.assertLess(int(run.stdout), 1000)
        self.assertEqual(daemon.client.ok("numwatchers")["numwatchers"], 1)

    def test_AGroupThatCannotBeJoinedIsAWarningAtStartAndAnErrorOfAReload(self):
        # A network without any route: not even to the group.
        daemon = NetworkDaemon(GOOD, 'multicast_endpoint = "udp://237.219.251.97:12027"\n')
        self.started.append(daemon)
        launch = daemon.launch

        def without_route(*arguments, output=None):
            with open(daemon.log_path, "ab") as log:
                daemon.process = subprocess.Popen(["unshare", "--net", CIRCUSD, "--config", daemon.config_path],
                                                  cwd=daemon.working_dir, env=daemon.environment,
                                                  stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                                  start_new_session=True)
        daemon.launch = without_route
        daemon.start()
        daemon.launch = launch
        wait_until(lambda: "no discovery" in daemon.log(), what=daemon.log)
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("12027", "12028"))
        answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
        self.assertEqual(answer["errno"], 6, answer)
        self.assertIn("cannot join udp://237.219.251.97:12028", answer["reason"])


if __name__ == "__main__":
    main()
