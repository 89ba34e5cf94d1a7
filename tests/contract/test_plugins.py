"""Plugins in a running circusd: every test in both modes, in the arbiter and in a process of the plugin's own."""
import json
import re
import signal
import subprocess

import zmq

from harness import BUILD, CIRCUSCTL, CIRCUSD, ContractCase, cmdline, descendants, kill_child, main, wait_until
from test_takeover import TakeoverCase

PLUGINS = BUILD / "tests/plugins"
BROKEN = PLUGINS / "so"
WEB = """
[watcher.web]
cmd = "@PROBE@"
min_uptime = 0.0
"""
OK, DENY, INVALID, NOT_FOUND, CONFLICT, TIMEOUT, EXCEPTION = 0, 2, -1, -3, -4, -6, -8


def plugin(name, file, isolate, more=""):
    return f'\n[plugin.{name}]\nuse = "{file}"\nisolate = {"true" if isolate else "false"}\n{more}\n'


class PluginCase(ContractCase):
    """`isolate` is the mode; a subclass of each test class has the other one."""

    isolate = False

    @property
    def mode(self):
        return "isolated" if self.isolate else "in-process"

    def setUp(self):
        super().setUp()
        if self.daemon:
            self.client = self.daemon.client

    def plugin(self, name, daemon=None):
        return (daemon or self.daemon).client.ok("plugins")["plugins"][name]

    def wait_state(self, name, state, daemon=None):
        wait_until(lambda: self.plugin(name, daemon)["state"] == state,
                   what=lambda: f"{name} {state}: {self.plugin(name, daemon)}")
        return self.plugin(name, daemon)

    def wait_log(self, text, daemon=None):
        (daemon or self.daemon).wait_log(text)

    def circusctl(self, *arguments):
        return subprocess.run([CIRCUSCTL, "--endpoint", self.daemon.endpoint, *arguments], capture_output=True,
                              text=True, timeout=30)


def from_elsewhere(isolate):
    """What was built against the header of 1.0, and by a compiler of another language where there is one."""
    config = (WEB + plugin("greet", PLUGINS / "greeter_1_0.so", isolate)
              + plugin("tick", PLUGINS / "ticker_1_0.so", isolate))
    return config + (plugin("tally", PLUGINS / "tally.so", isolate) if (PLUGINS / "tally.so").exists() else "")


def examples(isolate):
    return (WEB + plugin("greet", PLUGINS / "greeter.so", isolate, 'greeting = "so long"')
            + plugin("tick", PLUGINS / "ticker.so", isolate))


