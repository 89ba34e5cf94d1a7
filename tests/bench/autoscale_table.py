#!/usr/bin/python3
"""What autoscale_sim prints, a run that is the same each time, is the table in the autoscaler's README, and what the README
says of the policy beside its rivals is so.

    tests/bench/autoscale_table.py build/tests/bin/autoscale_sim plugins/autoscaler/README.md
"""
import pathlib
import subprocess
import sys
import unittest

PROGRAM, README = sys.argv[1:3] if len(sys.argv) >= 3 else (None, None)
OURS, SLOW, EAGER = "this policy", "the same, growth per 15 s", "the same, 4 spare, *4 or +8"
ONE, FOUR, CPU = "uWSGI cheaper busyness, step 1", "uWSGI cheaper busyness, step 4", "CPU target only"


def cells(line):
    return [each.strip() for each in line.strip().strip("|").split("|")]


class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.printed = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=50, check=True).stdout.splitlines()
        head, _, *rows = map(cells, cls.printed)
        cls.loads = head[1:]
        cls.figures = {}  # (policy, load) -> (p95, p99, workers)
        for name, *row in rows:
            for load, cell in zip(cls.loads, row):
                waits, _, workers = cell.partition(" · ")
                cls.figures[name, load] = (*map(float, waits.split(" / ")), int(workers))

    def test_ItHasAllPoliciesOverAllLoads(self):
        self.assertEqual([load.split()[-2:] for load in self.loads], [["150", "rps"], ["sine", "20..160"], ["to", "200"]])
        self.assertEqual({name for name, _ in self.figures}, {OURS, SLOW, EAGER, ONE, FOUR, CPU})
        self.assertEqual(len(self.figures), 18)

    def test_TheReadmeHasIt(self):
        text = pathlib.Path(README).read_text(encoding="utf-8").splitlines()
        begin = text.index(self.printed[0])
        self.assertEqual(text[begin:begin + len(self.printed)], self.printed)

    def test_NobodyWaitsLongerThanWithSlowGrowthOrCpuAlone(self):
        for load in self.loads:
            for rival in (SLOW, CPU):
                for ours, theirs in zip(self.figures[OURS, load][:2], self.figures[rival, load][:2]):
                    self.assertLessEqual(ours, theirs, f"{rival}, {load}")

    def test_ThoseThatWaitLessHaveMoreWorkers(self):
        step, sine, _ = self.loads
        rivals = [(EAGER, load) for load in self.loads] + [(FOUR, load) for load in self.loads]
        for rival, load in rivals + [(ONE, step), (ONE, sine)]:
            self.assertLess(self.figures[OURS, load][2], self.figures[rival, load][2], f"{rival}, {load}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
