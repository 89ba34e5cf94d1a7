"""The fifteen invariants, one function each: what it finds wrong in what was seen, nothing if it holds.

All of them are asked after each step. Each is a function of a Seen alone, so that a test can show it something broken.
"""
import os
import stat

import stack
from observer import is_running
from waiting import wait_quietly

BOUND = 5  # seconds after its grace in which what is stopped is gone, on a machine that does other things too
DELAY = 1.0  # seconds by which one watcher may delay another
SHARE = 0.33  # of a processor, for the daemon while it waits for better times, beyond what it needs all the time
BUSY = 0.9  # of a processor, for one process of the daemon over a whole step
REFUSED_WITHIN = 2.0  # seconds in which a start with a broken file has failed
ANSWERED_WITHIN = 5.0  # seconds
MORE_MEMORY = {"keeper": 2 << 20, "arbiter": 96 << 20}  # the arbiter keeps 64 MiB for a client that does not read
MORE_DESCRIPTORS = 60  # eight processes of the web have eight pipes each end more than at the start, a reload twice that


class Stop:
    """Something was stopped: from the moment that this was asked for until the last of `gone` was gone."""

    def __init__(self, what, grace, seconds, jumped=0, left=()):
        self.what, self.grace, self.seconds, self.jumped, self.left = what, grace, seconds, jumped, list(left)


class Delay:
    """What somebody waited for while another watcher was in trouble."""

    def __init__(self, what, seconds, steady=True):
        self.what, self.seconds, self.steady = what, seconds, steady  # not steady: the observer was held up itself


class Repair:
    """A shortage, or a reload of all: the share of a processor that circusd used meanwhile, and whether all was as
    wanted afterwards."""

    def __init__(self, what, share, repaired, told=""):
        self.what, self.share, self.repaired, self.told = what, share, repaired, told


class Question:
    """A request and what became of it."""

    def __init__(self, text, expected, answer=None, seconds=None):
        self.text, self.expected, self.answer, self.seconds = text, expected, answer, seconds


class Refusal:
    """A broken file: what was said of it, by reloadconfig or by a start (whose exit code and seconds count)."""

    def __init__(self, how, told, place, key, code=None, seconds=0.0):
        self.how, self.told, self.place, self.key, self.code, self.seconds = how, told, place, key, code, seconds


class Seen:
    """All that was seen after a step. A test fills in what it needs; the rest is as when all is well."""

    def __init__(self, view, **more):
        self.view = view
        self.instances = set()  # the marks that this stack's workers have carried so far
        self.wanted = {}  # name -> count, where it is not the declared one
        self.environments = {}  # name -> environment, the same
        self.reported = {}  # name -> (pids, numprocesses) as circusd tells
        self.declared = stack.DECLARED
        self.before = {}  # name -> {identity: wid} at the step before
        self.killed = set()  # pids that the step killed
        self.replaced = set()  # names of watchers whose processes the step replaced
        self.ever = {}  # identity -> Process: all that was seen below the keeper so far
        self.strangers, self.planted = [], []  # what they complain of
        self.quiet_notes = []  # signals that the quiet watcher got and should not have
        self.ports, self.port = None, 0
        self.stops, self.delays, self.repairs, self.seconds_daemons = [], [], [], []
        self.busy = {}  # pid -> share of a processor over the step
        self.failures, self.kills = [], []  # of requests; when a worker that may have had one was killed
        self.jumped = 0
        self.log_faults = []
        self.writers = {}  # name -> how many writes since the step before
        self.deaf_faults = []
        self.questions = []
        self.memory, self.descriptors = {}, {}  # process -> (at first, now)
        self.refusals = []
        self.places = {}  # path -> mode that it must have
        self.__dict__.update(more)