class Examples(PluginCase):
    """The SDK's examples, one in C++ and one in C."""

    config = examples(False)

    def test_APluginIsShownWithWhatItIsAndCosts(self):
        shown = self.wait_state("greet", "active")
        self.assertEqual((shown["version"], shown["mode"], shown["file"], shown["errors"]),
                         ("1.0", self.mode, f"{PLUGINS}/greeter.so", 0))
        wait_until(lambda: self.plugin("tick")["calls"] > 3)
        printed = self.circusctl("plugins")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        rows = [line.split() for line in printed.stdout.splitlines()]
        self.assertEqual(rows[0], ["NAME", "STATE", "VERSION", "MODE", "CALLS", "SLOW", "ERRORS", "TIME", "FILE"])
        # The harness gives a stats_endpoint, which loads the plugin stats.
        self.assertEqual([row[:4] for row in rows[1:] if row[0] != "stats"],
                         [["greet", "active", "1.0", self.mode], ["tick", "active", "1.0", self.mode]])

    def test_AnEventReachesAPluginAndItsCommandAnswers(self):
        self.wait_state("greet", "active")
        before = self.client.ok("counted")["deaths"]
        pid = self.daemon.wait_active("web", 1)[0]
        kill_child(self.daemon.keeper, pid)
        wait_until(lambda: self.client.ok("counted")["deaths"] == before + 1)
        self.wait_log(f"plugin greet: so long, {pid}")
        self.daemon.wait_active("web", 1)

    def test_AnEventOfAPluginIsPublished(self):
        socket = self.daemon.context.socket(zmq.SUB)
        self.addCleanup(socket.close, 0)
        socket.connect(self.daemon.pubsub)
        socket.subscribe("ticker.tick")
        wait_until(lambda: socket.poll(0))
        topic, payload = socket.recv_multipart()
        self.assertEqual(topic, b"ticker.tick")
        self.assertGreater(json.loads(payload)["count"], 0)
        self.assertIsInstance(json.loads(payload)["time"], float)

    def test_ACommandOfAPluginIsListedAndGoesWithIt(self):
        self.wait_state("greet", "active")
        commands = self.client.ok("commands")["commands"]
        self.assertEqual(commands["counted"]["plugin"], "greet")
        self.assertEqual(commands["counted"]["summary"], "how many processes ended")
        self.assertNotIn("plugin", commands["list"])
        self.assertEqual((commands["list"]["changes"], commands["stop"]["changes"]), (False, True))
        self.assertEqual([commands[name]["role"] for name in ("list", "stop", "quit")], ["read", "operate", "admin"])
        self.assertEqual(commands["get"]["properties"]["secrets"], {"type": "boolean", "required": False, "role": "admin"})
        self.assertNotIn("role", commands["counted"])
        self.assertEqual(commands["incr"]["properties"], {"name": {"type": "string", "required": True},
                                                          "nb": {"type": "integer", "required": False},
                                                          "waiting": {"type": "boolean", "required": False}})
        self.client.ok("plugin", name="greet", action="disable", waiting=True)
        self.assertEqual(self.plugin("greet")["state"], "disabled")
        self.assert_error(self.client.ask("counted"), 2, "unknown command: 'counted'")
        answer = self.client.ok("plugin", name="greet", action="enable", waiting=True)
        self.assertEqual(answer["state"], "active")
        self.assertEqual(self.client.ok("counted")["deaths"], 0)

    def test_RestartIsAStopAndAStart(self):
        self.wait_state("tick", "active")
        wait_until(lambda: self.plugin("tick")["calls"] > 8)
        self.client.ok("plugin", name="tick", action="restart", waiting=True)
        shown = self.plugin("tick")
        self.assertEqual(shown["state"], "active")
        self.assertLess(shown["calls"], 8)

    def test_WhatIsNoPluginAndNoActionIsRefused(self):
        self.assert_error(self.client.ask("plugin", name="nobody", action="enable"), 3, "plugin nobody not found")
        self.assert_error(self.client.ask("plugin", name="greet", action="dance"), 3,
                          "action invalid: 'dance'; enable, disable or restart")

    def test_AGaugeIsSetAndReadBackByCircusctl(self):
        self.assertEqual(self.circusctl("gauge", "web", "queue", "12.5").returncode, 0)
        gauge = self.client.ok("gauge", watcher="WEB")["gauges"]["queue"]
        self.assertEqual((gauge["value"], gauge["by"]), (12.5, "a client"))
        self.assertRegex(self.circusctl("gauge", "web", "queue").stdout,
                         r"^queue: 12.5 \(\d+\.\d+s ago, by a client\)\n$")
        self.assertEqual(self.client.ok("gauge")["gauges"]["web"]["queue"]["value"], 12.5)
        self.assertRegex(self.circusctl("gauge").stdout, r"(^|\n)web queue: 12\.5 \(")
        self.assert_error(self.client.ask("gauge", value=1), 3, "whose gauge? 'watcher' is missing")
        self.assert_error(self.client.ask("gauge", watcher="web", name="queue", value="many"), 3,
                          "'value' isn't a number")

    def test_TheProcessOfAPluginIsNoWatcher(self):
        self.wait_state("greet", "active")
        self.assertEqual(self.client.ok("list")["watchers"], ["web"])
        self.assertEqual(list(self.client.ok("status")["statuses"]), ["web"])
        self.assertEqual(self.client.ok("numwatchers")["numwatchers"], 1)
        self.assert_error(self.client.ask("stop", name="plugin:greet"), 3, "program plugin:greet not found")


class ExamplesIsolated(Examples):
    isolate = True
    config = examples(True)

    def test_ADeadProcessCostsOnlyThePluginAndIsReplaced(self):
        self.wait_state("greet", "active")
        hosts = [pid for pid in descendants(self.daemon.keeper) if "--isolated greet" in cmdline(pid)]
        self.assertEqual(len(hosts), 1)
        web = self.daemon.pids("web")
        kill_child(self.daemon.keeper, hosts[0])
        self.wait_log("plugin greet: its process ended by itself, killed by signal 9; it is started anew")
        wait_until(lambda: self.client.ask("counted")["status"] == "ok")
        self.assertEqual(self.daemon.pids("web"), web)


