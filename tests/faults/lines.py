"""Log files read as they grow: what has come since the last look, whatever they are called by now."""
import contextlib
import os
import re


class Lines:
    """The numbered lines of a FileStream and of its rotated files: "PID NUMBER …", of each pid from 1 on, in order.

    Files are known by their inode, so a rotated one is not read again.
    """

    def __init__(self, folder, name, pattern):
        self.folder, self.name, self.pattern = folder, name, re.compile(pattern.encode())
        self.offsets, self.rests = {}, {}  # of each inode
        self.whole = {}  # pid -> all lines up to this one are there
        self.ahead = {}  # pid -> those that came although one before them has not
        self.count, self.twice = 0, 0
        self.torn = []

    def look(self):
        """Reads what is new. The oldest file first: what was written before a rotation comes before what was written
        after it."""
        paths = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                found = re.fullmatch(re.escape(self.name) + r"(?:\.(\d+))?", entry.name)
                if found:
                    paths.append((-int(found[1] or 0), entry.path))
        for _, path in sorted(paths):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(self.offsets.get(inode, 0))
                text = self.rests.pop(inode, b"") + file.read()
                self.offsets[inode] = file.tell()
                *whole, rest = text.split(b"\n")
                if rest:
                    self.rests[inode] = rest
                for line in whole:
                    self._take(line)

    def _take(self, line):
        found = self.pattern.fullmatch(line)
        if not found:
            self.torn.append(line[:120])
            return
        self.count += 1
        pid, number = int(found[1]), int(found[2])
        ahead = self.ahead.setdefault(pid, set())
        if number <= self.whole.setdefault(pid, 0) or number in ahead:
            self.twice += 1
            return
        ahead.add(number)
        while self.whole[pid] + 1 in ahead:
            self.whole[pid] += 1
            ahead.remove(self.whole[pid])

    def faults(self, answered, may_stand_twice):
        """`answered`: pid -> the last line that a client has seen, and so must be there."""
        found = []
        if self.torn:
            found.append(f"{self.name}: {len(self.torn)} torn lines, the first: {self.torn[0]!r}")
        for pid, ahead in self.ahead.items():
            if ahead:
                found.append(f"{self.name}: of worker {pid} line {self.whole[pid] + 1} is missing, {min(ahead)} is there")
        for pid, number in answered.items():
            if self.whole.get(pid, 0) < number:
                found.append(f"{self.name}: of worker {pid} the lines from {self.whole.get(pid, 0) + 1} to {number} "
                             "are missing")
        if self.twice > may_stand_twice:
            found.append(f"{self.name}: {self.twice} lines stand twice, at most {may_stand_twice} may")
        return found