def count(seen):
    """Alive = reported = numprocesses, wids unique 1..n."""
    found = []
    for name, declared in seen.declared.items():
        wids = seen.view.workers.get(name, {})
        told, told_count = seen.reported.get(name, ([], None))
        if not declared.steady:
            if len(seen.view.heads(name)) > declared.count:
                found.append(f"{name}: at most {declared.count} wanted, there are {seen.view.heads(name)}")
            continue
        wanted = seen.wanted.get(name, declared.count)
        if sorted(wids) != list(range(1, wanted + 1)) or any(len(heads) != 1 for heads in wids.values()):
            found.append(f"{name}: {wanted} wanted, by wid there are "
                         f"{ {wid: [each.pid for each in heads] for wid, heads in sorted(wids.items())} }")
        if sorted(told) != seen.view.pids(name):
            found.append(f"{name}: circusd reports {sorted(told)}, there are {seen.view.pids(name)}")
        if told_count != wanted:
            found.append(f"{name}: circusd reports numprocesses {told_count}, {wanted} are wanted")
    if len(seen.view.hosts) != 1:
        found.append(f"hosts of the isolated plugin: {seen.view.hosts}")
    return found


def no_strays(seen):
    """Below the keeper there is what belongs to a worker in place, and nothing of it is anywhere else."""
    found = [f"strays: {seen.view.strays}"] if seen.view.strays else []
    for name, wids in seen.view.family.items():
        declared = seen.declared.get(name)
        if declared is None:
            found.append(f"of no watcher: {wids}")
            continue
        for wid, family in wids.items():
            heads = len(seen.view.workers[name][wid])
            if len(family) != heads * declared.family and declared.steady:
                found.append(f"{name} {wid}: {declared.family} processes each, there are {family}")
    return found + [f"escaped from the keeper: {each}" for each in seen.view.escaped(seen.instances, seen.ever)]


def no_zombies(seen):
    """None that the keeper or the arbiter should have collected."""
    return [f"zombies: {seen.view.zombies}"] if seen.view.zombies else []


def bounded_stop(seen):
    """What was stopped is gone, its tree with it, within its grace and a bound; what was replaced is gone."""
    found = []
    for stop in seen.stops:
        if stop.left:
            found.append(f"{stop.what}: still there: {stop.left}")
        elif stop.seconds > stop.grace + BOUND:
            found.append(f"{stop.what}: took {stop.seconds:.1f} s with a grace of {stop.grace} s")
    for identity in seen.ever:
        now = seen.view.processes.get(identity[0])
        if now and now.start == identity[1] and now.state not in "ZX" and now.pid not in seen.view.below:
            found.append(f"was replaced and is still there: {now}")
    return found


def isolation(seen):
    """Nobody waits more than a second because another watcher is in trouble."""
    return [f"{delay.what}: waited {delay.seconds:.2f} s" for delay in seen.delays
            if delay.steady and delay.seconds > DELAY]


def right_target(seen):
    """Only those that were meant: no stranger is signalled, and no watcher that nobody touched loses a process."""
    found = list(seen.strangers) + list(seen.quiet_notes)
    for name, before in seen.before.items():
        declared = seen.declared.get(name)
        if declared is None or not declared.steady or name in seen.replaced:
            continue
        now = {each.identity for each in seen.view.heads(name)}
        wanted = seen.wanted.get(name, declared.count)
        lost = [identity for identity, wid in before.items()
                if identity not in now and identity[0] not in seen.killed and wid <= wanted]
        if lost:
            found.append(f"{name}: nobody touched {[identity[0] for identity in lost]}, and they were replaced")
    return found


def self_repair(seen):
    """After a shortage the wanted state comes back by itself, and nothing spins, neither then nor else."""
    found = []
    for repair in seen.repairs:
        if not repair.repaired:
            found.append(f"{repair.what}: did not come back by itself: {repair.told}")
        if repair.share > SHARE:
            found.append(f"{repair.what}: {repair.share:.2f} of a processor used meanwhile")
    return found + [f"process {pid} of the daemon used {share:.2f} of a processor" for pid, share in seen.busy.items()
                    if share > BUSY]


