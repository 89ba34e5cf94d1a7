"""Who may command circusd: who is at the other end is asked of the kernel, over ipc and over TCP."""
import json
import os
import pathlib
import re
import select
import stat
import subprocess
import sys
import unittest

import zmq

from harness import CIRCUSCTL, CIRCUSD, Client, ContractCase, free_port, main, wait_until

WEB = '[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 1\n'
FRIEND, STRANGER, READER = 65531, 65532, 65533

# A client in a process of its own, as another user: argv is the endpoint, the uid, and requests. It prints an answer a
# line. "-" as a request ends the connection and begins another.
CLIENT = r"""
import os, sys, zmq
endpoint, uid, *requests = sys.argv[1:]
os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
context = zmq.Context()
def connect():
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.IPV6, 1)
    dealer.connect(endpoint)
    return dealer
dealer = connect()
for request in requests:
    if request == "-":
        dealer.close()
        dealer = connect()
        continue
    dealer.send(request.encode())
    print(dealer.recv().decode() if dealer.poll(30000) else '{"status": "nothing"}', flush=True)
"""

# A client that stays: a line of its input is a request, a line of its output the answer.
HELD = r"""
import os, sys, zmq
endpoint, uid = sys.argv[1:]
os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(endpoint)
for line in sys.stdin:
    dealer.send(line.strip().encode())
    print(dealer.recv().decode() if dealer.poll(30000) else '{"status": "nothing"}', flush=True)
"""


