"""Each command's answer: its fields, its types, its errors word by word."""
import json
import os
import signal
import subprocess
import time

from command_table import commands
from harness import CIRCUSCTL, PROBE, ContractCase, holds_for, is_running, main, wait_until

TWO = """
[watcher.Web]
cmd = "@PROBE@"
numprocesses = 2
graceful_timeout = 5

[watcher.idle]
cmd = "@PROBE@"
autostart = false
"""


class QueriesTest(ContractCase):
    config = TWO + """
[watcher.one]
cmd = "@PROBE@"
singleton = true

[socket.tcp]
host = "127.0.0.1"
port = 0

[socket.file]
path = "@DIR@/listen.sock"
"""

    def ok(self, command, **properties):
        return self.daemon.client.ok(command, **properties)

    def test_ListGivesNamesInLowerCaseAndSorted(self):
        answer = self.ok("list")
        self.assertEqual(answer["watchers"], ["idle", "one", "web"])
        self.assertEqual(sorted(answer), ["id", "status", "time", "watchers"])
        self.assertIsInstance(answer["time"], float)

    def test_ListOfAWatcherGivesThePidsThatRunBelowTheKeeper(self):
        pids = self.daemon.wait_active("web", 2)
        self.assertLessEqual(set(pids), set(self.daemon.workers()))
        self.assertEqual(self.ok("list", name="idle")["pids"], [])

    def test_NamesAreLookedUpWithoutCase(self):
        self.assertEqual(sorted(self.daemon.pids("wEb")), sorted(self.daemon.pids("WEB")))

    def test_StatusShowsNamesAsWritten(self):
        self.daemon.wait_active("web", 2)
        self.daemon.wait_active("one", 1)
        self.assertEqual(self.ok("status")["statuses"], {"Web": "active", "idle": "stopped", "one": "active"})
        self.assertEqual(self.daemon.client.ask("status", name="idle")["status"], "stopped")

    def test_CountsOfWatchersAndProcesses(self):
        self.assertEqual(self.ok("numwatchers")["numwatchers"], 3)
        self.daemon.wait_active("web", 2)
        self.daemon.wait_active("one", 1)
        answer = self.ok("numprocesses", name="WEB")
        self.assertEqual((answer["numprocesses"], answer["watcher_name"]), (2, "WEB"))
        self.assertIsInstance(self.ok("numprocesses")["numprocesses"], int)

    def test_OptionsHaveCircussKeysAndTypes(self):
        options = self.ok("options", name="web")["options"]
        wanted = {"args", "close_child_stderr", "close_child_stdin", "close_child_stdout", "cmd", "copy_env", "env",
                  "executable", "gid", "graceful_timeout", "max_age", "max_age_variance", "max_retry",
                  "numprocesses", "on_demand", "priority", "respawn", "send_hup", "shell", "shell_args",
                  "singleton", "stderr_stream_conf", "stdout_stream_conf", "stop_children", "stop_signal", "uid",
                  "use_sockets", "warmup_delay", "working_dir"}
        self.assertLessEqual(wanted, set(options))
        self.assertFalse({"autostart", "stdin_socket", "hooks", "__name__"} & set(options))
        self.assertEqual((options["graceful_timeout"], options["stop_signal"]), (5.0, 15))
        self.assertEqual(options["working_dir"], self.daemon.directory)
        self.assertIs(options["close_child_stdin"], True)

    def test_OptionsAreOfCircussTypesAndDefaults(self):
        kinds = {"args": (str, list, type(None)), "cmd": str, "copy_env": bool, "env": dict,
                 "executable": type(None), "gid": type(None), "graceful_timeout": float, "max_age": int,
                 "max_age_variance": int, "max_retry": int, "numprocesses": int, "on_demand": bool, "priority": int,
                 "respawn": bool, "send_hup": bool, "shell": bool, "shell_args": type(None), "singleton": bool,
                 "stderr_stream_conf": dict, "stdout_stream_conf": dict, "stop_children": bool,
                 "stop_signal": int, "uid": type(None), "use_sockets": bool, "warmup_delay": int, "working_dir": str,
                 "close_child_stdin": bool, "close_child_stdout": bool, "close_child_stderr": bool}
        options = self.ok("options", name="idle")["options"]
        self.assertEqual(sorted(options), sorted(kinds), "and nothing beyond Circus's while it has its default")
        for key, kind in kinds.items():
            self.assertIsInstance(options[key], kind, key)
            if kind is int:
                self.assertNotIsInstance(options[key], bool, key)
        wanted = {"close_child_stdin": True, "close_child_stdout": False, "close_child_stderr": False,
                  "copy_env": False, "graceful_timeout": 30.0, "max_age": 0, "max_age_variance": 30,
                  "max_retry": 5, "numprocesses": 1,
                  "on_demand": False, "priority": 0, "respawn": True, "send_hup": False, "shell": False,
                  "singleton": False, "stop_children": False, "stop_signal": 15, "use_sockets": False,
                  "warmup_delay": 0}
        self.assertEqual({key: options[key] for key in wanted}, wanted)
        self.assertEqual([options[key] for key in ("args", "env", "stdout_stream_conf")], ["", {}, {}])
        self.ok("add", name="bare", cmd="x")
        options = self.ok("options", name="bare")["options"]
        self.assertEqual([options[key] for key in ("args", "env", "stdout_stream_conf")], [None, None, None])
        self.ok("rm", name="bare", waiting=True)

    def test_OptionsShowWhatWasSetAsItWasGiven(self):
        client = self.daemon.client
        given = {"args": "-a 'b c'", "env": {"A": "1"}, "uid": 0, "gid": "root", "graceful_timeout": 2,
                 "warmup_delay": 0.5,
                 "stdout_stream": {"class": "FileStream", "filename": self.daemon.directory + "/x.log"},
                 "max_age": 5, "send_hup": True, "working_dir": "/usr"}
        client.ok("add", name="given", cmd="x", options=given)
        options = client.ok("options", name="given")["options"]
        stream = given.pop("stdout_stream")
        self.assertEqual({key: options[key] for key in given}, given)
        self.assertIsInstance(options["graceful_timeout"], float)
        self.assertEqual(options["stdout_stream_conf"]["filename"], stream["filename"])
        self.assertNotIn("class", options["stdout_stream_conf"])
        for args in ("", ["x", "y z"], None):
            client.ok("set", name="given", options={"args": args}, waiting=True)
            self.assertEqual(client.ok("get", name="given", keys=["args"])["options"]["args"], args)
        client.ok("rm", name="given", waiting=True)

    def test_GetGivesTheAskedKeysOrFailsAsAWhole(self):
        answer = self.ok("get", name="web", keys=["numprocesses", "cmd"])
        self.assertEqual(answer["options"], {"numprocesses": 2, "cmd": PROBE})
        self.assert_error(self.daemon.client.ask("get", name="web", keys=["cmd", "nope"]), 3,
                          "'nope' option not found")

    def test_GlobalOptions(self):
        options = self.ok("globaloptions")["options"]
        self.assertEqual(options["endpoint"], self.daemon.endpoint)
        self.assertEqual(options["pubsub_endpoint"], self.daemon.pubsub)
        self.assertIsInstance(options["check_delay"], float)
        self.assertEqual((options["stats_endpoint"], options["multicast_endpoint"], len(options)),
                         (f"ipc://{self.daemon.directory}/stats", "udp://237.219.251.97:12027", 5))
        self.assertEqual(self.ok("globaloptions", option="endpoint")["options"], {"endpoint": self.daemon.endpoint})
        self.assert_error(self.daemon.client.ask("globaloptions", option="x"), 3, "'x' not an existing option")

    def test_ListSocketsIsSortedByDescriptor(self):
        sockets = self.ok("listsockets")["sockets"]
        self.assertEqual([each["fd"] for each in sockets], sorted(each["fd"] for each in sockets))
        by_name = {each["name"]: each for each in sockets}
        self.assertEqual(sorted(by_name["tcp"]), ["backlog", "fd", "host", "name", "port"])
        self.assertEqual(sorted(by_name["file"]), ["backlog", "fd", "name", "path"])
        self.assertGreater(by_name["tcp"]["port"], 0)
        self.assertEqual(by_name["file"]["path"], os.path.join(self.daemon.directory, "listen.sock"))

    def test_DstatsIsTheDaemonsProcessObject(self):
        info = self.ok("dstats")["info"]
        self.check_process(info)
        self.assertEqual((info["pid"], info["children"]), (self.daemon.keeper, []))
        self.assertNotIn("started", info)

    def test_StatsOfAllOfOneAndOfAProcess(self):
        pids = self.daemon.wait_active("web", 2)
        infos = self.ok("stats")["infos"]
        self.assertEqual(infos["idle"], {})
        self.assertEqual(sorted(int(pid) for pid in infos["Web"]), sorted(pids))
        answer = self.ok("stats", name="web")
        self.assertEqual(answer["name"], "web")
        for pid, info in answer["info"].items():
            self.check_process(info, started=float, wid=int)
            self.assertEqual(int(pid), info["pid"])
            self.assertEqual(info["cmdline"], "probe")
        self.assertEqual({info["wid"] for info in answer["info"].values()}, {1, 2})
        answer = self.ok("stats", name="web", process=str(pids[0]))
        self.assertEqual((answer["process"], answer["info"]["pid"]), (str(pids[0]), pids[0]))
        self.assertEqual(self.ok("stats", name="wEB", process=pids[0], extended=True)["process"], pids[0])
        answer = self.ok("stats", name="IDLE")
        self.assertEqual((answer["name"], answer["info"]), ("IDLE", {}))
        self.assert_error(self.daemon.client.ask("stats", name="web", process=1), 3,
                          "process 1 not found in 'web'")

    def test_DetailsAreLookedUpWhereTheyAreAskedFor(self):
        pid = self.daemon.wait_active("web", 2)[0]
        details = {"threads", "fds", "pss"}
        for answer in (self.ok("stats", name="web", process=pid, details=True)["info"],
                       self.ok("stats", name="web", details=True)["info"][str(pid)],
                       self.ok("stats", details=True)["infos"]["Web"][str(pid)]):
            self.assertLessEqual(details, set(answer))
            self.assertEqual(answer["threads"], 1)
            self.assertEqual(answer["fds"], len(os.listdir(f"/proc/{pid}/fd")))
            self.assertGreater(answer["pss"], 10_000)
        self.assertFalse(details & set(self.ok("stats", name="web", process=pid)["info"]))
        self.assertEqual(self.ok("stats", name="idle", details=True)["info"], {})
        shown = subprocess.run([CIRCUSCTL, "--endpoint", self.daemon.endpoint, "stats", "web", "--details"],
                               capture_output=True, text=True, timeout=30, check=True).stdout
        self.assertRegex(shown, rf"(?m)^{pid}: {pid}  .*  threads 1 fds \d+ pss [\d.]+[KM]$")

    def test_ChildrenAreProcessObjectsOfStatsOnly(self):
        client = self.daemon.client
        client.ok("add", name="parent", cmd=PROBE, args=["--grandchild", "--report", self.daemon.reports], start=True,
                  waiting=True)
        pid = self.daemon.wait_active("parent", 1)[0]
        self.daemon.report(pid)
        info = client.ok("stats", name="parent", process=pid)["info"]
        self.check_process(info, started=float, wid=int)
        self.assertEqual(len(info["children"]), 1)
        self.check_process(info["children"][0])
        self.assertEqual(info["children"][0]["children"], [])
        started = client.ok("stats", name="parent")["info"][str(pid)]["started"]
        self.assertEqual((started, info["wid"]), (info["started"], 1))
        self.assertLess(abs(time.time() - started - info["age"]), 5)
        client.ok("rm", name="parent", waiting=True)

    def test_CpuIsZeroAtTheFirstLookAndCountedFromTheLast(self):
        client = self.daemon.client
        client.ok("add", name="busy", cmd="while :; do :; done", start=True, waiting=True,
                  options={"shell": True, "graceful_timeout": 1})
        pid = self.daemon.wait_active("busy", 1)[0]
        self.assertEqual(client.ok("stats", name="busy", process=pid)["info"]["cpu"], 0.0)
        wait_until(lambda: client.ok("stats", name="busy", process=pid)["info"]["cpu"] > 1)
        client.ok("rm", name="busy", waiting=True)

    def check_process(self, info, **more):
        kinds = {"pid": int, "nice": int, "username": str, "cmdline": str, "mem_info1": str, "mem_info2": str,
                 "ctime": str, "create_time": float, "age": float, "mem": float, "cpu": float, "children": list, **more}
        self.assertEqual(sorted(info), sorted(kinds))
        for key, kind in kinds.items():
            self.assertIsInstance(info[key], kind, key)
        self.assertRegex(info["mem_info1"], r"^\d+B$|^\d+\.\d\d[KMGTPE]$")
        self.assertRegex(info["ctime"], r"^\d+:\d+\.\d{1,2}$")


