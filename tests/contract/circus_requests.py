"""What Circus's daemon and ours are asked, and the command lines of circusctl (test_circus_daemon.py): data only."""
import json

SAME = object()


class Ask:
    """One request. `ours`: our answer where it is another on purpose, as (errno, reason) or as fields."""

    def __init__(self, command, ours=SAME, **properties):
        self.command, self.ours, self.properties = command, ours, properties

    def __str__(self):
        return f"{self.command} {json.dumps(self.properties)}"


def error(reason, errno=3):
    return {"errno": errno, "reason": reason, "status": "error"}


def with_option(key, value, **more):
    return Ask("set", name="web", options={key: value}, **more)


def waiting(command, *arguments, **properties):
    return Ask(command, *arguments, waiting=True, **properties)


BAD_SIGNAL = error("signal invalid")  # Circus: an AttributeError's text

QUERIES = [
    Ask("list"), Ask("LIST"), Ask("list", name="WEB"), Ask("list", name="later"), Ask("list", name="nobody"),
    Ask("list", zz=3),
    Ask("list", name=3, ours=error("'name' isn't a string")), Ask("list", name=""), Ask("status"),
    Ask("status", name="web"),
    Ask("status", name="later"), Ask("numwatchers"), Ask("numprocesses"), Ask("numprocesses", name="wEb"),
    Ask("get", name="web", keys=["cmd", "numprocesses", "stop_signal"]), Ask("get", name="web", keys=[]),
    Ask("get", name="web", keys=["zz"]), Ask("get", name="web"), Ask("get", keys=[]),
    Ask("get", name="web", keys=3, ours=error("'keys' isn't a list")), Ask("options"), Ask("options", name="nobody"),
    Ask("options", name="web"), Ask("options", name="single"), Ask("options", name="later"),
    Ask("globaloptions", option="check_delay"), Ask("globaloptions", option="pubsub_endpoint"),
    Ask("globaloptions", option="zz"),
    Ask("dstats"), Ask("stats"), Ask("stats", name="Web"), Ask("stats", name="later"), Ask("stats", name="nobody"),
    Ask("stats", name="web", process=1), Ask("stats", name="web", process="1"),
    Ask("stats", name="web", process="x", ours=error("process 'x' not found in 'web'")),
    Ask("listsockets"), Ask("listen"), Ask("nosuch"),
    # A developer's shell into Circus's Python; there is none here.
    Ask("ipython", ours=error("unknown command: 'ipython'", 2)),
]

REFUSED = [
    Ask("set", name="web"), Ask("set", options={}), Ask("set", name="web", options=3), with_option("zz", 1),
    with_option("numprocesses", "1"), with_option("max_retry", None), with_option("max_age", 1.5),
    with_option("max_age_variance", "x"), with_option("stop_signal", "TERM"), with_option("warmup_delay", "1"),
    with_option("graceful_timeout", None), with_option("retry_in", []), with_option("uid", 1.5),
    with_option("gid", None),
    with_option("send_hup", 1), with_option("shell", "yes"), with_option("copy_env", None), with_option("respawn", 0),
    with_option("stop_children", {}), with_option("close_child_stdin", "x"), with_option("close_child_stdout", 1),
    with_option("close_child_stderr", 1), with_option("env", 3), with_option("env", {"A": 1}),
    with_option("stdout_stream", 1), with_option("stderr_stream", {"a": 1}), with_option("rlimit_zz", 1),
    with_option("rlimit_nofile", "x"), with_option("uid", "nosuchuser"), with_option("gid", "nosuchgroup"),
    with_option("numprocesses", True, ours=error("'numprocesses' isn't an integer")),
    Ask("set", name="single", options={"numprocesses": 3}),
    # papa, another project's process kernel, is left out.
    with_option("use_papa", True, ours=error("unknown key 'use_papa'")),
    Ask("incr"), Ask("decr"), Ask("incr", name="nobody"), Ask("signal", name="web"), Ask("signal", signum=1),
    Ask("signal", name="web", signum="zz", ours=BAD_SIGNAL), Ask("signal", name="nobody", signum=1),
    Ask("signal", name="web", signum=18, childpid=1), Ask("kill"),
    # Circus says ok and finds out later.
    Ask("kill", name="nobody", ours=error("program nobody not found")),
    Ask("kill", name="web", signum="zz", ours=BAD_SIGNAL),
    Ask("kill", name="web", pid="x", ours=error("'pid' isn't an integer")),
    Ask("start", name="nobody"), Ask("stop", name="nobody*"), Ask("restart", name="web", match="zz"),
    Ask("reload", name="nobody"), Ask("rm"), Ask("rm", name="nobody"), Ask("add", name="web", cmd="x"),
    Ask("add", name="WEB", cmd="x"), Ask("add", name="x"), Ask("add", cmd="x"),
    Ask("add", name="x", cmd="y", options=3),
    Ask("add", name="x", cmd="y", options={"zz": 3}), Ask("start", name="w[e"),
    Ask("start", name="[w", match="regex", ours=error("invalid pattern '[w': unterminated character set")),
]

