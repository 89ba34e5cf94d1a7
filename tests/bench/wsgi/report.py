"""The report: the same blocks as Markdown with the graphs beside it, and as one HTML page."""
import collections
import html
import json
import pathlib

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


def verdict(met):
    return "–" if met is None else "ok" if met else "MISSED"


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

    def of(self, nginx):
        return [name for name in self.matrix if self.rows[name].nginx == nginx]

    def users(self):
        return sorted({users for figures in self.matrix.values() for users in figures})

    def as_json(self):
        return {"workers": self.workers, "matrix": self.matrix, "skipped": self.skipped, "few_users": self.few,
                "ready": self.ready, "deaths": self.deaths, "steps": self.steps, "cpu": self.cpu}

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
        for name, each in self.steps.items():
            found.append((f"{each['few']} to {each['many']} users, {name}: settled after", f"{each['settled']:.0f} s",
                          "<= 10 s", each["settled"] <= 10))
        return found

    def _rates(self, nginx):
        ours = [name for name in self.of(nginx) if self.rows[name].kind == "circusd" and not self.rows[name].autoscaled]
        if not ours:
            return []
        worst, where = 9.0, ""
        for users in self.users():
            rates = {name: self.matrix[name][users]["rps"] / self.matrix[name][users]["pace"] for name in self.of(nginx)
                     if users in self.matrix[name] and not self.rows[name].autoscaled}
            mine = max((rates[name] for name in ours if name in rates), default=0)
            share = mine / max(max(rates.values(), default=1), 0.001)
            if share < worst:
                worst, where = share, f"at {users} users, best is {max(rates, key=rates.get)}"
        return [("requests/s by the machine's pace, circusd + Chaussette over the best stack" + (", nginx" if nginx else ""),
                 f"{worst:.2f} {where}", ">= 0.97 at each", worst >= 0.97)]

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
        for users in [users for users in ours if users >= 100 and "p95" in ours[users] and "p95" in fixed.get(users, {})]:
            pace = ours[users]["pace"] / fixed[users]["pace"]
            rate = ours[users]["rps"] / max(fixed[users]["rps"], 0.001) / pace
            tail = ours[users]["p95"] / fixed[users]["p95"] * pace
            found.append((f"autoscaled over fixed at {users} users, requests/s and p95 by the machine's pace", f"{rate:.3f}, {tail:.3f}",
                          ">= 0.95, <= 1.05", rate >= 0.95 and tail <= 1.05))
        for users, pair in self.few.items():
            found.append((f"autoscaled at {users} users, workers in the mean (fixed: {pair['wsgiref']['workers']:.0f})",
                          f"{pair['autoscaled']['workers']:.1f}", "fewer",
                          pair["autoscaled"]["workers"] < pair["wsgiref"]["workers"]))
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
