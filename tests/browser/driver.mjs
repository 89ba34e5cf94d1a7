// One Chromium with one page, told what to do by lines of JSON on standard input, {"id", "op", …}; each is answered by one
// line, {"id", "ok"} or {"id", "error"}. What a page logs as an error, and what it is refused, is kept for {"op": "errors"}.
// {"op": "fresh"} ends that Chromium; the next order has another, which knows nothing of the one before and inherits
// nothing that it may have been stuck in.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// playwright-core is installed in the folder of the build, not beside this file.
const require = createRequire(process.env.PLAYWRIGHT_FROM + "/");
const { chromium } = require("playwright-core");

// Beside what Playwright asks for itself, which has it that nothing is slowed down for not being seen. With a GPU, also one
// that is simulated, a new page has been seen to come never where a machine is busy, and frames to end: there is none. And
// the fewer processes have to be scheduled for one frame the better.
const kArguments = [
  "--no-sandbox", "--no-zygote", "--disable-dev-shm-usage",
  "--disable-gpu", "--disable-software-rasterizer", "--disable-gpu-watchdog",
];
const kLaunchTime = 60000; // milliseconds, all of them
const kLaunches = 2; // of which the second is one that nobody expects to be needed
const kOrderTime = 100000; // a page that is stuck would never answer, and Playwright waits for ever for a script
const kEndTime = 10000;
const scale = Number(process.env.PAGE_SCALE ?? 1);
let current = null; // {browser, pid}; with it come:
let page = null;
let wire = null;
let errors = [];

// What `promise` comes to, or an error when the time is over.
function within(time, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done within ${time / 1000} s`)), time);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What moved on the page by itself: the sum that {"op": "shifts"} tells, and of what.
function watchShifts() {
  window.shifts = { sum: 0, of: [] };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.shifts.sum += entry.value;
      for (const { node } of entry.sources)
        window.shifts.of.push(`${entry.value.toFixed(4)} ${node?.nodeName ?? "?"}.${node?.className ?? ""} ${node?.textContent?.slice(0, 30) ?? ""}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

async function make(made) {
  made.browser = await chromium.launch({ executablePath: process.env.CHROMIUM, timeout: kLaunchTime, args: kArguments });
  const system = await made.browser.newBrowserCDPSession();
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  made.pid = processInfo.find(({ type }) => type === "browser")?.id ?? 0;
  const context = await made.browser.newContext({ viewport: { width: 1200, height: 900 }, deviceScaleFactor: scale });
  made.page = await context.newPage();
  made.page.setDefaultTimeout(90000); // a machine may be so busy that no frame comes for a minute
  made.page.on("pageerror", (error) => made.errors.push(String(error)));
  made.page.on("console", (message) => message.type() === "error" && made.errors.push(message.text()));
  await made.page.addInitScript(watchShifts);
  made.wire = await context.newCDPSession(made.page);
  // Of the time that the page's thread had, not of the time that passed while others had the processor.
  await made.wire.send("Performance.enable", { timeDomain: "threadTicks" });
}

async function begin() {
  for (let left = kLaunches; ; --left) {
    const made = { browser: null, pid: 0, errors: [] };
    try {
      await within(kLaunchTime, "launch", make(made));
      current = made;
      ({ page, wire, errors } = made);
      return;
    } catch (error) {
      await end(made);
      if (left === 1) throw error;
      process.stderr.write(`driver.mjs: ${error}; trying again\n`);
    }
  }
}

async function end({ browser, pid }) {
  if (!browser?.isConnected()) return;
  try {
    await within(kEndTime, "close", browser.close());
  } catch {
    try {
      if (pid > 0) process.kill(pid, "SIGKILL"); // Playwright notices, and removes what it has kept on disk
    } catch {
      // It has ended after all.
    }
  }
}

async function fresh() {
  const old = current;
  current = page = wire = null;
  if (old) await end(old);
}

const place = ({ role, name, exact, label, text, css }) =>
  role ? page.getByRole(role, { name, exact: exact ?? true })
    : label ? page.getByLabel(label)
      : text ? page.getByText(text)
        : page.locator(css);

// The tree as a screen reader gets it: [{role, name, level, depth}, …], without what it leaves out.
async function tree() {
  const { nodes } = await wire.send("Accessibility.getFullAXTree");
  const known = new Map(nodes.map((each) => [each.nodeId, each]));
  const depth = (node) => (node.parentId && known.has(node.parentId) ? 1 + depth(known.get(node.parentId)) : 0);
  return nodes
    .filter((each) => !each.ignored)
    .map((each) => ({
      role: each.role?.value ?? "",
      name: each.name?.value ?? "",
      level: each.properties?.find((property) => property.name === "level")?.value.value ?? 0,
      depth: depth(each),
    }));
}

const operations = {
  open: ({ url }) => page.goto(url).then(() => null),
  before: ({ script }) => page.addInitScript(script).then(() => null), // from the next page on
  click: (where) => place(where).first().click().then(() => null),
  fill: (where) => place(where).first().fill(where.value).then(() => null),
  choose: (where) => place(where).first().selectOption(where.value).then(() => null),
  focus: (where) => place(where).first().focus().then(() => null),
  press: ({ keys }) => page.keyboard.press(keys).then(() => null),
  // Tab, until the script says that name; false: it has not after so many.
  tab: async ({ until, name, most }) => {
    for (let i = 0; i < most; ++i) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(until)).trim() === name) return true;
    }
    return false;
  },
  see: (where) => place(where).first().waitFor().then(() => null),
  gone: (where) => place(where).first().waitFor({ state: "hidden" }).then(() => null),
  texts: (where) => place(where).allInnerTexts(),
  count: (where) => place(where).count(),
  run: ({ script }) => page.evaluate(script),
  tree: () => tree(),
  shifts: () => page.evaluate("window.shifts"),
  metrics: async () => {
    const { metrics } = await wire.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  },
  look: ({ width, height, dark }) =>
    page.setViewportSize({ width, height })
      .then(() => page.emulateMedia({ colorScheme: dark ? "dark" : "light" }))
      .then(() => null),
  shot: ({ file, whole }) => page.screenshot({ path: file, fullPage: whole ?? true }).then(() => null),
  errors: async () => errors.splice(0),
  fresh: () => fresh(),
};
await begin();

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
say({ id: 0, ok: current.browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line);
  try {
    if (op !== "fresh" && !current) await begin();
    say({ id, ok: (await within(kOrderTime, op, operations[op](rest))) ?? null });
  } catch (error) {
    say({ id, error: String(error) });
  }
}
await fresh();
