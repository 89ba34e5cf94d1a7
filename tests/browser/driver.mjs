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
const context = await browser.newContext({ viewport: { width: 1200, height: 900 } });
const page = await context.newPage();
page.setDefaultTimeout(20000);
let errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

const place = ({ role, name, exact, label, text, css }) =>
  role ? page.getByRole(role, { name, exact: exact ?? true })
    : label ? page.getByLabel(label)
      : text ? page.getByText(text)
        : page.locator(css);

const operations = {
  open: ({ url }) => page.goto(url).then(() => null),
  click: (where) => place(where).first().click().then(() => null),
  fill: (where) => place(where).first().fill(where.value).then(() => null),
  press: ({ keys }) => page.keyboard.press(keys).then(() => null),
  see: (where) => place(where).first().waitFor().then(() => null),
  gone: (where) => place(where).first().waitFor({ state: "hidden" }).then(() => null),
  texts: (where) => place(where).allInnerTexts(),
  count: (where) => place(where).count(),
  run: ({ script }) => page.evaluate(script),
  look: ({ width, height, dark }) =>
    page.setViewportSize({ width, height })
      .then(() => page.emulateMedia({ colorScheme: dark ? "dark" : "light" }))
      .then(() => null),
  shot: ({ file }) => page.screenshot({ path: file, fullPage: true }).then(() => null),
  errors: () => {
    const found = errors;
    errors = [];
    return found;
  },
};

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
say({ ok: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...rest } = JSON.parse(line);
  try {
    say({ ok: await operations[op](rest) });
  } catch (error) {
    say({ error: String(error) });
  }
}
await browser.close();
