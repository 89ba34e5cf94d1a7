"""The plugin `console` against circusd, from outside: HTTP by http.client, WebSockets by hand. In both modes."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess

import command_table
from harness import CIRCUSCTL, ContractCase, free_port, main, quoted, wait_until

SLEEPER = '"/bin/sleep 1000"'
TOKEN = "a-token-to-operate"
READ_TOKEN = "a-token-that-only-reads"


def scrypt_hash(password):
    """As the plugin's README makes one."""
    salt = os.urandom(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=1 << 12, r=8, p=1, dklen=32)
    def plain(raw):
        return base64.b64encode(raw).decode().rstrip("=")
    return f"$scrypt$ln=12,r=8,p=1${plain(salt)}${plain(key)}"


class Web:
    """One visitor: his headers, and no connection that outlives a request."""

    def __init__(self, port, **headers):
        self.port = port
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def ask(self, method, target, body=None, **headers):
        """(status, what the body says, the headers). A body is JSON; a text is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
            if body is not None:
                sent["Content-Type"] = "application/json"
                body = body if isinstance(body, str) else json.dumps(body)
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
            is_json = response.headers.get("Content-Type") == "application/json"
            return response.status, json.loads(text) if is_json else text, response.headers

    def get(self, target, **headers):
        status, body, _ = self.ask("GET", target, **headers)
        return status, body

    def run(self, command, **properties):
        status, body, _ = self.ask("POST", "/api/v1/commands/" + command, properties)
        return status, body


class WebSocket:
    """A client of /api/v1/events; messages are read without waiting."""

    def __init__(self, port, query="", endpoint="", **headers):
        where = f"endpoints/{endpoint}/events" if endpoint else "events"
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        lines = [f"GET /api/v1/{where}{query} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            block = self.socket.recv(4096)
            if not block:
                break
            self.data += block
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1]) if head else 0
        self.messages = []
        self.ended = False
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, message):
        text = json.dumps(message).encode()
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + mask
                            + bytes(each ^ mask[at % 4] for at, each in enumerate(text)))

    def received(self):
        """Everything so far."""
        try:
            while block := self.socket.recv(65536):
                self.data += block
            self.ended = True
        except BlockingIOError:
            pass
        except ConnectionError:
            self.ended = True
        while len(self.data) >= 2:
            size, start = self.data[1] & 127, 2
            if size == 126:
                size, start = struct.unpack(">H", self.data[2:4].ljust(2, b"\0"))[0], 4
            elif size == 127:
                size, start = struct.unpack(">Q", self.data[2:10].ljust(8, b"\0"))[0], 10
            if len(self.data) < start + size:
                break
            if self.data[0] & 15 == 1:
                self.messages.append(json.loads(self.data[start:start + size]))
            self.data = self.data[start + size:]
        return self.messages

    def of(self, kind):
        return [each for each in self.received() if each["type"] == kind]

    def topics(self):
        return [event["topic"] for each in self.of("events") for event in each["events"]]


class ConsoleCase(ContractCase):
    isolate = False

    def section(self, options):
        return (f'\n[plugin.console]\nuse = "console"\nisolate = {"true" if self.isolate else "false"}\n'
                f'listen = "127.0.0.1:0"\ninterval = 0.2\n{options}\n')

    def run_console(self, options="", config=f"[watcher.web]\ncmd = {SLEEPER}\nnumprocesses = 2\n"):
        """A daemon with a console, and the port it took."""
        self.console = self.run_daemon(config + self.section(options))
        return self.console, self.port_of(self.console)

    def port_of(self, daemon, past=0):
        """Where the console says it is, after `past` times."""
        def said():
            lines = [line for line in daemon.log().splitlines() if "console at http://" in line]
            return lines[past] if len(lines) > past else None
        line = wait_until(said, what=lambda: f"where the console is\n{daemon.log_tail()}")
        return int(line.rstrip("/").rpartition(":")[2])

    def events(self, port, query="", endpoint="", **headers):
        client = WebSocket(port, query, endpoint, **headers)
        self.addCleanup(client.close)
        return client


class Console(ConsoleCase):
    def test_CommandsGoToCircusdAndWhatTheyDoIsSeen(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n')
        web = Web(port, Authorization=f"Bearer {TOKEN}")
        daemon.wait_active("web", 2)
        status, answer = web.run("incr", name="web", nb=2, waiting=True)
        self.assertEqual((status, answer["status"], answer["numprocesses"]), (200, "ok", 4))
        pids = daemon.wait_active("web", 4)
        self.assertEqual(sorted(web.get("/api/v1/watchers/web/pids")[1]["pids"]), sorted(pids))
        row = web.get("/api/v1/watchers")[1]["watchers"][0]
        self.assertEqual((row["name"], row["status"], row["running"], row["numprocesses"]), ("web", "active", 4, 4))
        self.assertEqual(web.run("kill", name="web", pid=pids[0], waiting=True)[0], 200)
        self.assertNotIn(pids[0], daemon.wait_active("web", 4))
        self.assertEqual(web.get("/api/v1/watchers/nobody")[0], 404)
        self.assertEqual(web.run("incr", name="web", nb="x")[0], 400)
        self.assertEqual(web.run("nothing")[0], 404)
        self.assertEqual(web.get("/api/v1/plugins")[1]["plugins"]["console"]["mode"],
                         "isolated" if self.isolate else "in-process")

    def test_WhatCanBeSetLiveIsEditableAndCostsNoProcess(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n')
        pids = daemon.wait_active("web", 2)
        web = Web(port, Authorization=f"Bearer {TOKEN}")
        status, answer = web.get("/api/v1/watchers/web")
        self.assertEqual(status, 200, answer)
        editable = answer["editable"]
        self.assertLessEqual({"singleton", "stop_children", "kill_tree", "send_hup", "reload_mode", "on_demand", "critical",
                              "ready_timeout", "max_surge", "max_unavailable", "max_age", "numprocesses"}, set(editable))
        self.assertFalse({"cmd", "env", "uid", "stop_command", "hooks"} & set(editable))
        for option, fresh in (("kill_tree", True), ("ready_timeout", 7), ("max_surge", 1), ("reload_mode", "sequential"),
                              ("critical", False), ("stop_signal", 2), ("memory_max", "4G")):
            self.assertEqual(editable[option]["effect"], "live", option)
            status, answer = web.run("set", name="web", options={option: fresh}, waiting=True)
            self.assertEqual(status, 200, (option, answer))
        self.assertEqual(daemon.pids("web"), pids)
        now = web.get("/api/v1/watchers/web")[1]["editable"]
        self.assertEqual((now["kill_tree"]["value"], now["ready_timeout"]["value"], now["max_surge"]["value"]), (True, 7, 1))
        self.assertEqual(editable["max_age"]["effect"], "respawn")
        self.assertEqual(web.run("set", name="web", options={"max_age": 5000}, waiting=True)[0], 200)
        self.assertFalse(set(daemon.wait_active("web", 2)) & set(pids))
        reader = Web(port, Authorization=f"Bearer {READ_TOKEN}")
        self.assertEqual(reader.get("/api/v1/watchers/web")[1]["editable"], {})

    def test_RestartsAreCircusdsOwnCountWhichOutlivesAnArbiter(self):
        daemon, port = self.run_console()
        pids = daemon.wait_active("web", 2)

        def row():
            try:
                status, answer = Web(self.port_of(daemon, arbiters)).get("/api/v1/watchers")
            except (OSError, http.client.HTTPException):
                return {}
            return answer["watchers"][0] if status == 200 else {}
        arbiters = 0
        self.assertEqual((row()["restarts"], row()["replaced"]), (0, {}))
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: row().get("replaced") == {"died": 1}, what=row)
        wait_until(lambda: len(set(daemon.pids("web")) - {pids[0]}) == 2)
        daemon.client.ok("reload", name="web", waiting=True)
        wait_until(lambda: row().get("replaced") == {"died": 1, "reload": 2}, what=row)
        self.assertEqual(row()["restarts"], 3)
        daemon.kill_arbiter()
        arbiters = 1
        shown = wait_until(lambda: (found := row()).get("restarts") == 3 and found, what=row)
        self.assertEqual(shown["deaths"], 0, "of those only the console knows, which is another one")

    def test_WhereItCanBeReachedAndByWhomIsSaid(self):
        self.run_console()[0].wait_log("console: every user of this machine may operate here; a token or users in its "
                                       "section closes it")
        open_to_all, _ = self.run_console("allow_add = true\n")
        open_to_all.wait_log("with allow_add every user of this machine may say what circusd runs")
        closed, _ = self.run_console(f'token = "{TOKEN}"\n')
        closed.client.ok("plugin", name="console", action="restart", waiting=True)
        self.port_of(closed, 1)  # what was said the first time is in the log by now
        for text in ("every user of this machine", "can be reached from other machines"):
            self.assertNotIn(text, closed.log())
        reached = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n"
                                  + self.section(f'token = "{TOKEN}"\n').replace("127.0.0.1:0", "0.0.0.0:0"))
        self.port_of(reached)
        reached.wait_log("put a proxy that speaks TLS in front")
        line, = [each for each in reached.log().splitlines() if "can be reached" in each]
        self.assertIn("[warning]", line)
        self.assertIn("console: 0.0.0.0 can be reached from other machines, and passwords go over HTTP in the clear", line)

    def test_EventsAndOverviewsArePushed(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n', config=f"""
