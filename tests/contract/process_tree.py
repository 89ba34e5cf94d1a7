"""What an outsider sees of processes and ports: /proc, and nothing that a daemon says of itself.

The test process is a subreaper: whatever a daemon or a worker ever forked and nobody ended is found below it.
"""
import contextlib
import ctypes
import os
import pathlib
import random
import signal
import socket
import threading
import time

from waiting import PATIENCE

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes this process a subreaper; a fork of it is none."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


adopt_orphans()


def read_proc(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def state_and_parent(pid):
    """('S', 1), or None for a process that is gone."""
    text = read_proc(pid, "stat")
    if not text:
        return None
    words = text[text.rindex(b")") + 2:].split()
    return words[0].decode(), int(words[1])


def start_ticks(pid):
    """When it was started, in ticks since boot; 0 for a process that is gone."""
    words = read_proc(pid, "stat").rpartition(b")")[2].split()
    return int(words[19]) if words else 0


def is_running(pid):
    """Alive and not a zombie."""
    known = state_and_parent(pid)
    return known is not None and known[0] not in "ZX"


def descendants(root):
    """{pid: state} of everything below `root`, zombies included."""
    children = {}
    states = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            known = state_and_parent(entry)
            if known:
                states[int(entry)] = known[0]
                children.setdefault(known[1], []).append(int(entry))
    found, todo = {}, [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found[pid] = states[pid]
            todo.append(pid)
    return found


def kill_child(parent, pid, signo=signal.SIGKILL):
    """SIGKILL, or another signal, to `pid` if it is a living child of `parent`: what bears a number of one that has gone since is spared.

    True if it was sent.
    """
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            known = state_and_parent(pid)
            if known and known[1] == parent and known[0] != "Z":
                signal.pidfd_send_signal(handle, signo)
                return True
        finally:
            os.close(handle)
    return False


def ignores(pid, signo):
    """Whether the process ignores the signal: a stubborn worker is one from then on, not from its first moment."""
    for line in read_proc(pid, "status").decode().splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) & 1 << signo - 1)
    return False


def cmdline(pid):
    return read_proc(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def tell(pids):
    return [f"{pid} {(state_and_parent(pid) or ('gone',))[0]} {cmdline(pid)}" for pid in sorted(pids)]


def reap_strangers(known):
    """Orphans that ended became zombies of ours: collect them, not the daemons that Popen waits for."""
    for pid, state in descendants(os.getpid()).items():
        if state == "Z" and pid not in known:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)


def kill_everything_below():
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        below = descendants(os.getpid())
        if not below:
            return
        for pid, state in below.items():
            with contextlib.suppress(OSError):
                if state == "Z":
                    os.waitpid(pid, os.WNOHANG)
                else:
                    os.kill(pid, signal.SIGKILL)
        threading.Event().wait(0.01)


def listening_ports():
    """The tcp ports something listens on, v4 and v6."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A":
                    ports.add(int(words[1].rpartition(":")[2], 16))
    return ports


def free_port(family=socket.AF_INET):
    """Outside of what the kernel gives to outgoing connections (32768 on), and by chance, so that suites that run
    side by side do not meet."""
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket(family) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