def request(command, **properties):
    return json.dumps({"id": "x", "command": command, "properties": properties})


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Held:
    def __init__(self, endpoint, uid):
        self.process = subprocess.Popen([sys.executable, "-c", HELD, endpoint, str(uid)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={"PATH": "/bin"})

    def ask(self, command, **properties):
        self.process.stdin.write(request(command, **properties) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


@unittest.skipUnless(os.geteuid() == 0, "needs root to be several users")
class AccessCase(ContractCase):
    def ask_as(self, uid, endpoint, *requests):
        run = subprocess.run([sys.executable, "-c", CLIENT, endpoint, str(uid), *requests], capture_output=True,
                             text=True, timeout=60, check=True, env={"PATH": "/bin"})
        return [json.loads(line) for line in run.stdout.splitlines()]

    def over_tcp(self, circus=""):
        port = free_port()
        endpoint = f"tcp://127.0.0.1:{port}"
        daemon = self.new_daemon(WEB, f'endpoint = "{endpoint}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                                 f'stats_endpoint = "ipc://@DIR@/stats"\n{circus}', endpoints=False)
        daemon.endpoint = endpoint
        daemon.ports.append(port)
        return daemon.start()

    def over_ipc(self, circus=""):
        daemon = self.new_daemon(WEB, endpoints=False)
        daemon.endpoint = f"ipc://{daemon.directory}/run/endpoint"
        daemon.write_config(f'[circus]\nendpoint = "{daemon.endpoint}"\n{circus}\n{WEB}')
        return daemon.start()

    def assert_refused(self, answer, reason="is not among those who may command circusd"):
        self.assertEqual((answer["status"], answer["errno"], answer["tb"], answer["id"]), ("error", 4, None, "x"))
        self.assertIn("permission denied: ", answer["reason"])
        self.assertIn(reason, answer["reason"])


class TcpTest(AccessCase):
    def test_RootAndTheAllowedMayCommandItAndNobodyElse(self):
        daemon = self.over_tcp(f"allow_users = [{FRIEND}]\n")
        daemon.wait_active("web", 1)
        self.assertEqual(self.ask_as(FRIEND, daemon.endpoint, request("list"))[0]["watchers"], ["web"])
        for answer in self.ask_as(STRANGER, daemon.endpoint, request("list"), request("quit"), "-", request("nonsense"),
                                  request("stop", name="web", waiting=True)):
            self.assert_refused(answer)
        daemon.wait_log(f"refused: uid {STRANGER}, 127.0.0.1:")
        self.assertEqual(daemon.status("web"), "active")

    def test_SoItIsOverTheOtherProtocol(self):
        endpoint = f"tcp://[::1]:{free_port()}"
        self.new_daemon(WEB, f'endpoint = "{endpoint}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                        'stats_endpoint = "ipc://@DIR@/stats"\n', endpoints=False).launch()
        self.assertEqual(self.ask_as(0, endpoint, request("list"))[0]["watchers"], ["web"])
        self.assert_refused(self.ask_as(STRANGER, endpoint, request("list"))[0])

    def test_ADescriptorThatIsUsedAgainMakesNobodyAnotherUser(self):
        # Each connection of root's is followed by a stranger's, and so on: they get the same descriptors.
        daemon = self.over_tcp()
        stranger = [request("numwatchers"), "-"] * 10
        for _ in range(3):
            for answer in self.ask_as(STRANGER, daemon.endpoint, *stranger):
                self.assert_refused(answer)
            for answer in self.ask_as(0, daemon.endpoint, *stranger):
                self.assertEqual(answer["status"], "ok")

    def test_WhatAStrangerLeftBehindIsNotTakenForWhoCameAfterHim(self):
        # He sends and goes at once, while the daemon cannot look; root's client then gets his descriptor.
        daemon = self.over_tcp()
        daemon.wait_active("web", 1)
        leave = ("import os,sys,zmq;e,u,*r=sys.argv[1:];os.setgroups([]);os.setresuid(int(u),int(u),int(u));"
                 "d=zmq.Context().socket(zmq.DEALER);d.connect(e);d.send(r[0].encode());"
                 "print(d.poll(30000), flush=True);[d.send(each.encode()) for each in r[1:]];d.close(5000)")
        for _ in range(5):
            stops = [json.dumps({"id": "x", "command": "stop", "properties": {"name": "web"}, "msg_type": "cast"})] * 50
            subprocess.run([sys.executable, "-c", leave, daemon.endpoint, str(STRANGER), request("list"), *stops],
                           check=True, timeout=60, stdout=subprocess.DEVNULL, env={"PATH": "/bin"})
            for _ in range(5):
                client = daemon.new_client()
                self.assertEqual(client.ask("status", name="web")["status"], "active")

    def test_WhoIsAllowedComesAndGoesByReloadconfigForConnectionsThatAreOpenToo(self):
        daemon = self.over_tcp()
        held = Held(daemon.endpoint, FRIEND)
        try:
            self.come_and_go(daemon, held)
        finally:
            held.close()

    def come_and_go(self, daemon, held):
        self.assert_refused(held.ask("list"))
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("[circus]\n", f'[circus]\nallow_users = ["{FRIEND}:operate"]\n'))
        plan = daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]
        self.assertEqual(list(plan["circus"]), ["allow_users"])
        self.assertEqual(held.ask("list")["status"], "ok")
        daemon.write_config(text)
        daemon.client.ok("reloadconfig", waiting=True)
        self.assert_refused(held.ask("list"))

    def test_ManyRefusalsAreFewLinesOfTheLog(self):
        daemon = self.over_tcp()
        for answer in self.ask_as(STRANGER, daemon.endpoint, *[request("list")] * 300):
            self.assert_refused(answer)
        self.assertLess(daemon.log().count("refused: uid"), 100)


class IpcTest(AccessCase):
    def test_TheSocketIsForItsOwnerUnlessOthersAreAllowed(self):
        daemon = self.over_ipc()
        path = os.path.join(daemon.directory, "run/endpoint")
        self.assertEqual((mode_of(path), mode_of(os.path.dirname(path))), (0o600, 0o700))
        daemon.terminate()
        os.rmdir(os.path.dirname(path))
        daemon = self.over_ipc(f"allow_users = [{FRIEND}]\n")
        path = os.path.join(daemon.directory, "run/endpoint")
        self.assertEqual((mode_of(path), mode_of(os.path.dirname(path))), (0o666, 0o711))
        self.assertEqual(self.ask_as(FRIEND, daemon.endpoint, request("list"))[0]["watchers"], ["web"])
        self.assert_refused(self.ask_as(STRANGER, daemon.endpoint, request("list"))[0])
        daemon.wait_log(re.compile(f"refused: uid {STRANGER}, pid [0-9]+: list: permission denied"))

    def test_ReloadconfigOpensAndClosesTheSocket(self):
        daemon = self.over_ipc(f"allow_users = [{FRIEND}]\n")
        path = os.path.join(daemon.directory, "run/endpoint")
        text = pathlib.Path(daemon.config_path).read_text()
        for config, mode in ((text.replace("allow_users", "#"), 0o600), (text, 0o666)):
            daemon.write_config(config)
            daemon.client.ok("reloadconfig", waiting=True)
            self.assertEqual(mode_of(path), mode)

    def test_ARoleIsWhatItSays(self):
        daemon = self.over_ipc(f'allow_users = ["{READER}:read", "{FRIEND}:operate"]\n')
        daemon.wait_active("web", 1)
        answers = self.ask_as(READER, daemon.endpoint, request("stats"), request("options", name="web"),
                              request("incr", name="web"), request("gauge", watcher="web", name="x", value=0),
                              request("add", name="x", cmd="/bin/true"))
        self.assertEqual([each["status"] for each in answers], ["ok", "ok", "error", "error", "error"])
        self.assert_refused(answers[2], "this takes the role operate, and uid")
        answers = self.ask_as(FRIEND, daemon.endpoint, request("incr", name="web", waiting=True),
                              request("kill", name="web"), request("set", name="web", options={"cmd": "/bin/sh"}),
                              request("quit"),
                              request("options", name="web", secrets=True))
        self.assertEqual([each["status"] for each in answers], ["ok", "ok", "error", "error", "error"])
        self.assert_refused(answers[2], "this takes the role admin, and uid")


class CurveTest(ContractCase):
    """As from another machine: the endpoint is one of all addresses."""

    def keygen(self, file, *arguments):
        run = subprocess.run([CIRCUSCTL, "keygen", file, *arguments], capture_output=True, text=True, timeout=30,
                             check=True)
        self.assertEqual(mode_of(file), 0o600)
        keys = dict(line.split() for line in pathlib.Path(file).read_text().splitlines() if line[0] != "#")
        self.assertIn(keys["public"], run.stdout)
        self.assertNotIn(keys["secret"], run.stdout)
        return keys

    def start_one(self, clients):
        port, events = free_port(), free_port()
        daemon = self.new_daemon(WEB, endpoints=False)
        daemon.endpoint = f"tcp://127.0.0.1:{port}"
        daemon.server = self.keygen(f"{daemon.directory}/server.key")
        daemon.keys = {name: self.keygen(f"{daemon.directory}/{name}.key", "--server", daemon.server["public"])
                       for name in (*clients, "stranger")}
        self.list_keys(daemon, clients)
        daemon.write_config(f'[circus]\nendpoint = "tcp://0.0.0.0:{port}"\npubsub_endpoint = "tcp://0.0.0.0:{events}"\n'
                            f'curve_secret = "server.key"\ncurve_keys = "clients"\n{WEB}')
        daemon.launch()
        return daemon

    def list_keys(self, daemon, clients):
        lines = [f"{role} {name} {daemon.keys[name]['public']}\n" for name, role in clients.items()]
        pathlib.Path(daemon.directory, "clients").write_text("# ROLE NAME KEY\n" + "".join(lines))

    def ctl(self, daemon, name, *words, timeout=30):
        curve = ["--curve", f"{daemon.directory}/{name}.key"] if name else []
        return subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "--timeout", str(timeout), *curve, *words],
                              capture_output=True, text=True, timeout=60, check=False)

    def test_AKeyMayWhatItsRoleSaysAndWithoutOneNobodyIsLetIn(self):
        daemon = self.start_one({"boss": "admin", "deploy": "operate", "nagios": "read"})
        self.assertEqual(self.ctl(daemon, "nagios", "list").stdout, "web\n")
        for name, words, code in (("nagios", ("incr", "web"), 3), ("deploy", ("incr", "web", "--waiting"), 0),
                                  ("deploy", ("rm", "web"), 3), ("boss", ("set", "web", "graceful_timeout", "3"), 0)):
            with self.subTest(name=name, words=words):
                run = self.ctl(daemon, name, *words)
                self.assertEqual(run.returncode, code, run.stderr)
        daemon.wait_log("audit: key deploy: incr web waiting=true: ok")
        daemon.wait_log("refused: key nagios: incr web: permission denied: this takes the role operate")
        # These are not answered at all: they give up after a second of their own.
        for name in ("stranger", None):
            self.assertEqual(self.ctl(daemon, name, "list", timeout=1).returncode, 1)
        daemon.wait_log(f"no line of curve_keys has the key {daemon.keys['stranger']['public']}")

    def test_TheListIsReadAgainByReloadconfigAndHoldsForOpenConnections(self):
        daemon = self.start_one({"boss": "admin", "deploy": "operate"})
        held = self.connect(daemon, "deploy")
        self.assertEqual(held.ask("list")["status"], "ok")
        self.list_keys(daemon, {"boss": "admin", "stranger": "read"})
        run = self.ctl(daemon, "boss", "reloadconfig", "--waiting")
        self.assertEqual(run.returncode, 0, run.stderr)
        answer = held.ask("list")
        self.assertEqual((answer["status"], answer["errno"]), ("error", 4))
        self.assertIn("the key is not in curve_keys any more", answer["reason"])
        self.assertEqual(self.ctl(daemon, "stranger", "list").stdout, "web\n")
        # A list that is wrong changes nothing.
        pathlib.Path(daemon.directory, "clients").write_text("king deploy x\n")
        run = self.ctl(daemon, "boss", "reloadconfig", "--waiting")
        self.assertEqual(run.returncode, 3)
        self.assertIn("clients:1: 'king' is no role: read, operate or admin", run.stderr)
        self.assertEqual(self.ctl(daemon, "stranger", "list").stdout, "web\n")

    def connect(self, daemon, name):
        client = Client.__new__(Client)
        client.socket = daemon.context.socket(zmq.DEALER)
        client.socket.setsockopt(zmq.LINGER, 0)
        keys = daemon.keys[name]
        client.socket.curve_serverkey = daemon.server["public"].encode()
        client.socket.curve_publickey = keys["public"].encode()
        client.socket.curve_secretkey = keys["secret"].encode()
        client.socket.connect(daemon.endpoint)
        client.count = 0
        daemon.clients.append(client)
        return client

    def test_EventsAreForWhoHasAKey(self):
        daemon = self.start_one({"boss": "admin", "nagios": "read"})
        self.assertEqual(self.ctl(daemon, "boss", "list").stdout, "web\n")
        listener = subprocess.Popen([CIRCUSCTL, "--endpoint", daemon.endpoint, "--timeout", "30", "--curve",
                                     f"{daemon.directory}/nagios.key", "listen", "watcher.web."],
                                    stdout=subprocess.PIPE, text=True)
        try:
            def heard():
                self.ctl(daemon, "boss", "set", "web", "graceful_timeout", "3")
                return select.select([listener.stdout], [], [], 0.1)[0]
            wait_until(heard, what="an event")
            self.assertTrue(listener.stdout.readline().startswith("watcher.web.updated: "))
        finally:
            listener.kill()
            listener.wait()
            listener.stdout.close()

    def test_AKeyFileThatOthersMayReadOrThatIsNoneIsRefused(self):
        for name, mode, text, error in (
                ("server.key", 0o640, None, "server.key is open to others; chmod 600 it"),
                ("server.key", 0o600, "secret x\n", "server.key:1: behind secret belongs a key, 40 characters of Z85"),
                ("server.key", 0o600, "# nothing\n", "server.key has no line \"secret KEY\""),
                ("clients", 0o666, None, "clients can be written by others; chmod go-w it"),
                ("clients", 0o644, "read deploy\n", "clients:1: a line is ROLE NAME KEY")):
            with self.subTest(error):
                daemon = self.new_daemon(WEB, 'endpoint = "tcp://0.0.0.0:5555"\ncurve_secret = "server.key"\n'
                                         'curve_keys = "clients"\n', endpoints=False)
                self.keygen(f"{daemon.directory}/server.key")
                file = pathlib.Path(daemon.directory, name)
                pathlib.Path(daemon.directory, "clients").write_text("")
                if text is not None:
                    file.write_text(text)
                file.chmod(mode)
                run = subprocess.run([CIRCUSD, "--check", daemon.config_path], capture_output=True, text=True,
                                     timeout=30, check=False)
                self.assertEqual(run.returncode, 1)
                self.assertIn(error, run.stderr)