class ErrorsTest(ContractCase):
    config = TWO + """
[watcher.one]
cmd = "@PROBE@"
singleton = true
"""

    def test_WordsAndNumbersOfErrors(self):
        ask = self.daemon.client.ask
        options = {"name": "web", "options": {}}
        cases = [
            (2, "unknown command: 'nope'", "nope", {}),
            (3, "program zz not found", "list", {"name": "zz"}),
            (3, "program ZZ not found", "stop", {"name": "ZZ", "match": "simple"}),
            (3, "program z* not found", "stop", {"name": "z*"}),
            (3, "message invalid 'name' is missing", "options", {}),
            (3, "message invalid 'name' is missing", "incr", {}),
            (3, "message invalid 'keys' is missing", "get", {"name": "web"}),
            (3, "message invalid 'name' is missing", "signal", {}),
            (3, "message invalid 'signum' is missing", "signal", {"name": "web"}),
            (3, "message invalid 'cmd' is missing", "add", {"name": "new"}),
            (3, "message invalid 'options' is missing", "set", {"name": "web"}),
            (3, "unknown match method x", "start", {"name": "web", "match": "x"}),
            (3, "invalid message. use a pub/sub socket", "listen", {}),
            (3, "unknown key 'k'", "set", dict(options, options={"k": 1})),
            (3, "'options' property should be an object", "set", dict(options, options=[1])),
            (3, "'numprocesses' isn't an integer", "set", dict(options, options={"numprocesses": "x"})),
            (3, "'max_retry' isn't an integer", "set", dict(options, options={"max_retry": 1.5})),
            (3, "'warmup_delay' isn't a number", "set", dict(options, options={"warmup_delay": "x"})),
            (3, "'graceful_timeout' isn't a number", "set", dict(options, options={"graceful_timeout": []})),
            (3, "'uid' isn't an integer or string", "set", dict(options, options={"uid": []})),
            (3, "'send_hup' isn't a valid boolean", "set", dict(options, options={"send_hup": 3})),
            (3, "'env' isn't a valid object", "set", dict(options, options={"env": "A=1"})),
            (3, "'A' isn't a string", "set", dict(options, options={"env": {"A": 1}})),
            (3, "'gid' isn't an integer or string", "set", dict(options, options={"gid": {}})),
            (3, "'stop_signal' isn't an integer", "set", dict(options, options={"stop_signal": "TERM"})),
            (3, "signal invalid", "set", dict(options, options={"stop_signal": 65})),
            (3, "'stdout_stream' isn't a valid object", "set", dict(options, options={"stdout_stream": "x"})),
            (3, "'stderr_stream' must have a 'class' key", "set", dict(options, options={"stderr_stream": {}})),
            (3, "'rlimit_zz' isn't a valid rlimit setting", "set", dict(options, options={"rlimit_zz": 1})),
            (3, "'x' rlimit value isn't a valid int", "set", dict(options, options={"rlimit_core": "x"})),
            (3, "{'zz': 1} option not found", "get", {"name": "web", "keys": [{"zz": 1}]}),
            (3, "process 'x' not found in 'WEB'", "stats", {"name": "WEB", "process": "x"}),
            (3, "'numprocesses' is more than 100000", "set", dict(options, options={"numprocesses": 100001})),
            (3, "'nb' makes it more than 100000 processes", "incr", {"name": "web", "nb": 100000}),
            (2, "unknown command: 'ipython'", "ipython", {}),
        ]
        for errno, reason, command, properties in cases:
            for more in ({}, {"waiting": True}, {"waiting": False}):
                with self.subTest(command=command, properties=properties, **more):
                    self.assert_error(ask(command, **properties, **more), errno, reason)

    def test_AnUnknownWatcherIsToldAsAskedByEveryCommandThatTakesAName(self):
        more = {"get": {"keys": ["cmd"]}, "set": {"options": {"warmup_delay": 0}}, "signal": {"signum": 9}}
        named = [command for command, properties in commands().items()
                 if any(each.name == "name" for each in properties)]
        self.assertGreater(len(named), 15)
        for command in named:
            if command not in ("add", "gauge", "plugin"):  # a new name; a figure's; a plugin's
                with self.subTest(command=command):
                    self.assert_error(self.daemon.client.ask(command, name="No Such*", **more.get(command, {})), 3,
                                      "program No Such* not found")

    def test_ErrorsOfCommandsEndWithTheirReason(self):
        for ending, command, properties in [
                ("'Web' already exist", "add", {"name": "Web", "cmd": "x"}),
                ("Singleton watcher has a single process", "set", {"name": "one", "options": {"numprocesses": 2}}),
                ("'nobody-here' isn't a valid user name", "set", {"name": "web", "options": {"uid": "nobody-here"}})]:
            with self.subTest(command=command, ending=ending):
                answer = self.daemon.client.ask(command, waiting=True, **properties)
                self.assert_error(answer, 5, lambda reason, wanted=ending: reason.endswith(wanted))

    def test_AnIdComesBackAsItWas(self):
        client = self.daemon.client
        for tag in (None, 0, -1, 1.5, "", "ü\n", [1, {"a": None}], {"b": [True]}, 2 ** 62, "9" * 5000):
            client.send(json.dumps({"id": tag, "command": "numwatchers"}))
            self.assertEqual(client.receive()["id"], tag)
        client.send(json.dumps({"command": "NumWatchers", "unknown": 1}))
        answer = client.receive()
        self.assertEqual((answer["id"], answer["numwatchers"]), (None, 3))

    def test_InvalidJsonIsAnsweredWithErrnoOne(self):
        client = self.daemon.client
        for text in ("{", "{'a': 1}", "\"abc", "{\"command\": list}", b"\xff\xfe{"):
            client.send(text)
            answer = client.receive()
            self.assert_error(answer, 1, "json invalid")
            self.assertIsNone(answer["id"])

    def test_OddMessagesHarmNobody(self):
        client, other = self.daemon.new_client(), self.daemon.new_client()
        for text in ("[]", "3", '"x"', "null", "{}", " ", "", "[" * 20000, '{"id":"\\ud800","command":"list"}',
                     '{"command": 3}', '{"command": null}', '{"command":"list","properties":[]}',
                     '{"command":"list","properties":{"name":{"x":[]}}}', '{"command":"a\\u0000b"}', b"\x00\x01",
                     '{"id":"big","command":"list","x":"' + "y" * 3000000 + '"}'):
            client.send(text)
            self.assertEqual(other.ok("numwatchers")["numwatchers"], 3)
        client.send(b"two", b"frames")
        client.send(b"", json.dumps({"command": "list"}))
        self.assertEqual(other.ok("numwatchers")["numwatchers"], 3)
        self.assertTrue(is_running(self.daemon.arbiter))

    def test_ACastIsNeverAnswered(self):
        client = self.daemon.new_client()
        client.cast("numwatchers")
        client.cast("nope")
        client.cast("list", name="zz")
        client.cast("incr", name="web")
        self.assertEqual(client.ok("numwatchers")["numwatchers"], 3)
        self.daemon.wait_active("web", 3)
        client.cast("decr", name="web")
        self.daemon.wait_active("web", 2)
        self.assertEqual(client.socket.poll(100), 0)


