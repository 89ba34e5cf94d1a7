// The processes of a watcher that have ended: the newest first, what each wrote last behind it.
import { useEffect, useState } from "preact/hooks";
import { type Death, get } from "./api";
import { age, bytes, clock } from "./format";

function reason({ reason, why, oom }: Death): string {
  if (why) return `${reason}: ${why}`;
  if (reason === "killed" && oom === null) return "killed, perhaps out of memory";
  return reason === "oom" ? "out of memory" : reason;
}

function Row({ death }: { death: Death }) {
  const lines = death.stderr ?? [];
  return (
    <tr>
      <td>{clock(death.time)}</td>
      <td class="number">{death.wid}</td>
      <td class="number">{death.pid}</td>
      <td>{death.signal ?? `exit ${death.exit_code}`}</td>
      <td>{reason(death)}</td>
      <td class="number">{age(death.age)}</td>
      <td class="number">{bytes(death.max_rss)}</td>
      <td class="number">{(death.cpu_user + death.cpu_system).toFixed(2)} s</td>
      <td>
        {lines.length > 0 && (
          <details>
            <summary>{lines.at(-1)?.slice(0, 80)}</summary>
            <pre class="last">{lines.join("\n")}</pre>
          </details>
        )}
      </td>
    </tr>
  );
}

/** `turn` changes when another one has ended. */
export function Deaths({ name, turn }: { name: string; turn: number }) {
  const [deaths, setDeaths] = useState<Death[]>([]);
  useEffect(() => {
    let over = false;
    get<{ deaths: Death[] }>(`watchers/${encodeURIComponent(name)}/deaths?last=20`)
      .then((found) => !over && setDeaths(found.deaths.slice().reverse()))
      .catch(() => {});
    return () => void (over = true);
  }, [name, turn]);
  if (deaths.length === 0) return null;
  return (
    <section aria-labelledby="deaths">
      <h2 id="deaths">Ended</h2>
      <div class="wide">
        <table>
          <thead>
            <tr>
              {["time", "wid", "pid", "end", "reason", "age", "max memory", "CPU", "last on stderr"].map((title) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {deaths.map((death) => (
              <Row key={`${death.pid} ${death.time}`} death={death} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