def never_a_duplicate(seen):
    """One keeper, one arbiter, one listener, which the keeper holds; each wid once; a second daemon is refused."""
    found = list(seen.seconds_daemons)
    if seen.view.keeper is None or seen.view.keeper.state in "ZX":
        found.append("the keeper is gone")
    if len(seen.view.arbiters) != 1:
        found.append(f"arbiters: {seen.view.arbiters}")
    for name, wids in seen.view.workers.items():
        found += [f"{name} {wid} runs {len(heads)} times: {heads}" for wid, heads in wids.items() if len(heads) > 1]
    if seen.ports is not None:
        if len(seen.ports.listening) != 1:
            found.append(f"{len(seen.ports.listening)} sockets listen on port {seen.port}")
        elif seen.view.keeper and not seen.ports.listening & set(seen.view.keeper.descriptors.values()):
            found.append(f"the keeper does not hold the listener of port {seen.port}")
    return found


def no_failed_request(seen):
    """Each failed request is one whose own worker was killed: at most one a kill, ended when it was killed."""
    found = []
    if len(seen.failures) > len(seen.kills):
        found.append(f"{len(seen.failures)} requests failed and {len(seen.kills)} workers were killed, the last: "
                     f"{seen.failures[-1]}")
    for failure in seen.failures:
        if not any(failure.began - 0.5 <= killed <= failure.ended for killed in seen.kills):
            found.append(f"a request failed and no worker had been killed: {failure}")
    return found


def monotonic_time(seen):
    """The wall clock is years off: nobody reached his max_age, and no grace was shorter or longer."""
    found = []
    for stop in seen.stops:
        if stop.jumped and stop.seconds < stop.grace - 0.1:
            found.append(f"{stop.what}: the clock jumped by {stop.jumped} s, and a grace of {stop.grace} s took "
                         f"{stop.seconds:.1f} s")
        elif stop.jumped and stop.seconds > stop.grace + BOUND:
            found.append(f"{stop.what}: the clock jumped by {stop.jumped} s, and a stop took {stop.seconds:.1f} s")
    now = {each.identity for each in seen.view.heads("quiet")}
    if "quiet" not in seen.replaced and seen.before.get("quiet") and set(seen.before["quiet"]) - now - {
            identity for identity in seen.before["quiet"] if identity[0] in seen.killed}:
        found.append(f"the clock is {seen.jumped} s off, and a process of max_age 3600 was replaced")
    return found


def no_byte_lost(seen):
    """Every line that a worker has written is in its log, once and whole."""
    return list(seen.log_faults)


def never_blocked(seen):
    """Who writes to a standard output that nobody reads, or to a full disk, goes on; who does not read is still there."""
    return [f"{name} has not written since the last look" for name, writes in seen.writers.items() if writes <= 0] + list(
        seen.deaf_faults)


def every_request_answered(seen):
    """Valid or not, in time, as it must be; neither process has grown."""
    found = []
    for question in seen.questions:
        if question.answer is None:
            found.append(f"no answer to {question.text[:100]!r}")
        elif question.answer.get("status") != question.expected:
            found.append(f"{question.text[:100]!r}: {question.expected} expected, not {question.answer}")
        elif question.seconds > ANSWERED_WITHIN:
            found.append(f"{question.text[:100]!r}: answered after {question.seconds:.1f} s")
    for name, (first, now) in seen.memory.items():
        if now > first + MORE_MEMORY[name]:
            found.append(f"{name}: {first >> 10} KiB at first, {now >> 10} KiB now")
    for name, (first, now) in seen.descriptors.items():
        if now > first + MORE_DESCRIPTORS:
            found.append(f"{name}: {first} descriptors at first, {now} now")
    return found


def bad_configuration_refused(seen):
    """With file, line and key; a start ends in time and not with zero. What runs is undisturbed: right_target tells."""
    found = []
    for refusal in seen.refusals:
        if refusal.place not in refusal.told or refusal.key not in refusal.told:
            found.append(f"{refusal.how}: neither {refusal.place} nor {refusal.key} is named in: {refusal.told}")
        if refusal.code == 0:
            found.append(f"{refusal.how}: started, or said 0: {refusal.told}")
        if refusal.seconds > REFUSED_WITHIN:
            found.append(f"{refusal.how}: refused after {refusal.seconds:.1f} s")
    return found


