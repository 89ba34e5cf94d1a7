"""The console's page in a real Chromium, driven by driver.mjs, against a real circusd.

Skipped (77) where Chromium, node or npm is missing, or the console was built with its plain page. Screenshots are left in
tests/browser of the build.
"""
import hashlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "contract"))

from harness import BUILD, ContractCase, free_port, main, wait_until  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WORK = BUILD / "tests/browser"
TOKEN = "a-token-to-operate"
READ_TOKEN = "a-token-that-only-reads"
TALKER = ("import time, sys\\nn = 0\\nwhile True:\\n    n += 1\\n    print('line', n, flush=True)\\n    time.sleep(0.2)")


def why_not():
    for program in ("node", "npm"):
        if not shutil.which(program):
            return f"no {program}"
    if not CHROMIUM:
        return "no Chromium"
    if b"preact" not in (BUILD / "plugins/console.so").read_bytes():
        return "the console has its plain page"
    return None


def install():
    """playwright-core, as the lock file has it; kept until that changes."""
    WORK.mkdir(parents=True, exist_ok=True)
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = WORK / "node_modules/.of_lock"
    if stamp.exists() and stamp.read_text() == lock:
        return
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, WORK)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--prefer-offline"], cwd=WORK, check=True,
                   stdout=subprocess.DEVNULL)
    stamp.write_text(lock)


