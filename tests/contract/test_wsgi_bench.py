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
from report import NOT_MEASURED, Results, median_of  # noqa: E402  pylint: disable=wrong-import-position
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

    def test_StrictEndsWithAnErrorWhereAFigureIsMissing(self):
        self.addCleanup(kill_everything_below)
        # One stack alone: the other one's time until it is ready is asked for.
        arguments = ["--quick", "--stacks", "autoscaled", "--parts", "matrix,ready"]
        with tempfile.TemporaryDirectory() as folder:
            code, said = self.run_bench(*arguments, "--out", folder, "--strict")
            self.assertEqual(code, 1, said)
            self.assertIn("not measured ready, fork: no figures", said)
            code, said = self.run_bench(*arguments, "--out", folder)
            self.assertEqual(code, 0, said)

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

    def met(self, results, begin):
        """What the verdict has to say of what begins so: measured, wanted, met."""
        found = [rest for what, *rest in results.verdicts() if what.startswith(begin)]
        self.assertEqual(len(found), 1, results.verdicts())
        return tuple(found[0])

    def test_OneRowIsJudgedAgainstTheBestOfTheOthersAndTheOthersAreListed(self):
        results = self.results()
        for name, rates in (("waitress", {50: 51.0, 400: 60.0}), ("uwsgi", {50: 50.0, 400: 49.0})):
            results.matrix[name] = {users: {**results.matrix["wsgiref"][users], "rps": rate}
                                    for users, rate in rates.items()}
        begin = "requests/s by the machine's pace, "
        self.assertEqual(self.met(results, begin + "wsgiref"),
                         ("0.83 at 400 users, best is waitress", ">= 0.97 at each", False))
        self.assertEqual(self.met(results, begin + "waitress"), ("1.02 at 50 users, best is wsgiref", "–", None))
        self.assertNotIn(begin + "uwsgi", [what for what, *_ in results.verdicts()])
        results.matrix["waitress"][400]["rps"] = 51.0
        self.assertEqual(self.met(results, begin + "wsgiref")[2], True)

    def test_TheAutoscaledStackIsJudgedByTheMedianOfItsTurns(self):
        results = self.results()
        fixed = results.matrix["wsgiref"][400]
        results.rounds = {400: {"wsgiref": [{**fixed, "pace": pace} for pace in (100.0, 50.0, 100.0)],
                                "autoscaled": [{**fixed, "rps": rate} for rate in (50.0, 100.0, 10.0)]}}
        begin = "autoscaled over fixed at 400 users"
        self.assertEqual(self.met(results, begin)[2], True)
        results.rounds[400]["autoscaled"][0]["rps"] = 45.0
        self.assertEqual(self.met(results, begin)[2], False)
        merged = median_of([{**fixed, "rps": 1.0, "errors": 1, "kinds": {"reset": 1}}, {**fixed, "rps": 9.0},
                            {**fixed, "rps": 4.0, "errors": 2, "kinds": {"reset": 1, "short": 1}}])
        self.assertEqual((merged["rps"], merged["errors"], merged["kinds"], merged["requests"]),
                         (4.0, 3, {"reset": 2, "short": 1}, 3000))

    def test_WhereTheUsersWantAllWorkersTheReportSaysSoAndNoneAreSaved(self):
        results = self.results()
        results.workers = 50
        self.assertEqual(self.met(results, "autoscaled at 50 users")[1:], ("all 50: 50 users at 70% want 72", None))
        self.assertEqual(self.met(results, "autoscaled at 10 users")[1:], ("fewer", False))
        results.few[10]["autoscaled"]["workers"] = 3.9
        self.assertEqual(self.met(results, "autoscaled at 10 users")[1:], ("fewer", True))

    def test_AStackThatStaysTooSmallHasNotSettled(self):
        results = self.results()
        small = {**results.steps["autoscaled"], "pace": 100.0, "band": 0.1, "settled": 3, "final": 0.4,
                 "means": {-1: 0.1, 0: 0.9, 1: 0.5, 2: 0.4, 3: 0.4, 4: 0.4}}
        results.steps = {"wsgiref": {**small, "final": 0.2, "means": {0: 0.2, 1: 0.2}}, "autoscaled": small}
        begin = "50 to 400 users, autoscaled: settled after at the "
        self.assertEqual(self.met(results, begin), ("never", "<= 10 s", False))
        small["means"].update({3: 0.21, 4: 0.2})
        self.assertEqual(self.met(results, begin), ("3 s", "<= 10 s", True))
        small["means"].update({3: 0.41, 4: 0.4})
        small["pace"] = 50.0
        self.assertEqual(self.met(results, begin), ("2 s", "<= 10 s", True), "the machine gave half as much")

    def test_WhatWasAskedForAndNotMeasuredIsNotPassedOver(self):
        results = self.results()
        results.asked_users = [50, 400]
        results.asked = [("matrix", "wsgiref"), ("matrix", "uwsgi"), ("cpu", "wsgiref"), ("cpu", "autoscaled"),
                         ("step", "wsgiref"), ("ready", "fork"), ("few", "wsgiref"), ("deaths", "wsgiref unix")]
        results.skipped["uwsgi"] = "it ended"
        missing = {what: measured for what, measured, _, met in results.verdicts() if met == NOT_MEASURED}
        self.assertEqual(missing, {"matrix, uwsgi": "it ended", "cpu, autoscaled": "no figures",
                                   "step, wsgiref": "no figures", "ready, fork": "no figures",
                                   "deaths, wsgiref unix": "no figures"})
        del results.matrix["wsgiref"][400]
        self.assertIn("matrix, wsgiref", [what for what, *_ in results.verdicts()])

    def test_FailedRequestsOfDeathsHaveALimitOfTheirOwn(self):
        results = self.results()
        for errors, met in ((1, True), (2, False)):
            results.deaths[0].update(errors=errors, kinds={"reset": errors})
            self.assertEqual(self.failed(results), ("0 of 8000", True))
            self.assertIn(("failed requests a worker's death, wsgiref round_robin", f"{errors / 12:.2f} ({errors} in 12)",
                           "<= 0.1", met), results.verdicts())


if __name__ == "__main__":
    main()
