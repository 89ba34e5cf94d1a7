"""The outside observer: what the process tree, the ports, the descriptors and the files say, never circusd itself."""
import contextlib
import os
import re

from process_tree import cmdline, read_proc

MARK = re.compile(r"(?:^| )(child-of-)?([a-z]+):(\d+)$")
TICKS = os.sysconf("SC_CLK_TCK")


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
                if each.parent == keeper or "--arbiter" in self.processes[each.parent].line:
                    self.zombies.append(each)
            elif found := MARK.search(each.line):
                self.family.setdefault(found[2], {}).setdefault(int(found[3]), []).append(each)
            elif "--arbiter" in each.line:
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
    """The TCP sockets of a port at one moment: inodes of the listeners, and of everything else."""

    def __init__(self, port):
        self.listening, self.connected = set(), set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(OSError), open(table) as rows:
                next(rows)
                for row in rows:
                    words = row.split()
                    if int(words[1].rpartition(":")[2], 16) == port:
                        (self.listening if words[3] == "0A" else self.connected).add(f"socket:[{words[9]}]")


def is_running(identity):
    """Whether the very process that had this number then is still there, and no zombie."""
    stat = read_proc(identity[0], "stat")
    return bool(stat) and (now := Process(identity[0], stat)).start == identity[1] and now.state not in "ZX"
