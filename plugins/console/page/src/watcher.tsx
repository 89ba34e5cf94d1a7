// One watcher: a card a process, its last lines, its options.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Autoscale, type Death, type Editable, Failed, type Gauges, get, type Line, type Process, type Watcher } from "./api";
import { Decisions, GaugeTable, isScaled } from "./autoscaler";
import { Deaths } from "./deaths";
import { focusAtOnce, useFocusAfter } from "./focus";
import { age, bytes, clock, percent } from "./format";
import { Chart, Figure, recent } from "./graphs";
import { alike, memo } from "./memo";
import { Actions, EventList, Scale, Status } from "./overview";
import { useRead } from "./read";
import { processOf, run, useDerived, useStore, watch } from "./store";

const kCardLines = [
  { label: "CPU", colour: "--accent" },
  { label: "memory", colour: "--second" },
];

function figuresOf(pid: number): string | null {
  const process = processOf(pid);
  if (!process) return null;
  return `${percent(process.cpu)} CPU · ${process.mem_info1} · ${age(process.age)} · ${process.username}`;
}

// What is rendered; what changes all the time is drawn.
const kRendered: (keyof Process)[] = ["pid", "wid", "cmdline"];

interface CardProps {
  process: Process;
  name: string;
  off: boolean;
}

const Card = memo<CardProps>(
  ({ process: { pid, wid, cmdline }, name, off }) => (
    <li class="card">
      <h3>
        {wid !== undefined && (
          <span class="wid" title="wid">
            {wid}
          </span>
        )}{" "}
        {cmdline} <span class="quiet">pid {pid}</span>
      </h3>
      <p class="quiet">
        <Figure text={() => figuresOf(pid)} />
      </p>
      <Chart
        label={`cpu and memory of ${pid}, per cent`}
        height={110}
        format={(number) => `${number} %`}
        data={() => recent([`${pid} cpu`, `${pid} mem`])}
        lines={kCardLines}
      />
      <button type="button" disabled={off} aria-label={`kill ${pid}`} onClick={() => void run("kill", { name, pid })}>
        kill
      </button>
    </li>
  ),
  (before, next) => before.name === next.name && before.off === next.off && alike([before.process], [next.process], kRendered),
);

interface CardsProps {
  processes: Process[];
  name: string;
  off: boolean;
}

const Cards = memo<CardsProps>(
  ({ processes, name, off }) => (
    <ul class="cards" aria-label="processes">
      {processes
        .slice()
        .sort((a, b) => (a.wid ?? 0) - (b.wid ?? 0))
        .map((each) => (
          <Card key={each.pid} process={each} name={name} off={off} />
        ))}
    </ul>
  ),
  (before, next) => before.name === next.name && before.off === next.off && alike(before.processes, next.processes, kRendered),
);

