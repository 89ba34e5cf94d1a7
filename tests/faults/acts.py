"""The faults: one table, name -> (how often, what is done, whose processes it replaces). Each act leaves `run` with what
is wanted afterwards; what it kills it kills by run.kill(), so that nothing else may be gone."""
import contextlib
import json
import os
import resource
import signal
import subprocess
import time

import stack
from daemon import CIRCUSD
from invariants import Repair
from waiting import wait_until

LAST_PID = "/proc/sys/kernel/ns_last_pid"  # the next process gets the number after this one, if it is free
YEAR = 365 * 24 * 3600


def kill_worker(run):
    """SIGKILL to one of the web: its own request, if it has one, is the only one that may fail."""
    run.kill(run.random.choice(run.view().heads("web")))


def kill_all_workers(run):
    for worker in run.view().heads("web"):
        run.kill(worker)


def kill_others(run):
    """One of each that is difficult."""
    view = run.view()
    for name in ("job", "stubborn", "own", "talker", "loud"):
        run.kill(run.random.choice(view.heads(name)))


def kill_plugin(run):
    """The host of the isolated plugin."""
    for host in run.view().hosts:
        run.kill(host)


def crash_plugin(run):
    """A plugin in the arbiter's own process ends it from inside a callback, by SIGABRT. It does so more often than a
    plugin may: the quarantine is lifted first."""
    run.ok("plugin", name="dies", action="enable", waiting=True)
    [arbiter] = run.view().arbiters
    run.arbiter_dies_of(arbiter, lambda: run.send("die"))


def end_arbiter(run, signo):
    [arbiter] = run.view().arbiters
    run.arbiter_ends(arbiter, signo)


def kill_arbiter(run):
    end_arbiter(run, signal.SIGKILL)


def crash_arbiter(run):
    end_arbiter(run, signal.SIGSEGV)


def freeze_arbiter(run):
    end_arbiter(run, signal.SIGSTOP)


def kill_arbiter_amid(run):
    """While it carries out a command: whichever of the two states comes of it, it must be one of them."""
    web = run.wanted["web"]
    command, properties, choices = run.random.choice([
        ("incr", {"name": "web"}, {web, web + 1}),
        ("decr", {"name": "web"}, {web, max(web - 1, 1)}),
        ("reload", {"name": "web"}, {web}),
        ("restart", {"name": "job"}, {web}),
    ])
    if command == "decr" and web == 1:
        return
    run.send(command, **properties)
    run.wait_randomly(0.05)
    end_arbiter(run, signal.SIGKILL)
    if len(choices) > 1:
        run.wanted["web"] = None
    run.web_choices = choices


def reload(run):
    run.ok("reload", name="web", waiting=True)


def reload_sequentially(run):
    run.ok("reload", name="web", sequential=True, waiting=True)


def reload_all(run):
    """Without a name. Nobody waits for the answer: "broken" is tried for ever."""
    before = {each.identity for name in run.wanted for each in run.view().heads(name)}
    run.ok("reload")

    def replaced():
        view = run.view()
        now = [each.identity for name, count in run.wanted.items() for each in view.heads(name)[:count]
               if stack.DECLARED[name].steady]
        return not before & set(now)
    told = run.patiently(replaced, "not all have been replaced")
    run.repairs.append(Repair("a reload of all", 0.0, not told, told))


def restart_job(run):
    run.ok("restart", name="job", waiting=True)


def incr(run):
    if run.wanted["web"] < 8:
        run.wanted["web"] = run.ok("incr", name="web", waiting=True)["numprocesses"]


def decr(run):
    if run.wanted["web"] > 2:
        run.wanted["web"] = run.ok("decr", name="web", waiting=True)["numprocesses"]


def reloadconfig(run):
    """The file with other numbers, or another environment: a reload of the web. As in Circus the file is compared with
    what it said before: what incr and decr made of a number stays where the watcher's section is the same."""
    web, jobs = run.random.randint(2, 6), run.random.randint(1, 3)
    turn = run.random.choice([None, run.step])
    more = f'env = {{ TURN = "{turn}" }}\n' if turn else ""
    run.daemon.configure(web, jobs, more)
    run.ok("reloadconfig", waiting=True)
    if (web, more) != run.loaded[::2]:
        run.wanted["web"] = web
    run.wanted["job"], run.loaded = jobs, (web, jobs, more)
    run.environments["web"] = {"TURN": str(turn)} if turn else {}