[watcher.web]
cmd = {SLEEPER}
autostart = false

[socket.front]
host = "127.0.0.1"
port = 0
""")
        self.assertEqual(self.events(port).status, 401)
        client = self.events(port, "?overview=1", Authorization=f"Bearer {TOKEN}")
        self.assertEqual(client.status, 101)
        wait_until(lambda: client.of("overview"), what=lambda: daemon.log_tail())
        first = client.of("overview")[0]
        self.assertEqual([each["status"] for each in first["watchers"]], ["stopped"])
        self.assertEqual(first["sockets"][0]["name"], "front")
        daemon.client.ok("start", name="web", waiting=True)
        wait_until(lambda: {"watcher.web.spawn", "watcher.web.start"} <= set(client.topics()))
        client.send({"watcher": "web"})
        shown = wait_until(lambda: [each for each in client.of("overview") if each.get("processes")],
                           what=lambda: client.of("overview")[-1:])[0]
        self.assertEqual([each["pid"] for each in shown["processes"]], daemon.pids("web"))
        self.assertEqual(shown["watchers"][0]["running"], 1)
        daemon.client.ok("stop", name="web", waiting=True)
        wait_until(lambda: "watcher.web.reap" in client.topics())
        wait_until(lambda: client.of("overview")[-1]["watchers"][0]["deaths"] == 1)

    def test_TheDocumentListsEveryCommand(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n')
        status, document = Web(port, Authorization=f"Bearer {TOKEN}").get("/api/v1/openapi.json")
        self.assertEqual((status, document["openapi"]), (200, "3.0.3"))
        commands = daemon.client.ok("commands")["commands"]
        self.assertLessEqual({"/api/v1/commands/" + name for name in commands}, set(document["paths"]))
        for path in ("/healthz", "/readyz", "/api/v1/events", "/api/v1/session", "/api/v1/login", "/api/v1/endpoints"):
            self.assertIn(path, document["paths"])
        # The table that the documentation is made of: every command, with what it takes and needs. What is never
        # sent has no properties.
        for name, properties in command_table.commands().items():
            body = document["paths"]["/api/v1/commands/" + name]["post"]["requestBody"]
            schema = body["content"]["application/json"]["schema"]
            self.assertLessEqual({each.name for each in properties}, set(schema["properties"]) | {"waiting"}, name)
            self.assertEqual(sorted(schema.get("required", [])),
                             sorted(each.name for each in properties if each.required), name)

    def test_EveryReadOfTheDocumentAnswers(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n', config="""
