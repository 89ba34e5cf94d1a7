"""Random sequences of commands from eight clients at once; then the invariants, as an outsider sees them.

The seed is told with each failure and taken from CIRCUS_SEED. The sequences are the seed's; how those of different
clients fall between each other is the machine's.
"""
import collections
import json
import os
import random
import threading

from harness import (PROBE, ContractCase, NotReached, cmdline, holds_for, kill_child, main, read_proc, state_and_parent,
                     wait_until)

SEED = int(os.environ.get("CIRCUS_SEED", "1"))
CLIENTS = 8
ROUNDS = 5  # the invariants are looked at after each
SEQUENCES = 5  # of each client in each round: 200 in all


def watcher(name, *lines, args=()):
    words = ", ".join(json.dumps(word) for word in [*args, "--", name])
    return f'\n[watcher."{name}"]\ncmd = "@PROBE@"\nargs = [{words}]\n' + "\n".join(lines) + "\n"


FIXED = ["quick", "Two words", "single", "hup"]


class Sequences(threading.Thread):
    """One client: it carries out its sequences, and keeps what was wrong with an answer."""

    def __init__(self, daemon, number, turn):
        super().__init__(daemon=True)
        self.client = daemon.new_client()
        self.keeper = daemon.keeper
        self.chance = random.Random(f"{SEED}/{turn}/{number}")
        self.own = f"own-{turn}-{number}"
        self.trouble = None
        self.sent = 0

    def run(self):
        try:
            for _ in range(SEQUENCES):
                for _ in range(self.chance.randint(3, 7)):
                    self.step()
            self.ask("numwatchers", cast=False)  # every cast before it has been read
            if self.client.socket.poll(0):
                raise AssertionError(f"an answer that nobody asked for: {self.client.receive()}")
        except Exception as error:  # told by the test
            self.trouble = error

    def name(self):
        return self.chance.choice([*FIXED, *FIXED, self.own, self.chance.choice(FIXED).upper()])

    def step(self):
        chance = self.chance
        kind = chance.choices(["lifecycle", "count", "query", "kill", "own", "outside", "set"],
                              [8, 6, 5, 4, 4, 3, 3])[0]
        name = self.name()
        if kind == "lifecycle":
            command = chance.choice(["start", "start", "stop", "restart", "reload", "reload"])
            more = {}
            if command == "reload":
                more = chance.choice([{}, {"graceful": False}, {"sequential": True}])
            elif chance.random() < 0.1:
                more, name = {"match": chance.choice(["glob", "regex"])}, chance.choice(["[qh]*", "own-.*", "q.*"])
            self.ask(command, name=name, **more)
        elif kind == "count":
            command = chance.choice(["incr", "decr", "set"])
            if command == "set":
                self.ask("set", name=name, options={"numprocesses": chance.randint(0, 5)})
            else:
                self.ask(command, name=name, nb=chance.randint(1, 3))
        elif kind == "query":
            command = chance.choice(["list", "status", "stats", "numprocesses", "numwatchers", "options",
                                     "globaloptions", "dstats", "listsockets"])
            self.ask(command, **({"name": name} if command == "options" or chance.random() < 0.5 else {}))
        elif kind == "kill":
            self.kill(name)
        elif kind == "own":
            if chance.random() < 0.6:
                self.ask("add", name=self.own, cmd=PROBE, args=["--", self.own], start=chance.random() < 0.8,
                         options={"numprocesses": chance.randint(0, 3), "graceful_timeout": 0.3})
            else:
                self.ask("rm", name=self.own)
        elif kind == "outside":
            pids = self.ask("list", name=name, waiting=None, cast=False).get("pids", [])
            for pid in chance.sample(pids, min(len(pids), 2)):
                kill_child(self.keeper, pid)
        else:
            self.ask("set", name=name, options=chance.choice([
                {"graceful_timeout": 0.2}, {"graceful_timeout": 0.05}, {"warmup_delay": 0.01}, {"warmup_delay": 0},
                {"env": {"N": str(self.sent)}},
                {"stop_signal": chance.choice([2, 15])}, {"max_age": 1, "max_age_variance": 1}, {"max_age": 0}]))

    def kill(self, name):
        """To all or to one process, of this watcher or of another, or to a stranger: init, nobody, ourselves."""
        chance = self.chance
        pids = self.ask("list", name=self.name(), waiting=None, cast=False).get("pids", [])
        more = {}
        if chance.random() < 0.7:
            more["pid"] = chance.choice([*pids, 0, 1, -1, os.getpid(), self.keeper, 2 ** 40])
        if chance.random() < 0.5:
            self.ask("kill", name=name, **more, **chance.choice([{}, {"signum": "KILL"}, {"graceful_timeout": "0.1"}]))
        else:
            self.ask("signal", name=name, signum=chance.choice(["usr1", 18, "SIGSTOP", "9", "cont"]), **more,
                     **chance.choice([{}, {}, {"recursive": True}]))

    def ask(self, command, cast=None, **properties):
        """The answer: one, with its id, ok or a refusal that such a command may meet. A cast has none."""
        properties.setdefault("waiting", self.chance.random() < 0.3)
        self.sent += 1
        if self.chance.random() < 0.15 if cast is None else cast:
            self.client.cast(command, **properties)
            return {}
        try:
            answer = self.client.ask(command, 30, **properties)
        except NotReached as error:
            raise NotReached(f"{command} {properties}: {error}") from None
        if answer["status"] == "error":
            words = answer["reason"]
            known = (answer["errno"] == 3 and words.startswith("program ") and words.endswith(" not found")
                     or answer["errno"] == 5 and ("already exist" in words or "is already running" in words or
                                                  words.endswith("Singleton watcher has a single process")))
            if not known:
                raise AssertionError(f"{command} {properties}: {answer}")
        return answer