CHANGES = [
    Ask("incr", name="single"), waiting("incr", name="single"), Ask("decr", name="single"),
    waiting("incr", name="web"),
    waiting("incr", name="WEB", nb=2), waiting("decr", name="web"), waiting("decr", name="web", nb=9),
    Ask("status", name="web"), waiting("incr", name="web", nb=0), waiting("incr", name="web", nb=2),
    waiting("decr", name="web", nb=-1), waiting("incr", name="web", nb=-1), Ask("numprocesses", name="web"),
    Ask("signal", name="web", signum="sigcont"), Ask("signal", name="web", signum="18"),
    Ask("signal", name="web", signum="Cont"),
    Ask("signal", name="web", signum=18, pid=1), Ask("signal", name="web", signum=18, children=True),
    Ask("signal", name="web", signum=18, recursive=True), waiting("kill", name="web", pid=1),
    waiting("kill", name="web", pid="1"),
    waiting("start", name="later"), waiting("start", name="later"), waiting("restart", name="LATER"),
    waiting("reload", name="later"), waiting("reload", name="later", sequential=True),
    waiting("reload", name="later", graceful=False), waiting("stop", name="later"), waiting("stop", name="later"),
    waiting("restart", name="later"), waiting("stop", name="l*"), waiting("reload", name="later"),
    waiting("reload", name="web"),
    waiting("restart", name="web"), waiting("stop", name="lat", match="regex"),
    waiting("start", name="later", match="simple"),
    waiting("stop", name="*e*"), Ask("status"), waiting("start", name="*e*"), Ask("status"),
    waiting("restart", name="*e*"),
    waiting("stop", name="(?:w|s)", match="regex"), Ask("status"), waiting("start"), waiting("stop"), Ask("status"),
    waiting("start"), Ask("status"), waiting("reload"), waiting("reload", graceful=False), Ask("status"),
    with_option("env", {"A": "1", "B": "x y"}, waiting=True), with_option("cmd", "sleep 500", waiting=True),
    with_option("args", ["1"], waiting=True), Ask("get", name="web", keys=["cmd", "args", "env"]),
    with_option("args", None, waiting=True), with_option("graceful_timeout", 7, waiting=True),
    with_option("warmup_delay", 0, waiting=True), with_option("stop_signal", 15, waiting=True),
    with_option("stop_children", True, waiting=True), with_option("max_age", 1000, waiting=True),
    Ask("set", name="web", options={}, waiting=True), Ask("options", name="web"),
    with_option("max_retry", 4, waiting=True),
    # Circus says ok to it, and to retry_in, copy_env, respawn, singleton and close_child_…, and does nothing.
    Ask("get", name="web", keys=["max_retry"], ours={"options": {"max_retry": 4}, "status": "ok"}),
    with_option("numprocesses", -1, waiting=True), Ask("numprocesses", name="web"), Ask("status", name="web"),
    with_option("numprocesses", 1, waiting=True), Ask("status", name="web"), Ask("numprocesses"),
    waiting("add", name="new w", cmd="sleep 100", start=True), Ask("add", name="NEW w", cmd="sleep"), Ask("list"),
    Ask("add", name="Idle", cmd="sleep", args=["9"], options={"numprocesses": 3, "stop_signal": 2}),
    Ask("options", name="idle"),
    Ask("status"), waiting("start", name="idle"), Ask("list", name="idle"), waiting("rm", name="idle"),
    waiting("rm", name="NEW W"), Ask("rm", name="new w"),
    waiting("add", name="bad", cmd="/no/such/thing", start=True),
    Ask("status", name="bad"), waiting("rm", name="bad"), Ask("numwatchers"),
]

