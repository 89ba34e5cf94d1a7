// The pages of sockets, plugins and events.
import { useEffect, useState } from "preact/hooks";
import { get, type Plugin } from "./api";
import { figure } from "./format";
import { Chart } from "./graphs";
import { EventList } from "./overview";
import { history, run, useStore } from "./store";

export function SocketsPage() {
  const { overview } = useStore();
  if (!overview) return <p class="quiet">Waiting for the first figures …</p>;
  if (overview.sockets.length === 0) return <p>circusd holds no sockets.</p>;
  return (
    <ul class="cards">
      {overview.sockets.map(({ name, fd, path, host, port, backlog, figures }) => (
        <li class="card" key={name}>
          <h3>
            {name} <span class="quiet">{path ?? `${host}:${port}`}</span>
          </h3>
          <p class="quiet">
            descriptor {fd} · backlog {backlog} · queue {figure(figures.queue)} of {figure(figures.limit)} · in flight{" "}
            {figure(figures.in_flight)} · accepted {figure(figures.accepted)} · dropped {figure(figures.drops)}
          </p>
          {figures.absent && <p class="quiet">{figures.absent}</p>}
          <Chart
            times={history.times}
            label={`connections per second, in flight and queue of ${name}`}
            lines={[
              { label: "connections per second", values: history.of(`socket ${name} rate`), colour: "--accent" },
              { label: "in flight", values: history.of(`socket ${name} in_flight`), colour: "--second" },
              { label: "queue", values: history.of(`socket ${name} queue`), colour: "--third" },
            ]}
          />
        </li>
      ))}
    </ul>
  );
}

export function PluginsPage() {
  const { session, online } = useStore();
  const [plugins, setPlugins] = useState<Record<string, Plugin>>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    const look = () =>
      get<{ plugins: Record<string, Plugin> }>("plugins")
        .then((found) => !over && setPlugins(found.plugins))
        .catch(() => {});
    void look();
    const timer = setInterval(() => void look(), 3000);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [turn, online]);
  const act = async (name: string, action: string) => {
    await run("plugin", { name, action, waiting: true });
    setTurn(turn + 1);
  };
  const off = session?.role !== "operate";
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">Mode</th>
            <th scope="col" class="number">Calls</th>
            <th scope="col" class="number">Slow</th>
            <th scope="col" class="number">Errors</th>
            <th scope="col" class="number">Time</th>
            <th scope="col">
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(plugins).map(([name, each]) => (
            <tr key={name}>
              <th scope="row" title={each.summary}>
                {name} <span class="quiet">{each.version}</span>
              </th>
              <td>
                <span class={`status ${each.state}`}>{each.state}</span> {each.error}
              </td>
              <td>{each.mode}</td>
              <td class="number">{each.calls}</td>
              <td class="number">{each.slow}</td>
              <td class="number">{each.errors}</td>
              <td class="number">{each.time.toFixed(3)} s</td>
              <td>
                <span class="actions">
                  {["enable", "disable", "restart"].map((action) => (
                    <button
                      type="button"
                      disabled={off}
                      aria-label={`${action} ${name}`}
                      onClick={() => void act(name, action)}
                    >
                      {action}
                    </button>
                  ))}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function EventsPage() {
  const state = useStore();
  const [filter, setFilter] = useState("");
  const events = state.events.filter((each) => each.topic.includes(filter));
  return (
    <>
      <label>
        Topics with <input type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
      </label>
      <EventList state={{ ...state, events }} most={200} />
    </>
  );
}
