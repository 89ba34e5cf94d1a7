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
  deaths: number;
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
  figures: Figures;
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

export interface Death {
  wid: number;
  pid: number;
  time: number;
  age: number;
  exit_code: number | null;
  signal: string | null;
  oom: boolean | null;
  reason: string;
  why: string | null;
  max_rss: number;
  cpu_user: number;
  cpu_system: number;
  stderr: string[] | null;
}

export class Failed extends Error {
  constructor(readonly status: number, reason: string) {
    super(reason);
  }
}

let csrf = "";

async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(`api/v1/${path}`, init);
  const answer = (await response.json().catch(() => ({}))) as T & { reason?: string };
  if (!response.ok) throw new Failed(response.status, answer.reason ?? response.statusText);
  return answer;
}

export const get = <T>(path: string): Promise<T> => ask<T>(path);

export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Circus-Csrf": csrf },
    body: JSON.stringify(body),
  });
}

export const command = <T = unknown>(name: string, properties: object = {}): Promise<T> =>
  post<T>(`commands/${name}`, properties);

export async function session(): Promise<Session> {
  const found = await get<Session>("session");
  csrf = found.csrf;
  return found;
}