def garbage(run):
    client = run.daemon.new_client()
    client.send(run.random.randbytes(run.random.randint(0, 2000)))
    client.send(json.dumps({"command": run.random.choice(["kill", "signal", "decr"]), "properties": {"name": "nobody"}}))
    run.daemon.clients.remove(client)
    client.close()


def flood(run):
    """Who never reads asks for much."""
    run.deaf.ask(3000)
    run.timed("an answer while another client asks for thousands and reads none", lambda: run.ok("numwatchers"))


def upgrade(run):
    """To the same binary: the keeper starts anew in its own process, a new arbiter takes over."""
    run.upgrade()


def stop_stubborn(run):
    run.stop_and_start("stubborn", stack.STUBBORN_GRACE)


def stop_job(run):
    run.stop_and_start("job", stack.JOB_GRACE)


def slow_stop(run):
    """Of one, three seconds long: nobody else waits for it."""
    run.ok("set", name="stubborn", options={"graceful_timeout": 3.0}, waiting=True)
    # In the middle of it: others are asked, scaled and replaced.
    run.stop_and_start("stubborn", 3.0, lambda: run.live_on("a slow stop"))
    run.ok("set", name="stubborn", options={"graceful_timeout": stack.STUBBORN_GRACE}, waiting=True)


def jump_clock(run):
    """By years, in the middle of a stop."""
    seconds = run.random.choice([10, -10, 30, 0, -1]) * YEAR + run.random.randint(-1000, 1000)
    run.stop_and_start("stubborn", stack.STUBBORN_GRACE, lambda: run.daemon.jump(seconds), jumped=seconds)
    run.kill(run.random.choice(run.view().heads("job")))


def starve(run, what, limits, names):
    """Processes die while there is too little of something; when there is enough again they come back by themselves."""
    before = {}
    try:
        for pid, which, value in limits:
            before[pid, which] = resource.prlimit(pid, which)
            resource.prlimit(pid, which, (value, before[pid, which][1]))
        for name in names:
            run.kill(run.random.choice(run.view().heads(name)))
        share = run.share_of(1.0)
    finally:
        for (pid, which), limit in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, which, limit)
    repaired, told = run.comes_back(names)
    run.repairs.append(Repair(what, share, repaired, told))


def starve_descriptors(run):
    view = run.view()
    own = [view.keeper, *view.arbiters]
    who = run.random.choice([own, own[:1], own[1:]])
    starve(run, f"EMFILE in {len(who)} of {own}",
           [(each.pid, resource.RLIMIT_NOFILE, len(each.descriptors)) for each in who], ["web", "job", "own"])


def starve_processes(run):
    """EAGAIN: the user of "own" may have no process more."""
    starve(run, "EAGAIN", [(run.daemon.keeper, resource.RLIMIT_NPROC, 0)], ["own"])


