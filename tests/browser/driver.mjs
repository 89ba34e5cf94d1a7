// One Chromium with one page, told what to do by lines of JSON on standard input, {"id", "op", …}; each is answered by one
// line, {"id", "ok"} or {"id", "error"}. What a page logs as an error, and what it is refused, is kept for {"op": "errors"}.
// {"op": "fresh"} is another page that knows nothing of the one before, in the same Chromium.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// playwright-core is installed in the folder of the build, not beside this file.
const require = createRequire(process.env.PLAYWRIGHT_FROM + "/");
const { chromium } = require("playwright-core");

const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM, timeout: 120000, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const scale = Number(process.env.PAGE_SCALE ?? 1);
let browser = await launch();
let context = null;
let page = null;
let wire = null;
let errors = [];

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

async function fresh() {
  if (browser.isConnected()) await context?.close();
  else browser = await launch();
  context = await browser.newContext({ viewport: { width: 1200, height: 900 }, deviceScaleFactor: scale });
  page = await context.newPage();
  page.setDefaultTimeout(90000); // a machine may be so busy that no frame comes for a minute
  errors = [];
  const mine = errors; // what comes late from the page before is nobody's
  page.on("pageerror", (error) => mine.push(String(error)));
  page.on("console", (message) => message.type() === "error" && mine.push(message.text()));
  await page.addInitScript(watchShifts);
  wire = await context.newCDPSession(page);
  // Of the time that the page's thread had, not of the time that passed while others had the processor.
  await wire.send("Performance.enable", { timeDomain: "threadTicks" });
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
  errors: () => errors.splice(0),
  fresh: () => fresh(),
};
await fresh();

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
say({ id: 0, ok: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line);
  try {
    say({ id, ok: (await operations[op](rest)) ?? null });
  } catch (error) {
    say({ id, error: String(error) });
  }
}
await browser.close();
