"""The faults: one table, name -> (how often, what is done). Each act leaves `run` with what is wanted afterwards."""
import json
import os
import signal

from process_tree import kill_child


def kill_worker(run):
    """SIGKILL to one of the web: its own request, if it has one, is the only one that may fail."""
    run.kill_worker(run.random.choice(run.view().pids("web")))


def kill_all_workers(run):
    for pid in run.view().pids("web"):
        run.kill_worker(pid)


def kill_job(run):
    kill_child(run.daemon.keeper, run.random.choice(run.view().pids("jobs")))


def kill_plugin(run):
    """The host of the isolated plugin."""
    for pid, line in run.view().others:
        if "--isolated observed" in line:
            kill_child(run.daemon.keeper, pid)


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
    command, properties, choices = run.random.choice([
        ("incr", {"name": "web"}, {run.web, run.web + 1}),
        ("decr", {"name": "web"}, {run.web, max(run.web - 1, 1)}),
        ("reload", {"name": "web"}, {run.web}),
        ("restart", {"name": "job"}, {run.web}),
    ])
    if command == "decr" and run.web == 1:
        return
    run.send(command, **properties)
    run.wait_randomly(0.05)
    end_arbiter(run, signal.SIGKILL)
    run.web = None if len(choices) > 1 else run.web
    run.web_choices = choices


def reload(run):
    run.ok("reload", name="web", waiting=True)


def reload_sequentially(run):
    run.ok("reload", name="web", sequential=True, waiting=True)


def reload_all(run):
    run.ok("reload", waiting=True)


def restart_job(run):
    run.ok("restart", name="job", waiting=True)


def incr(run):
    if run.web < 8:
        run.web = run.ok("incr", name="web", waiting=True)["numprocesses"]


def decr(run):
    if run.web > 2:
        run.web = run.ok("decr", name="web", waiting=True)["numprocesses"]


def reloadconfig(run):
    """The file with other numbers, or another environment: a reload of the web. As in Circus the file is compared with
    what it said before: what incr and decr made of a number stays where the watcher's section is the same."""
    web, jobs = run.random.randint(2, 6), run.random.randint(1, 3)
    more = run.random.choice(["", f'env = {{ TURN = "{run.step}" }}\n'])
    run.write_config(web, jobs, more)
    run.ok("reloadconfig", waiting=True)
    if (web, more) != run.loaded_web:
        run.web = web
    run.jobs, run.loaded_web = jobs, (web, more)


def broken_reloadconfig(run):
    whole = run.write_config(run.web, run.jobs, 'numproceses = 3\n')
    run.refused("reloadconfig", waiting=True)
    run.daemon.write_config(whole)


def garbage(run):
    client = run.daemon.new_client()
    client.send(run.random.randbytes(run.random.randint(0, 2000)))
    client.send(json.dumps({"command": run.random.choice(["kill", "signal", "decr"]), "properties": {"name": "nobody"}}))
    run.daemon.clients.remove(client)
    client.close()


def upgrade(run):
    """To the same binary: the keeper starts anew in its own process, a new arbiter takes over."""
    run.upgrade()


def stop_and_start(run):
    """Of the job: the web goes on."""
    run.ok("stop", name="job", waiting=True)
    run.ok("start", name="job", waiting=True)


ACTS = {act.__name__: (weight, act) for weight, act in [
    (6, kill_worker), (1, kill_all_workers), (2, kill_job), (2, kill_plugin),
    (4, kill_arbiter), (2, crash_arbiter), (1, freeze_arbiter), (3, kill_arbiter_amid),
    (3, reload), (1, reload_sequentially), (1, reload_all), (2, restart_job), (3, incr), (3, decr),
    (3, reloadconfig), (1, broken_reloadconfig), (1, garbage), (1, upgrade), (1, stop_and_start),
]}