def everything(isolate):
    return WEB + plugin("all", BROKEN / "everything.so", isolate)


class Everything(PluginCase):
    """Each part of the host, used by one plugin."""

    config = everything(False)

    def setUp(self):
        super().setUp()
        self.wait_state("all", "active")

    def count(self):
        return self.client.ok("count")

    def test_ACommandGetsItsPropertiesAndAnswersAtOnceOrLater(self):
        self.assertEqual(self.client.ok("echo", x=[1, {"y": "ä"}])["x"], [1, {"y": "ä"}])
        self.assertEqual(self.client.ok("later")["by"], "a thread")
        self.assertGreaterEqual(self.count()["posted"], 1)
        self.assert_error(self.client.ask("refuse"), 5, "not today")

    def test_ACallIsAClientsCommandAndItsReplyAClientsAnswer(self):
        reply = self.client.ok("ask", of="numprocesses", properties={"name": "web"})
        self.assertEqual(reply["code"], OK)
        self.assertEqual((reply["answer"]["status"], reply["answer"]["numprocesses"]), ("ok", 1))
        self.assertNotIn("id", reply["answer"])
        reply = self.client.ok("ask", of="stop", properties={"name": "nobody"})
        self.assertEqual((reply["code"], reply["answer"]["errno"], reply["answer"]["reason"]),
                         (INVALID, 3, "program nobody not found"))
        self.assertEqual(self.client.ok("ask", of="dance")["code"], NOT_FOUND)
        reply = self.client.ok("ask", of="restart", properties={"name": "web", "waiting": True})
        self.assertEqual(len(reply["answer"]["info"]["started"]), 1)
        self.assertEqual(self.client.ok("ask", of="echo", properties={"own": 1})["answer"]["own"], 1)

    def test_TimersAndDescriptorsAreServed(self):
        ticks = self.count()["ticks"]
        wait_until(lambda: self.count()["ticks"] > ticks + 2)
        self.client.ok("write", text="hello")
        wait_until(lambda: self.count()["bytes"] == 5)

    def test_ManyEventsKeepTheirOrderAndNoneIsLost(self):
        self.client.ok("flood", count=100_000)
        wait_until(lambda: self.count()["events"] == 100_000, 60, what=lambda: self.count())
        self.assertTrue(self.count()["order"])

    def test_GaugesAreSharedWithClientsAndHaveAnAge(self):
        self.client.ok("gauge.set", value=1.5)
        gauge = wait_until(lambda: self.client.ok("gauge", watcher="web")["gauges"].get("load"))
        self.assertEqual((gauge["value"], gauge["by"]), (1.5, "all"))
        self.assertEqual(self.client.ok("gauge.get")["value"], 1.5)
        self.client.ok("gauge", watcher="web", name="load", value=2)
        wait_until(lambda: self.client.ok("gauge.get")["value"] == 2)
        self.assertTrue(self.client.ok("gauge.get")["fresh"])

    def test_ANameThatIsTakenIsRefusedWhereItIsAskedFor(self):
        taken = self.client.ok("take", name="echo")
        self.assertEqual((taken["taken"], taken["code"]), (False, CONFLICT))
        self.assertEqual(self.client.ok("take", name="list")["code"], CONFLICT)
        self.assertEqual(self.client.ok("take", name="no name")["code"], INVALID)
        self.assertTrue(self.client.ok("take", name="fresh")["taken"])
        self.assertNotIn("fresh", self.client.ok("commands")["commands"])

    def test_AHookOfAPluginIsAskedAndItsNoKeepsAWatcherDown(self):
        self.client.ok("gate", open=False)
        self.client.ok("add", name="Guarded", cmd="sleep 100")
        self.addCleanup(self.client.ok, "rm", name="guarded", waiting=True)
        self.client.ok("start", name="guarded")
        wait_until(lambda: self.client.ok("gate")["asked"] and self.daemon.status("guarded") == "stopped")
        self.assertEqual(self.client.ok("gate")["asked"][0], "before_start Guarded")
        self.assertEqual(self.daemon.pids("guarded"), [])
        self.client.ok("gate", open=True)
        self.client.ok("start", name="guarded", waiting=True)
        self.assertEqual(len(self.daemon.pids("guarded")), 1)

    def test_AHookOfAPluginMayAskToBeAskedAgain(self):
        self.client.ok("gate", again=True)
        self.client.ok("add", name="guarded-later", cmd="sleep 100")
        self.addCleanup(self.client.ok, "rm", name="guarded-later", waiting=True)
        self.client.ok("start", name="guarded-later")
        wait_until(lambda: self.client.ok("gate")["asked"].count("before_start guarded-later") >= 2)
        self.assertEqual((self.daemon.status("guarded-later"), self.daemon.pids("guarded-later")), ("starting", []))
        self.client.ok("gate", again=False, open=True)
        self.daemon.wait_active("guarded-later", 1)

    def test_NothingIsMisbehaviour(self):
        self.assertNotIn("misbehaving", self.daemon.log())