class SignalsTest(ContractCase):
    config = """
[watcher.web]
cmd = "@PROBE@"
args = ["--note", "10:@DIR@/usr1", "--grandchild", "--report", "@REPORTS@"]
numprocesses = 2
"""

    def noted(self):
        path = os.path.join(self.daemon.directory, "usr1")
        if not os.path.exists(path):
            return []
        with open(path) as notes:
            return [int(line.split()[1]) for line in notes]

    def setUp(self):
        super().setUp()
        self.pids = self.daemon.wait_active("web", 2)
        for pid in self.pids:
            self.daemon.report(pid)
        path = os.path.join(self.daemon.directory, "usr1")
        if os.path.exists(path):
            os.unlink(path)

    def children_of(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return [int(word) for word in children.read().split()]

    def test_SignumIsANumberATextOrAName(self):
        for count, signum in enumerate((10, "10", "usr1", "SIGUSR1", "Usr1", " sigusr1 "), 1):
            self.daemon.client.ok("signal", name="web", signum=signum)
            wait_until(lambda wanted=count: len(self.noted()) == 2 * wanted, what=self.noted)
        self.assertEqual(set(self.noted()), set(self.pids))

    def test_RealTimeSignalsHaveNamesToo(self):
        path = os.path.join(self.daemon.directory, "realtime")
        client = self.daemon.client
        client.ok("add", name="rt", cmd=PROBE, start=True, waiting=True,
                  args=["--note", f"35:{path}", "--report", self.daemon.reports])
        self.daemon.report(self.daemon.wait_active("rt", 1)[0])
        for count, signum in enumerate(("SIGRTMIN+1", "rtmin+1", "RTMAX-29", 35), 1):
            client.ok("signal", name="rt", signum=signum)
            def noted(wanted=count):
                if not os.path.exists(path):
                    return False
                with open(path) as notes:
                    return len(notes.readlines()) == wanted
            wait_until(noted)
        client.ok("rm", name="rt", waiting=True)

    def test_AWrongNameIsAnErrorAndReachesNobody(self):
        for signum in ("nosuch", -1, 65, "", "sig", "SIGRTMIN+99", 9.5, True, [9], "-0x", "65"):
            for command in ("signal", "kill"):
                self.assert_error(self.daemon.client.ask(command, name="web", signum=signum), 3, "signal invalid")
        self.assertEqual(self.noted(), [])

    def test_TheNullSignalIsOkAndReachesNobody(self):
        for signum in (0, "0"):
            for more in ({}, {"pid": self.pids[0]}, {"children": True}, {"recursive": True}):
                self.daemon.client.ok("signal", name="web", signum=signum, **more)
        self.daemon.client.ok("signal", name="web", signum="usr1")
        wait_until(lambda: len(self.noted()) == len(self.pids))  # and nothing came before it
        self.assertEqual(self.daemon.pids("web"), self.pids)

    def test_AKillWithTheNullSignalIsOneWithTheStopSignal(self):
        self.daemon.client.ok("kill", name="web", pid=self.pids[0], signum=0, waiting=True)
        self.assertFalse(is_running(self.pids[0]))

    def test_ChildrenMeansThemOnlyAndRecursiveAll(self):
        pid = self.pids[0]
        children = self.children_of(pid)
        self.daemon.client.ok("signal", name="web", signum="usr1", pid=pid, children=True)
        wait_until(lambda: self.noted() == children, what=self.noted)
        self.daemon.client.ok("signal", name="web", signum="usr1", pid=pid, recursive=True)
        wait_until(lambda: sorted(self.noted()) == sorted(children * 2 + [pid]), what=self.noted)
        self.daemon.client.ok("signal", name="web", signum="usr1", pid=pid, childpid=children[0])
        wait_until(lambda: self.noted().count(children[0]) == 3, what=self.noted)

    def test_ChildpidNeedsAPid(self):
        answer = self.daemon.client.ask("signal", name="web", signum=10, childpid=1)
        self.assert_error(answer, 5, lambda reason: reason.endswith("cannot specify childpid without pid"))

    def test_APidOfSomebodyElseGetsNothing(self):
        self.daemon.client.ok("kill", name="web", pid=os.getpid(), waiting=True)
        self.daemon.client.ok("kill", name="web", pid=1, signum="kill", waiting=True)
        for pid in (0, -1, -self.pids[0], os.getpid(), self.daemon.keeper, self.daemon.arbiter, 2 ** 32 + self.pids[0]):
            self.daemon.client.ok("signal", name="web", pid=pid, signum="kill")
            self.daemon.client.ok("kill", name="web", pid=pid, signum="kill")
            self.daemon.client.ok("signal", name="web", pid=self.pids[0], childpid=pid, signum="kill")
        self.assertEqual(sorted(self.daemon.pids("web")), sorted(self.pids))

    def test_KillReplacesTheProcessWithAllItsDescendants(self):
        pid, other = self.pids
        family = [pid] + self.children_of(pid)
        self.daemon.client.ok("kill", name="web", pid=str(pid), signum="SIGKILL", waiting=True,
                              graceful_timeout="0.5")
        wait_until(lambda: not any(is_running(each) for each in family))
        pids = wait_until(lambda: len(self.daemon.pids("web")) == 2 and self.daemon.pids("web"))
        self.assertIn(other, pids)
        self.assertNotIn(pid, pids)


class SetTest(ContractCase):
    config = """
[watcher.web]
cmd = "@PROBE@"
args = ["--report", "@REPORTS@"]
numprocesses = 2
"""

    def test_ALiveOptionKeepsTheProcesses(self):
        pids = self.daemon.wait_active("web", 2)
        self.daemon.client.ok("set", name="web", options={"graceful_timeout": 3, "stop_signal": 2}, waiting=True)
        self.assertEqual(self.daemon.client.ok("get", name="web", keys=["graceful_timeout", "stop_signal"])["options"],
                         {"graceful_timeout": 3.0, "stop_signal": 2})
        self.assertEqual(self.daemon.pids("web"), pids)
        self.daemon.client.ok("set", name="web", options={"stop_signal": 15}, waiting=True)

    def test_StreamOptionsAreTakenAsCircussCircusctlSendsThem(self):
        """It knows the types of max_bytes and backup_count only; everything else goes out as it was typed."""
        def conf():
            return self.daemon.client.ok("options", name="web")["options"]["stdout_stream_conf"]
        file = os.path.join(self.daemon.directory, "log")
        for options in ({"stdout_stream.class": "circus.stream.QueueStream", "stdout_stream.lines": " 7 "},
                        {"stdout_stream": {"class": "TimedRotatingFileStream", "filename": file, "rotate_when": "s",
                                           "backup_count": "3", "compress": "1"}},
                        {"stdout_stream.rotate_interval": "5"}, {"stdout_stream.utc": "True"}):
            self.daemon.client.ok("set", name="web", options=options, waiting=True)
        self.assertEqual(conf(), {"filename": file, "rotate_when": "S", "backup_count": 3, "compress": True,
                                  "rotate_interval": 5, "utc": True})
        self.daemon.client.ok("set", name="web", options={"stdout_stream.utc": "no"}, waiting=True)
        self.assertNotIn("utc", conf())
        for option, value, reason in (("rotate_interval", "5s", "isn't an integer"), ("utc", "maybe", "boolean"),
                                      ("rotate_interval", "0", "at least 1"), ("class", "my.Stream", "no such class")):
            answer = self.daemon.client.ask("set", name="web", options={f"stdout_stream.{option}": value})
            self.assertEqual((answer["status"], answer["errno"]), ("error", 3))
            self.assertIn(reason, answer["reason"])

    def test_AnEnvironmentReplacesTheProcesses(self):
        old = self.daemon.wait_active("web", 2)
        self.daemon.client.ok("set", name="web", options={"env": {"COLOUR": "blue"}}, waiting=True)
        new = self.daemon.wait_active("web", 2)
        self.assertFalse(set(old) & set(new))
        for pid in new:
            self.assertIn("COLOUR=blue", self.daemon.report(pid)["env"])

    def test_WhatTheProcessesMustBeToldOfReplacesThemGracefullyAndTheRestDoesNot(self):
        client = self.daemon.client
        for key, value, replaces in (
                ("working_dir", "/usr", True), ("working_dir", self.daemon.directory, True), ("gid", 0, True),
                ("uid", 0, True),
                ("shell", True, True), ("shell", False, True), ("env", {"A": "1"}, True),
                ("cmd", PROBE + " ", True), ("args", ["--report", self.daemon.reports, "--", "x"], True),
                ("max_age", 100, True), ("max_age_variance", 3, True), ("max_age", 0, True),
                ("graceful_timeout", 7, False), ("warmup_delay", 0.01, False), ("warmup_delay", 0, False),
                ("send_hup", True, False), ("send_hup", False, False), ("stop_signal", 2, False),
                ("stop_signal", 15, False),
                ("stop_children", True, False), ("stop_children", False, False), ("max_retry", 9, False)):
            if key in ("uid", "gid") and os.geteuid() != 0:
                continue
            with self.subTest(**{key: value}):
                old = set(self.daemon.wait_active("web", 2))
                client.ok("set", name="web", options={key: value}, waiting=True)
                new = set(self.daemon.wait_active("web", 2))
                self.assertEqual(client.ok("get", name="web", keys=[key])["options"][key], value)
                self.assertEqual(len(old & new), 0 if replaces else 2)

    def test_NumprocessesIsAppliedNowAndNotBelowZero(self):
        self.daemon.client.ok("set", name="web", options={"numprocesses": 5}, waiting=True)
        self.daemon.wait_active("web", 5)
        self.daemon.client.ok("set", name="web", options={"numprocesses": -3}, waiting=True)
        wait_until(lambda: self.daemon.pids("web") == [])
        self.daemon.client.ok("set", name="web", options={"numprocesses": 2}, waiting=True)
        self.daemon.wait_active("web", 2)

    def test_OneWrongOptionLeavesAllAsTheyWere(self):
        answer = self.daemon.client.ask("set", name="web", options={"warmup_delay": 9, "nope": 1}, waiting=True)
        self.assert_error(answer, 3, "unknown key 'nope'")
        self.assertEqual(self.daemon.client.ok("get", name="web", keys=["warmup_delay"])["options"],
                         {"warmup_delay": 0})

    def test_AStoppedWatcherIsNotStarted(self):
        self.daemon.client.ok("stop", name="web", waiting=True)
        self.daemon.client.ok("set", name="web", options={"env": {"A": "1"}, "numprocesses": 2}, waiting=True)
        self.assertTrue(holds_for(lambda: self.daemon.pids("web") == [], 0.3))
        self.daemon.client.ok("start", name="web", waiting=True)


class QuitTest(ContractCase):
    def test_QuitEndsTheDaemonWithZero(self):
        daemon = self.run_daemon(TWO)
        pids = daemon.wait_active("web", 2)
        self.assertEqual(daemon.client.ask("quit", waiting=True)["status"], "ok")
        self.assertEqual(daemon.wait_end(), 0)
        self.assertFalse(any(is_running(pid) for pid in pids))

    def test_QuitIsNotRefusedDuringASlowStop(self):
        daemon = self.run_daemon('[watcher.slow]\ncmd = "@PROBE@"\nargs = ["--ignore", "15"]\ngraceful_timeout = 1\n')
        daemon.wait_active("slow", 1)
        daemon.client.ok("stop", name="slow")
        self.assertEqual(daemon.client.ask("quit")["status"], "ok")
        self.assertEqual(daemon.wait_end(), 0)

    def test_WhileItStopsWhatWouldStartSomethingIsRefusedAndQueriesAreAnswered(self):
        daemon = self.run_daemon('[watcher.slow]\ncmd = "@PROBE@"\nargs = ["--ignore", "15", "--report", "@REPORTS@"]\n'
                                 "graceful_timeout = 2\n")
        pid = daemon.wait_active("slow", 1)[0]
        daemon.report(pid)
        waiting = daemon.new_client()
        waiting.send('{"id": "quit", "command": "quit", "properties": {"waiting": true}}')
        wait_until(lambda: daemon.status("slow") == "stopping")
        more = {"add": {"name": "x", "cmd": "x"}, "set": {"options": {"warmup_delay": 1}}}
        refused = ("start", "restart", "reload", "incr", "decr", "set", "add", "reloadconfig")
        for command in refused:
            for how in (False, True):
                answer = daemon.client.ask(command, **{"name": "slow", "waiting": how, **more.get(command, {})})
                self.assert_error(answer, 5, "arbiter is already running arbiter_stop command")
        self.assertEqual((daemon.pids("slow"), daemon.client.ok("numwatchers")["numwatchers"]), ([pid], 1))
        self.assertEqual(daemon.client.ok("stop", name="slow")["status"], "ok")
        self.assertEqual(waiting.receive()["id"], "quit")
        self.assertEqual(daemon.wait_end(), 0)

    def test_IntAndQuitEndItAsTermDoes(self):
        for signo in (signal.SIGINT, signal.SIGQUIT):
            with self.subTest(signo=signo):
                daemon = self.run_daemon(TWO)
                daemon.wait_active("web", 2)
                daemon.signal(signo)
                self.assertEqual(daemon.wait_end(), 0)


if __name__ == "__main__":
    main()
