// What the page knows, and the WebSocket it knows it from. The connection comes back by itself: half a second after it
// was lost, then after twice as long each time, ten seconds at the most.
import { useEffect, useRef, useState } from "preact/hooks";
import {
  base, choose, command, Failed, endpoints as askEndpoints, session as askSession, type Endpoint, type Event, type Overview,
  type Process, type Session, type Watcher,
} from "./api";
import { history } from "./history";

const kEvents = 200;

export interface State {
  session: Session | null;
  online: boolean; // there is a connection to the console
  failed: boolean; // it has been tried since there was one
  endpoint: string; // of the circusd that is shown; empty: the console's own
  endpoints: Endpoint[];
  overview: Overview | null;
  since: number; // in milliseconds: when the last figures came, where the next ones are overdue; else 0
  events: Event[]; // the newest first
  lost: number;
  error: string;
}

let state: State = {
  session: null,
  online: false,
  failed: false,
  endpoint: "",
  endpoints: [],
  overview: null,
  since: 0,
  events: [],
  lost: 0,
  error: "",
};
// Figures are overdue when none have come for three intervals, and for five seconds.
const kIntervals = 3;
const kPatience = 5000;
let interval = 1000;
let came = 0; // when the last figures did, or the connection was begun that is to bring them
let turn = 0; // of connect()
let watched: string | null = null;
let socket: WebSocket | null = null;
let pause = 500;
let again: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function change(part: Partial<State>): void {
  state = { ...state, ...part };
  // Who looks at it later sees what is then.
  if (!document.hidden) for (const each of listeners) each();
}

document.addEventListener("visibilitychange", () => change({}));

/** What `pick` finds in the state; whoever asks is rendered again when that is something else (===). */
export function useDerived<T>(pick: (state: State) => T): T {
  const [, render] = useState({});
  const found = pick(state);
  const latest = useRef({ pick, found });
  latest.current = { pick, found };
  useEffect(() => {
    const listener = () => {
      if (latest.current.pick(state) !== latest.current.found) render({});
    };
    listeners.add(listener);
    // It may have changed between that rendering and now, and may not change again: at a login nothing more comes.
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return found;
}

/** These parts of the state; whoever asks is rendered again when one of them is another. */
export function useStore<K extends keyof State>(...keys: K[]): Pick<State, K> {
  const before = useRef<Pick<State, K>>(state);
  return useDerived((now) => {
    if (keys.some((key) => now[key] !== before.current[key])) before.current = now;
    return before.current;
  });
}

let watchers = new Map<string, Watcher>();
let processes = new Map<number, Process>();

/** Of the last figures; undefined: it is not among them. */
export const watcherNamed = (name: string): Watcher | undefined => watchers.get(name);
export const processOf = (pid: number): Process | undefined => processes.get(pid);

function remember(overview: Overview): void {
  watchers = new Map(overview.watchers.map((each) => [each.name, each]));
  processes = new Map(overview.processes?.map((each) => [each.pid, each]));
  const figures = new Map<string, number | null>();
  for (const each of overview.watchers) {
    figures.set(`${each.name} cpu`, each.cpu);
    figures.set(`${each.name} rss`, each.rss);
  }
  const before = new Map(state.overview?.sockets.map((each) => [each.name, each.figures?.accepted]));
  const passed = state.overview ? overview.time - state.overview.time : 0;
  for (const { name, figures: now } of overview.sockets) {
    if (!now) continue;
    const last = before.get(name);
    const rate = passed > 0 && now.accepted !== null && last != null ? Math.max(0, now.accepted - last) / passed : null;
    figures.set(`socket ${name} rate`, rate);
    figures.set(`socket ${name} queue`, now.queue);
    figures.set(`socket ${name} in_flight`, now.in_flight);
  }
  for (const each of overview.processes ?? []) {
    figures.set(`${each.pid} cpu`, each.cpu);
    figures.set(`${each.pid} mem`, each.mem);
  }
  history.add(overview.time, figures);
}

function receive(message: Record<string, unknown> & { type: string }): void {
  switch (message.type) {
    case "hello":
      pause = 500;
      interval = 1000 * (message["interval"] as number);
      // It may have been chosen while the connection was being made.
      if (watched !== null) socket?.send(JSON.stringify({ watcher: watched }));
      return change({ online: true, failed: false, events: [], lost: 0 });
    case "endpoints":
      return change({ endpoints: message["endpoints"] as Endpoint[] });
    case "overview": {
      const overview = message as unknown as Overview;
      remember(overview);
      came = Date.now();
      return change({ overview, since: 0 });
    }
    case "events": {
      const fresh = (message["events"] as Event[]).slice().reverse();
      return change({ events: [...fresh, ...state.events].slice(0, kEvents) });
    }
    case "lost":
      return change({ lost: state.lost + (message["count"] as number) });
  }
}

function later(): void {
  change({ online: false, failed: true });
  clearTimeout(again);
  again = setTimeout(() => void connect(), pause);
  pause = Math.min(pause * 2, 10000);
}

// A connection may be cut without a word, and a circusd may hang: then what is shown is old, and a new connection may help.
setInterval(() => {
  const unreachable = state.endpoints.some(({ name, problem }) => name === state.endpoint && problem);
  if (!state.online || socket === null || unreachable) return;
  if (Date.now() - came < Math.max(kIntervals * interval, kPatience)) return;
  change({ since: state.since || came });
  void connect();
}, 1000);

/** The address of a page about the circusd that is shown: its name, if it has one, and then the page's, "/sockets". */
export const address = (page: string, endpoint = state.endpoint): string => `#${encodeURIComponent(endpoint)}${page}`;

function open(): void {
  clearTimeout(again);
  came = Date.now();
  const events = new URL(`${base(state.endpoint)}events?overview=1&past=100`, location.href);
  events.hash = "";
  events.protocol = events.protocol.replace("http", "ws");
  if (watched !== null) events.searchParams.set("watcher", watched);
  const mine = new WebSocket(events);
  socket = mine;
  mine.onmessage = ({ data }: MessageEvent<string>) => {
    if (socket === mine) receive(JSON.parse(data));
  };
  mine.onclose = () => {
    if (socket === mine) later();
  };
}

export async function connect(): Promise<void> {
  const mine = ++turn;
  const old = socket;
  socket = null;
  old?.close();
  try {
    const session = await askSession();
    const endpoints = session.role === "none" ? [] : await askEndpoints();
    if (mine !== turn) return;
    change({ session, endpoints });
    if (session.role !== "none") openIfKnown();
  } catch {
    if (mine === turn) later();
  }
}

function openIfKnown(): void {
  const known = state.endpoints.some((each) => each.name === state.endpoint);
  if (known) open();
  else change({ online: true }); // and the page says that there is no such one
}

/** Shows another circusd from now on. */
export function show(endpoint: string): void {
  if (endpoint === state.endpoint) return;
  choose(endpoint);
  history.clear();
  watched = null;
  change({ endpoint, overview: null, since: 0, events: [], lost: 0, error: "" });
  if (state.session !== null && state.session.role !== "none") {
    const old = socket;
    socket = null;
    openIfKnown();
    old?.close();
  }
}

// Whose processes the overview brings along.
export function watch(name: string | null): void {
  if (watched === name) return;
  watched = name;
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ watcher: name }));
}

export function say(error: string): void {
  change({ error });
}

// A command; what is wrong with it is shown. True: done.
export async function run(name: string, properties: object): Promise<boolean> {
  say("");
  try {
    await command(name, properties);
    return true;
  } catch (error) {
    say(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof Failed && error.status === 401) void connect();
    return false;
  }
}