class State(PluginCase, TakeoverCase):
    """What an instance keeps, its successor gets: unless the instance was stopped."""

    def test_WhatAPluginKeepsOutlivesItsArbiterAndNotItsStop(self):
        daemon = self.run_daemon(everything(self.isolate))
        self.wait_state("all", "active", daemon)
        self.assertIsNone(daemon.client.ok("state.kept")["state"])
        for state in ({"n": 1}, {"n": 2, "text": "ä" * 20_000}):
            daemon.client.ok("state.keep", state=state)
            for _ in range(2):
                self.kill_arbiter(daemon)
                self.wait_state("all", "active", daemon)
                self.assertEqual(daemon.client.ok("state.kept")["state"], state)
        daemon.client.ok("plugin", name="all", action="restart", waiting=True)
        self.assertIsNone(daemon.client.ok("state.kept")["state"])
        self.kill_arbiter(daemon)
        self.wait_state("all", "active", daemon)
        self.assertIsNone(daemon.client.ok("state.kept")["state"])
        self.assertNotIn("misbehaving", daemon.log())


class StateIsolated(State):
    isolate = True

    def test_WhatAPluginKeepsOutlivesItsProcess(self):
        daemon = self.run_daemon(everything(True))
        self.wait_state("all", "active", daemon)
        daemon.client.ok("state.keep", state={"n": 1})
        victim = daemon.client.ok("count")["pid"]
        kill_child(daemon.keeper, victim)
        wait_until(lambda: self.plugin("all", daemon)["state"] == "active" and
                   daemon.client.ask("count").get("pid", victim) != victim, what=daemon.log_tail)
        self.assertEqual(daemon.client.ok("state.kept")["state"], {"n": 1})


class EverythingIsolated(Everything):
    isolate = True
    config = everything(True)


# What circusd says of each library that is wrong; the file in front. Load errors first.
TROUBLES = {
    "no_symbol": "symbol: found no circus_plugin_v1, expected circus_plugin_v1",
    "not_elf": 'open: found "file too short", expected a shared library that loads',
    "wrong_major": "version: found ABI 2.0, expected ABI 1.x",
    "short_size": "size: found 64 bytes, expected at least 88",
    "unknown_need": "needs: found circus.teleport/1, expected one of circus.commands/1, circus.hooks/1, "
                    "circus.sinks/1, circus.gauges/1, circus.fds/1, circus.state/1",
    "bad_options": 'options: found "colour" has the type "rainbow", expected a JSON object of {"type": boolean, '
                   'integer, number, string, strings or table, …}',
    "segfaults": "describe: found a crash while it was loaded, SIGSEGV, expected a library that can be loaded",
    "hangs": "describe: found no answer within 5 s, expected a library that can be loaded",
    "create_fails": "create: there is no moon tonight",
    "start_fails": "start: not now",
}


def broken(names, isolate):
    return WEB + "".join(plugin(name, BROKEN / f"{name}.so", isolate) for name in names)


