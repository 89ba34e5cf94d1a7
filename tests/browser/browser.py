"""A real Chromium with one page, as driver.mjs drives it: for the tests, the pictures of the README and the bench."""
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

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WORK = BUILD / "tests/browser"


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
        self.process = subprocess.Popen(["node", str(HERE / "driver.mjs")], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.version = self._answer()

    def _answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 90)
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
