// The frame: who one is, where one is, and what is wrong.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { post, type Session } from "./api";
import { clock } from "./format";
import { EventsPage, PluginsPage, SocketsPage } from "./others";
import { OverviewPage } from "./overview";
import { address, connect, say, show, useDerived, useStore, type State } from "./store";
import "./style.css";
import { WatcherPage } from "./watcher";

function Login({ session }: { session: Session }) {
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const user = String(fields.get("user") ?? "");
    const secret = String(fields.get("secret"));
    setBusy(true);
    setWrong("");
    try {
      await post("login", user ? { user, password: secret } : { token: secret });
      await connect();
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <form class="login" onSubmit={(event) => void submit(event)}>
      <h2>Log in</h2>
      {session.names && (
        <label>
          User <input name="user" autocomplete="username" autoFocus />
        </label>
      )}
      <label>
        {session.names ? "Password (or a token, without a user)" : "Token"}{" "}
        <input name="secret" type="password" autocomplete="current-password" required autoFocus={!session.names} />
      </label>
      <button disabled={busy}>Log in</button>
      <p role="alert" class="wrong">
        {wrong}
      </p>
    </form>
  );
}

function useHash(): string {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => {
      setHash(location.hash);
      say("");
      document.querySelector<HTMLElement>("main")?.focus();
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return hash;
}

const kPages = [
  ["/", "Overview"],
  ["/sockets", "Sockets"],
  ["/plugins", "Plugins"],
  ["/events", "Events"],
] as const;

/** "#east/sockets": which circusd, empty for the console's own, and which page. */
function whereOf(hash: string): { endpoint: string; page: string } {
  const slash = hash.indexOf("/");
  if (slash < 0) return { endpoint: "", page: "/" };
  return { endpoint: decoded(hash.slice(1, slash)), page: hash.slice(slash) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody typed it
  }
}

/** Whose page that is; null: no watcher's. */
function watcherOf(page: string): string | null {
  const name = /^\/watcher\/(.+)$/.exec(page)?.[1];
  return name === undefined ? null : decoded(name);
}

function Page({ page }: { page: string }) {
  const watcher = watcherOf(page);
  if (watcher !== null) return <WatcherPage key={page} name={watcher} />;
  if (page === "/sockets") return <SocketsPage />;
  if (page === "/plugins") return <PluginsPage />;
  if (page === "/events") return <EventsPage />;
  return <OverviewPage />;
}

// Nothing to choose from where there is but the console's own.
function Endpoints() {
  const { endpoints, endpoint } = useStore("endpoints", "endpoint");
  if (endpoints.length < 2) return null;
  const go = (name: string) => {
    location.hash = address("/", name);
  };
  return (
    <label class="endpoints">
      <span class="hidden">circusd</span>
      <select value={endpoint} onChange={(event) => go(event.currentTarget.value)}>
        {endpoints.map(({ name, problem }) => (
          <option key={name} value={name}>
            {name || "this circusd"}
            {problem && " (unreachable)"}
          </option>
        ))}
      </select>
    </label>
  );
}

function logOut(): void {
  void post("logout", {})
    .catch(() => {})
    .then(() => location.reload());
}

const kFrame = ["session", "online", "failed", "endpoint", "endpoints", "since", "error"] as const;
type Frame = Pick<State, (typeof kFrame)[number]>;

function statusOf({ session, online, failed, endpoint, endpoints, since }: Frame): { text: string; wrong: boolean } {
  if (session?.role === "none") return { text: "", wrong: false };
  if (session === null || (!online && !failed)) return { text: "connecting …", wrong: false };
  if (!online) return { text: "offline: trying again …", wrong: true };
  const problem = endpoints.find((each) => each.name === endpoint)?.problem;
  if (problem) return { text: problem, wrong: true };
  if (since) return { text: `no figures since ${clock(since / 1000)}`, wrong: true };
  return { text: `${session.user || "connected"}${session.role === "read" ? " (may only read)" : ""}`, wrong: false };
}

function Footer() {
  const daemon = useDerived((state) => state.overview?.daemon);
  return (
    <footer class="quiet">
      {daemon?.pid !== undefined && `circusd ${daemon.pid} · ${daemon.cpu?.toFixed(1)} % CPU · ${daemon.mem_info1}`}
    </footer>
  );
}

function App() {
  const state = useStore(...kFrame);
  const { session, error, endpoint, endpoints } = state;
  const where = whereOf(useHash());
  useEffect(() => show(where.endpoint), [where.endpoint]);
  const inside = session !== null && session.role !== "none";
  const known = endpoints.some((each) => each.name === endpoint);
  const status = statusOf(state);
  const title = watcherOf(where.page) ?? kPages.find(([page]) => page === where.page)?.[1];
  useEffect(() => {
    document.title = [inside ? title : "", endpoint, "circusd"].filter(Boolean).join(" · ");
  }, [inside, title, endpoint]);
  return (
    <>
      <a class="skip" href={location.hash || "#/"} onClick={skip}>
        To the content
      </a>
      <header>
        <h1>circusd</h1>
        {inside && <Endpoints />}
        {inside && (
          <nav aria-label="pages">
            {kPages.map(([page, label]) => (
              <a key={page} href={address(page)} aria-current={where.page === page ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
        )}
        <p role="status" class={status.wrong ? "wrong" : "quiet"}>
          {status.text}
        </p>
        {inside && session.login && (
          <button type="button" onClick={logOut}>
            Log out
          </button>
        )}
      </header>
      <main tabIndex={-1} class={status.wrong ? "old" : ""}>
        <p role="alert" class="wrong">
          {error}
        </p>
        {session !== null && !inside && <Login session={session} />}
        {inside && known && where.endpoint === endpoint && <Page key={endpoint} page={where.page} />}
        {inside && !known && <p>This console has no endpoint {endpoint}.</p>}
      </main>
      {inside && <Footer />}
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("main")?.focus();
}

render(<App />, document.getElementById("app")!);
show(whereOf(location.hash).endpoint);
void connect();