[watcher.web]
cmd = "/bin/sleep 1000"
stdout_stream.class = "QueueStream"
autoscale = { min = 1 }

[plugin.autoscaler]
use = "autoscaler"
""")
        daemon.wait_active("web", 1)
        web = Web(port, Authorization=f"Bearer {TOKEN}")
        # Decided about for the first time within its first second or so.
        wait_until(lambda: web.get("/api/v1/watchers/web/autoscale")[1].get("decisions"), what=daemon.log_tail)
        for path, item in web.get("/api/v1/openapi.json")[1]["paths"].items():
            if "get" in item and not path.endswith("/events"):
                status, answer = web.get(path.replace("{name}", "web"))
                self.assertIn(status, (200, 503) if path == "/readyz" else (200,), (path, answer))
        self.assertIn("autoscaler.workers", web.get("/api/v1/watchers/web/gauges")[1]["gauges"])

    def test_WhoeverOnlyReadsChangesNothing(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n')
        reader = Web(port, Authorization=f"Bearer {READ_TOKEN}")
        pids = daemon.wait_active("web", 2)
        self.assertEqual(reader.get("/api/v1/watchers")[0], 200)
        self.assertEqual(reader.run("list", name="web")[1]["pids"], pids)
        for command in ("stop", "Stop", "kill", "quit", "plugin", "reloadconfig"):
            self.assertEqual(reader.run(command, name="web")[0], 403, command)
        self.assertEqual(daemon.pids("web"), pids)

    def test_WhatTakesTheRoleAdminIsNobodysAndIsNotDone(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n')
        pids = daemon.wait_active("web", 2)
        touched, program = daemon.directory + "/touched", daemon.directory + "/program"
        with open(program, "w") as file:
            file.write(f"#!/bin/sh\ntouch {touched}\n")
        os.chmod(program, 0o755)
        more = {"add": {"name": "x", "cmd": program, "start": True}, "upgrade": {"binary": program},
                "set": {"name": "web", "options": {"cmd": program}}}
        rows = daemon.client.ok("commands")["commands"]
        admins = [name for name, row in rows.items() if row.get("role") == "admin"]
        self.assertLessEqual({"add", "quit", "rm", "set", "upgrade"}, set(admins))
        secret = [name for name, row in rows.items() if row.get("properties", {}).get("secrets", {}).get("role") == "admin"]
        self.assertLessEqual({"get", "options"}, set(secret))
        for token in (TOKEN, READ_TOKEN):
            web = Web(port, Authorization=f"Bearer {token}")
            for name in admins:
                for written in (name, name.upper()):
                    status, answer = web.run(written, **more.get(name, {"name": "web"}))
                    self.assertEqual(status, 403, (token, written, answer))
            for name in secret:
                self.assertEqual(web.run(name, name="web", keys=["env"], secrets=True)[0], 403, (token, name))
        self.assertEqual(daemon.pids("web"), pids)
        self.assertEqual(daemon.client.ok("list")["watchers"], ["web"])
        self.assertFalse(os.path.exists(touched))
        self.assertEqual(Web(port, Authorization=f"Bearer {TOKEN}").run("set", name="web", options={"priority": 3})[0], 200)

    def test_WithAllowAddWhoMayOperateHasIt(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\nallow_add = true\n')
        daemon.wait_active("web", 2)
        reader, web = (Web(port, Authorization=f"Bearer {token}") for token in (READ_TOKEN, TOKEN))
        for command in ("add", "rm", "quit", "upgrade"):
            self.assertEqual(reader.run(command, name="web", cmd="/bin/true")[0], 403, command)
        self.assertEqual(reader.run("options", name="web", secrets=True)[0], 403)
        self.assertEqual(web.run("options", name="web", secrets=True)[0], 200)
        self.assertEqual(web.run("rm", name="web", waiting=True)[0], 200)
        self.assertEqual(daemon.client.ok("list")["watchers"], [])

    def test_WhoeverOnlyReadsSeesNoSecrets(self):
        _, port = self.run_console(f'read_token = "{READ_TOKEN}"\n', config=f"""
