// The first page: every watcher in a row, then the sockets and the newest events.
import type { Event, Session, Watcher } from "./api";
import { useState } from "preact/hooks";
import { focusAtOnce, useFocusAfter } from "./focus";
import { bytes, clock, figure, percent } from "./format";
import { Figure, Sparkline } from "./graphs";
import { alike, memo } from "./memo";
import { address, run, useStore, watcherNamed } from "./store";

export const kActions = ["start", "stop", "restart", "reload"] as const;

export function Actions({ name, session }: { name: string; session: Session }) {
  const off = session.role !== "operate";
  return (
    <span class="actions">
      {kActions.map((each) => (
        <button type="button" disabled={off} aria-label={`${each} ${name}`} onClick={() => void run(each, { name })}>
          {each}
        </button>
      ))}
    </span>
  );
}

export function Scale({ watcher, session }: { watcher: Watcher; session: Session }) {
  const off = session.role !== "operate" || watcher.singleton === true;
  const name = watcher.name;
  return (
    <span class="scale">
      <button type="button" disabled={off} aria-label={`one process less of ${name}`} onClick={() => void run("decr", { name })}>
        −
      </button>
      <span class="count">
        {watcher.running}/{figure(watcher.numprocesses)}
      </span>
      <button type="button" disabled={off} aria-label={`one process more of ${name}`} onClick={() => void run("incr", { name })}>
        +
      </button>
    </span>
  );
}

export const Status = ({ status }: { status: string }) => <span class={`status ${status}`}>{status}</span>;

/** A figure of that watcher, as it is now. */
function Of({ name, text }: { name: string; text: (watcher: Watcher) => string }) {
  const now = () => {
    const watcher = watcherNamed(name);
    return watcher ? text(watcher) : null;
  };
  return <Figure text={now} />;
}

interface RowsProps {
  watchers: Watcher[];
  session: Session;
}

// What is rendered; what changes all the time is drawn.
const kRendered: (keyof Watcher)[] = ["name", "status", "running", "numprocesses", "singleton", "deaths", "restarts"];

const Row = memo<{ watcher: Watcher; session: Session }>(
  ({ watcher, session }) => {
    const { name } = watcher;
    return (
      <tr>
        <th scope="row">
          <a href={address(`/watcher/${encodeURIComponent(name)}`)}>{name}</a>
        </th>
        <td>
          <Status status={watcher.status} />
        </td>
        <td>
          <Scale watcher={watcher} session={session} />
        </td>
        <td class="number">
          <Of name={name} text={({ cpu }) => percent(cpu)} />
        </td>
        <td>
          <Sparkline of={`${name} cpu`} label={`cpu of ${name} over time`} />
        </td>
        <td class="number">
          <Of name={name} text={({ rss }) => bytes(rss)} />
        </td>
        <td class="number">{figure(watcher.restarts)}</td>
        <td class="number">{watcher.deaths}</td>
        <td>
          <Actions name={name} session={session} />
        </td>
      </tr>
    );
  },
  (before, next) => before.session === next.session && alike([before.watcher], [next.watcher], kRendered),
);

const Rows = memo<RowsProps>(
  ({ watchers, session }) => (
    <tbody>
      {watchers.map((each) => (
        <Row key={each.name} watcher={each} session={session} />
      ))}
    </tbody>
  ),
  (before, next) => before.session === next.session && alike(before.watchers, next.watchers, kRendered),
);

function AddWatcher() {
  const [open, setOpen] = useState(false);
  const button = useFocusAfter(open);
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const text = (key: string) => String(fields.get(key) ?? "").trim();
    const done = await run("add", {
      name: text("name"),
      cmd: text("cmd"),
      options: { numprocesses: Number(text("numprocesses")) },
      start: true,
    });
    if (done) setOpen(false);
  };
  if (!open)
    return (
      <p class="inline">
        <button type="button" ref={button} onClick={() => setOpen(true)}>
          Add a watcher
        </button>
      </p>
    );
  return (
    <form class="inline" onSubmit={(event) => void add(event)}>
      <label>
        Name <input name="name" required ref={focusAtOnce} />
      </label>
      <label>
        Command <input name="cmd" required class="long" />
      </label>
      {/* A `value` would be set again with every overview that comes. */}
      <label>
        Processes <input name="numprocesses" type="number" min="1" defaultValue="1" required />
      </label>
      <button>Add and start</button>
      <button type="button" onClick={() => setOpen(false)}>
        Cancel
      </button>
    </form>
  );
}

