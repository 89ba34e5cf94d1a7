"""tests/bench/wsgi/run works: a short run gives a report whose figures are of requests that were answered."""
import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from harness import BUILD, ROOT, kill_everything_below, main
from users import needs_load

MISSING = needs_load() or (None if importlib.util.find_spec("chaussette") else "needs chaussette (configs/packages.sh bench)")


@unittest.skipIf(MISSING, MISSING)
class WsgiBench(unittest.TestCase):
    def run_bench(self, *arguments):
        with tempfile.TemporaryFile("w+") as said:
            try:
                ran = subprocess.run([ROOT / "tests/bench/wsgi/run", "--build", BUILD, *arguments], stdout=said,
                                     stderr=subprocess.STDOUT, text=True, timeout=560, check=False)
            except subprocess.TimeoutExpired:
                said.seek(0)
                self.fail("not in 560 s:\n" + said.read())
            said.seek(0)
            return ran.returncode, said.read()

    def test_AQuickRunMeasuresAndReports(self):
        self.addCleanup(kill_everything_below)
        with tempfile.TemporaryDirectory() as folder:
            code, said = self.run_bench("--quick", "--out", folder)
            self.assertEqual(code, 0, said)
            results = json.loads(pathlib.Path(folder, "results.json").read_text())
            for name in ("wsgiref", "autoscaled"):
                for users, figures in results["matrix"][name].items():
                    told = f"{name}, {users} users: {figures}\n{said}"
                    self.assertEqual(figures["errors"], 0, told)
                    self.assertGreater(figures["requests"], 0, told)
                    if "min" not in figures:  # on a machine that has no time for it nothing ended in that second
                        continue
                    # The work has a sleep of 0.1 s in it.
                    self.assertGreaterEqual(figures["min"], 0.1, told)
                    self.assertLessEqual(figures["min"], figures["med"], told)
                    self.assertLessEqual(figures["med"], figures["max"], told)
            self.assertEqual(len(results["deaths"]), 3)
            self.assertGreaterEqual(min(each["deaths"] for each in results["deaths"]), 1, results["deaths"])
            self.assertEqual(sum(each["failed"] for each in results["deaths"]), 0, results["deaths"])
            self.assertIn("fork", results["ready"])
            self.assertIn("fastgevent", results["skipped"])
            report = pathlib.Path(folder, "report.md").read_text()
            shown = [line.partition("(")[2].rstrip(")") for line in report.splitlines() if line.startswith("![")]
            self.assertGreaterEqual(len(shown), 9)
            for name in shown:
                ElementTree.parse(os.path.join(folder, name))
            self.assertIn("<svg", pathlib.Path(folder, "report.html").read_text())

    def test_AStackThatIsNotThereIsAnError(self):
        code, said = self.run_bench("--stacks", "wsgirf")
        self.assertEqual(code, 2)
        self.assertIn('"wsgirf" is none of: wsgiref, ', said)


if __name__ == "__main__":
    main()
