// One watcher: a card a process, its last lines, its options.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failed, get, type Line, type Process } from "./api";
import { Deaths } from "./deaths";
import { age, bytes, clock, percent } from "./format";
import { Chart } from "./graphs";
import { Actions, EventList, Scale, Status } from "./overview";
import { history, run, useStore, watch } from "./store";

// What `set` takes where allow_add is off, and what takes effect without a new process.
const kEditable = [
  "numprocesses", "graceful_timeout", "max_retry", "max_age", "max_age_variance", "warmup_delay", "priority",
  "respawn", "autostart", "stop_signal", "min_uptime", "max_backoff",
];

function ProcessCard({ process, name, off }: { process: Process; name: string; off: boolean }) {
  const { pid } = process;
  return (
    <li class="card">
      <h3>
        {process.wid !== undefined && <span class="wid">{process.wid}</span>} {process.cmdline}{" "}
        <span class="quiet">pid {pid}</span>
      </h3>
      <p class="quiet">
        {percent(process.cpu)} CPU · {process.mem_info1} · {age(process.age)} · {process.username}
      </p>
      <Chart
        times={history.times}
        label={`cpu and memory of ${pid}, per cent`}
        height={110}
        format={(number) => `${number} %`}
        lines={[
          { label: "CPU", values: history.of(`${pid} cpu`), colour: "--accent" },
          { label: "memory", values: history.of(`${pid} mem`), colour: "--second" },
        ]}
      />
      <button type="button" disabled={off} aria-label={`kill ${pid}`} onClick={() => void run("kill", { name, pid })}>
        kill
      </button>
    </li>
  );
}

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
        // No stream keeps its lines: asking again would not change that.
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

function Option({ name, option, value, editable, changed }: {
  name: string;
  option: string;
  value: unknown;
  editable: boolean;
  changed: () => void;
}) {
  const [edit, setEdit] = useState(false);
  const shown = typeof value === "string" ? value : JSON.stringify(value);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get("value"));
    const fresh = typeof value === "number" ? Number(text) : typeof value === "boolean" ? text === "true" : text;
    if (!(await run("set", { name, options: { [option]: fresh }, waiting: true }))) return;
    setEdit(false);
    changed();
  };
  return (
    <tr>
      <th scope="row">{option}</th>
      <td>
        {edit ? (
          <form class="inline" onSubmit={(event) => void save(event)}>
            <input name="value" aria-label={option} defaultValue={shown} autoFocus />
            <button>save</button>
            <button type="button" onClick={() => setEdit(false)}>
              cancel
            </button>
          </form>
        ) : (
          <>
            <code>{shown}</code>{" "}
            {editable && (
              <button type="button" aria-label={`change ${option}`} onClick={() => setEdit(true)}>
                change
              </button>
            )}
          </>
        )}
      </td>
    </tr>
  );
}

function OptionTable({ name, off, turn }: { name: string; off: boolean; turn: string }) {
  const [options, setOptions] = useState<Options>({});
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let over = false;
    get<{ options: Options }>(`watchers/${encodeURIComponent(name)}`)
      .then((found) => !over && setOptions(found.options))
      .catch(() => {});
    return () => void (over = true);
  }, [name, asked, turn]);
  return (
    <section aria-labelledby="options">
      <h2 id="options">Options</h2>
      <div class="wide">
        <table class="options">
          <tbody>
            {Object.entries(options).map(([option, value]) => (
              <Option
                key={option}
                name={name}
                option={option}
                value={value}
                editable={!off && kEditable.includes(option)}
                changed={() => setAsked(asked + 1)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function WatcherPage({ name }: { name: string }) {
  const state = useStore();
  useEffect(() => {
    watch(name);
    return () => watch(null);
  }, [name]);
  const { overview, session } = state;
  const watcher = overview?.watchers.find((each) => each.name === name);
  if (!overview || !session) return <p class="quiet">Waiting for the first figures …</p>;
  if (!watcher) return <p>There is no watcher {name}.</p>;
  const off = session.role !== "operate";
  const processes = overview.watcher === name ? (overview.processes ?? []) : [];
  const sorted = processes.slice().sort((a, b) => (a.wid ?? 0) - (b.wid ?? 0));
  const own = state.events.filter((each) => each.payload["watcher"] === name);
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
          {percent(watcher.cpu)} CPU · {bytes(watcher.rss)} · {watcher.deaths} ended since the console started
        </p>
        <ul class="cards">
          {sorted.map((each) => (
            <ProcessCard key={each.pid} process={each} name={name} off={off} />
          ))}
        </ul>
      </section>
      <Deaths name={name} turn={own.filter((each) => each.topic.endsWith(".death")).at(-1)?.seq ?? 0} />
      <Logs name={name} />
      <OptionTable name={name} off={off} turn={String(watcher.numprocesses)} />
      <section aria-labelledby="own-events">
        <h2 id="own-events">Its events</h2>
        <EventList state={{ ...state, events: own, lost: 0 }} most={20} />
      </section>
    </>
  );
}
