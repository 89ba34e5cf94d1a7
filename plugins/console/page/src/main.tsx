// The frame: who one is, where one is, and what is wrong.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { post, type Session } from "./api";
import { EventsPage, PluginsPage, SocketsPage } from "./others";
import { OverviewPage } from "./overview";
import { connect, say, useStore } from "./store";
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
  ["#/", "Overview"],
  ["#/sockets", "Sockets"],
  ["#/plugins", "Plugins"],
  ["#/events", "Events"],
] as const;

function Page({ hash }: { hash: string }) {
  const watcher = /^#\/watcher\/(.+)$/.exec(hash);
  if (watcher) return <WatcherPage key={hash} name={decodeURIComponent(watcher[1]!)} />;
  if (hash === "#/sockets") return <SocketsPage />;
  if (hash === "#/plugins") return <PluginsPage />;
  if (hash === "#/events") return <EventsPage />;
  return <OverviewPage />;
}

function logOut(): void {
  void post("logout", {})
    .catch(() => {})
    .then(() => location.reload());
}

function App() {
  const { session, online, overview, error } = useStore();
  const hash = useHash();
  const inside = session !== null && session.role !== "none";
  const here = hash === "" ? "#/" : hash;
  return (
    <>
      <header>
        <h1>circusd</h1>
        {inside && (
          <nav aria-label="pages">
            {kPages.map(([target, label]) => (
              <a href={target} aria-current={here === target ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
        )}
        <p role="status" class={online || !inside ? "quiet" : "wrong"}>
          {session === null
            ? "connecting …"
            : !inside
              ? ""
              : online
                ? `${session.user || "connected"}${session.role === "read" ? " (may only read)" : ""}`
                : "offline: trying again …"}
        </p>
        {inside && session.login && (
          <button type="button" onClick={logOut}>
            Log out
          </button>
        )}
      </header>
      <main tabIndex={-1} class={online ? "" : "old"}>
        <p role="alert" class="wrong">
          {error}
        </p>
        {session !== null && !inside && <Login session={session} />}
        {inside && <Page hash={hash} />}
      </main>
      {inside && overview?.daemon.pid !== undefined && (
        <footer class="quiet">
          circusd {overview.daemon.pid} · {overview.daemon.cpu?.toFixed(1)} % CPU · {overview.daemon.mem_info1}
        </footer>
      )}
    </>
  );
}

render(<App />, document.getElementById("app")!);
void connect();