# Commands that publish something, from and back to what the stack was.
STIRRING = [
    waiting("incr", name="web"), waiting("decr", name="web"), waiting("stop", name="web"),
    waiting("start", name="web"),
    waiting("restart", name="web"), waiting("reload", name="web"), waiting("reload", name="web", graceful=False),
    waiting("kill", name="web", pid=1), waiting("start", name="later"), waiting("stop", name="later"),
    waiting("add", name="My job", cmd="sleep 100", start=True), waiting("rm", name="my job"),
    waiting("add", name="idle", cmd="sleep 100"), waiting("rm", name="idle"),
    with_option("graceful_timeout", 9, waiting=True),
    with_option("env", {"A": "1"}, waiting=True), with_option("numprocesses", 1, waiting=True),
    Ask("set", name="web", options={"numprocesses": 2, "graceful_timeout": 30}, waiting=True),
]

# Circus's circusctl goes through them, then ours, each against Circus's daemon and ours; they end where they began.
LINES = """
list | list web | status | status web | status later | numwatchers | numprocesses | numprocesses web
options single | options later | get web numprocesses cmd env stop_signal | get web cmd | globaloptions check_delay
listsockets | stats | stats web | stats later | dstats
list nobody | options nobody | get web nosuch | stats nobody | incr nobody | decr nobody | numprocesses nobody
start nobody | stop nobody --waiting | restart nobody | reload nobody | rm nobody | set nobody numprocesses 1
signal nobody HUP | start web --match zz | add web sleep
incr web | decr web --waiting | incr web 2 --waiting | decr web 2 --waiting | incr single | decr single
set web numprocesses 1 --waiting | get web numprocesses
set web numprocesses 2 stop_signal int graceful_timeout 20 --waiting
get web stop_signal graceful_timeout | set web stop_signal SIGTERM send_hup yes | get web send_hup
set web send_hup off
set web stop_children true | set web warmup_delay 0 | set web working_dir / --waiting | get web working_dir
set web cmd 'sleep 500' --waiting | set web args 5 --waiting | get web cmd args
set web cmd 'sleep 3600' args '' working_dir /tmp stop_signal 15 stop_children no graceful_timeout 30 --waiting
signal web CONT | signal web 18 | signal web sigcont --children | signal web CONT --recursive | signal web 1 CONT
kill web 1 | kill web 1 --signum TERM --graceful_timeout 5 | kill web 1 --waiting
reload web --waiting | reload web --sequential --waiting | reload web --terminate --waiting | restart web --waiting
stop web --waiting | status web | list web | stats web | start web --waiting | start web --waiting
start later --waiting | stop l* --waiting | start lat --match regex --waiting | stop later --match simple --waiting
restart *e* --waiting | stop --waiting | status | start --waiting | status | reload --waiting | stop later --waiting
add job sleep 100 --start | start job --waiting | numprocesses job | rm job --waiting | list | add idle sleep 5
status idle | rm idle
""".replace("\n", " | ").strip(" |").split(" | ")

WRONG_LINES = """
nosuch | list --nosuch | list a b | status a b | numwatchers a | numprocesses a b | options | get web | get | incr
decr
kill | kill a b c | signal web | signal a b c d | set web | set web numprocesses | set web nosuch 1 | add
add job | rm
rm a b | start a b | restart a b | reload a b | stats a b c | dstats a | incr web x | stats web x
set web numprocesses x
""".replace("\n", " | ").strip(" |").split(" | ")