class Broken(PluginCase):
    def test_EachIsNamedWithFileStepFoundAndExpectedAndTheStackRuns(self):
        daemon = self.run_daemon(broken(TROUBLES, self.isolate) + plugin("throws", BROKEN / "throws.so", self.isolate,
                                                                         "at_start = true"))
        daemon.wait_active("web", 1)
        for name, trouble in [*TROUBLES.items(), ("throws", "start: thrown at the start")]:
            shown = self.wait_state(name, "failed", daemon)
            self.assertEqual(shown["error"], f"{BROKEN}/{name}.so: {trouble}")
            self.wait_log(f"plugin {name}: {BROKEN}/{name}.so: {trouble}; going on without it", daemon)
        self.assertNotIn("half", daemon.client.ok("commands")["commands"])
        self.assert_error(daemon.client.ask("plugin", name="start_fails", action="enable", waiting=True), 5,
                          f"plugin start_fails: {BROKEN}/start_fails.so: {TROUBLES['start_fails']}")

    def test_CheckSaysTheSameWithFileLineAndColumn(self):
        daemon = self.new_daemon(broken(["wrong_major"], self.isolate))
        check = subprocess.run([CIRCUSD, "--check", daemon.config_path], capture_output=True, text=True, timeout=30)
        self.assertEqual(check.returncode, 1)
        self.assertRegex(check.stderr, r"stack\.toml:\d+:1: plugin wrong_major: " + str(BROKEN)
                         + r"/wrong_major\.so: version: found ABI 2\.0, expected ABI 1\.x\n$")

    def test_MisbehaviourIsLoggedAndCostsNobodyElse(self):
        names = ["off_loop", "completes_twice", "leaks", "sleeps", "throws"]
        daemon = self.run_daemon(broken(names, self.isolate))
        for name in names:
            self.wait_state(name, "active", daemon)
        self.wait_log("plugin off_loop misbehaving: subscribe() was called off the loop", daemon)
        self.wait_log("plugin off_loop: subscribe has returned -9", daemon)

        self.assertEqual(daemon.client.ok("twice")["answer"], 1)
        self.wait_log("plugin completes_twice misbehaving: a token was answered twice, too late, or is none", daemon)
        self.wait_log("plugin completes_twice: the second complete has returned -1", daemon)

        daemon.client.ok("plugin", name="leaks", action="disable", waiting=True)
        self.wait_log("plugin leaks misbehaving: it has left a registration behind: subscription watcher.*", daemon)
        self.wait_log("plugin leaks misbehaving: it has left a registration behind: timer", daemon)

        # On a busy machine its start may have been slow as well, and then the next second says nothing.
        def napped():
            daemon.client.ok("nap")
            return re.search(r"plugin sleeps: command nap took \d+\.\d ms, more than 5 ms", daemon.log())
        wait_until(napped, what="a slow command is named")
        wait_until(lambda: self.plugin("sleeps", daemon)["slow"] >= 1)

        self.assert_error(daemon.client.ask("throw"), 6, "thrown by the command")
        self.wait_log("plugin throws: thrown by the timer", daemon)
        wait_until(lambda: self.plugin("throws", daemon)["errors"] >= 1)
        daemon.wait_active("web", 1)

    def test_AWorkerThatDiesWhileAPluginSleepsIsReplaced(self):
        daemon = self.run_daemon(broken(["sleeps"], self.isolate))
        self.wait_state("sleeps", "active", daemon)
        pid = daemon.wait_active("web", 1)[0]
        sleeper = daemon.new_client()
        sleeper.send('{"id": 1, "command": "nap"}')
        kill_child(daemon.keeper, pid)
        wait_until(lambda: daemon.pids("web") not in ([], [pid]), what=lambda: daemon.log_tail())
        wait_until(lambda: self.plugin("sleeps", daemon)["slow"] >= 1)

    def test_AnAnswerThatNeverComesMeetsItsDeadline(self):
        daemon = self.run_daemon(broken(["never_completes"], self.isolate))
        self.wait_state("never_completes", "active", daemon)
        asker = daemon.new_client()
        asker.send('{"id": 1, "command": "never"}')
        self.assertEqual(daemon.client.ok("list")["watchers"], ["web"])
        wait_until(lambda: asker.socket.poll(0), 25)
        self.assert_error(asker.receive(), 5, "the plugin never_completes did not answer in time")
        self.wait_log("plugin never_completes misbehaving: command never was not answered in time", daemon)
        daemon.client.ok("plugin", name="never_completes", action="disable")
        self.wait_log("plugin never_completes misbehaving: stop was not answered in time", daemon)
        self.wait_state("never_completes", "disabled", daemon)


