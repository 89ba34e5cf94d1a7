"""A real Chromium with one page, as driver.mjs drives it: for the tests, the pictures of the README and the bench."""
import fcntl
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

from harness import BUILD  # noqa: E402
from process_tree import adopt_orphans  # noqa: E402

# The first of them has no windows, and costs half of the others.
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, (
    "chromium-headless-shell", "chromium", "chromium-browser"))), None)
WORK = BUILD / "tests/browser"
ANSWERED_S = 240  # more than driver.mjs gives Chromium to come up, twice, and then an order


def why_not():
    """Why there can be no page here; None: there can."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            return f"no {program} (configs/packages.sh web)"
    if not CHROMIUM:
        return "no Chromium (configs/packages.sh browser)"
    if b"preact" not in (BUILD / "plugins/console.so").read_bytes():
        return "the console was built with its plain page"
    return install()


def install():
    """playwright-core, as the lock file has it, kept until that changes; returns why it cannot be had."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w", encoding="utf-8") as held:  # of two that begin at once the second finds it there
        fcntl.flock(held, fcntl.LOCK_EX)
        return install_here()


def install_here():
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = WORK / "node_modules/.of_lock"
    if stamp.exists() and stamp.read_text() == lock:
        return None
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, WORK)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1",
                           "--fetch-timeout=20000"], cwd=WORK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        return f"npm cannot get playwright-core: {done.stdout.strip().splitlines()[-1:]}"
    stamp.write_text(lock)
    return None


class Browser:
    """driver.mjs, one order at a time: browser.OPERATION(…) is its answer."""

    def __init__(self, scale=1):
        environment = {**os.environ, "CHROMIUM": CHROMIUM, "PLAYWRIGHT_FROM": str(WORK), "PAGE_SCALE": str(scale)}
        self.process = subprocess.Popen(["node", str(HERE / "driver.mjs")], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0, start_new_session=True)
        self.received = b""
        self.orders = 0
        self.version = self._answer()

    def _line(self):
        while b"\n" not in self.received:
            ready, _, _ = select.select([self.process.stdout], [], [], ANSWERED_S)
            more = self.process.stdout.read(65536) if ready else b""
            if not more:
                raise AssertionError("the browser does not answer")
            self.received += more
        line, _, self.received = self.received.partition(b"\n")
        return json.loads(line)

    def _answer(self):
        answer = self._line()
        while answer["id"] != self.orders:  # it is to an order of a test whose time was over
            answer = self._line()
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["ok"]

    def __getattr__(self, op):
        def order(**rest):
            self.orders += 1
            self.process.stdin.write(json.dumps({"id": self.orders, "op": op, **rest}).encode() + b"\n")
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


def run_beside(tests):
    """Calls tests(browser) in a process of its own beside the browser's, so that all that is below that process is a
    daemon's. Returns its exit code."""
    browser = Browser()
    try:
        pid = os.fork()
        if pid == 0:
            adopt_orphans()
            tests(browser)  # which ends the process
            os._exit(70)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        browser.close()
