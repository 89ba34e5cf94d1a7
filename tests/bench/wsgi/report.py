"""The report: the same blocks as Markdown with the graphs beside it, and as one HTML page."""
import collections
import html
import json
import math
import pathlib
import statistics

from figures_svg import chart

MEASURES = [("min", "duration, min"), ("p10", "duration, p10"), ("med", "duration, median"),
            ("avg", "duration, average"), ("p90", "duration, p90"), ("p95", "duration, p95"), ("max", "duration, max")]
STYLE = """body{font:15px sans-serif;margin:2em auto;max-width:1500px;color:#222}
table{border-collapse:collapse;margin:1em 0}
th,td{border:1px solid #ccc;padding:3px 9px;text-align:right}th:first-child,td:first-child{text-align:left}
th{background:#f2f2f2}.graphs{display:flex;flex-wrap:wrap;gap:10px}.missed{background:#fde0dc}"""


class Report:
    """Blocks in order; what a chart shows stands in a table as well."""

    def __init__(self):
        self.blocks = []

    def head(self, text, level=2):
        self.blocks.append(("head", text, level))

    def text(self, text):
        self.blocks.append(("text", text))

    def table(self, columns, rows):
        self.blocks.append(("table", columns, rows))

    def charts(self, charts):
        """[(file name without .svg, svg)]"""
        self.blocks.append(("charts", charts))

    def write(self, folder):
        folder = pathlib.Path(folder)
        for block in self.blocks:
            if block[0] == "charts":
                for name, svg in block[1]:
                    (folder / f"{name}.svg").write_text(svg)
        (folder / "report.md").write_text("\n".join(self._markdown()))
        (folder / "report.html").write_text("\n".join(self._html()))

    def _markdown(self):
        for kind, *rest in self.blocks:
            if kind == "head":
                yield "#" * rest[1] + f" {rest[0]}\n"
            elif kind == "text":
                yield rest[0] + "\n"
            elif kind == "table":
                columns, rows = rest
                yield "| " + " | ".join(columns) + " |"
                yield "| --- |" + " ---: |" * (len(columns) - 1)
                for row in rows:
                    yield "| " + " | ".join(row) + " |"
                yield ""
            else:
                for name, _ in rest[0]:
                    yield f"![{name}]({name}.svg)"
                yield ""

    def _html(self):
        title = next(block[1] for block in self.blocks if block[0] == "head")
        yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        yield f"<style>{STYLE}</style><body>"
        for kind, *rest in self.blocks:
            if kind == "head":
                yield f"<h{rest[1]}>{html.escape(rest[0])}</h{rest[1]}>"
            elif kind == "text":
                yield f"<p>{html.escape(rest[0])}</p>"
            elif kind == "table":
                columns, rows = rest
                yield "<table><tr>" + "".join(f"<th>{html.escape(each)}</th>" for each in columns) + "</tr>"
                for row in rows:
                    missed = ' class="missed"' if row[-1] == "MISSED" else ""
                    yield f"<tr{missed}>" + "".join(f"<td>{html.escape(each)}</td>" for each in row) + "</tr>"
                yield "</table>"
            else:
                yield '<div class="graphs">' + "\n".join(svg for _, svg in rest[0]) + "</div>"


NOT_MEASURED = "not measured"
JUDGED = "wsgiref"  # what configs/wsgi-bench.toml has: the row that is judged by the others
BUSY = 0.7  # of a worker's time: what the autoscaler aims at


def verdict(met):
    return met if met == NOT_MEASURED else "–" if met is None else "ok" if met else "MISSED"


def median_of(rounds):
    """One measurement in the place of several: medians, and the sums of what was asked and what failed."""
    figures = dict(rounds[0])
    for key in {key for each in rounds for key in each}:
        values = [each[key] for each in rounds if key in each]
        if key == "kinds":
            figures[key] = dict(sum((collections.Counter(each) for each in values), collections.Counter()))
        else:
            figures[key] = sum(values) if key in ("requests", "errors") else statistics.median(values)
    return figures


def settled(means, wait, band):
    """The second after a step from which the mean wait was no longer than that, and some more; None: it never was."""
    found = None
    for second in sorted((int(each) for each in means), reverse=True):
        if second < 0 or means[second] > wait * (1 + band):
            break
        found = second
    return found


def seconds(value):
    return f"{value:.2f} s" if value is not None else "–"


def told(kinds):
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "–"


