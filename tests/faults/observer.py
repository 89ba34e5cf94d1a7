"""The outside observer: what the process tree, the ports, the descriptors and the files say, never circusd itself."""
import os
import pathlib
import re
from collections import Counter

from process_tree import cmdline, descendants, listening_ports, read_proc
from stack import LINE_END


class View:
    """The stack at one moment."""

    def __init__(self, keeper):
        self.keeper = keeper
        self.web, self.jobs, self.children = {}, {}, []  # wid -> [pid], wid -> [pid], pids
        self.arbiters, self.others, self.zombies = [], [], []
        for pid, state in descendants(keeper).items():
            line = cmdline(pid)
            if state == "Z":
                self.zombies.append(pid)
            elif found := re.search(r"/(server|job)\.py (\d+)", line):
                role = self.web if found[1] == "server" else self.jobs
                role.setdefault(int(found[2]), []).append(pid)
            elif line.endswith("child-of-job"):
                self.children.append(pid)
            elif "--arbiter" in line:
                self.arbiters.append(pid)
            else:
                self.others.append((pid, line))

    def pids(self, role):
        return sorted(pid for pids in getattr(self, role).values() for pid in pids)

    def faults(self, web, jobs):
        """What is not as it must be at rest, with so many processes of each; empty: all is well."""
        found = []
        for role, count in (("web", web), ("jobs", jobs)):
            table = getattr(self, role)
            if sorted(table) != list(range(1, count + 1)) or any(len(pids) != 1 for pids in table.values()):
                found.append(f"{role}: {count} wanted, by wid there are {table}")
        if len(self.children) != jobs:
            found.append(f"children of jobs: {len(self.children)} for {jobs} jobs")
        if len(self.arbiters) != 1:
            found.append(f"arbiters: {self.arbiters}")
        if self.zombies:
            found.append(f"zombies: {self.zombies}")
        return found


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def signal_faults(pids):
    """Workers whose signal mask or ignored signals are not what a fresh program has."""
    found = []
    for pid in pids:
        fields = dict(line.split(":\t", 1) for line in read_proc(pid, "status").decode().splitlines() if ":\t" in line)
        if int(fields.get("SigBlk", "0"), 16) != 0:
            found.append(f"{pid} blocks {fields['SigBlk']}")
    return found


def is_listening(port):
    return port in listening_ports()


def log_faults(folder, answered, may_stand_twice):
    """Reads every log file of the web workers: lines torn, missing or too many; `answered`: pid -> the last line that
    a client has seen."""
    seen, torn = {}, []
    for path in pathlib.Path(folder).glob("web.log*"):
        for line in path.read_text(errors="replace").splitlines():
            found = re.fullmatch(r"(\d+) (\d+) served by worker \d+, " + LINE_END, line)
            if found:
                seen.setdefault(int(found[1]), []).append(int(found[2]))
            else:
                torn.append(line[:120])
    found = [f"{len(torn)} torn lines, the first: {torn[0]!r}"] if torn else []
    twice = 0
    for pid, lines in sorted(seen.items()):
        counts = Counter(lines)
        missing = set(range(1, max(answered.get(pid, 0), max(lines)) + 1)) - set(counts)
        twice += sum(count - 1 for count in counts.values())
        if missing:
            found.append(f"worker {pid}: {len(missing)} lines are missing, from {min(missing)} on")
    for pid in sorted(set(answered) - set(seen)):
        found.append(f"worker {pid}: none of its {answered[pid]} lines is there")
    if twice > may_stand_twice:
        found.append(f"{twice} lines stand twice, at most {may_stand_twice} may")
    return found, sum(map(len, seen.values())), twice