class BrokenIsolated(Broken):
    isolate = True

    def test_APluginThatCrashesIsReplacedAndItsCallersAreAnswered(self):
        daemon = self.run_daemon(broken(["dies"], True))
        self.wait_state("dies", "active", daemon)
        web = daemon.wait_active("web", 1)
        self.assert_error(daemon.client.ask("die"), 5, "the process of the plugin dies has ended")
        self.wait_log("plugin dies: its process ended by itself, killed by signal 6; it is started anew", daemon)
        self.wait_state("dies", "active", daemon)
        self.assertEqual(daemon.pids("web"), web)


class HookLibraries(PluginCase):
    def test_AFunctionOfALibraryIsAskedAndItsReasonIsKnown(self):
        daemon = self.run_daemon(f"""
[watcher.yes]
cmd = "@PROBE@"
hooks.before_start = "{BROKEN}/hooks_good.so:yes"

[watcher.no]
cmd = "@PROBE@"
hooks.before_start = "{BROKEN}/hooks_good.so:no"
""")
        daemon.wait_active("yes", 1)
        wait_until(lambda: daemon.status("no") == "stopped")
        self.wait_log("it is raining", daemon)
        self.assertEqual(daemon.pids("no"), [])

    def test_AStrayLibraryIsRefusedAtTheStart(self):
        daemon = self.new_daemon(f"""
[watcher.web]
cmd = "@PROBE@"
hooks.before_start = "{BROKEN}/no_symbol.so:yes"
""")
        daemon.launch()
        self.assertEqual(daemon.wait_end(), 1)
        daemon.wait_log("no_symbol.so: symbol: found no circus_hooks_v1")