[watcher.web]
cmd = {SLEEPER}
env = {{ DB_PASSWORD = "this-is-secret", WORD = "this-is-nobodys" }}
""")
        reader = Web(port, Authorization=f"Bearer {READ_TOKEN}")
        for command, more in (("options", {"settable": True}), ("options", {}), ("get", {"keys": ["env"]})):
            status, answer = reader.run(command, name="web", **more)
            self.assertEqual(status, 200, answer)
            self.assertNotIn("this-is", json.dumps(answer))
            for yes in (True, 1, "yes"):
                self.assertEqual(reader.run(command, name="web", secrets=yes, **more)[0], 403)
        self.assertNotIn("this-is", json.dumps(reader.get("/api/v1/watchers/web")))

    def test_WhatIsNestedTooDeepForAnybodysStackIsRefused(self):
        daemon, port = self.run_console(f'read_token = "{READ_TOKEN}"\n')
        pids = daemon.wait_active("web", 2)
        reader = Web(port, Authorization=f"Bearer {READ_TOKEN}")
        deep = '{"name": ' + "[" * 130000 + "]" * 130000 + "}"
        for path in ("commands/list", "login"):
            self.assertEqual(reader.ask("POST", "/api/v1/" + path, deep)[0], 400, path)
        self.assertEqual(reader.run("list", name="web")[1]["pids"], pids)
        shown = daemon.client.ok("plugins")["plugins"]["console"]
        self.assertEqual(shown["state"], "active", shown)
        self.assertEqual(self.port_of(daemon), port)
        self.assertEqual(daemon.log().count("console at http://"), 1)

    def test_WhoChangedWhatIsWrittenDownAndWhatChangesNothingIsNot(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\nusers.ann = "{scrypt_hash("correct horse")}"\n')
        daemon.wait_active("web", 2)
        web = Web(port, Authorization=f"Bearer {TOKEN}")
        for name, row in daemon.client.ok("commands")["commands"].items():
            if row.get("changes") is False:
                web.run(name, name="web", keys=["env"])
        body, headers = Web(port).ask("POST", "/api/v1/login", {"user": "ann", "password": "correct horse"})[1:]
        ann = Web(port, Cookie=headers["Set-Cookie"].partition(";")[0], X_Circus_Csrf=body["csrf"])
        self.assertEqual(ann.run("incr", name="web", waiting=True)[0], 200)
        self.assertEqual(web.run("incr", name="nobody")[0], 404)
        daemon.wait_log("(token) from 127.0.0.1: incr nobody: ")
        said = [line.partition("plugin console: console: ")[2] for line in daemon.log().splitlines() if " from 127." in line]
        self.assertEqual(said, ["ann from 127.0.0.1: incr web: ok",
                                "(token) from 127.0.0.1: incr nobody: error: program nobody not found"])

    def test_WrongTokensAreThrottledAndWrittenDownAndARightOneWorksAtOnce(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n')
        wrong, right = Web(port, Authorization="Bearer a-token-to-operatf"), Web(port, Authorization=f"Bearer {TOKEN}")
        self.assertEqual([wrong.get("/api/v1/watchers")[0] for _ in range(5)], [401] * 5)
        # The pauses grow, so that a machine that is slow meets one all the same.
        for _ in range(6):
            status, _, headers = wrong.ask("GET", "/api/v1/watchers")
            if status == 429:
                break
        self.assertEqual(status, 429)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        self.assertEqual(right.get("/api/v1/watchers")[0], 200)
        daemon.wait_log("console: a token from 127.0.0.1 was refused")

    def test_ALoginIsACookieAndAWriteBringsItsToken(self):
        _, port = self.run_console(f'users.ann = "{scrypt_hash("correct horse")}"\n')
        web = Web(port)
        self.assertEqual(web.get("/api/v1/watchers")[0], 401)
        self.assertEqual(web.ask("POST", "/api/v1/login", {"user": "ann", "password": "wrong"})[0], 401)
        status, body, headers = web.ask("POST", "/api/v1/login", {"user": "ann", "password": "correct horse"})
        self.assertEqual((status, body["role"]), (200, "operate"))
        cookie = headers["Set-Cookie"]
        self.assertIn("HttpOnly; SameSite=Strict", cookie)
        web.headers["Cookie"] = cookie.partition(";")[0]
        self.assertEqual(web.get("/api/v1/watchers")[0], 200)
        self.assertEqual(web.run("stop", name="web")[0], 403)
        client = self.events(port, Cookie=web.headers["Cookie"])
        self.assertEqual(client.status, 101)
        self.assertEqual(self.events(port, Cookie=web.headers["Cookie"], Origin="http://evil.example").status, 403)
        web.headers["X-Circus-Csrf"] = web.get("/api/v1/session")[1]["csrf"]
        self.assertEqual(web.run("stop", name="web", waiting=True)[0], 200)
        self.assertEqual(web.ask("POST", "/api/v1/logout", {})[0], 200)
        self.assertEqual(web.get("/api/v1/watchers")[0], 401)
        wait_until(lambda: client.received() is not None and client.ended, what="the end of the session's WebSocket")

    def test_WhoIsLoggedInStaysSoWhenAnotherArbiterTakesOver(self):
        port = free_port()
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n" + self.section(
            f'users.ann = "{scrypt_hash("correct horse")}"\n').replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        self.port_of(daemon)
        web = Web(port)
        body, headers = web.ask("POST", "/api/v1/login", {"user": "ann", "password": "correct horse"})[1:]
        web.headers.update({"Cookie": headers["Set-Cookie"].partition(";")[0], "X-Circus-Csrf": body["csrf"]})
        self.assertEqual(web.get("/api/v1/watchers")[0], 200)
        wait_until(lambda: self.is_kept(daemon, web))
        daemon.kill_arbiter()
        wait_until(lambda: self.asks(web) == 200, what=daemon.log_tail)
        self.assertEqual(web.run("incr", name="web", waiting=True)[0], 200)
        daemon.client.ok("plugin", name="console", action="restart", waiting=True)
        wait_until(lambda: self.asks(web) == 401, what="an operator's restart forgets who is logged in")

    @staticmethod
    def is_kept(daemon, web):
        # A session is kept by way of circusd's loop: what is asked of it after the login comes behind that.
        return web.get("/api/v1/daemon")[0] == 200 and daemon.client.ok("numwatchers") is not None

    @staticmethod
    def asks(web):
        """The status of a read; None while nobody listens."""
        try:
            return web.get("/api/v1/watchers")[0]
        except (OSError, http.client.HTTPException):
            return None

    def test_LoginsAreThrottled(self):
        _, port = self.run_console(f'users.ann = "{scrypt_hash("correct horse")}"\n')
        web = Web(port)
        found = [web.ask("POST", "/api/v1/login", {"user": "ann", "password": "wrong"})[0] for _ in range(5)]
        self.assertEqual(found, [401] * 5)
        # The pauses grow, so that a machine that is slow meets one all the same.
        for _ in range(6):
            status, _, headers = web.ask("POST", "/api/v1/login", {"user": "ann", "password": "wrong"})
            if status == 429:
                break
        self.assertEqual(status, 429)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)

    def test_NamesOfOthersAndTheirPagesAreRefused(self):
        daemon, port = self.run_console()
        pids = daemon.wait_active("web", 2)
        web = Web(port)
        self.assertEqual(web.get("/api/v1/watchers")[0], 200)
        self.assertEqual(web.get("/api/v1/watchers", Host="evil.example")[0], 403)
        self.assertEqual(web.get("/api/v1/watchers", Origin="http://evil.example")[0], 403)
        self.assertEqual(web.run("stop", name="web")[0], 403)
        web.headers["X-Circus-Csrf"] = web.get("/api/v1/session")[1]["csrf"]
        self.assertEqual(web.run("add", name="x", cmd="/bin/true")[0], 403)
        self.assertEqual(web.run("set", name="web", options={"cmd": "/bin/true"})[0], 403)
        self.assertEqual(daemon.pids("web"), pids)
        self.assertEqual(web.run("stop", name="web", waiting=True)[0], 200)

    def test_HealthReadinessAndThePageNeedNoLogin(self):
        daemon, port = self.run_console(f'token = "{TOKEN}"\n')
        daemon.wait_active("web", 2)
        web = Web(port)
        self.assertEqual(web.get("/healthz")[0], 200)
        wait_until(lambda: web.get("/readyz")[0] == 200)
        status, page, headers = web.ask("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("<title>circusd</title>", page)
        policy = {rule.split()[0]: rule.split()[1:] for rule in headers["Content-Security-Policy"].split(";")}
        own, nothing = ["'self'"], ["'none'"]
        self.assertEqual(policy, {"default-src": nothing, "script-src": own, "style-src": own, "img-src": own + ["data:"],
                                  "connect-src": own, "base-uri": nothing, "form-action": nothing,
                                  "frame-ancestors": nothing})
        for target in ("/api/v1/watchers", "/no/such/page", "/app.js"):
            found = web.ask("GET", target)[2]["Content-Security-Policy"]
            self.assertEqual(found, headers["Content-Security-Policy"], target)

    def test_ARestartOfThePluginComesBackOnItsPort(self):
        port = free_port()
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n"
                                 + self.section("").replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        self.port_of(daemon)
        client = self.events(port)
        daemon.client.ok("plugin", name="console", action="restart", waiting=True)
        self.assertEqual(self.port_of(daemon, 1), port)
        wait_until(lambda: client.received() is not None and client.ended)
        self.assertEqual(Web(port).get("/healthz")[0], 200)

    def test_OtherMachinesAreNotLetInWithoutATokenAndTheStackRunsOn(self):
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n"
                                 + self.section("").replace("127.0.0.1:0", "0.0.0.0:0"))
        shown = wait_until(lambda: daemon.client.ok("plugins")["plugins"]["console"].get("error"),
                           what=lambda: daemon.log_tail())
        self.assertIn("needs a token or users", shown)
        daemon.wait_active("web", 1)

    def test_AHostWithAPortIsNamed(self):
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n" + self.section('hosts = ["console.example.com:8443"]'))
        shown = wait_until(lambda: daemon.client.ok("plugins")["plugins"]["console"].get("error"),
                           what=lambda: daemon.log_tail())
        self.assertIn('hosts: "console.example.com:8443" is no name; write "console.example.com"', shown)

    def test_TheDaemonEndsWhileSomebodyWaits(self):
        daemon, port = self.run_console()
        daemon.wait_active("web", 2)
        client = self.events(port, "?overview=1")
        self.assertEqual(daemon.terminate(), 0)
        wait_until(lambda: client.received() is not None and client.ended)


class ConsoleIsolated(Console):
    isolate = True


class Several(ConsoleCase):
    """Other circusds in the console of one, over their endpoints."""

    def run_both(self, options="", entry=None):
        self.other = self.run_daemon(f"[watcher.job]\ncmd = {SLEEPER}\nenv = {{ WORD = \"abc\" }}\n")
        self.other.wait_active("job", 1)
        return self.run_console(f'endpoints.east = {entry or quoted(self.other.endpoint)}\n{options}')

    def connected(self, web):
        return wait_until(lambda: [each for each in web.get("/api/v1/endpoints")[1]["endpoints"]
                                   if each["name"] == "east" and not each["problem"]],
                          what=lambda: web.get("/api/v1/endpoints")[1])

    def test_CommandsOverviewsAndEventsAreThatOnes(self):
        daemon, port = self.run_both(f'token = "{TOKEN}"\n')
        web = Web(port, Authorization=f"Bearer {TOKEN}")
        self.assertEqual(self.connected(web)[0]["endpoint"], self.other.endpoint)
        east = "/api/v1/endpoints/east"
        self.assertEqual([each["name"] for each in web.get(east + "/watchers")[1]["watchers"]], ["job"])
        self.assertEqual([each["name"] for each in web.get("/api/v1/watchers")[1]["watchers"]], ["web"])
        client = self.events(port, "?overview=1&watcher=job", Authorization=f"Bearer {TOKEN}", endpoint="east")
        self.assertEqual(client.status, 101)
        status, answer, _ = web.ask("POST", east + "/commands/incr", {"name": "job", "waiting": True})
        self.assertEqual((status, answer["numprocesses"]), (200, 2))
        self.other.wait_active("job", 2)
        wait_until(lambda: [each for each in client.of("overview") if len(each.get("processes", [])) == 2])
        # Events are there once the console has subscribed, which nobody sees: something happens until they are.
        wait_until(lambda: self.other.client.ok("signal", name="job", signum=9) and
                   "watcher.job.spawn" in client.topics(), what=client.topics)
        self.assertNotIn("watcher.web.spawn", client.topics())
        self.assertEqual(web.get(east + "/watchers/nobody")[0], 404)
        self.assertIn("/api/v1/endpoints/east/commands/incr", web.get(east + "/openapi.json")[1]["paths"])

    def test_TheSameRulesHoldThere(self):
        _, port = self.run_both(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n')
        reader = Web(port, Authorization=f"Bearer {READ_TOKEN}")
        self.connected(reader)
        east = "/api/v1/endpoints/east"
        pids = self.other.pids("job")
        answer = reader.get(east + "/watchers/job")
        self.assertEqual(answer[0], 200, answer)
        self.assertEqual(answer[1]["options"]["env"], {"WORD": "(hidden)"})
        self.assertEqual(reader.ask("POST", east + "/commands/list", {"name": "job"})[1]["pids"], pids)
        self.assertEqual(reader.ask("POST", east + "/commands/stop", {"name": "job"})[0], 403)
        self.assertEqual(Web(port).get(east + "/watchers")[0], 401)
        self.assertEqual(self.events(port, endpoint="east").status, 401)
        master = Web(port, Authorization=f"Bearer {TOKEN}")
        self.assertEqual(master.ask("POST", east + "/commands/add", {"name": "x", "cmd": "sh"})[0], 403)
        body, headers = Web(port).ask("POST", "/api/v1/login", {"token": TOKEN})[1:]
        visitor = Web(port, Cookie=headers["Set-Cookie"].partition(";")[0])
        self.assertEqual(visitor.ask("POST", east + "/commands/stop", {"name": "job"})[0], 403, "no CSRF token")
        self.assertEqual(self.other.pids("job"), pids)
        self.assertEqual(visitor.ask("POST", east + "/commands/stop", {"name": "job", "waiting": True},
                                     X_Circus_Csrf=body["csrf"])[0], 200)
        self.assertEqual(self.other.pids("job"), [])

    def test_OneThatGoesIsSaidToBeGoneAndComesBack(self):
        daemon, port = self.run_both()
        web = Web(port)
        self.connected(web)
        client = self.events(port, "?overview=1", endpoint="east")
        wait_until(lambda: client.of("overview"))
        self.assertEqual(self.other.terminate(), 0)
        wait_until(lambda: client.of("endpoints")[-1]["endpoints"][1]["problem"]
                   == f"nobody answers at {self.other.endpoint}", what=lambda: client.of("endpoints")[-1:])
        status, answer = web.get("/api/v1/endpoints/east/watchers")
        self.assertEqual(status, 503)
        self.assertIn("nobody answers", answer["reason"])
        # The rest is as it was.
        self.assertEqual(web.get("/api/v1/watchers")[0], 200)
        self.assertEqual(web.get("/readyz")[0], 200)
        daemon.wait_log(f"console: endpoint east: nobody answers at {self.other.endpoint}")
        self.other.start()
        self.connected(web)
        past = len(client.of("overview"))
        wait_until(lambda: len(client.of("overview")) > past)
        # Those who watch ask all the while; it is said once.
        said = [line.partition("endpoint east: ")[2] for line in daemon.log().splitlines() if "endpoint east: " in line]
        self.assertEqual(said[-2:], [f"nobody answers at {self.other.endpoint}", "connected"])
        self.assertEqual([line for line in said if "east: " in line or "connection ended" in line], [])

    def test_AKeyOpensWhatWantsOne(self):
        port = free_port()
        other = self.new_daemon("", endpoints=False)
        other.endpoint = f"tcp://127.0.0.1:{port}"
        other.ports += [port, free_port()]
        keys = {}
        for name in ("server", "client", "stranger"):
            more = ["--server", keys["server"]] if keys else []
            subprocess.run([CIRCUSCTL, "keygen", f"{other.directory}/{name}.key", *more], check=True, timeout=30,
                           stdout=subprocess.DEVNULL)
            with open(f"{other.directory}/{name}.key") as file:
                keys[name] = next(line.split()[1] for line in file if line.startswith("public"))
        with open(other.directory + "/clients", "w") as file:
            file.write(f"operate console {keys['client']}\n")
        other.write_config(f"""
