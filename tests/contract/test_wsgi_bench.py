"""tests/bench/wsgi/run works: a short run gives a report whose figures are of requests that were answered, and no failed
request is left out of it."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

from harness import BUILD, ROOT, kill_everything_below, main
from users import needs_load

sys.path.insert(0, str(ROOT / "tests/bench/wsgi"))
from report import Results  # noqa: E402  pylint: disable=wrong-import-position
from stacks import rows_by_name  # noqa: E402  pylint: disable=wrong-import-position

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
            # Steering takes a privilege: where there is none, that is what the report says of it.
            steered = {"wsgiref round_robin", "wsgiref least_loaded"} - set(results["skipped"])
            self.assertEqual({each["listener"] for each in results["deaths"]},
                             {"wsgiref", "wsgiref unix", "wsgiref so_reuseport"} | steered, said)
            self.assertGreaterEqual(min(each["deaths"] for each in results["deaths"]), 1, results["deaths"])
            self.assertEqual(sum(each["errors"] for each in results["deaths"]), 0, results["deaths"])
            for part in ("cpu", "steps"):
                for name, figures in results[part].items():
                    self.assertEqual((figures["errors"], figures["kinds"]), (0, {}), f"{part}, {name}: {figures}")
                    self.assertGreater(figures["requests"], 0)
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


class Verdict(unittest.TestCase):
    """What a run comes to, of figures that were not measured."""

    LOAD = {"requests": 1000, "errors": 0, "kinds": {}}

    def results(self):
        results = Results(rows_by_name(8), 8)
        measured = {**self.LOAD, "rps": 50.0, "workers": 4.0, "seconds": 6, "p95": 0.2, "avg": 0.1, "max": 0.3,
                    "request_cpu": 0.01, "load_cpu": 0.02, "pace": 100.0}
        results.matrix = {name: {users: dict(measured) for users in (50, 400)} for name in ("wsgiref", "autoscaled")}
        results.few = {10: {name: dict(measured) for name in ("wsgiref", "autoscaled")}}
        results.cpu = {"wsgiref": {**self.LOAD, "cpu": 0.01, "seconds": 12, "users": 400, "told": 9}}
        results.steps = {"autoscaled": {**self.LOAD, "few": 50, "many": 400, "settled": 3, "final": 0.2, "most": 8, "full": 1,
                                        "means": {1: 0.2}, "workers": [(1, 8)]}}
        results.deaths = [{**self.LOAD, "listener": "wsgiref round_robin", "deaths": 12}]
        return results

    def failed(self, results):
        """What the verdict has to say of failed requests: measured, met."""
        return next((measured, met) for what, measured, _, met in results.verdicts()
                    if what.startswith("failed requests of all stacks"))

    def test_AnErrorInWhateverPartIsInTheVerdictAndInTheTable(self):
        self.assertEqual(self.failed(self.results()), ("0 of 8000", True))
        places = {"matrix": lambda results: results.matrix["autoscaled"][400],
                  "few": lambda results: results.few[10]["autoscaled"],
                  "cpu": lambda results: results.cpu["wsgiref"],
                  "step": lambda results: results.steps["autoscaled"]}
        for part, place in places.items():
            with self.subTest(part), tempfile.TemporaryDirectory() as folder:
                results = self.results()
                place(results).update(errors=2, kinds={"reset": 2})
                self.assertEqual(self.failed(results), ("2 of 8000", False))
                results.report(["about"]).write(folder)
                name = "wsgiref" if part == "cpu" else "autoscaled"
                requests = {"matrix": 2000}.get(part, 1000)
                self.assertIn(f"| {name} | {part} | {requests} | 2 | 2 reset |",
                              pathlib.Path(folder, "report.md").read_text().splitlines())

    def test_StacksAreComparedByWhatTheMachineGaveThem(self):
        results = self.results()
        verdict = "autoscaled over fixed at 400 users, requests/s and p95 by the machine's pace"

        def met():
            return next(met for what, _, _, met in results.verdicts() if what == verdict)
        figures = results.matrix["autoscaled"][400]
        figures.update(rps=25.0, p95=0.4, max=0.6)
        self.assertFalse(met())
        figures["pace"] = 50.0
        self.assertTrue(met())

    def test_FailedRequestsOfDeathsHaveALimitOfTheirOwn(self):
        results = self.results()
        for errors, met in ((1, True), (2, False)):
            results.deaths[0].update(errors=errors, kinds={"reset": errors})
            self.assertEqual(self.failed(results), ("0 of 8000", True))
            self.assertIn(("failed requests a worker's death, wsgiref round_robin", f"{errors / 12:.2f} ({errors} in 12)",
                           "<= 0.1", met), results.verdicts())


if __name__ == "__main__":
    main()
