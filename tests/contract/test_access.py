"""Who may command circusd: who is at the other end is asked of the kernel, over ipc and over TCP."""
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import unittest

from harness import CIRCUSCTL, CIRCUSD, ContractCase, Daemon, free_port, main, wait_until

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

# A client that stays: a line of its input is a request, a line of its output the answer, or that there was none.
HELD = r"""
import os, sys, zmq
endpoint, uid, patience = sys.argv[1:]
os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(endpoint)
for line in sys.stdin:
    dealer.send(line.strip().encode())
    print(dealer.recv().decode() if dealer.poll(int(patience)) else '{"status": "nothing"}', flush=True)
"""


def request(command, **properties):
    return json.dumps({"id": "x", "command": command, "properties": properties})


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Held:
    def __init__(self, endpoint, uid, patience=30):
        self.process = subprocess.Popen([sys.executable, "-c", HELD, endpoint, str(uid), str(int(patience * 1000))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": "/bin"})

    def ask(self, command, **properties):
        self.process.stdin.write(request(command, **properties) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask_again(self, command, **properties):
        """What was asked of an arbiter that died has no answer: asks until there is one."""
        return wait_until(lambda: self.answer(command, **properties), what="an answer")

    def answer(self, command, **properties):
        answer = self.ask(command, **properties)
        return None if answer["status"] == "nothing" else answer

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


class TakeoverTest(AccessCase):
    """Whoever was let in, and whoever was not, is the same to the next arbiter."""

    def check(self, daemon):
        pids = daemon.wait_active("web", 1)
        friend, stranger = (Held(daemon.endpoint, uid, patience=1) for uid in (FRIEND, STRANGER))
        try:
            self.assertEqual(friend.ask_again("list")["status"], "ok")
            self.assert_refused(stranger.ask_again("list"))
            for _ in range(2):
                daemon.kill_arbiter()
                self.assertEqual(friend.ask_again("list")["status"], "ok")
                self.assert_refused(stranger.ask_again("list"))
                self.assert_refused(self.ask_as(STRANGER, daemon.endpoint, request("stop", name="web"))[0])
                answers = self.ask_as(FRIEND, daemon.endpoint, request("list", name="web"), request("quit"))
                self.assertEqual(answers[0]["pids"], pids)
                self.assert_refused(answers[1], "this takes the role admin, and uid")
                self.assertEqual(self.ask_as(0, daemon.endpoint, request("list", name="web"))[0]["pids"], pids)
        finally:
            friend.close()
            stranger.close()

    def test_OverTcp(self):
        self.check(self.over_tcp(f'allow_users = ["{FRIEND}:operate"]\n'))

    def test_OverIpcWhoseFileStaysWhatItWas(self):
        daemon = self.over_ipc(f'allow_users = ["{FRIEND}:operate"]\n')
        path = os.path.join(daemon.directory, "run/endpoint")
        self.check(daemon)
        self.assertEqual((mode_of(path), mode_of(os.path.dirname(path))), (0o666, 0o711))
        text = pathlib.Path(daemon.config_path).read_text()
        daemon.write_config(text.replace("allow_users", "#"))
        self.assertEqual(self.ask_as(0, daemon.endpoint, request("reloadconfig", waiting=True))[0]["status"], "ok")
        self.assertEqual(mode_of(path), 0o600)


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

    def test_AnothersLinkInTheMiddleOfTheWayIsNotFollowed(self):
        # A folder of the worker's user, in the place of which he has put a link.
        stream = 'stdout_stream = {class = "FileStream", filename = "@DIR@/app/web/out", max_bytes = 10, backup_count = 1}\n'
        daemon = self.new_daemon(WEB.replace("@PROBE@", "@PROBE@ --print 9:line") + stream,
                                 'pidfile = "@DIR@/app/real/pid"\n')
        app, victims = (os.path.join(daemon.directory, name) for name in ("app", "victims"))
        for folder in (app, victims, os.path.join(app, "real")):
            os.mkdir(folder)
        os.symlink(victims, os.path.join(app, "web"))
        os.lchown(os.path.join(app, "web"), STRANGER, STRANGER)
        daemon.start()
        daemon.wait_log(f"{app}/web is a link of another user's")
        self.assertEqual(os.listdir(victims), [])
        self.assertEqual(os.listdir(os.path.join(app, "real")), ["pid"])
        # Root's own link is no plant.
        os.unlink(os.path.join(app, "web"))
        os.symlink(victims, os.path.join(app, "web"))
        wait_until(lambda: "out" in os.listdir(victims), what=lambda: os.listdir(victims))
        for setting, more in (("logoutput", ""), ("pidfile", ""), ("", "[socket.s]\npath = \"@DIR@/way/file\"\n")):
            with self.subTest(setting or "socket"):
                other = self.new_daemon(WEB + more, f'{setting} = "@DIR@/way/file"\n' if setting else "")
                os.symlink(victims, os.path.join(other.directory, "way"))
                os.lchown(os.path.join(other.directory, "way"), STRANGER, STRANGER)
                self.assertEqual(other.launch().wait_end(), 1)
                self.assertIn(f"{other.directory}/way is a link of another user's", other.log())
                self.assertEqual([name for name in os.listdir(victims) if not name.startswith("out")], [])

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


# As whoever starts circusd may leave it: signals ignored and held back, descriptors that are inherited.
SPOILED = r"""
import os, signal, sys
for signo in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGCHLD, signal.SIGALRM):
    signal.signal(signo, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGTERM})
for fd in (7, 57):
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), fd, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])
"""

# Says what came of each way back.
REGAINS = r"""
import os, time
for way in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(-1, 0, -1), lambda: os.setgid(0),
            lambda: os.setgroups([0]), lambda: os.chroot("/")):
    try:
        way()
        print("done", flush=True)
    except PermissionError:
        print("refused", flush=True)
while True:
    time.sleep(1)
"""


class SpoiledDaemon(Daemon):
    def launch(self, *arguments, output=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SPOILED, CIRCUSD, "--config", self.config_path, *arguments],
                cwd=self.working_dir, env=dict(self.environment, SECRET="s"), stdin=subprocess.DEVNULL,
                stdout=output or log, stderr=subprocess.STDOUT, start_new_session=True)
        return self


@unittest.skipUnless(os.geteuid() == 0, "changing ids needs root")
class WorkerTest(ContractCase):
    """What a worker is given, whoever started circusd, by the first arbiter and by the next."""

    CONFIG = """
[socket.one]
port = 0

[socket.two]
port = 0

[watcher.web]
cmd = "@PROBE@ --report @REPORTS@"
use_sockets = true
args = "-- $(circus.sockets.two)"
uid = 65531
gid = 65532
no_new_privs = true
env = { A = "b" }
"""

    def test_ItIsWhatItsWatcherDeclaresAndNothingElse(self):
        daemon = SpoiledDaemon(self.CONFIG)
        self.started.append(daemon)
        daemon.start()
        pid = daemon.wait_active("web", 1)[0]
        self.check(daemon, pid)
        daemon.kill_arbiter()
        os.kill(pid, signal.SIGKILL)
        client = daemon.client = daemon.new_client()

        def replaced():
            client.send(request("list", name="web"))
            pids = client.receive()["pids"] if client.socket.poll(1000) else []
            return pids if pids and pids != [pid] else None
        self.check(daemon, wait_until(replaced, what=daemon.log_tail)[0])

    def check(self, daemon, pid):
        seen = daemon.report(pid)
        env = dict(line.split("=", 1) for line in seen["env"])
        env.pop("CIRCUS_INSTANCE")
        self.assertEqual(env, {"A": "b"})
        self.assertEqual(sorted(seen["fds"]), ["0", "1", "2", "4"])
        self.assertTrue(seen["fds"]["4"].startswith("socket:"))
        self.assertEqual((seen["blocked"], seen["ignored"], seen["caught"]), (0, 0, 0))
        self.assertEqual((seen["sid"], seen["pgrp"], seen["ppid"]), (pid, pid, daemon.keeper))
        self.assertEqual((seen["uids"], seen["gids"], seen["groups"]), ([65531] * 3, [65532] * 3, [65532]))
        self.assertEqual(seen["no_new_privs"], 1)
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        self.assertEqual((status["Uid"].split(), status["Gid"].split()), (["65531"] * 4, ["65532"] * 4))
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)

    def test_ItCannotComeBackToWhatItWas(self):
        daemon = self.new_daemon("[watcher.web]\n"
                                 f"cmd = '{sys.executable}'\n"
                                 f"args = ['-c', '''{REGAINS}''']\n"
                                 "uid = 65531\n"
                                 'stdout_stream = {class = "FileStream", filename = "@DIR@/said"}\n')
        daemon.start()
        said = pathlib.Path(daemon.directory, "said")
        wait_until(lambda: said.exists() and said.read_text() == "refused\n" * 6,
                   what=lambda: said.read_text() if said.exists() else "nothing was said")


class AuditTest(ContractCase):
    config = WEB

    def test_WhatChangesSomethingIsALineWithWhoWhatAndResult(self):
        client = self.daemon.client
        me = f"{'root' if os.geteuid() == 0 else f'uid {os.geteuid()}'}, pid {os.getpid()}"
        client.ok("incr", name="web", nb=2, waiting=True)
        client.ok("set", name="web", options={"env": {"PASSWORD": "hush"}, "graceful_timeout": 5}, waiting=True)
        client.ask("stop", name="nobody")
        client.ok("add", name="other", cmd="/bin/sleep hush")
        client.cast("decr", name="web", nb=2)
        client.ok("incr", name="web")
        for line in ("incr web nb=2 waiting=true: ok", "set web waiting=true options: env, graceful_timeout: ok",
                     "stop nobody: error: program nobody not found", "add other: ok", "decr web nb=2: begun",
                     "incr web: begun"):
            self.daemon.wait_log(f"audit: {me}: {line}")
        client.ok("rm", name="other", waiting=True)
        client.ok("list")
        self.daemon.wait_log("rm other waiting=true: ok")
        self.assertNotIn("hush", self.daemon.log())
        self.assertNotIn(": list", self.daemon.log())


class SecretsTest(ContractCase):
    config = (WEB.replace("@PROBE@", "@PROBE@ --report @REPORTS@") +
              'env = { DB_PASSWORD = "hush", API_KEY = "key", NAME = "web", URL = "redis://u:hush@h/", '
              'MYSQL_PWD = "hush", DSN = "https://hush@h/1", PWD = "/srv" }\n')
    masked = {"DB_PASSWORD": "********", "API_KEY": "********", "NAME": "web", "URL": "********",
              "MYSQL_PWD": "********", "DSN": "********", "PWD": "/srv"}

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
        self.assertEqual(env, {"DB_PASSWORD": "hush", "API_KEY": "key", "NAME": "other", "URL": "redis://u:hush@h/",
                               "MYSQL_PWD": "hush", "DSN": "https://hush@h/1", "PWD": "/srv"})
        pid = self.daemon.wait_active("web", 1)[0]
        self.assertIn("DB_PASSWORD=hush", self.daemon.report(pid)["env"])


if __name__ == "__main__":
    main()
