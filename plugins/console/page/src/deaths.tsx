// The processes of a watcher that have ended, or could not be started: the newest first, what each wrote last behind it.
import { type Death } from "./api";
import { age, bytes, clock, figure } from "./format";

const isNotStarted = ({ reason }: Death): boolean => reason === "not_started";

function end(death: Death): string {
  return isNotStarted(death) ? "not started" : death.signal ?? `exit ${death.exit_code}`;
}

function reason(death: Death): string {
  const { reason, why, oom, times = 1 } = death;
  if (isNotStarted(death)) return `${why}${times > 1 ? ` (${times} times)` : ""}`;
  if (why) return `${reason}: ${why}`;
  if (reason === "killed" && oom === null) return "killed, perhaps out of memory";
  return reason === "oom" ? "out of memory" : reason;
}

function Row({ death }: { death: Death }) {
  const lines = death.stderr ?? [];
  const ran = !isNotStarted(death);
  return (
    <tr>
      <td>{clock(death.time)}</td>
      <td class="number">{death.wid}</td>
      <td class="number">{figure(death.pid)}</td>
      <td>{end(death)}</td>
      <td>{reason(death)}</td>
      <td class="number">{ran ? age(death.age) : "–"}</td>
      <td class="number">{ran ? bytes(death.max_rss) : "–"}</td>
      <td class="number">{ran ? `${(death.cpu_user + death.cpu_system).toFixed(2)} s` : "–"}</td>
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

export function Deaths({ deaths }: { deaths: Death[] }) {
  return (
    <section aria-labelledby="deaths">
      <h2 id="deaths">Ended</h2>
      {deaths.length === 0 ? (
        <p class="quiet">No process has ended yet.</p>
      ) : (
        <div class="wide tall" role="region" aria-labelledby="deaths" tabIndex={0}>
          <table>
            <thead>
              <tr>
                {["Time", "wid", "pid", "End", "Reason", "Age", "Max memory", "CPU", "Last on stderr"].map((title, column) => (
                  <th key={title} scope="col" class={[1, 2, 5, 6, 7].includes(column) ? "number" : ""}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {deaths.map((death) => (
                <Row key={`${death.wid} ${death.pid} ${death.time}`} death={death} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
