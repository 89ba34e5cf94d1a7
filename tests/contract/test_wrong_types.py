"""Wrong types at every property of every command, and at every option of a watcher, as the tables' pages list them.

The seed is told with each failure and taken from CIRCUS_SEED.
"""
import json
import os
import random
import re

from command_table import commands, watcher_options
from harness import ContractCase, main, wait_until

SEED = int(os.environ.get("CIRCUS_SEED", "1"))

CONFIG = """
[watcher.web]
cmd = "@PROBE@"
numprocesses = 2
graceful_timeout = 1

[watcher.idle]
cmd = "@PROBE@"
autostart = false
"""


def nested(depth, value=None):
    for _ in range(depth):
        value = [value]
    return value


VALUES = [None, False, True, 0, -1, 1, 2 ** 31, 2 ** 63 - 1, 2 ** 63, -2 ** 63, 2 ** 64, 1.5, -0.5, 1e308, "", " ", "x",
          "1", "-1", "+2", "1e3", "0x9", "nan", "inf", "usr1", "SIGRTMIN+1", "ü\0", "y" * 5000, [], [[]],
          ["a", 1, None], nested(200), {}, {"a": 1}, {"": {"b": []}}]


def random_value(chance, depth=0):
    if depth > 3 or chance.random() < 0.7:
        return chance.choice(VALUES)
    if chance.random() < 0.5:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(["a", "", "ü", "name"]): random_value(chance, depth + 1) for _ in range(chance.randrange(3))}


# ---- what a value is ----

def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return is_integer(value) or isinstance(value, float)


def as_integer(value):
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
        value = int(value)
    return value if is_integer(value) and -2 ** 63 <= value < 2 ** 63 else None


def as_seconds(value):
    if isinstance(value, str) and re.fullmatch(r"\+?-?\d+(\.\d+)?(e\d+)?", value):
        value = float(value)
    return value if is_number(value) and 0 <= value <= 1e9 else None


def as_signal(value):
    number = as_integer(value)
    if number is not None:
        return number if 0 <= number <= 64 else None
    return value if value in ("usr1", "SIGRTMIN+1", "cont") else None


# Of each type as docs/commands.md names it: what fits, and what is said of the rest.
PROPERTY_TYPES = {
    None: (lambda value: True, None),
    "boolean": (lambda value: True, None),
    "string": (lambda value: isinstance(value, str), "{name!r} isn't a string"),
    "integer": (lambda value: as_integer(value) is not None, "{name!r} isn't an integer"),
    "seconds": (lambda value: as_seconds(value) is not None, "{name!r} isn't a number"),
    "signal, name or number": (lambda value: as_signal(value) is not None, "signal invalid"),
    "list": (lambda value: isinstance(value, list), "{name!r} isn't a list"),
    "object": (lambda value: isinstance(value, dict), "{name!r} property should be an object"),
}

# The same for docs/config.md and set. null is not among the wrong: it takes some options back.
OPTION_TYPES = {
    "boolean": (lambda value: isinstance(value, bool), "{name!r} isn't a valid boolean"),
    "string": (lambda value: isinstance(value, str), "{name!r} isn't a string"),
    "integer": (is_integer, "{name!r} isn't an integer"),
    "number": (is_number, "{name!r} isn't a number"),
    "string or array of strings": (lambda value: isinstance(value, str) or
                                   isinstance(value, list) and all(isinstance(word, str) for word in value),
                                   "{name!r} isn't a string or list"),
    "signal: a name, with or without SIG, or a number": (is_integer, "{name!r} isn't an integer"),
    "user: a name or a number": (lambda value: isinstance(value, str) or is_integer(value),
                                 "{name!r} isn't an integer or string"),
    "group: a name or a number": (lambda value: isinstance(value, str) or is_integer(value),
                                  "{name!r} isn't an integer or string"),
    "string of octal digits": (lambda value: isinstance(value, str), "{name!r} isn't an octal string"),
    "table of strings": (lambda value: isinstance(value, dict), "{name!r} isn't a valid object"),
    "table": (lambda value: isinstance(value, dict), "{name!r} isn't a valid object"),
    "string or table": (lambda value: isinstance(value, (str, dict)), "{name!r} isn't a valid readiness"),
    "array of strings or table": (lambda value: isinstance(value, dict) or
                                  isinstance(value, list) and all(isinstance(word, str) for word in value),
                                  "{name!r} isn't a list or object"),
    'size: an integer of bytes or a string like `"200M"`': (lambda value: is_integer(value) or isinstance(value, str),
                                                            "{name!r} isn't a size"),
    'integer, `"unlimited"` or an array of both limits': (lambda value: is_integer(value) or isinstance(value, str),
                                                          "{value!r} rlimit value isn't a valid int"),
}