[circus]
endpoint = "tcp://0.0.0.0:{port}"
pubsub_endpoint = "tcp://0.0.0.0:{other.ports[1]}"
stats_endpoint = "ipc://@DIR@/stats"
curve_secret = "server.key"
curve_keys = "clients"
[watcher.job]
cmd = {SLEEPER}
""")
        other.launch()
        _, console = self.run_console("".join(
            f'endpoints.{name} = {{ endpoint = "{other.endpoint}", curve = "{other.directory}/{name}.key" }}\n'
            for name in ("client", "stranger")) + f'endpoints.bare = "{other.endpoint}"\n')
        web = Web(console)
        wait_until(lambda: web.get("/api/v1/endpoints/client/watchers")[0] == 200, what=other.log_tail)

        def problem(name):
            return next(each["problem"] for each in web.get("/api/v1/endpoints")[1]["endpoints"]
                        if each["name"] == name)
        wait_until(lambda: "does not let in the key" in problem("stranger"), what=lambda: problem("stranger"))
        wait_until(lambda: "wants a key" in problem("bare"), what=lambda: problem("bare"))
        self.assertEqual(web.get("/api/v1/endpoints/stranger/watchers")[0], 503)
        # Its events come over the address by which it is reached, with the key.
        client = self.events(console, endpoint="client")
        csrf = web.get("/api/v1/session")[1]["csrf"]

        def restart():
            web.ask("POST", "/api/v1/endpoints/client/commands/restart", {"name": "job", "waiting": True},
                    X_Circus_Csrf=csrf)
            return "watcher.job.spawn" in client.topics()
        wait_until(restart, what=client.topics)

    def test_WhatCannotBeMeantIsNamed(self):
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n" + self.section('endpoints.east = "http://x"'))
        shown = wait_until(lambda: daemon.client.ok("plugins")["plugins"]["console"].get("error"),
                           what=lambda: daemon.log_tail())
        self.assertIn('endpoints.east: endpoint = "http://x"', shown)


class SeveralIsolated(Several):
    isolate = True


class Httpd(ConsoleCase):
    def test_TheOptionOfCircusLoadsItThereAndFollowsAChange(self):
        first, second = free_port(), free_port()
        daemon = self.run_daemon(f"[watcher.web]\ncmd = {SLEEPER}\n",
                                 f'httpd = true\nhttpd_host = "localhost"\nhttpd_port = {first}\n')
        self.assertEqual(self.port_of(daemon), first)
        self.assertEqual(Web(first).get("/api/v1/watchers")[1]["watchers"][0]["name"], "web")
        with open(daemon.config_path) as file:
            text = file.read()
        with open(daemon.config_path, "w") as file:
            file.write(text.replace(f"httpd_port = {first}", f"httpd_port = {second}"))
        daemon.client.ok("reloadconfig", waiting=True)
        self.assertEqual(self.port_of(daemon, 1), second)
        self.assertEqual(Web(second).get("/healthz")[0], 200)
        with self.assertRaises(ConnectionRefusedError):
            Web(first).get("/healthz")


if __name__ == "__main__":
    main()
