"""TCP that other machines can reach: CURVE, with a role for each key."""
import contextlib
import json
import os
import pathlib
import select
import shutil
import socket
import stat
import subprocess
import tempfile

import zmq

from harness import BUILD, CIRCUSCTL, CIRCUSD, Client, ContractCase, free_port, listening_ports, main, wait_until

WEB = '[watcher.web]\ncmd = "@PROBE@"\nnumprocesses = 1\n'


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def own_address():
    """Of the route to anywhere else; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address
    return None


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

    def start_one(self, clients, host="0.0.0.0", circus="", events=None):
        port = free_port()
        daemon = self.new_daemon(WEB, endpoints=False)
        daemon.endpoint = f"tcp://127.0.0.1:{port}"
        daemon.server = self.keygen(f"{daemon.directory}/server.key")
        daemon.keys = {name: self.keygen(f"{daemon.directory}/{name}.key", "--server", daemon.server["public"])
                       for name in (*clients, "stranger")}
        self.list_keys(daemon, clients)
        daemon.ports.append(port)
        if not events:
            daemon.ports.append(free_port())
            events = f"tcp://{host}:{daemon.ports[-1]}"
        daemon.write_config(f'[circus]\nendpoint = "tcp://{host}:{port}"\npubsub_endpoint = "{events}"\n'
                            'stats_endpoint = "ipc://@DIR@/stats"\ncurve_secret = "server.key"\n'
                            f'curve_keys = "clients"\n{circus}\n{WEB}')
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
        self.check_strangers(daemon)
        # Who takes another for the daemon gives up after a while of his own.
        self.keygen(f"{daemon.directory}/misled.key", "--server", daemon.keys["stranger"]["public"])
        run = self.ctl(daemon, "misled", "list", timeout=5)
        self.assertEqual(run.returncode, 1)
        self.assertIn('perhaps the line "server" of the key file is not the public key of that daemon', run.stderr)

    def check_strangers(self, daemon):
        for name, text in (("stranger", "the key of --curve is not let in; a line of the daemon's curve_keys must have it"),
                           (None, "a key (CURVE) is wanted there: give it with --curve FILE")):
            run = self.ctl(daemon, name, "list")
            self.assertEqual((run.returncode, run.stderr), (1, f"circusctl: {daemon.endpoint}: {text}\n"))
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

    def test_TheNextArbiterHasTheSameKeysAndRoles(self):
        daemon = self.start_one({"boss": "admin", "deploy": "operate", "nagios": "read"})
        held = self.connect(daemon, "nagios")
        self.assertEqual(held.ask("list")["status"], "ok")
        pids = json.loads(self.ctl(daemon, "boss", "--json", "list", "web").stdout)["pids"]
        daemon.kill_arbiter()
        # The list is the one that was read then.
        pathlib.Path(daemon.directory, "clients").write_text("king deploy x\n")
        self.assertEqual(json.loads(self.ctl(daemon, "boss", "--json", "list", "web").stdout)["pids"], pids)
        self.assertEqual(wait_until(lambda: self.answer(held), what="an answer")["status"], "ok")
        self.assertIn("takes the role operate", self.ctl(daemon, "nagios", "incr", "web").stderr)
        self.assertEqual(self.ctl(daemon, "deploy", "incr", "web", "--waiting").stdout, "2\n")
        self.check_strangers(daemon)

    @staticmethod
    def answer(client):
        """None: there was none, for it was asked of an arbiter that died."""
        client.send(json.dumps({"id": "again", "command": "list"}))
        return client.receive() if client.socket.poll(1000) else None

    def test_AnotherSecretIsForAnotherCircusd(self):
        daemon = self.start_one({"boss": "admin"})
        self.assertEqual(self.ctl(daemon, "boss", "list").stdout, "web\n")
        self.keygen(f"{daemon.directory}/other.key")
        text = pathlib.Path(daemon.config_path).read_text().replace("server.key", "other.key")
        daemon.write_config(text)
        run = self.ctl(daemon, "boss", "reloadconfig", "--waiting")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, "curve_secret.*in force when circusd is started again")
        self.assertEqual(self.ctl(daemon, "boss", "list").stdout, "web\n")

    def test_AFirstSecretMovesNoEndpointToWhereOthersReachIt(self):
        daemon = self.run_daemon(WEB)
        self.keygen(f"{daemon.directory}/server.key")
        pathlib.Path(daemon.directory, "clients").write_text("")
        text = pathlib.Path(daemon.config_path).read_text()
        port = free_port()
        for option, before in (("endpoint", daemon.endpoint), ("pubsub_endpoint", daemon.pubsub)):
            with self.subTest(option):
                self.assertIn(f'\n{option} = "{before}"', text)
                daemon.write_config(text.replace(f'\n{option} = "{before}"', f'\n{option} = "tcp://0.0.0.0:{port}"\n'
                                                 'curve_secret = "server.key"\ncurve_keys = "clients"'))
                answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
                self.assertEqual(answer["status"], "error", answer)
                self.assertIn(f"{option} = tcp://0.0.0.0:{port} can be reached from other machines, and the "
                              "curve_secret for it is in force when circusd is started again", answer["reason"])
                self.assertNotIn(port, listening_ports())
        self.assertEqual(daemon.client.ok("list")["watchers"], ["web"])

    def test_CircusTopAndTheVariableOfTheEnvironmentTakeAKeyToo(self):
        daemon = self.start_one({"nagios": "read"}, "127.0.0.1", "statsd = true\n")
        self.assertEqual(self.ctl(daemon, "nagios", "list").stdout, "web\n")
        key = f"{daemon.directory}/nagios.key"
        run = self.top(daemon.endpoint, key)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("web", run.stdout)
        run = subprocess.run([CIRCUSCTL, "--endpoint", daemon.endpoint, "--timeout", "30", "list"], capture_output=True,
                             text=True, timeout=60, check=False, env=dict(os.environ, CIRCUSCTL_CURVE=key))
        self.assertEqual((run.returncode, run.stdout), (0, "web\n"))

    def top(self, endpoint, key):
        return subprocess.run([str(BUILD / "bin/circus-top"), "--endpoint", endpoint, "--timeout", "30", "--once",
                               "--curve", key], capture_output=True, text=True, timeout=60, check=False)

    def test_WhatStaysOnTheDaemonsMachineIsNotWaitedFor(self):
        # By an address of this machine that is not of loopback: as from another one.
        address = own_address()
        if not address:
            self.skipTest("this machine has no address but those of loopback")
        daemon = self.start_one({"nagios": "read"}, events="ipc://@DIR@/pubsub")
        self.assertEqual(self.ctl(daemon, "nagios", "list").stdout, "web\n")
        daemon.endpoint = f"tcp://{address}:{daemon.endpoint.rpartition(':')[2]}"
        run = self.top(daemon.endpoint, f"{daemon.directory}/nagios.key")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"the figures of circusd at {daemon.endpoint} stay on its machine", run.stderr)
        run = self.ctl(daemon, "nagios", "listen")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"the events of circusd at {daemon.endpoint} stay on its machine", run.stderr)

    def test_AKeyThatNobodyWantsIsSaidToBeTooMuch(self):
        port = free_port()
        daemon = self.new_daemon(WEB, f'endpoint = "tcp://127.0.0.1:{port}"\npubsub_endpoint = "ipc://@DIR@/pubsub"\n'
                                 'stats_endpoint = "ipc://@DIR@/stats"\n', endpoints=False)
        daemon.endpoint = f"tcp://127.0.0.1:{port}"
        daemon.ports.append(port)
        daemon.start()
        server = self.keygen(f"{daemon.directory}/server.key")
        self.keygen(f"{daemon.directory}/any.key", "--server", server["public"])
        run = self.ctl(daemon, "any", "list")
        self.assertEqual(run.returncode, 1)
        self.assertIn("no key (CURVE) is wanted there: leave --curve and CIRCUSCTL_CURVE away", run.stderr)

    def test_WhatIsWrongWithAKeyOfOnesOwnIsSaid(self):
        folder = tempfile.mkdtemp(prefix="circus-contract-")
        self.addCleanup(shutil.rmtree, folder)
        server, client = f"{folder}/server.key", f"{folder}/client.key"
        self.keygen(client, "--server", self.keygen(server)["public"])

        def ctl(*words):
            return subprocess.run([CIRCUSCTL, "--endpoint", "tcp://127.0.0.1:1", *words], capture_output=True, text=True,
                                  timeout=30, check=False)
        for words, code, text in (
                (("keygen", server), 1, f"{server}: exists already"),
                (("keygen", f"{folder}/no/such.key"), 1, f"{folder}/no/such.key: cannot be written: No such file"),
                (("keygen", f"{folder}/new", "--server", "short"), 2, "option --server: not a public key: 'short'"),
                (("--curve", server, "list"), 1, f'{server} has no line "server KEY"'),
                (("--curve", f"{folder}/none", "list"), 1, f"cannot read {folder}/none: No such file"),
                (("--curve", folder, "list"), 1, f"{folder} is not a file")):
            with self.subTest(words):
                run = ctl(*words)
                self.assertEqual(run.returncode, code, run.stderr)
                self.assertIn(text, run.stderr)
        os.chmod(client, 0o644)
        run = ctl("--curve", client, "list")
        self.assertEqual(run.returncode, 1)
        self.assertIn("client.key is open to others; chmod 600 it", run.stderr)
        # A key may begin with any character of Z85.
        self.keygen(f"{folder}/odd", "--server", "--#" + "0" * 37)
        self.keygen(f"{folder}/even", "--server=-#" + "0" * 38)

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


if __name__ == "__main__":
    main()