class ConfigTest(ContractCase):
    def test_AUserOrRoleThatThereIsNotIsAnErrorThatSaysSo(self):
        for value, text in (('["nosuchuser"]', "no such user: 'nosuchuser'"),
                            ('["root:king"]', "'king' is no role: write USER:read, USER:operate or USER:admin"),
                            ('"root"', "must be an array of strings")):
            with self.subTest(value):
                daemon = self.new_daemon(WEB, f"allow_users = {value}\n")
                daemon.launch()
                self.assertEqual(daemon.wait_end(), 1)
                self.assertIn(text, daemon.log())
                self.assertIn("stack.toml:", daemon.log())


class FilesTest(AccessCase):
    """Links that somebody has planted where circusd is to write."""

    def plant(self, daemon, name, owner):
        victim, path = os.path.join(daemon.directory, "victim"), os.path.join(daemon.directory, name)
        pathlib.Path(victim).write_text("precious\n")
        os.symlink(victim, path)
        os.lchown(path, owner, owner)
        return lambda: pathlib.Path(victim).read_text()

    def test_AnothersLinkIsNotFollowedByTheLog(self):
        daemon = self.new_daemon(WEB, 'logoutput = "@DIR@/log"\n')
        victim = self.plant(daemon, "log", STRANGER)
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        self.assertIn("Too many levels of symbolic links", daemon.log())
        self.assertEqual(victim(), "precious\n")

    def test_OnesOwnLinkIs(self):
        daemon = self.new_daemon(WEB, 'logoutput = "@DIR@/log"\n')
        victim = self.plant(daemon, "log", 0)
        daemon.start()
        wait_until(lambda: "watcher web started" in victim(), what=victim)

    def test_AnothersLinkIsNotFollowedByAStreamNorTheEndpointNorTheFileOfASocket(self):
        daemon = self.new_daemon(WEB.replace("@PROBE@", "@PROBE@ --print 3:line") +
                                 'stdout_stream = {class = "FileStream", filename = "@DIR@/out"}\n')
        victim = self.plant(daemon, "out", STRANGER)
        daemon.start()
        daemon.wait_log("Too many levels of symbolic links")
        self.assertEqual(victim(), "precious\n")
        for circus, more, name in (("", "", "endpoint"),
                                   ("", '[socket.s]\npath = "@DIR@/sock"\nreplace = true\n', "sock")):
            with self.subTest(name):
                daemon = self.new_daemon(WEB + more, circus)
                victim = self.plant(daemon, name, STRANGER)
                daemon.launch()
                self.assertEqual(daemon.wait_end(), 1)
                self.assertEqual(victim(), "precious\n")
                os.unlink(os.path.join(daemon.directory, name))


