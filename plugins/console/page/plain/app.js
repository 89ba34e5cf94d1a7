// The console's page without a build: what is embedded where npm was not there. The watchers, the sockets, the events,
// and the commands one needs most. All it knows comes from /api/v1.
"use strict";

const $ = (id) => document.getElementById(id);
const kEvents = 50;
let session = {};
let socket = null;
let pause = 500;
let interval = 1;
let came = 0; // when the last figures did

async function api(path, body) {
  const init = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Circus-Csrf": session.csrf || "" },
    body: JSON.stringify(body),
  };
  const response = await fetch("api/v1/" + path, init);
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.reason || response.statusText), { status: response.status });
  return answer;
}

async function run(command, properties) {
  $("error").textContent = "";
  try {
    await api("commands/" + command, properties);
  } catch (error) {
    $("error").textContent = `${command} ${properties.name || ""}: ${error.message}`;
    if (error.status === 401) begin();
  }
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function bytes(number) {
  const units = ["B", "K", "M", "G", "T"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) { number /= 1024; ++at; }
  return number.toFixed(at > 0 && number < 100 ? 1 : 0) + " " + units[at];
}

const kActions = [
  ["Start", "start"], ["Stop", "stop"], ["Restart", "restart"], ["Reload", "reload"], ["+1", "incr"], ["−1", "decr"],
];

// Rows are kept and filled anew, so that a button keeps its focus.
function fill(body, rows, key, make, update) {
  const there = new Map([...body.children].map((row) => [row.dataset.key, row]));
  rows.forEach((each, at) => {
    let row = there.get(String(key(each)));
    there.delete(String(key(each)));
    if (!row) {
      row = make(each);
      row.dataset.key = key(each);
    }
    update(row, each);
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
  });
  for (const gone of there.values()) gone.remove();
}

function watcherRow(watcher) {
  const row = element("tr");
  for (let at = 0; at < 6; ++at) row.append(element(at === 0 ? "th" : "td"));
  row.children[0].scope = "row";
  const cell = element("td");
  for (const [label, command] of kActions) {
    const button = element("button", label);
    button.type = "button";
    button.setAttribute("aria-label", `${command} ${watcher.name}`);
    button.disabled = session.role !== "operate";
    button.addEventListener("click", () => run(command, { name: watcher.name }));
    cell.append(button);
  }
  row.append(cell);
  return row;
}

function show(overview) {
  fill($("watchers"), overview.watchers, (each) => each.name, watcherRow, (row, each) => {
    const texts = [each.name, each.status, `${each.running} of ${each.numprocesses ?? "?"}`, each.cpu.toFixed(1) + " %",
      bytes(each.rss), each.deaths];
    texts.forEach((text, at) => { row.children[at].textContent = text; });
    row.children[1].className = each.status;
  });
  const number = (figure) => (figure === null || figure === undefined ? "–" : figure);
  fill($("sockets"), overview.sockets, (each) => each.name, () => {
    const row = element("tr");
    for (let at = 0; at < 5; ++at) row.append(element("td"));
    return row;
  }, (row, each) => {
    const figures = each.figures || {};
    const texts = [each.name, each.path || `${each.host}:${each.port}`, number(figures.queue), number(figures.in_flight),
      number(figures.accepted)];
    texts.forEach((text, at) => { row.children[at].textContent = text; });
  });
}

function note(events) {
  for (const event of events) {
    const { time, watcher, ...rest } = event.payload;
    const when = time ? new Date(time * 1000).toLocaleTimeString() + " " : "";
    $("events").prepend(element("li", `${when}${event.topic} ${JSON.stringify(rest)}`));
  }
  while ($("events").children.length > kEvents) $("events").lastChild.remove();
}

function sayConnected() {
  const text = session.user ? `connected as ${session.user}` : "connected";
  if ($("state").textContent !== text) $("state").textContent = text;
}

setInterval(() => {
  if (socket && came && Date.now() - came > Math.max(3000 * interval, 5000))
    $("state").textContent = `no figures since ${new Date(came).toLocaleTimeString()}`;
}, 1000);

function connect() {
  const address = new URL("api/v1/events?overview=1&past=20", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "hello") {
      pause = 500;
      interval = message.interval;
      $("events").replaceChildren();
      sayConnected();
    } else if (message.type === "overview") {
      came = Date.now();
      sayConnected();
      show(message);
    } else if (message.type === "events") {
      note(message.events);
    } else if (message.type === "lost") {
      $("events").prepend(element("li", `… ${message.count} events were too fast`));
    }
  };
  socket.onclose = () => {
    $("state").textContent = "offline; trying again …";
    setTimeout(begin, pause);
    pause = Math.min(pause * 2, 10000);
  };
}

async function begin() {
  if (socket) {
    socket.onclose = null;
    socket.close();
    socket = null;
  }
  try {
    session = await api("session");
  } catch {
    $("state").textContent = "offline; trying again …";
    setTimeout(begin, pause);
    pause = Math.min(pause * 2, 10000);
    return;
  }
  const inside = session.role !== "none";
  $("login").hidden = inside;
  $("pages").hidden = !inside;
  $("logout").hidden = !(inside && session.login);
  $("user-line").hidden = !session.names;
  $("secret-name").textContent = session.names ? "Password" : "Token";
  if (inside) connect();
  else $("state").textContent = "not logged in";
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { user, secret } = event.target.elements;
  $("login-error").textContent = "";
  try {
    await api("login", user.value ? { user: user.value, password: secret.value } : { token: secret.value });
    secret.value = "";
    begin();
  } catch (error) {
    $("login-error").textContent = error.message;
  }
});

$("logout").addEventListener("click", async () => {
  await api("logout", {}).catch(() => {});
  location.reload();
});

begin();