def children_of(pid):
    """The probes have one thread each."""
    return [int(word) for word in read_proc(pid, f"task/{pid}/children").split()]


def family_of(pid):
    found = children_of(pid)
    for child in found:
        found += children_of(child)
    return set(found)


class Ledger:
    """What the event stream says: who was born and who was reaped, of each watcher, each spawn with one reap."""

    def __init__(self, events, alive):
        self.events, self.read = events, 0
        self.alive = collections.defaultdict(set)
        for name, pids in alive.items():
            self.alive[name.lower().replace(" ", "_")] |= set(pids)

    def follow(self):
        seen = self.events.collect()
        for name, event, payload in seen[self.read:]:
            pid = payload.get("process_pid")
            if event == "spawn":
                assert pid not in self.alive[name], f"{name}: {pid} is born twice"
                self.alive[name].add(pid)
            elif event == "reap":
                assert pid in self.alive[name], f"{name}: the reap of {pid} is its second, or has no spawn"
                self.alive[name].remove(pid)
        self.read = len(seen)
        return {name: sorted(pids) for name, pids in self.alive.items() if pids}


class SequencesTest(ContractCase):
    limit = 240
    config = (watcher("quick", "numprocesses = 3", "min_uptime = 0.0", "graceful_timeout = 0.3") +
              watcher("Two words", "numprocesses = 2", "graceful_timeout = 0.1",
                      args=["--ignore", "15", "--grandchild"]) +
              watcher("single", "singleton = true", "graceful_timeout = 0.3") +
              watcher("hup", "send_hup = true", "numprocesses = 2", "graceful_timeout = 0.3",
                      args=["--ignore", "1"]))

    def reported(self):
        """{name as written: its pids}"""
        client = self.daemon.client
        return {name: client.ok("list", name=name)["pids"] for name in client.ok("status")["statuses"]}

    def come_to_rest(self):
        """Every watcher is started, has as many processes as it should have, and is done with those it was ending."""
        client = self.daemon.client
        for name in client.ok("status")["statuses"]:
            client.ok("set", name=name, options={"max_age": 0, "warmup_delay": 0}, waiting=True)
            client.ok("start", name=name, match="simple", waiting=True)
        def at_rest():
            reported = self.reported()
            return reported if all(self.daemon.status(name) == "active" and
                                   len(pids) == client.ok("options", name=name)["options"]["numprocesses"]
                                   for name, pids in reported.items()) else None
        def stays_so():
            before = at_rest()
            return before is not None and holds_for(lambda: self.reported() == before, 0.5)
        wait_until(stays_so, 40, lambda: (self.reported(), client.ok("status")["statuses"]))

    def below(self):
        """{pid of a child of the keeper: all of its descendants}, the arbiter left out; and which are zombies."""
        families = {pid: family_of(pid) for pid in children_of(self.daemon.keeper) if pid != self.arbiter}
        everybody = set(families).union(*families.values())
        return families, sorted(pid for pid in everybody if (state_and_parent(pid) or "?")[0] == "Z")

    def check_invariants(self, ledger):
        reported = self.reported()
        pids = sorted(pid for each in reported.values() for pid in each)
        self.assertEqual(len(pids), len(set(pids)), "no process is of two watchers")
        # What died a moment ago may still be on its way out.
        wait_until(lambda: (sorted(self.below()[0]), self.below()[1]) == (pids, []), 5,
                   lambda: f"only what is reported, and no zombie: {self.below()}, reported {reported}")
        families, _ = self.below()
        for name, own in reported.items():
            wids = sorted(each["wid"] for each in self.daemon.client.ok("stats", name=name)["info"].values())
            self.assertEqual(wids, list(range(1, len(own) + 1)), f"wids of {name}")
            for pid in own:
                self.assertEqual(cmdline(pid).rpartition("-- ")[2], name, "it runs what its watcher says")
                wanted = 1 if name == "Two words" else 0
                wait_until(lambda p=pid, n=wanted: len(self.below()[0].get(p, ())) == n, 5,
                           lambda p=pid: f"the family of {p}: {families.get(p)}")
        wanted = {name.lower().replace(" ", "_"): sorted(own) for name, own in reported.items() if own}
        wait_until(lambda: ledger.follow() == wanted, what=lambda: f"events: {ledger.follow()}, alive: {wanted}")

    def test_TwoHundredSequencesFromEightClientsLeaveTheInvariantsStanding(self):
        print(f"CIRCUS_SEED={SEED}", flush=True)
        self.come_to_rest()
        ledger = Ledger(self.daemon.new_events("quick"), self.reported())
        self.arbiter, sent = self.daemon.arbiter, 0
        for turn in range(ROUNDS):
            with self.subTest(seed=SEED, turn=turn):
                clients = [Sequences(self.daemon, number, turn) for number in range(CLIENTS)]
                for client in clients:
                    client.start()
                for client in clients:
                    client.join()
                self.assertEqual([client.trouble for client in clients], [None] * CLIENTS)
                self.assertEqual(self.daemon.arbiter, self.arbiter)
                self.come_to_rest()
                self.check_invariants(ledger)
                sent += sum(client.sent for client in clients)
        self.assertGreater(sent, 700)
        self.daemon.client.ok("stop", waiting=True)
        wait_until(lambda: not self.daemon.workers(), 5, self.daemon.workers)
        wait_until(lambda: ledger.follow() == {}, what=ledger.follow)
        self.assertGreater(len(ledger.events.of("quick", "reap")), 20)


if __name__ == "__main__":
    main()