// What an event says beside its topic: not what it does not have, and of a death not what the table of deaths has.
const kUnsaid = new Set(["time", "watcher", "cpu_user", "cpu_system", "max_rss", "age"]);

function details(payload: Record<string, unknown>): string {
  return Object.entries(payload)
    .filter(([key, value]) => !kUnsaid.has(key) && value !== null && value !== false && value !== "")
    .map(([key, value]) => {
      const text = typeof value === "object" ? JSON.stringify(value) : String(value);
      return `${key} ${typeof value === "number" ? Number(value.toFixed(3)) : text}`;
    })
    .join(", ");
}

interface EventListProps {
  events: Event[];
  lost: number;
  most: number;
  brief: boolean;
}

/** The newest. A brief one has a line for each, and places for as many as there may be: none of it moves when one comes. */
export function EventList({ events, lost, most, brief }: EventListProps) {
  const shown = events.slice(0, most);
  const places = brief ? Array.from({ length: most }, (_, at) => shown[at]) : shown;
  return (
    <>
      {lost > 0 && <p class="quiet">{lost} events came too fast to be shown.</p>}
      <ol class={brief ? "events brief" : "events"} aria-label="events, the newest first">
        {places.map((event, at) =>
          event ? (
            <li key={brief ? at : event.seq}>
              <time>{typeof event.payload["time"] === "number" ? clock(event.payload["time"]) : ""}</time>{" "}
              <b>{event.topic}</b> <span class="quiet">{details(event.payload)}</span>
            </li>
          ) : (
            <li key={at} aria-hidden="true" />
          ),
        )}
      </ol>
    </>
  );
}

function Newest() {
  const { events, lost } = useStore("events", "lost");
  return (
    <section aria-labelledby="events">
      <h2 id="events">
        <a href={address("/events")}>Events</a>
      </h2>
      <EventList events={events} lost={lost} most={12} brief />
    </section>
  );
}

// Name (one that begins with a blank is for screen readers alone), whether figures stand there, and what they are.
const kColumns: [string, boolean, string?][] = [
  ["Name", false],
  ["State", false],
  ["Processes", false],
  ["CPU", true],
  [" CPU over time", false],
  ["Memory", true],
  ["Restarts", true, "processes that were replaced since circusd was started"],
  ["Ended", true, "processes that have ended since the console was started"],
  [" Actions", false],
];

export function OverviewPage() {
  const { overview, session } = useStore("overview", "session");
  if (!overview || !session) return <p class="quiet">Waiting for the first figures …</p>;
  return (
    <>
      <section aria-labelledby="watchers">
        <h2 id="watchers">Watchers</h2>
        <div class="wide" role="region" aria-labelledby="watchers" tabIndex={0}>
          <table>
            <thead>
              <tr>
                {kColumns.map(([name, number, title]) => (
                  <th scope="col" class={number ? "number" : ""} title={title}>
                    {name.startsWith(" ") ? <span class="hidden">{name.trim()}</span> : name}
                  </th>
                ))}
              </tr>
            </thead>
            <Rows watchers={overview.watchers} session={session} />
          </table>
        </div>
        {session.allow_add && <AddWatcher />}
      </section>
      {overview.sockets.length > 0 && (
        <section aria-labelledby="sockets">
          <h2 id="sockets">
            <a href={address("/sockets")}>Sockets</a>
          </h2>
          <div class="wide" role="region" aria-labelledby="sockets" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Address</th>
                  <th scope="col" class="number">Queue</th>
                  <th scope="col">
                    <span class="hidden">Queue over time</span>
                  </th>
                  <th scope="col" class="number">In flight</th>
                  <th scope="col">
                    <span class="hidden">In flight over time</span>
                  </th>
                  <th scope="col" class="number">Accepted</th>
                  <th scope="col">
                    <span class="hidden">Connections per second over time</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {overview.sockets.map(({ name, path, host, port, figures }) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td>{path ?? `${host}:${port}`}</td>
                    <td class="number">{figure(figures?.queue)}</td>
                    <td>
                      <Sparkline of={`socket ${name} queue`} label={`queue of ${name} over time`} />
                    </td>
                    <td class="number">{figure(figures?.in_flight)}</td>
                    <td>
                      <Sparkline of={`socket ${name} in_flight`} label={`in flight of ${name} over time`} />
                    </td>
                    <td class="number">{figure(figures?.accepted)}</td>
                    <td>
                      <Sparkline of={`socket ${name} rate`} label={`connections per second of ${name} over time`} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      <Newest />
    </>
  );
}