class Results:
    """Everything that was measured, by the name of the stack; see run for what each part is."""

    def __init__(self, rows, workers):
        self.rows, self.workers = rows, workers
        self.matrix = {}  # name -> {users: figures}
        self.skipped = {}  # name -> reason
        self.few, self.ready, self.deaths, self.steps, self.cpu = {}, {}, [], {}, {}
        self.rounds = {}  # users -> {name: [figures]} of the two that were measured in turns
        self.asked = []  # [(part, name)]: what was to be measured
        self.asked_users = []  # of each row of the matrix

    def of(self, nginx):
        return [name for name in self.matrix if self.rows[name].nginx == nginx]

    def users(self):
        return sorted({users for figures in self.matrix.values() for users in figures})

    def as_json(self):
        return {"workers": self.workers, "matrix": self.matrix, "skipped": self.skipped, "few_users": self.few,
                "ready": self.ready, "deaths": self.deaths, "steps": self.steps, "cpu": self.cpu, "rounds": self.rounds}

    def save(self, folder):
        (folder / "results.json").write_text(json.dumps(self.as_json(), indent=1))

    # ---- what the figures come to ----

    def errors(self):
        """[(stack, part of the run, requests, failed, {how: how many})] of every load, but of that with deaths in it, which
        has a limit of its own."""
        few = {}
        for pair in self.few.values():
            for name, figures in pair.items():
                few.setdefault(name, []).append(figures)
        loads = [("matrix", {name: list(figures.values()) for name, figures in self.matrix.items()}), ("few", few),
                 ("cpu", {name: [each] for name, each in self.cpu.items()}),
                 ("step", {name: [each] for name, each in self.steps.items()})]
        found = []
        for part, stacks in loads:
            for name, several in stacks.items():
                kinds = sum((collections.Counter(each["kinds"]) for each in several), collections.Counter())
                found.append((name, part, sum(each["requests"] for each in several),
                              sum(each["errors"] for each in several), dict(kinds)))
        return found

    def verdicts(self):
        """[(what, measured, target, whether it is met; None: nothing is wanted of it)]"""
        found = []
        wrong = self.errors()
        if wrong:
            parts = ", ".join(dict.fromkeys(part for _, part, *_ in wrong))
            failed = sum(each for *_, each, _ in wrong)
            found.append((f"failed requests of all stacks, all user counts ({parts})",
                          f"{failed} of {sum(each for _, _, each, *_ in wrong)}", "0", failed == 0))
        for nginx in (False, True):
            found += self._rates(nginx)
        if self.matrix:
            found += self._tails()
        if "fork" in self.ready and "wsgiref" in self.ready:
            ratio = self.ready["wsgiref"] / self.ready["fork"]
            found.append((f"launch to {self.workers} workers ready, over a plain fork parent's", f"{ratio:.2f}",
                          "<= 1.2", ratio <= 1.2))
        for name, each in self.cpu.items():
            found.append((f"circusd's CPU in {each['seconds']} s, {each['users']} users, stats on, {name}",
                          f"{each['cpu']:.3f} s", "< 0.05 s", each["cpu"] < 0.05))
        found += self._autoscaled()
        for each in self.deaths:
            share = each["errors"] / max(each["deaths"], 1)
            found.append((f"failed requests a worker's death, {each['listener']}",
                          f"{share:.2f} ({each['errors']} in {each['deaths']})", "<= 0.1", share <= 0.1))
        found += self._steps()
        for part, name in self.asked:
            if not self._has(part, name):
                found.append((f"{part}, {name}", self.skipped.get(name, "no figures"), "–", NOT_MEASURED))
        return found

    def _has(self, part, name):
        if part == "matrix":
            return name in self.matrix and set(self.matrix[name]) >= set(self.asked_users)
        if part == "few":
            return bool(self.few) and all(name in each for each in self.few.values())
        if part == "deaths":
            return any(each["listener"] == name for each in self.deaths)
        return name in {"ready": self.ready, "cpu": self.cpu, "step": self.steps}[part]

    def _rates(self, nginx):
        """The row that is judged against the best of the others at each user count, and what each of circusd's other rows
        comes to: the best of several that are measured once each would be good by chance."""
        names = [name for name in self.of(nginx) if not self.rows[name].autoscaled]
        found = []
        for mine in [name for name in names if self.rows[name].kind == "circusd"]:
            shares = {}
            for users in self.matrix[mine]:
                rates = {name: self.matrix[name][users]["rps"] / self.matrix[name][users]["pace"] for name in names
                         if users in self.matrix[name]}
                best = max((name for name in rates if name != mine), key=rates.get, default=None)
                if best:
                    shares[users] = rates[mine] / max(rates[best], 0.001), best
            if not shares:
                continue
            users, (worst, best) = min(shares.items(), key=lambda each: each[1][0])
            is_judged = mine.removesuffix("+nginx") == JUDGED
            found.append((f"requests/s by the machine's pace, {mine} over the best of the others",
                          f"{worst:.2f} at {users} users, best is {best}", ">= 0.97 at each" if is_judged else "–",
                          worst >= 0.97 if is_judged else None))
        return found

    def _steps(self):
        """A stack that stays too small settles too, at longer waits: so the autoscaled one is judged by the wait that the
        fixed one has in the end, by the machine's pace, as well."""
        found = []
        for name, each in self.steps.items():
            what = f"{each['few']} to {each['many']} users, {name}: settled after"
            found.append((what, f"{each['settled']:.0f} s", "<= 10 s", each["settled"] <= 10))
            fixed = self.steps.get(JUDGED)
            if name == JUDGED or not fixed:
                continue
            wait = fixed["final"] * fixed["pace"] / each["pace"]
            after = settled(each["means"], wait, each["band"])
            found.append((what + f" at the {wait:.2f} s of the fixed one", "never" if after is None else f"{after} s",
                          "<= 10 s", after is not None and after <= 10))
        return found

    def _tails(self):
        most = self.users()[-1]
        found = []
        for name in self.matrix:
            figures = self.matrix[name].get(most)
            if figures and "max" in figures and self.rows[name].kind == "circusd":
                ratio = figures["max"] / figures["avg"]
                row = self.rows[name]
                # A worker of many requests takes what comes, unless somebody sees to where it goes.
                limit = 1.3 if row.one_request else 1.6 if row.steered() else None
                found.append((f"slowest/average at {most} users, {name}", f"{ratio:.2f}",
                              f"<= {limit}" if limit else "–", ratio <= limit if limit else None))
        return found

    def _autoscaled(self):
        found = []
        ours, fixed = self.matrix.get("autoscaled"), self.matrix.get("wsgiref")
        if not ours or not fixed:
            return found
        for users in [users for users in ours if users >= 100]:
            rounds = self.rounds.get(users) or {"autoscaled": [ours[users]], JUDGED: [fixed.get(users, {})]}
            pairs = [(one, other) for one, other in zip(rounds["autoscaled"], rounds[JUDGED])
                     if "p95" in one and "p95" in other]
            if not pairs:
                continue
            rate = statistics.median(one["rps"] / max(other["rps"], 0.001) * other["pace"] / one["pace"]
                                     for one, other in pairs)
            tail = statistics.median(one["p95"] / other["p95"] * one["pace"] / other["pace"] for one, other in pairs)
            found.append((f"autoscaled over fixed at {users} users, requests/s and p95 by the machine's pace", f"{rate:.3f}, {tail:.3f}",
                          ">= 0.95, <= 1.05", rate >= 0.95 and tail <= 1.05))
        below = {users: {name: self.matrix[name].get(users, {}) for name in ("autoscaled", JUDGED)}
                 for users in ours if users < 100}
        for users, pair in sorted({**below, **self.few}.items()):
            if any("workers" not in pair.get(name, {}) for name in ("autoscaled", JUDGED)):
                continue
            # So many in hand keep so many busy for that share of their time.
            wants = math.ceil(users / BUSY)
            wanted = "fewer" if wants < self.workers else \
                f"all {self.workers}: {users} users at {BUSY:.0%} want {wants}"
            found.append((f"autoscaled at {users} users, workers in the mean (fixed: {pair[JUDGED]['workers']:.0f})",
                          f"{pair['autoscaled']['workers']:.1f}", wanted,
                          pair["autoscaled"]["workers"] < pair[JUDGED]["workers"] if wants < self.workers else None))
        return found

    # ---- the report ----

    def report(self, about):
        report = Report()
        report.head("The WSGI bench", 1)
        for line in about:
            report.text(line)
        report.head("What was wanted, and what was measured")
        report.table(["figure", "measured", "wanted", ""],
                     [[*each, verdict(met)] for *each, met in self.verdicts()])
        for nginx, title in ((False, "Each alone"), (True, "Each behind nginx")):
            if self.of(nginx):
                report.head(title)
                self._matrix(report, nginx)
        self._singles(report)
        self._errors(report)
        if self.skipped:
            report.head("What was not measured")
            report.table(["stack", "why"], [[name, why] for name, why in self.skipped.items()])
        return report

    def _errors(self, report):
        wrong = self.errors()
        if wrong:
            report.head("Failed requests")
            report.table(["stack", "part", "requests", "failed", "how"],
                         [[name, part, str(requests), str(failed), told(kinds)]
                          for name, part, requests, failed, kinds in wrong])

    def _matrix(self, report, nginx):
        names = self.of(nginx)
        users = self.users()
        suffix = "-nginx" if nginx else ""

        def lines(key):
            return [(self.rows[name].title, [(count, each[key]) for count, each in sorted(self.matrix[name].items())
                                             if key in each]) for name in names]
        charts = [("rps" + suffix, chart("requests per second", lines("rps"), "concurrent users", "requests/s", users))]
        charts += [(key + suffix, chart(title, lines(key), "concurrent users", "seconds", users))
                   for key, title in MEASURES]
        charts.append(("errors" + suffix, chart("errors", lines("errors"), "concurrent users", "requests", users)))
        report.charts(charts)
        shown = [("rps", "requests/s", "{:.0f}"), ("pace", "the machine's pace, requests/s", "{:.0f}")]
        shown += [(key, title + ", s", "{:.2f}") for key, title in MEASURES]
        for key, title, form in [*shown, ("errors", "errors", "{}")]:
            def cell(name, count, key=key, form=form):
                figures = self.matrix[name].get(count, {})
                return form.format(figures[key]) if key in figures else "–"
            report.table([title, *map(str, users)],
                         [[self.rows[name].title, *(cell(name, count) for count in users)] for name in names])
        rows = []
        for name in names:
            last = self.matrix[name].get(users[-1])
            if last and "max" in last:
                rows.append([self.rows[name].title, f"{last['max'] / last['avg']:.2f}", seconds(last["max"]),
                             f"{last['request_cpu'] * 1000:.2f} ms", f"{100 * last['load_cpu']:.1f} %"])
        report.table([f"at {users[-1]} users", "slowest/average", "slowest", "the stack's CPU a request",
                      "of a processor for the load itself"], rows)

    def _singles(self, report):
        if self.few or "autoscaled" in self.matrix and "wsgiref" in self.matrix:
            report.head("As many workers as the load asks for")
            rounds = max((len(each) for pair in self.rounds.values() for each in pair.values()), default=1)
            report.text(f"The two are started anew for each measurement, and measured in turns: medians of {rounds}. The "
                        f"autoscaler wants its workers busy for {BUSY:.0%} of their time, and each of these users always has "
                        f"a request in hand: from {math.floor(self.workers * BUSY)} users on it wants all {self.workers}, and "
                        "saves none.")
            rows = []
            pairs = {users: {name: self.matrix[name][users] for name in ("wsgiref", "autoscaled")}
                     for users in sorted(self.matrix.get("autoscaled", {}))
                     if users in self.matrix.get("wsgiref", {})}
            for users, pair in {**self.few, **pairs}.items():
                for name, figures in pair.items():
                    rows.append([f"{users} users, {'fixed' if name == 'wsgiref' else name}", f"{figures['rps']:.0f}",
                                 seconds(figures.get("p95")), f"{figures.get('workers', 0):.1f}",
                                 f"{figures.get('workers', 0) * figures['seconds']:.0f}", str(figures["errors"])])
            report.table(["", "requests/s", "p95", "workers in the mean", "worker-seconds", "errors"], rows)
        if self.ready:
            report.head("Launch to the last worker's having the application")
            report.table(["stack", "median"], [["a plain parent that forks and executes the same" if name == "fork" else
                                                self.rows[name].title, seconds(value)]
                                               for name, value in self.ready.items()])
        if self.cpu:
            report.head("circusd's own CPU, with a subscriber to its statistics")
            report.table(["stack", "users", "seconds", "of CPU", "requests", "errors"],
                         [[self.rows[name].title, str(each["users"]), str(each["seconds"]), f"{each['cpu']:.3f} s",
                           str(each["requests"]), str(each["errors"])] for name, each in self.cpu.items()])
        if self.deaths:
            report.head("One SIGTERM a second to a worker, under load")
            report.table(["listener", "deaths", "requests", "failed", "how"],
                         [[each["listener"], str(each["deaths"]), str(each["requests"]), str(each["errors"]),
                           told(each["kinds"])]
                          for each in self.deaths])
        if self.steps:
            one = next(iter(self.steps.values()))
            report.head(f"A step from {one['few']} to {one['many']} users")
            report.charts([
                ("step-wait", chart("mean wait of what ended in a second",
                                    [(name, [(at, value) for at, value in each["means"].items() if at >= 0])
                                     for name, each in self.steps.items()], "seconds after the step", "seconds")),
                ("step-workers", chart("workers", [(name, [(at, value) for at, value in each["workers"] if at >= 0])
                                                   for name, each in self.steps.items()], "seconds after the step",
                                       "workers"))])
            report.table(["stack", "settled after", "wait in the end", "workers at most", "there after", "errors"],
                         [[name, f"{each['settled']:.0f} s", seconds(each["final"]), str(each["most"]),
                           seconds(each["full"]), str(each["errors"])] for name, each in self.steps.items()])