function Logs({ name }: { name: string }) {
  const [lines, setLines] = useState<Line[]>([]);
  const [stderr, setStderr] = useState(false);
  const [why, setWhy] = useState("");
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true); // until one scrolls up

  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    let cursor = "";
    setLines([]);
    setWhy("");
    const look = async () => {
      try {
        const query = `lines=200&stderr=${stderr ? 1 : 0}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
        const found = await get<{ lines: Line[]; cursor: string }>(`watchers/${encodeURIComponent(name)}/logs?${query}`);
        if (over) return;
        cursor = found.cursor;
        setWhy("");
        if (found.lines.length > 0) setLines((before) => [...before, ...found.lines].slice(-500));
      } catch (error) {
        if (over) return;
        setWhy(error instanceof Error ? error.message : String(error));
        // It has no stream: asking again would not change that.
        if (error instanceof Failed && error.status < 500) return;
      }
      timer = setTimeout(() => void look(), 1000);
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [name, stderr]);

  useEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);

  return (
    <section aria-labelledby="log">
      <h2 id="log">Last lines</h2>
      <label class="check">
        <input type="checkbox" checked={stderr} onChange={(event) => setStderr(event.currentTarget.checked)} /> standard
        error
      </label>
      {why ? (
        <p class="quiet">{why}</p>
      ) : (
        <pre
          class="log"
          ref={box}
          tabIndex={0}
          aria-label={`last lines of ${name}`}
          onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) =>
            (follows.current = scrollHeight - scrollTop - clientHeight < 30)
          }
        >
          {lines.map((each) => `${clock(each.time)} ${each.pid} ${each.text}\n`).join("")}
        </pre>
      )}
    </section>
  );
}

type Options = Record<string, unknown>;

const kEvery = 2000; // milliseconds between two looks at what is not pushed

// What somebody has typed, as `set` takes it: a number, true, a list … where it can be read as one, and a text else, of
// which circusd says what is wrong with it.
function typed(text: string, { type }: Editable, value: unknown): unknown {
  if (type ? type === "string" : typeof value === "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const kCosts: Partial<Record<Editable["effect"], string>> = {
  respawn: "a change replaces the processes",
  restart: "a change restarts it",
};

function Option({ name, option, value, editable, changed }: {
  name: string;
  option: string;
  value: unknown;
  editable: Editable | undefined;
  changed: () => void;
}) {
  const [edit, setEdit] = useState(false);
  const button = useFocusAfter(edit);
  const shown = value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const save = async (event: SubmitEvent, how: Editable) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get("value"));
    const fresh = typed(text, how, value);
    if (!(await run("set", { name, options: { [option]: fresh }, waiting: true }))) return;
    setEdit(false);
    changed();
  };
  return (
    <tr>
      <th scope="row">{option}</th>
      <td>
        {edit && editable ? (
          <form class="inline" onSubmit={(event) => void save(event, editable)}>
            <input name="value" aria-label={option} defaultValue={shown} ref={focusAtOnce} />
            <button>save</button>
            <button type="button" onClick={() => setEdit(false)}>
              cancel
            </button>
          </form>
        ) : (
          <>
            {shown ? <code>{shown}</code> : <span class="quiet">not set</span>}{" "}
            {editable && (
              <button type="button" ref={button} aria-label={`change ${option}`} onClick={() => setEdit(true)}>
                change
              </button>
            )}{" "}
            {editable && <span class="quiet">{kCosts[editable.effect]}</span>}
          </>
        )}
      </td>
    </tr>
  );
}

interface OptionTableProps {
  name: string;
  off: boolean;
  found: { options: Options; editable?: Record<string, Editable> };
  read: () => void;
}

// All that circusd shows, and what it does not show but can change.
function OptionTable({ name, off, found: { options, editable = {} }, read }: OptionTableProps) {
  const names = [...new Set([...Object.keys(options), ...Object.keys(editable)])].sort();
  return (
    <section aria-labelledby="options">
      <h2 id="options">Options</h2>
      <div class="wide" role="region" aria-labelledby="options" tabIndex={0}>
        <table class="options">
          <tbody>
            {names.map((option) => (
              <Option
                key={option}
                name={name}
                option={option}
                value={options[option] ?? editable[option]?.value}
                editable={off ? undefined : editable[option]}
                changed={read}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function OwnEvents({ name }: { name: string }) {
  const { events } = useStore("events");
  return (
    <section aria-labelledby="own-events">
      <h2 id="own-events">Its events</h2>
      <EventList events={events.filter((each) => each.payload["watcher"] === name)} lost={0} most={8} brief />
    </section>
  );
}

/** Everything below the cards. It is shown when all of it has been read, so that nothing jumps. */
const Details = memo<{ name: string; off: boolean; wanted: number | undefined }>(({ name, off, wanted }) => {
  const [turn, setTurn] = useState(0);
  const read = () => setTurn(turn + 1);
  const path = `watchers/${encodeURIComponent(name)}`;
  const ended = useDerived(
    ({ events }) => events.find(({ topic, payload }) => payload["watcher"] === name && /\.(death|spawn_failed)$/.test(topic))?.seq,
  );
  const deaths = useRead<{ deaths: Death[] }>(`${path}/deaths?last=20`, ended);
  const options = useRead<OptionTableProps["found"]>(path, `${turn} ${wanted}`);
  const gauges = useRead<{ gauges: Gauges }>(`${path}/gauges`, 0, kEvery);
  const scaled = isScaled(gauges.value?.gauges);
  const decided = useRead<Autoscale>(scaled ? `${path}/autoscale` : null, turn, kEvery);
  const shown = useRef(false);
  shown.current ||= deaths.settled && options.settled && gauges.settled && decided.settled;
  if (!shown.current) return null;
  return (
    <>
      {decided.value && <Decisions name={name} off={off} found={decided.value} read={read} />}
      <Logs name={name} />
      <Deaths deaths={(deaths.value?.deaths ?? []).slice().reverse()} />
      <OwnEvents name={name} />
      <GaugeTable gauges={gauges.value?.gauges ?? {}} />
      <OptionTable name={name} off={off} found={options.value ?? { options: {} }} read={read} />
    </>
  );
});

// "7 restarts (5 reload, 2 died) · "
function restartsOf({ restarts, replaced = {} }: Watcher): string {
  if (restarts === undefined) return "";
  const reasons = Object.entries(replaced)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${count} ${reason.replace("_", " ")}`);
  return `${restarts} ${restarts === 1 ? "restart" : "restarts"}${reasons.length ? ` (${reasons.join(", ")})` : ""} · `;
}

export function WatcherPage({ name }: { name: string }) {
  const { overview, session } = useStore("overview", "session");
  useEffect(() => {
    watch(name);
    return () => watch(null);
  }, [name]);
  const watcher = overview?.watchers.find((each) => each.name === name);
  if (!overview || !session) return <p class="quiet">Waiting for the first figures …</p>;
  if (!watcher) return <p>There is no watcher {name}.</p>;
  const off = session.role !== "operate";
  const known = overview.watcher === name;
  const processes = (known && overview.processes) || [];
  return (
    <>
      <section aria-labelledby="name">
        <h2 id="name">
          {name} <Status status={watcher.status} />
        </h2>
        <p class="tools">
          <Scale watcher={watcher} session={session} /> <Actions name={name} session={session} />
        </p>
        <p class="quiet">
          {percent(watcher.cpu)} CPU · {bytes(watcher.rss)} · {restartsOf(watcher)}
          {watcher.deaths} ended since the console started
        </p>
        {known && processes.length === 0 && <p class="quiet">It has no processes.</p>}
        <Cards processes={processes} name={name} off={off} />
      </section>
      {known && <Details name={name} off={off} wanted={watcher.numprocesses} />}
    </>
  );
}
