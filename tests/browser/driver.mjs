// One Chromium with one page, told what to do by lines of JSON on standard input; each is answered by one line,
// {"ok": …} or {"error": …}. What a page logs as an error, and what it is refused, is kept for {"op": "errors"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// playwright-core is installed in the folder of the build, not beside this file.
const require = createRequire(process.env.PLAYWRIGHT_FROM + "/");
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
const scale = Number(process.env.PAGE_SCALE ?? 1);
const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, deviceScaleFactor: scale });
const page = await context.newPage();
const wire = await context.newCDPSession(page);
page.setDefaultTimeout(40000);
let errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
// What moved on the page by itself: the sum that {"op": "shifts"} tells, and of what.
await page.addInitScript(() => {
  window.shifts = { sum: 0, of: [] };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.shifts.sum += entry.value;
      for (const { node } of entry.sources)
        window.shifts.of.push(`${entry.value.toFixed(4)} ${node?.nodeName ?? "?"}.${node?.className ?? ""} ${node?.textContent?.slice(0, 30) ?? ""}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
});

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
  errors: () => {
    const found = errors;
    errors = [];
    return found;
  },
};
await wire.send("Performance.enable");

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
say({ ok: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...rest } = JSON.parse(line);
  try {
    say({ ok: (await operations[op](rest)) ?? null });
  } catch (error) {
    say({ error: String(error) });
  }
}
await browser.close();