def least_privilege(seen):
    """Each worker has its declared environment, descriptors, signals and ids; only the owner can command the daemon; no
    planted link was followed."""
    found = list(seen.planted)
    for path, mode in seen.places.items():
        if not os.path.exists(path):
            found.append(f"{path} is not there")
        elif (now := stat.S_IMODE(os.stat(path).st_mode)) != mode:
            found.append(f"{path} has the mode {now:o}, not {mode:o}")
    for name, declared in seen.declared.items():
        for each in seen.view.heads(name):
            if not is_running(each.identity):
                continue  # count tells, if it should be there
            wrong = (_environment_faults(each, declared, seen.environments.get(name, declared.env))
                     + _descriptor_faults(each, declared, seen.ports) + _signal_faults(each, declared)
                     + _id_faults(each, declared, seen.view.keeper))
            found += [f"{name} {each.pid} {text}" for text in wrong] if is_running(each.identity) else []
    return found


def _environment_faults(process, declared, expected):
    expected = dict(expected)
    environ = dict(process.environ)
    if not environ.pop("CIRCUS_INSTANCE", None):
        return ["does not carry the mark of its instance"]
    if declared.sockets:
        expected |= {"LISTEN_FDS": str(len(declared.sockets)), "LISTEN_FDNAMES": ":".join(declared.sockets),
                     "LISTEN_PID": str(process.pid)}
    return [] if environ == expected else [f"has the environment {environ}, not {expected}"]


def _descriptor_faults(process, declared, ports):
    last = 2 + len(declared.sockets)
    given = {number: what for number, what in process.descriptors.items() if number <= last}
    more = {number: what for number, what in process.descriptors.items() if number > last}
    found = []
    if sorted(given) != list(range(last + 1)):
        found.append(f"has the descriptors {process.descriptors}")
    if given.get(0) != "/dev/null":
        found.append(f"has {given.get(0)} as its input")
    if declared.sockets and ports and given.get(3) not in ports.listening:
        found.append(f"has {given.get(3)} and not its listener")
    if declared.opens and ports:  # both ends of its own pipe; a connection that it has accepted, which does not stay
        pipes = [what for what in more.values() if what.startswith("pipe:")]
        more = {number: what for number, what in more.items() if pipes.count(what) != 2 and what not in ports.connected
                and not wait_quietly(lambda at=number, was=what: process.descriptor(at) != was, 2)}
    if more:
        found.append(f"has more descriptors than declared: {more}")
    return found


def _signal_faults(process, declared):
    found = []
    blocked, ignored = (int(process.status.get(key, "0"), 16) for key in ("SigBlk", "SigIgn"))
    if blocked:
        found.append(f"blocks the signals {blocked:x}")
    if ignored & ~declared.ignores:
        found.append(f"ignores the signals {ignored & ~declared.ignores:x}")
    return found


def _id_faults(process, declared, keeper):
    if declared.uid is None:
        expected = [keeper.status.get(key, "").split() for key in ("Uid", "Gid", "Groups")] if keeper else None
    else:
        expected = [[str(declared.uid)] * 4, [str(declared.uid)] * 4, [str(declared.uid)]]
    ids = [process.status.get(key, "").split() for key in ("Uid", "Gid", "Groups")]
    found = [] if expected is None or ids == expected else [f"has the ids {ids}, not {expected}"]
    if declared.uid is not None:
        capable = [key for key in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(process.status.get(key, "0"), 16)]
        found += [f"has capabilities: {capable}"] if capable else []
    return found


INVARIANTS = [count, no_strays, no_zombies, bounded_stop, isolation, right_target, self_repair, never_a_duplicate,
              no_failed_request, monotonic_time, no_byte_lost, never_blocked, every_request_answered,
              bad_configuration_refused, least_privilege]


class Checks:
    """Asks all of them, and counts how often each was asked."""

    def __init__(self):
        self.asked = dict.fromkeys(range(1, len(INVARIANTS) + 1), 0)

    def faults(self, seen):
        return [f"invariant {number}, {check.__name__.replace('_', ' ')}: {text}"
                for number, check in enumerate(INVARIANTS, 1) for text in check(seen)]

    def count_all(self):
        for number in self.asked:
            self.asked[number] += 1

    def __str__(self):
        return "\n".join(f"{number:3} {INVARIANTS[number - 1].__name__.replace('_', ' '):26} checked {times} times"
                         for number, times in self.asked.items())
