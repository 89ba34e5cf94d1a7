"""The outside observer: what the process tree, the ports, the descriptors and the files say, never circusd itself."""
import contextlib
import os
import re
import socket
import struct

from process_tree import cmdline

ARBITER = re.compile("circusd: arbiter|--arbiter")  # the first one has named itself, the others were started so
MARK = re.compile(r"(?:^| )(child-of-)?([a-z]+):(\d+)$")
TICKS = os.sysconf("SC_CLK_TCK")


def read_proc(pid, name):
    """Often, so by the shortest way."""
    try:
        file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(file, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(file)


class Process:
    """One line of /proc. What costs more than that is read when it is asked for, once."""

    def __init__(self, pid, stat):
        words = stat[stat.rindex(b")") + 2:].split()
        self.pid, self.state, self.parent, self.session = pid, words[0].decode(), int(words[1]), int(words[3])
        self.start = int(words[19])
        self.cpu = (int(words[11]) + int(words[12])) / TICKS  # seconds
        self.identity = pid, self.start  # a pid alone may be another's tomorrow
        self._kept = {}

    def __repr__(self):
        return f"{self.pid} {self.state} {self.line[:100]}"

    def _once(self, name, read):
        if name not in self._kept:
            self._kept[name] = read()
        return self._kept[name]

    @property
    def line(self):
        return self._once("line", lambda: cmdline(self.pid))

    @property
    def environ(self):
        """Empty where it cannot be seen: gone, or another user's."""
        def read():
            raw = read_proc(self.pid, "environ")
            return dict(entry.partition("=")[::2] for entry in raw.decode(errors="replace").split("\0") if entry)
        return self._once("environ", read)

    @property
    def status(self):
        def read():
            text = read_proc(self.pid, "status").decode(errors="replace")
            return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        return self._once("status", read)

    @property
    def descriptors(self):
        """{number: what it is}"""
        def read():
            found = {}
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{self.pid}/fd"):
                    with contextlib.suppress(OSError):
                        found[int(name)] = os.readlink(f"/proc/{self.pid}/fd/{name}")
            return found
        return self._once("descriptors", read)

    def descriptor(self, number):
        """What it is at this moment."""
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/fd/{number}")
        return None

    @property
    def rss(self):
        words = read_proc(self.pid, "statm").split()
        return int(words[1]) * os.sysconf("SC_PAGESIZE") if words else 0

    @property
    def writes(self):
        """How often it has written so far."""
        found = re.search(rb"syscw: (\d+)", read_proc(self.pid, "io"))
        return int(found[1]) if found else 0


def all_processes():
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := read_proc(entry, "stat")):
            found[int(entry)] = Process(int(entry), stat)
    return found


class View:
    """The stack at one moment: one pass over /proc."""

    def __init__(self, keeper):
        self.processes = all_processes()
        self.children = {}
        for each in self.processes.values():
            self.children.setdefault(each.parent, []).append(each)
        self.keeper = self.processes.get(keeper)
        self.below = {each.pid: each for each in self._descendants(keeper)}
        self.workers = {}  # name -> wid -> [the processes that fill this slot]
        self.family = {}  # name -> wid -> [all of it, descendants and daemons included]
        self.arbiters, self.hosts, self.strays, self.zombies = [], [], [], []
        for each in self.below.values():
            if each.state == "Z":  # whose parent is neither of the two has to be collected by its own program
                if each.parent == keeper or ARBITER.search(self.processes[each.parent].line):
                    self.zombies.append(each)
            elif found := MARK.search(each.line):
                self.family.setdefault(found[2], {}).setdefault(int(found[3]), []).append(each)
            elif ARBITER.search(each.line):
                self.arbiters.append(each)
            elif "--isolated observed" in each.line:
                self.hosts.append(each)
            else:
                self.strays.append(each)
        for name, wids in self.family.items():
            self.workers[name] = {wid: self._fill_slot(keeper, family) for wid, family in wids.items()}

    def _descendants(self, root):
        todo = [root]
        while todo:
            for each in self.children.get(todo.pop(), []):
                yield each
                todo.append(each.pid)

    def _fill_slot(self, keeper, family):
        """Of a family whose members look alike the head is who has a child that looks like it: the daemon that it has
        left behind is the keeper's child as well."""
        heads = [each for each in family if each.parent == keeper and not MARK.search(each.line)[1]]
        parents = [each for each in heads
                   if any(child.line == each.line for child in self.children.get(each.pid, []))]
        return parents or heads

    def escaped(self, instances, ever):
        """What belongs to the stack and is not below the keeper any more: it was there before, or it carries the mark
        of an instance."""
        found = []
        for each in self.processes.values():
            if each.pid not in self.below and each is not self.keeper and each.state not in "ZX":
                mark = each.environ.get("CIRCUS_INSTANCE", "").partition(".")[0]
                if each.identity in ever or mark in instances:
                    found.append(each)
        return found

    def instances(self):
        return {each.environ.get("CIRCUS_INSTANCE", "").partition(".")[0] for each in self.heads("quiet")} - {""}

    def heads(self, name):
        """The workers of a watcher, by wid."""
        return [each for wid in sorted(self.workers.get(name, {})) for each in self.workers[name][wid]]

    def pids(self, name):
        return sorted(each.pid for each in self.heads(name))


class Ports:
    """The TCP sockets of a port at one moment: inodes of the listeners, and of the open connections.

    Asked of the kernel by sock_diag(7): /proc/net/tcp has a line for each connection of the last minute.
    """

    SOCK_DIAG_BY_FAMILY, DUMP = 20, 0x301
    LISTEN, TIME_WAIT = 10, 6

    def __init__(self, port):
        self.listening, self.connected = set(), set()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as diag:  # NETLINK_SOCK_DIAG
            for family in (socket.AF_INET, socket.AF_INET6):
                states = 0xfff & ~(1 << self.TIME_WAIT)
                request = (struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, states)
                           + struct.pack("!HH", port, 0) + bytes(44))
                diag.send(struct.pack("=IHHII", 16 + len(request), self.SOCK_DIAG_BY_FAMILY, self.DUMP, 1, 0) + request)
                self._take(diag, port)

    def _take(self, diag, port):
        while True:
            part = diag.recv(1 << 20)
            at = 0
            while at < len(part):
                size, kind = struct.unpack_from("=IH", part, at)
                if kind != self.SOCK_DIAG_BY_FAMILY:  # the end, or an error
                    return
                state = part[at + 17]
                [source] = struct.unpack_from("!H", part, at + 20)
                [inode] = struct.unpack_from("=I", part, at + 16 + 68)
                if source == port and inode:
                    (self.listening if state == self.LISTEN else self.connected).add(f"socket:[{inode}]")
                at += size + 3 & ~3


def is_running(identity):
    """Whether the very process that had this number then is still there, and no zombie."""
    stat = read_proc(identity[0], "stat")
    return bool(stat) and (now := Process(identity[0], stat)).start == identity[1] and now.state not in "ZX"