def fill_disk(run):
    """ENOSPC where the talker's log is."""
    talked = run.talker_log.count
    fill = run.daemon.small("fill")
    with open(fill, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    run.live_on("a full disk")
    [talker] = run.view().heads("talker")
    writes = talker.writes
    share = run.share_of(1.0)
    if talker.writes == writes:
        run.blocked.append("the talker has not written while its disk was full")
    os.unlink(fill)

    def comes_again():
        run.talker_log.look()
        return run.talker_log.count > talked + 20
    told = run.patiently(comes_again, "no line has come")
    run.repairs.append(Repair("ENOSPC", share, not told, told))


def plant_link(run):
    """Where "own" logs there is somebody else's link all at once: it logs to where it did, and when the link is gone
    under its name again."""
    path = os.path.join(run.daemon.directory, "own.log")
    kept = run.planted.plant(path)
    found = f"{path} is a link of another user's"
    told = run.daemon.log().count(found)
    run.daemon.signal(signal.SIGUSR1)
    wait_until(lambda: run.daemon.log().count(found) > told, what="that the link was found")
    old = run.random.choice(run.view().heads("own"))
    run.kill(old)
    repaired, missing = run.comes_back(["own"])
    os.unlink(path)
    [new] = [each for each in run.view().pids("own") if each not in {each for each, _ in run.before["own"]}][:1] or [0]

    def logs_again():
        lines = [line for name in (kept, path) if os.path.exists(name) for line in open(name).read().splitlines()]
        return (sum(line.startswith(f"{new} ") for line in lines) == 3
                and any(path in arbiter.descriptors.values() for arbiter in run.view().arbiters))
    missing = missing or run.patiently(logs_again, "the three lines have not come, or the file has not")
    os.unlink(kept)
    run.repairs.append(Repair("a planted link", 0.0, repaired and not missing, missing))


def recycle_pid(run):
    """A worker dies while the arbiter cannot see it, and a stranger gets its number: nothing that is asked of the worker
    reaches the stranger."""
    view = run.view()
    [arbiter] = view.arbiters
    job = run.random.choice(view.heads("job"))
    with open(LAST_PID) as file:
        last = file.read()
    os.kill(arbiter.pid, signal.SIGSTOP)
    stranger = None
    try:
        run.kill(job)
        wait_until(lambda: job.pid not in run.view().processes, what=f"the end of {job}")
        for _ in range(5):
            with open(LAST_PID, "w") as file:
                file.write(str(job.pid - 1))
            stranger = run.strangers.add({})
            if stranger.pid == job.pid:
                break
            run.strangers.remove(stranger)
            stranger = None
        with open(LAST_PID, "w") as file:  # whoever comes next has no number that a line of a log carries already
            file.write(last)
    finally:
        os.kill(arbiter.pid, signal.SIGCONT)
    for command in ("signal", "kill", "restart"):
        more = {"signum": "usr1"} if command == "signal" else {}
        with contextlib.suppress(AssertionError):
            run.ok(command, name="job", **more)
    run.ok("restart", name="job", waiting=True)
    if stranger:
        run.recycled += 1
        run.note_strangers()
        run.strangers.remove(stranger)


def second_daemon(run):
    """With the same configuration: it is refused, and the first one is not disturbed."""
    began = time.monotonic()
    second = subprocess.run([CIRCUSD, "--config", run.daemon.config_path, "--log-output", "-"], capture_output=True,
                            text=True, timeout=60, check=False, cwd=run.daemon.directory)
    told = second.stdout + second.stderr
    if second.returncode != 1 or "another circusd has it" not in told:
        run.seconds_daemons.append(f"a second daemon: {second.returncode} after {time.monotonic() - began:.1f} s: {told}")


def restart_daemon(run):
    """The whole of it, while nobody asks: by TERM in its rest, in the middle of a stop, at its start; by SIGKILL of the
    keeper, or of both. The next one runs exactly what the file says."""
    run.replace_daemon(run.random.choice(["rest", "stop", "start", "keeper", "both"]))


EVERYBODY = tuple(stack.DECLARED)
ACTS = {act.__name__: (weight, act, replaces) for weight, act, replaces in [
    (6, kill_worker, ()), (1, kill_all_workers, ()), (2, kill_others, ()), (2, kill_plugin, ()), (2, crash_plugin, ()),
    (4, kill_arbiter, ()), (2, crash_arbiter, ()), (1, freeze_arbiter, ()), (3, kill_arbiter_amid, ("web", "job")),
    (3, reload, ("web",)), (1, reload_sequentially, ("web",)), (1, reload_all, EVERYBODY), (2, restart_job, ("job",)),
    (3, incr, ()), (3, decr, ()), (3, reloadconfig, ("web",)), (1, garbage, ()), (1, flood, ()), (1, upgrade, ()),
    (2, stop_stubborn, ("stubborn",)), (1, stop_job, ("job",)), (1, slow_stop, ("stubborn",)),
    (1, jump_clock, ("stubborn",)), (2, starve_descriptors, ()), (1, starve_processes, ()), (1, fill_disk, ()),
    (1, plant_link, ()), (1, recycle_pid, ("job",)), (1, second_daemon, ()), (1, restart_daemon, EVERYBODY),
]}


def impossible(daemon):
    """Acts that take what is not there: another user, a disk of its own, a say in the numbers of processes."""
    has_say = stack.IS_ROOT and os.access(LAST_PID, os.W_OK)
    return {name for name, possible in (("starve_processes", stack.IS_ROOT), ("plant_link", stack.IS_ROOT),
                                        ("recycle_pid", has_say), ("fill_disk", daemon.has_small_disk))
            if not possible}