def complaint(properties, given):
    """The reason that a message with these properties is refused for, before anything else is looked at; or None."""
    for each in properties:
        if each.required and each.name not in given:
            return f"message invalid {each.name!r} is missing"
    for each in properties:
        value = given.get(each.name)
        if each.name not in given or value is None and not each.required:
            continue
        fits, words = PROPERTY_TYPES[each.kind]
        if not fits(value):
            return words.format(name=each.name)
    return None


class WrongTypesCase(ContractCase):
    config = CONFIG

    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.arbiter = self.daemon.arbiter
        self.other = self.daemon.new_client()
        self.assert_all_is_well()

    def answer_to(self, command, properties):
        """Checked: its id, and its shape if it is an error."""
        answer = self.daemon.client.ask(command, **properties)
        self.assertIsInstance(answer["time"], float)
        if answer["status"] == "error":
            self.assert_error(answer, answer["errno"], lambda reason: isinstance(reason, str))
        return answer

    def assert_all_is_well(self):
        """The same arbiter serves the other client, and web comes back to two workers, seen from outside."""
        self.assertEqual(self.daemon.arbiter, self.arbiter)
        self.other.ok("numwatchers")
        client = self.daemon.client
        for name in client.ok("list")["watchers"]:
            if name not in ("web", "idle"):
                client.ok("rm", name=name, waiting=True)
        client.ok("stop", name="idle", match="simple", waiting=True)
        client.ok("set", name="web", options={"numprocesses": 2}, waiting=True)
        client.ok("start", name="web", match="simple", waiting=True)
        pids = self.daemon.wait_active("web", 2)
        wait_until(lambda: self.daemon.workers() == sorted(self.daemon.pids("web")),
                   what=lambda: f"seed {SEED}: {self.daemon.workers()} {pids}")


class PropertiesTest(WrongTypesCase):
    def setUp(self):
        super().setUp()
        self.table = commands()
        self.assertGreaterEqual(len(self.table), 24)
        self.assertEqual(len({each.kind for properties in self.table.values() for each in properties}),
                         len(PROPERTY_TYPES), "every type of the page is tried")
        self.names = 0
        del self.table["quit"]  # it has a test of its own
        del self.table["upgrade"]  # so has this: test_upgrade.py

    def sound(self, command):
        """Properties with which the command does something harmless."""
        given = {"name": "web"} if any(each.name == "name" for each in self.table[command]) else {}
        if command in ("add", "rm"):
            self.names += 1
            given["name"] = f"new {self.names}"
        if command == "rm":
            self.daemon.client.ok("add", cmd="x", **given)
        return given | {"add": {"cmd": "sleep 100"}, "get": {"keys": ["cmd"]}, "signal": {"signum": "cont"},
                        "set": {"options": {"warmup_delay": 0}}}.get(command, {})

    def check(self, command, given):
        """Sends it; what is wrong with it is said word by word, and nothing that fits is called a wrong type."""
        wrong = complaint(self.table[command], given)
        answer = self.answer_to(command, given)
        about = f"seed {SEED}: {command} {given!r:.300}"
        if wrong:
            self.assertEqual((answer["status"], answer.get("errno"), answer.get("reason")), ("error", 3, wrong), about)
        elif answer["status"] == "error" and command != "listen":
            self.assertNotRegex(answer["reason"], r"^message invalid|^'options' property", about)
            self.assertIn(answer["errno"], (3, 5), about)

    def test_EachPropertyOfEachCommandGetsEachValue(self):
        cases = [(command, each.name, value) for command, properties in self.table.items() for each in properties
                 for value in VALUES]
        self.assertGreater(len(cases), 1500)
        self.chance.shuffle(cases)
        for count, (command, name, value) in enumerate(cases):
            self.check(command, self.sound(command) | {name: value})
            if count % 50 == 0:
                self.other.ok("numwatchers")
        self.assert_all_is_well()

    def test_SeveralAtOnceAreToldInTheOrderOfTheTable(self):
        for _ in range(600):
            command = self.chance.choice(list(self.table))
            given = self.sound(command)
            for each in self.table[command]:
                what = self.chance.random()
                if what < 0.5:
                    given[each.name] = random_value(self.chance)
                elif what < 0.6:
                    given.pop(each.name, None)
            self.check(command, given)
        self.assert_all_is_well()

    def test_ACastIsNeverAnsweredWhateverItHolds(self):
        client = self.daemon.new_client()
        for command, properties in self.table.items():
            for each in properties:
                client.cast(command, **self.sound(command) | {each.name: random_value(self.chance)})
        self.assertIn("numwatchers", client.ok("numwatchers"))
        self.assertEqual(client.socket.poll(100), 0)
        self.assert_all_is_well()

    def test_EachMemberOfTheMessageGetsEachValue(self):
        client = self.daemon.client
        for member in ("id", "command", "properties", "msg_type", "reply_to"):
            for value in VALUES:
                message = {"id": "x", "command": "numwatchers", "properties": {}} | {member: value}
                client.send(json.dumps(message))
                answer = client.receive()
                self.assertEqual(answer["id"], message["id"])
                about = f"{member} {value!r:.100}"
                if member == "command" and not isinstance(value, str):
                    self.assert_error(answer, 3, "'command' isn't a string")
                elif member == "command":
                    self.assert_error(answer, 2, f"unknown command: {value!r}")
                elif member == "properties" and value is not None and not isinstance(value, dict):
                    self.assert_error(answer, 3, "'properties' property should be an object")
                else:
                    self.assertEqual((answer["status"], answer["numwatchers"]), ("ok", 2), about)
        self.assert_all_is_well()

    def test_QuitTakesAnythingForWaiting(self):
        for value in (nested(200), "", {"a": 1}):
            daemon = self.run_daemon(CONFIG)
            self.assertEqual(daemon.client.ask("quit", waiting=value)["status"], "ok")
            self.assertEqual(daemon.wait_end(), 0)


