// circusd as /api/v1 has it: what its answers look like, and the one place that asks.
export interface Session {
  role: "none" | "read" | "operate";
  user: string;
  csrf: string;
  login: boolean; // one can log in here, and out
  names: boolean; // by name and password; else by token
  allow_add: boolean;
}
export interface Watcher {
  name: string;
  status: string;
  running: number;
  numprocesses?: number;
  singleton?: boolean;
  cpu: number;
  mem: number;
  rss: number;
  spawns: number;
  deaths: number; // since the console started
  restarts?: number; // processes that were replaced since circusd was started; a Circus in Python does not count them
  replaced?: Record<string, number>; // the same by reason
}
export interface Figures {
  queue: number | null;
  limit: number | null;
  in_flight: number | null;
  accepted: number | null;
  drops: number | null;
  absent: string;
}
export interface Socket {
  fd: number;
  name: string;
  backlog: number;
  host?: string;
  port?: number;
  path?: string;
  figures?: Figures; // a Circus in Python has none
}
export interface Process {
  pid: number;
  wid?: number;
  cmdline: string;
  username: string;
  cpu: number;
  mem: number;
  mem_info1: string;
  age: number;
}
export interface Overview {
  time: number;
  watchers: Watcher[];
  sockets: Socket[];
  daemon: Partial<Process>;
  watcher?: string;
  processes?: Process[];
}
export interface Endpoint {
  name: string; // empty: the circusd that the console is a part of
  endpoint: string;
  problem: string; // why it cannot be asked; empty: it can
}
export interface Event {
  seq: number;
  topic: string;
  payload: Record<string, unknown>;
}
export interface Plugin {
  state: string;
  use: string;
  version: string;
  summary: string;
  mode: string;
  calls: number;
  slow: number;
  errors: number;
  time: number;
  error?: string;
}
export interface Line {
  pid: number;
  time: number;
  text: string;
}

/** What `set` can change here; of a Circus in Python it is not known what type and value it has. */
export interface Editable {
  effect: "live" | "count" | "respawn" | "restart";
  type?: "boolean" | "integer" | "number" | "string" | "size" | "any";
  value?: unknown;
}

export interface Death {
  wid: number;
  pid: number | null; // null: it was never started
  time: number;
  age: number;
  exit_code: number | null; // null: it ended by a signal, or was never started
  signal: string | null;
  oom: boolean | null;
  reason: string;
  why: string | null;
  max_rss: number;
  cpu_user: number;
  cpu_system: number;
  stderr: string[] | null;
  times?: number; // of one that was never started: how often in a row
}

export interface Decision {
  age: number;
  workers: number;
  wanted: number;
  reason: string;
  to: number;
  limit: string;
  window: number;
  wishes: Record<string, number>;
  missing: string[];
  signals: Record<string, number | boolean | null>;
}

export interface Autoscale {
  time: number;
  explanation: string;
  decisions: Decision[];
  options: Record<string, unknown>;
  paused: boolean;
}

export type Gauges = Record<string, { value: number; age: number; by: string }>;

export class Failed extends Error {
  constructor(readonly status: number, reason: string) {
    super(reason);
  }
}

let csrf = "";

/** Where the answers of that circusd are, below this page. */
export const base = (endpoint: string): string =>
  endpoint ? `api/v1/endpoints/${encodeURIComponent(endpoint)}/` : "api/v1/";

let chosen = "";
/** Whose circusd it is that get() and command() are about, from now on. */
export function choose(endpoint: string): void {
  chosen = endpoint;
}

async function ask<T>(address: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(address, init);
  const answer = (await response.json().catch(() => ({}))) as T & { reason?: string };
  if (!response.ok) throw new Failed(response.status, answer.reason ?? response.statusText);
  return answer;
}

export const get = <T>(path: string): Promise<T> => ask<T>(base(chosen) + path);

function send<T>(address: string, body: unknown): Promise<T> {
  return ask<T>(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Circus-Csrf": csrf },
    body: JSON.stringify(body),
  });
}

/** What is the console's own, whichever circusd is shown: login, logout. */
export const post = <T>(path: string, body: unknown): Promise<T> => send<T>(base("") + path, body);

export const command = <T = unknown>(name: string, properties: object = {}): Promise<T> =>
  send<T>(`${base(chosen)}commands/${name}`, properties);

export async function session(): Promise<Session> {
  // Of a connection that was cut without a word nothing comes, not even an error.
  const found = await ask<Session>(`${base("")}session`, { signal: AbortSignal.timeout(10000) });
  csrf = found.csrf;
  return found;
}

export const endpoints = async (): Promise<Endpoint[]> =>
  (await ask<{ endpoints: Endpoint[] }>(`${base("")}endpoints`)).endpoints;
