"""PageCase: the ground of the tests of the console's page in a real Chromium, driven by driver.mjs, against a real circusd.

Each test has a daemon and a Chromium of its own: of one that has got stuck the next test knows nothing. Skipped (77) where
Chromium, node or npm is missing, or the console was built with its plain page. Screenshots are left in tests/browser/shots
of the build, and of a test that failed beside that folder.
"""
import functools
import sys

from browser import HERE, WORK, run_beside, why_not

import harness
from harness import ContractCase, free_port
from test_console import TOKEN

SHOTS = WORK / "shots"
TALKER = ("import time, sys\\nn = 0\\nwhile True:\\n    n += 1\\n    print('line', n, flush=True)\\n    time.sleep(0.2)")
CHECKS = (HERE / "checks.js").read_text()
# Of what a reader of the page needs a name for.
NAMED = {"button", "link", "textbox", "searchbox", "combobox", "spinbutton", "checkbox", "image", "img", "navigation",
         "heading", "columnheader", "rowheader", "region", "figure"}
# To ask the page is work for the processor that the page waits for; and there may be others at work.
PATIENCE = 60
wait_until = functools.partial(harness.wait_until, patience=PATIENCE, pause=0.05)


class PageCase(ContractCase):
    limit = 250
    browser = None  # the file's

    def tearDown(self):
        try:
            if self._failed():
                self.shot_of_failure()
            self.browser.fresh()
        finally:
            super().tearDown()

    def shot_of_failure(self):
        try:
            self.browser.shot(file=str(WORK / f"failed-{self._testMethodName}.png"))
        except AssertionError as error:
            sys.stderr.write(f"no picture of the page: {error}\n")

    def page(self, options=f'token = "{TOKEN}"\n', log_in=TOKEN, config=""):
        """A daemon, and its page, logged in."""
        self.port = free_port()
        self.daemon_here = self.run_daemon(f"""
[socket.front]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "/usr/bin/python3"
args = ["-u", "-c", "{TALKER}"]
numprocesses = 2
stdout_stream.class = "FileStream"
stdout_stream.filename = "@DIR@/web.log"

[watcher.idle]
cmd = "/bin/sleep 1000"
stdout_stream.class = "QueueStream"

[watcher.off]
cmd = "/bin/sleep 1000"
autostart = false
stdout_stream.class = "QueueStream"
{config}
[plugin.console]
use = "console"
listen = "127.0.0.1:{self.port}"
interval = 0.3
{options}""")
        self.active(self.daemon_here, "web", 2)
        self.go("")
        if log_in:
            self.browser.fill(label="Token", value=log_in)
            self.browser.click(role="button", name="Log in")
            self.browser.see(role="link", name="web")
        return self.daemon_here, self.browser

    def active(self, daemon, name, count=None):
        return daemon.wait_active(name, count, PATIENCE)

    def go(self, where):
        self.browser.open(url=f"http://127.0.0.1:{self.port}/{where}")

    def shot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.browser.run(script="scrollTo(0, 0)")  # what is on the screen is drawn
        self.browser.shot(file=str(SHOTS / f"{name}.png"))

    def no_errors(self):
        self.assertEqual(self.browser.errors(), [])

    def row(self, name):
        """The texts of that watcher's cells."""
        found = [text for text in self.browser.texts(css="tbody tr") if text.startswith(name + "\t")]
        return found[0].split("\t") if found else []

    def looks(self, name):
        """The page in light, dark and narrow: nothing is wrong with it as a person sees it."""
        for width, dark, ending in ((1200, False, ""), (1200, True, "-dark"), (390, False, "-narrow")):
            self.browser.look(width=width, height=900, dark=dark)
            self.assertEqual(self.browser.run(script=CHECKS), [], f"{name}{ending}")
            self.shot(name + ending)
        self.browser.look(width=1200, height=900, dark=False)

    def reads(self):
        """The page as a screen reader gets it: what has to have a name has one, and the parts are where they belong."""
        tree = self.browser.tree()
        nameless = [each for each in tree if each["role"] in NAMED and not each["name"].strip()]
        self.assertEqual(nameless, [])
        roles = [each["role"] for each in tree]
        self.assertEqual((roles.count("main"), roles.count("banner")), (1, 1), roles)
        levels = [each["level"] for each in tree if each["role"] == "heading"]
        self.assertEqual(levels[:1], [1])
        jumps = [(before, after) for before, after in zip(levels, levels[1:]) if after > before + 1]
        self.assertEqual(jumps, [], "headings that skip a level")
        return tree

    def stands_still(self):
        """Nothing has moved by itself since the page was loaded."""
        shifts = self.browser.shifts()
        self.assertLess(shifts["sum"], 0.02, shifts["of"])


def main():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)

    def tests(browser):
        PageCase.browser = browser
        harness.main()
    sys.exit(run_beside(tests))