class AuditTest(ContractCase):
    config = WEB

    def test_WhatChangesSomethingIsALineWithWhoWhatAndResult(self):
        client = self.daemon.client
        me = f"root, pid {os.getpid()}"
        client.ok("incr", name="web", nb=2, waiting=True)
        client.ok("set", name="web", options={"env": {"PASSWORD": "hush"}, "graceful_timeout": 5}, waiting=True)
        client.ask("stop", name="nobody")
        client.ok("add", name="other", cmd="/bin/sleep hush")
        client.cast("decr", name="web", nb=2)
        for line in ("incr web nb=2 waiting=true: ok", "set web waiting=true options: env, graceful_timeout: ok",
                     "stop nobody: error: program nobody not found", "add other: ok", "decr web nb=2: ok"):
            self.daemon.wait_log(f"audit: {me}: {line}")
        client.ok("rm", name="other", waiting=True)
        client.ok("list")
        self.daemon.wait_log("rm other waiting=true: ok")
        self.assertNotIn("hush", self.daemon.log())
        self.assertNotIn(": list", self.daemon.log())


class SecretsTest(ContractCase):
    config = (WEB.replace("@PROBE@", "@PROBE@ --report @REPORTS@") +
              'env = { DB_PASSWORD = "hush", API_KEY = "key", NAME = "web", URL = "redis://u:hush@h/" }\n')
    masked = {"DB_PASSWORD": "********", "API_KEY": "********", "NAME": "web", "URL": "********"}

    def test_TheyAreShownToWhoAsksForThem(self):
        client = self.daemon.client
        self.assertEqual(client.ok("options", name="web")["options"]["env"], self.masked)
        self.assertEqual(client.ok("get", name="web", keys=["env"])["options"]["env"], self.masked)
        for command, more in (("options", {}), ("get", {"keys": ["env"]})):
            env = client.ok(command, name="web", secrets=True, **more)["options"]["env"]
            self.assertEqual((env["DB_PASSWORD"], env["API_KEY"]), ("hush", "key"))
        for switches, seen in (((), False), (("--secrets",), True)):
            run = subprocess.run([CIRCUSCTL, "--endpoint", self.daemon.endpoint, "options", "web", *switches],
                                 capture_output=True, text=True, timeout=30, check=True)
            self.assertEqual("hush" in run.stdout, seen)

    def test_WhatIsSentBackMaskedStaysWhatItWas(self):
        client = self.daemon.client
        self.daemon.wait_active("web", 1)
        client.ok("set", name="web", options={"env": dict(self.masked, NAME="other")}, waiting=True)
        env = client.ok("get", name="web", keys=["env"], secrets=True)["options"]["env"]
        self.assertEqual(env, {"DB_PASSWORD": "hush", "API_KEY": "key", "NAME": "other", "URL": "redis://u:hush@h/"})
        pid = self.daemon.wait_active("web", 1)[0]
        self.assertIn("DB_PASSWORD=hush", self.daemon.report(pid)["env"])


if __name__ == "__main__":
    main()