class Browser:
    """driver.mjs, one order at a time."""

    def __init__(self):
        environment = {**os.environ, "CHROMIUM": CHROMIUM, "PLAYWRIGHT_FROM": str(WORK)}
        self.process = subprocess.Popen(["node", str(HERE / "driver.mjs")], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.version = self._answer()

    def _answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        answer = json.loads(line) if line else {"error": "the browser does not answer"}
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["ok"]

    def __getattr__(self, op):
        def order(**rest):
            self.process.stdin.write(json.dumps({"op": op, **rest}) + "\n")
            self.process.stdin.flush()
            return self._answer()
        return order

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class ConsolePage(ContractCase):
    limit = 120

    def setUp(self):
        super().setUp()
        self.browser = None

    def tearDown(self):
        # First of all: the harness takes what is left below the test for the daemon's.
        if self.browser:
            if self._failed():
                self.browser.shot(file=str(WORK / f"failed-{self._testMethodName}.png"))
            self.browser.close()
        super().tearDown()

    def page(self, options=f'token = "{TOKEN}"\n', port=0, log_in=TOKEN):
        """A daemon, and its page, logged in."""
        self.port = port or free_port()
        self.daemon_here = self.run_daemon(f"""
[socket.front]
host = "127.0.0.1"
port = 0

[watcher.web]
cmd = "/usr/bin/python3"
args = ["-u", "-c", "{TALKER}"]
numprocesses = 2
stdout_stream.class = "QueueStream"

[watcher.idle]
cmd = "/bin/sleep 1000"

[watcher.off]
cmd = "/bin/sleep 1000"
autostart = false

[plugin.console]
use = "console"
listen = "127.0.0.1:{self.port}"
interval = 0.3
{options}""")
        self.daemon_here.wait_active("web", 2)
        self.browser = Browser()
        self.browser.open(url=f"http://127.0.0.1:{self.port}/")
        if log_in:
            self.browser.fill(label="Token", value=log_in)
            self.browser.click(role="button", name="Log in")
            self.browser.see(role="link", name="web")
        return self.daemon_here, self.browser

    def shot(self, name):
        self.browser.shot(file=str(WORK / f"{name}.png"))

    def no_errors(self):
        self.assertEqual(self.browser.errors(), [])

    def row(self, name):
        """The texts of that watcher's cells."""
        found = [text for text in self.browser.texts(css="tbody tr") if text.startswith(name + "\t")]
        return found[0].split("\t") if found else []

    def test_TheOverviewShowsWhatRunsAndButtonsChangeIt(self):
        daemon, browser = self.page()
        wait_until(lambda: self.row("web")[1:2] == ["active"] and self.row("off")[1:2] == ["stopped"],
                   what=lambda: browser.texts(css="tbody tr"))
        browser.click(role="button", name="one process more of web")
        daemon.wait_active("web", 3)
        wait_until(lambda: "3/3" in self.row("web")[2], what=lambda: self.row("web"))
        browser.click(role="button", name="stop idle")
        wait_until(lambda: self.row("idle")[1] == "stopped", what=lambda: self.row("idle"))
        self.assertEqual(daemon.status("idle"), "stopped")
        browser.click(role="button", name="start off")
        daemon.wait_active("off", 1)
        browser.see(text="watcher.off.spawn")
        self.shot("overview-light")
        browser.look(width=1200, height=900, dark=True)
        self.shot("overview-dark")
        browser.look(width=390, height=800, dark=False)
        self.assertLessEqual(browser.run(script="document.documentElement.scrollWidth"), 390)
        self.shot("overview-narrow")
        self.no_errors()

    def test_AProcessIsKilledFromItsCardAndItsLogIsFollowed(self):
        daemon, browser = self.page()
        browser.click(role="link", name="web")
        pids = daemon.pids("web")
        for pid in pids:
            browser.see(role="button", name=f"kill {pid}")
        wait_until(lambda: any("line 5" in text for text in browser.texts(css=".log")),
                   what=lambda: browser.texts(css="main"))
        first = browser.texts(css=".log")[0]
        wait_until(lambda: browser.texts(css=".log")[0] != first)
        at_the_end = ("(() => { const box = document.querySelector('.log');"
                      " return box.scrollHeight - box.scrollTop - box.clientHeight < 40; })()")
        wait_until(lambda: browser.run(script=at_the_end))
        browser.click(role="button", name=f"kill {pids[0]}")
        browser.gone(role="button", name=f"kill {pids[0]}")
        self.assertNotIn(pids[0], daemon.wait_active("web", 2))
        browser.click(role="button", name="change graceful_timeout")
        browser.fill(label="graceful_timeout", value="7.5")
        browser.click(role="button", name="save")
        wait_until(lambda: daemon.client.ok("get", name="web", keys=["graceful_timeout"])["options"]
                   == {"graceful_timeout": 7.5})
        # The graphs are drawn: some of their pixels are not the background's.
        drawn = ("[...document.querySelectorAll('.card canvas')].every((c) =>"
                 " c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((each) => each !== 0))")
        wait_until(lambda: browser.count(css=".card canvas") == 2 and browser.run(script=drawn))
        self.shot("watcher")
        browser.look(width=390, height=800, dark=True)
        self.assertLessEqual(browser.run(script="document.documentElement.scrollWidth"), 390)
        self.shot("watcher-narrow-dark")
        self.no_errors()

    def test_AWrongLoginIsRefusedAndARightOneIsKept(self):
        _, browser = self.page(log_in=None)
        browser.fill(label="Token", value="a-token-to-operatf")
        browser.click(role="button", name="Log in")
        browser.see(text="wrong name, password or token")
        self.shot("login-refused")
        self.assertEqual(browser.count(role="link", name="web"), 0)
        self.assertTrue(all("401" in error for error in browser.errors()))
        browser.fill(label="Token", value=TOKEN)
        browser.press(keys="Enter")
        browser.see(role="link", name="web")
        browser.open(url=f"http://127.0.0.1:{self.port}/")
        browser.see(role="link", name="web")
        self.assertEqual(browser.run(script="document.cookie"), "", "HttpOnly")
        browser.click(role="button", name="Log out")
        browser.see(label="Token")
        self.no_errors()

    def test_WhoMayOnlyReadHasNoButtons(self):
        _, browser = self.page(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n', log_in=READ_TOKEN)
        browser.see(text="may only read")
        all_off = "[...document.querySelectorAll('tbody button')].every((each) => each.disabled)"
        self.assertTrue(browser.run(script=all_off))
        self.no_errors()

    def test_ThePageComesBackWithCircusd(self):
        daemon, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        pids = daemon.pids("web")
        self.assertEqual(daemon.terminate(), 0)
        browser.see(text="offline: trying again")
        self.shot("offline")
        daemon.start()
        browser.gone(text="offline: trying again")
        fresh = daemon.wait_active("web", 2)
        self.assertFalse(set(fresh) & set(pids))
        browser.click(role="link", name="web")
        browser.see(role="button", name=f"kill {fresh[0]}")
        self.assertTrue(all("ERR_CONNECTION_REFUSED" in error or "WebSocket" in error for error in browser.errors()))

    def test_TheKeyboardReachesEverythingAndTheOtherPagesShowWhatThereIs(self):
        daemon, browser = self.page(options="allow_add = true\n", log_in=None)
        browser.see(role="link", name="web")
        focused = set()
        for _ in range(12):
            browser.press(keys="Tab")
            focused.add(browser.run(script="document.activeElement.getAttribute('aria-label')"
                                           " ?? document.activeElement.textContent"))
        self.assertLessEqual({"Overview", "Plugins", "idle", "one process more of idle", "stop idle"}, focused)
        browser.click(role="link", name="Plugins")
        browser.see(css="td .active")
        self.shot("plugins")
        browser.click(role="link", name="Sockets", exact=True)
        browser.see(role="heading", name="front", exact=False)
        self.shot("sockets")
        browser.click(role="link", name="Overview")
        browser.click(role="button", name="Add a watcher")
        browser.fill(label="Name", value="fresh")
        browser.fill(label="Command", value="/bin/sleep 1000")
        browser.press(keys="Enter")
        browser.see(role="link", name="fresh")
        daemon.wait_active("fresh", 1)
        browser.click(role="link", name="Events")
        browser.fill(css="input[type=search]", value="fresh")
        browser.see(text="watcher.fresh.spawn")
        self.shot("events")
        self.no_errors()


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    install()
    main()
