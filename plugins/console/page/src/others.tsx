// The pages of sockets, plugins and events.
import { useState } from "preact/hooks";
import { type Plugin } from "./api";
import { figure } from "./format";
import { Chart, recent } from "./graphs";
import { EventList } from "./overview";
import { useRead } from "./read";
import { run, useStore } from "./store";

export function SocketsPage() {
  const { overview } = useStore("overview");
  if (!overview) return <p class="quiet">Waiting for the first figures …</p>;
  if (overview.sockets.length === 0) return <p>circusd holds no sockets.</p>;
  return (
    <>
    <h2>Sockets</h2>
    <ul class="cards large" aria-label="sockets">
      {overview.sockets.map(({ name, fd, path, host, port, backlog, figures }) => (
        <li class="card" key={name}>
          <h3>
            {name} <span class="quiet">{path ?? `${host}:${port}`}</span>
          </h3>
          <p class="quiet">
            descriptor {fd} · backlog {backlog} · queue {figure(figures?.queue)} of {figure(figures?.limit)} · in flight{" "}
            {figure(figures?.in_flight)} · accepted {figure(figures?.accepted)} · dropped {figure(figures?.drops)}
          </p>
          {figures?.absent && <p class="quiet">{figures.absent}</p>}
          <Chart
            label={`connections per second, in flight and queue of ${name}`}
            data={() => recent([`socket ${name} rate`, `socket ${name} in_flight`, `socket ${name} queue`])}
            lines={[
              { label: "connections per second", colour: "--accent" },
              { label: "in flight", colour: "--second" },
              { label: "queue", colour: "--third" },
            ]}
          />
        </li>
      ))}
    </ul>
    </>
  );
}

export function PluginsPage() {
  const { session } = useStore("session");
  const [turn, setTurn] = useState(0);
  const { value, settled } = useRead<{ plugins: Record<string, Plugin> }>("plugins", turn, 3000);
  const act = async (name: string, action: string) => {
    await run("plugin", { name, action, waiting: true });
    setTurn(turn + 1);
  };
  const off = session?.role !== "operate";
  const plugins = Object.entries(value?.plugins ?? {});
  if (!settled) return <p class="quiet">Waiting for the first figures …</p>;
  if (plugins.length === 0) return <p>circusd has no plugins.</p>;
  return (
    <>
    <h2 id="plugins">Plugins</h2>
    <div class="wide" role="region" aria-labelledby="plugins" tabIndex={0}>
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
          {plugins.map(([name, each]) => (
            <tr key={name}>
              <th scope="row">
                {name} <span class="quiet">{each.version}</span>
                <div class="quiet summary">{each.summary}</div>
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
    </>
  );
}

export function EventsPage() {
  const { events, lost } = useStore("events", "lost");
  const [filter, setFilter] = useState("");
  const shown = events.filter((each) => each.topic.includes(filter));
  return (
    <>
      <h2>Events</h2>
      <label>
        Topics with <input type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
      </label>
      <EventList events={shown} lost={lost} most={200} brief={false} />
    </>
  );
}