class OptionsTest(WrongTypesCase):
    def wrong_values(self, name, kind):
        fits, words = OPTION_TYPES["string" if kind.startswith("one of ") else kind]
        if name == "hooks":
            words = "{value!r} isn't a valid hook dict"
        for value in VALUES:
            # What is nested deeply is shown shortened, an integer above all of JSON's usual ones as a float.
            shown_otherwise = "{value" in words and value in (nested(200), 2 ** 64)
            if value is not None and not fits(value) and not shown_otherwise:
                yield value, words.format(name=name, value=value)

    def rows(self):
        rows = [("rlimit_nofile" if name == "rlimit_LIMIT" else name, kind)
                for name, kind in watcher_options().items()]
        self.assertGreater(len(rows), 40)
        self.chance.shuffle(rows)
        return rows

    def test_SetRefusesEachWrongTypeAndChangesNothing(self):
        client = self.daemon.client
        before, pids = client.ok("options", name="web")["options"], self.daemon.pids("web")
        for name, kind in self.rows():
            for value, reason in self.wrong_values(name, kind):
                answer = self.answer_to("set", {"name": "web", "options": {"warmup_delay": 9, name: value}})
                self.assertEqual((answer["status"], answer.get("errno"), answer.get("reason")), ("error", 3, reason),
                                 f"{name} = {value!r:.200}")
        self.assertEqual(client.ok("options", name="web")["options"], before)
        self.assertEqual(self.daemon.pids("web"), pids)
        self.assert_all_is_well()

    def test_AddRefusesEachWrongTypeAndAddsNothing(self):
        for name, kind in self.rows():
            for value, reason in self.wrong_values(name, kind):
                answer = self.answer_to("add", {"name": "new", "cmd": "x", "options": {name: value}})
                self.assertEqual((answer["status"], answer.get("errno"), answer.get("reason")), ("error", 3, reason),
                                 f"{name} = {value!r:.200}")
        self.assertEqual(self.daemon.client.ok("list")["watchers"], ["idle", "web"])
        self.assert_all_is_well()

    def test_NullIsAnsweredForEachOption(self):
        for name, _ in self.rows():
            self.answer_to("set", {"name": "idle", "options": {name: None}})
            self.answer_to("add", {"name": "new", "cmd": "x", "options": {name: None}})
            self.daemon.client.ask("rm", name="new", waiting=True)
        self.assert_all_is_well()


if __name__ == "__main__":
    main()
