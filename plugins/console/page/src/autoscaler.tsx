// What the autoscaler decides about a watcher, and the gauges that plugins and clients have set for it.
import { type Autoscale, type Decision, type Gauges } from "./api";
import { age, figure } from "./format";
import { Chart } from "./graphs";
import { run } from "./store";

const kFresh = 15; // seconds: an older gauge of the autoscaler's says that it does not run
const kRows = 12;

/** Whether the autoscaler has something to say about the watcher whose gauges these are. */
export function isScaled(gauges: Gauges | undefined): boolean {
  const workers = gauges?.["autoscaler.workers"];
  return workers !== undefined && workers.age < kFresh;
}

export function GaugeTable({ gauges }: { gauges: Gauges }) {
  const rows = Object.entries(gauges);
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="gauges">
      <h2 id="gauges">Gauges</h2>
      <div class="wide" role="region" aria-labelledby="gauges" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Value
              </th>
              <th scope="col" class="number">
                Age
              </th>
              <th scope="col">Set by</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([gauge, { value, age: seconds, by }]) => (
              <tr key={gauge}>
                <th scope="row">{gauge}</th>
                <td class="number">{Number(value.toFixed(3))}</td>
                <td class="number">{age(seconds)}</td>
                <td>{by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Those that say something else than the one before, the newest first. */
function told(decisions: Decision[]): Decision[] {
  return decisions
    .filter(({ to, reason, limit, workers }, at) => {
      const before = decisions[at - 1];
      return !before || before.to !== to || before.reason !== reason || before.limit !== limit || to !== workers;
    })
    .reverse()
    .slice(0, kRows);
}

const signal = ({ signals }: Decision, key: string): string => {
  const value = signals[key];
  return typeof value === "number" ? String(Number(value.toFixed(1))) : "–";
};

function sentence(decision: Decision, { paused, options }: Autoscale): string {
  const { workers, wanted, reason, to, limit, missing } = decision;
  const parts = [`${workers} ${workers === 1 ? "worker" : "workers"}`];
  if (reason) parts.push(`${wanted} wanted by ${reason}`);
  if (to !== workers) parts.push(`going to ${to}`);
  if (limit) parts.push(limit);
  if (missing.length > 0) parts.push(`no ${missing.join(", ")}`);
  if (paused) parts.push("paused");
  if (options["dry_run"]) parts.push("dry run");
  return parts.join(" · ");
}

const kLines = [
  { label: "workers", colour: "--accent" },
  { label: "wanted", colour: "--second" },
  { label: "in flight", colour: "--third" },
];

/** `read` has it read again. */
export function Decisions({ name, off, found, read }: {
  name: string;
  off: boolean;
  found: Autoscale;
  read: () => void;
}) {
  const { decisions, time: at, paused } = found;
  const latest = decisions.at(-1);
  if (!latest) return null;
  const act = async () => {
    await run("autoscale", { action: paused ? "resume" : "pause", name });
    read();
  };
  return (
    <section aria-labelledby="autoscaler">
      <h2 id="autoscaler">Autoscaler</h2>
      <p class="tools">
        <span>{sentence(latest, found)}</span>
        <button type="button" disabled={off} aria-label={`${paused ? "resume" : "pause"} the autoscaler`} onClick={() => void act()}>
          {paused ? "resume" : "pause"}
        </button>
      </p>
      <Chart
        label={`workers there are and wanted, and connections in flight, of ${name}`}
        steps
        data={() => [
          decisions.map((each) => at - each.age),
          decisions.map((each) => each.workers),
          decisions.map((each) => each.wanted),
          decisions.map((each) => Number(each.signals["in_flight"] ?? 0)),
        ]}
        lines={kLines}
      />
      <div class="wide" role="region" aria-labelledby="autoscaler" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {["Ago", "Workers", "Wanted", "By", "Held back by", "Ready", "In flight", "Queue", "CPU"].map((each, column) => (
                <th key={each} scope="col" class={column === 3 || column === 4 ? "" : "number"}>
                  {each}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {told(decisions).map((each) => (
              <tr key={(at - each.age).toFixed(1)}>
                <td class="number">{age(each.age)}</td>
                <td class="number">{each.to === each.workers ? each.workers : `${each.workers} → ${each.to}`}</td>
                <td class="number">{each.reason ? figure(each.wanted) : "–"}</td>
                <td>{each.reason}</td>
                <td>{each.limit}</td>
                <td class="number">{signal(each, "ready")}</td>
                <td class="number">{signal(each, "in_flight")}</td>
                <td class="number">{signal(each, "queue")}</td>
                <td class="number">{signal(each, "cpu")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