class Configuration(PluginCase):
    def stack(self, more, web=""):
        return (WEB + web + plugin("all", BROKEN / "everything.so", self.isolate, more))

    def reload(self, daemon, config):
        daemon.write_config(self.head + config)
        return daemon.client.ok("reloadconfig", waiting=True, explain=True)["plan"]

    def start(self, config):
        daemon = self.new_daemon(config)
        with open(daemon.config_path) as file:
            self.head = file.read().split("\n[watcher", 1)[0] + "\n"
        daemon.start()
        return daemon

    def test_AChangedOptionReconfiguresAndANewAndARemovedSectionStartAndStop(self):
        daemon = self.start(self.stack('setting = "one"'))
        self.wait_state("all", "active", daemon)
        pid = daemon.client.ok("count")["pid"]
        daemon.client.ok("write", text="kept")
        wait_until(lambda: daemon.client.ok("count")["bytes"] == 4)
        plan = self.reload(daemon, self.stack('setting = "two"') + plugin("tick", PLUGINS / "ticker.so", self.isolate))
        self.assertEqual(plan["plugins"], {"all": "reconfigured: setting", "tick": "new"})
        wait_until(lambda: daemon.client.ok("count")["setting"] == "two")
        self.assertEqual(daemon.client.ok("count")["bytes"], 4)
        self.assertEqual(daemon.client.ok("count")["pid"], pid)
        self.wait_state("tick", "active", daemon)
        plan = self.reload(daemon, self.stack('setting = "two"'))
        self.assertEqual(plan["plugins"], {"tick": "stopped: not in the file"})
        wait_until(lambda: "tick" not in daemon.client.ok("plugins")["plugins"])

    def test_OneThatRefusesItsNewOptionsIsRestartedWithThem(self):
        daemon = self.start(self.stack('setting = "one"'))
        self.wait_state("all", "active", daemon)
        daemon.client.ok("write", text="lost")
        wait_until(lambda: daemon.client.ok("count")["bytes"] == 4)
        self.reload(daemon, self.stack('setting = "bad"'))
        self.wait_log("plugin all: reconfigure: this setting is bad; it is restarted", daemon)
        wait_until(lambda: daemon.client.ask("count").get("setting") == "bad")
        self.assertEqual(daemon.client.ok("count")["bytes"], 0)

    def test_AFileWithABadOptionOrABrokenLibraryChangesNothing(self):
        daemon = self.start(self.stack(""))
        self.wait_state("all", "active", daemon)
        daemon.write_config(self.head + self.stack('settin = "x"'))
        answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
        self.assertRegex(answer["reason"], r'unknown option "settin" in \[plugin\.all\]; did you mean "setting"\?')
        daemon.write_config(self.head + self.stack("") + plugin("bad", BROKEN / "short_size.so", self.isolate))
        answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
        self.assertRegex(answer["reason"], r"plugin bad: .*/short_size\.so: size: found 64 bytes, expected at least 88$")
        self.assertNotIn("bad", daemon.client.ok("plugins")["plugins"])
        self.assertEqual(self.plugin("all", daemon)["state"], "active")

    def test_AWatchersOverridesAreCheckedAndShownAsWritten(self):
        daemon = self.start(self.stack("", 'everything.setting = "mine"\n'))
        self.assertEqual(daemon.client.ok("options", name="web")["options"]["everything.setting"], "mine")
        plan = self.reload(daemon, self.stack("", 'everything.setting = "other"\n'))
        self.assertEqual(plan["updated"], {"web": "everything.setting"})
        self.assertEqual(daemon.client.ok("get", name="web", keys=["everything.setting"])["options"],
                         {"everything.setting": "other"})
        daemon.write_config(self.head + self.stack("", "everything.seting = 1\n"))
        answer = daemon.client.ask("reloadconfig", waiting=True, explain=True)
        self.assertRegex(answer["reason"],
                         r'unknown option "seting" in \[watcher\.web\.everything\]; did you mean "setting"\?')

    def test_ANameIsLookedForInPluginPathAndWhatIsNearIsSaid(self):
        config = WEB + f'\n[plugin.x]\nuse = "everythin"\nisolate = {"true" if self.isolate else "false"}\n'
        daemon = self.new_daemon(config, circus=f'plugin_path = "{BROKEN}"\n')
        check = subprocess.run([CIRCUSD, "--check", daemon.config_path], capture_output=True, text=True, timeout=30)
        self.assertEqual(check.returncode, 1)
        self.assertRegex(check.stderr, r'use = "everythin" in \[plugin\.x\]: no such plugin in .*; '
                                       r'did you mean "everything"\?\n$')

    def test_StopIsOrderedByPriorityAndComesBeforeTheEnd(self):
        daemon = self.run_daemon(WEB + plugin("low", BROKEN / "everything.so", self.isolate, "priority = 1")
                                 + plugin("high", PLUGINS / "ticker.so", self.isolate, "priority = 2"))
        self.wait_state("low", "active", daemon)
        self.wait_state("high", "active", daemon)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait_end(), 0)
        log = daemon.log()
        places = [log.index(text) for text in ("plugin high: ", "plugin low: ", "plugin low: everything stops",
                                               "plugin low: stopped", "plugin high: stopped")]
        self.assertEqual(places, sorted(places), log)
        self.assertNotIn("misbehaving", log)

    def test_AnOperatorsWordHoldsUntilTheSectionChanges(self):
        daemon = self.start(self.stack("active = false"))
        self.assertEqual(self.plugin("all", daemon)["state"], "disabled")
        daemon.client.ok("plugin", name="all", action="enable", waiting=True)
        self.reload(daemon, self.stack("active = false"))
        self.assertEqual(self.plugin("all", daemon)["state"], "active")
        self.reload(daemon, self.stack('active = false\nsetting = "new"'))
        self.wait_state("all", "disabled", daemon)


class ConfigurationIsolated(Configuration):
    isolate = True


class FromElsewhere(PluginCase):
    config = from_elsewhere(False)

    def test_APluginOfTheFrozenHeaderAndOneInRustDoWhatTheOthersDo(self):
        commands = [name for name in ("counted", "tally") if name == "counted" or "tally" in self.config]
        for name in [line[len("[plugin."):-1] for line in self.config.splitlines() if line.startswith("[plugin.")]:
            self.wait_state(name, "active")
        wait_until(lambda: self.plugin("tick")["calls"] > 3)
        before = {name: self.client.ok(name)["deaths"] for name in commands}
        kill_child(self.daemon.keeper, self.daemon.wait_active("web", 1)[0])
        for name in commands:
            wait_until(lambda: self.client.ok(name)["deaths"] == before[name] + 1, what=name)
        self.assertNotIn("misbehaving", self.daemon.log())


class FromElsewhereIsolated(FromElsewhere):
    isolate = True
    config = from_elsewhere(True)


if __name__ == "__main__":
    main()
