"""guide.py BUILD SOURCE: docs/plugin-guide.md, done: the plugin that it begins with, its files written over that, built,
tested, and run in circusd until the rule has scaled the watcher. And docs/abi.md: its snippets of C compile."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import sdk

FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```(c|cpp|toml|rust)$", re.MULTILINE)
C_SNIPPET = re.compile(r"^```c\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files_of(document):
    text = document.read_text()
    found = dict(FILE.findall(text))
    if not found or len(found) != len(CODE.findall(text)):
        sys.exit(f"{document}: every snippet of code stands behind a <!-- file: NAME -->; there are {sorted(found)}")
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within 30 s: {what()}")
        time.sleep(0.05)


def scales(build, folder):
    """The rule in a running circusd, with an endpoint of the test's own."""
    config = (folder / "queue_scaler.toml").read_text()
    endpoint = f"ipc://{folder}/endpoint"
    config, changed = re.subn(r'endpoint = "[^"]*"', f'endpoint = "{endpoint}"', config)
    if changed != 1:
        sys.exit("no endpoint in queue_scaler.toml")
    (folder / "queue_scaler.toml").write_text(config)
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen([sdk.program(build, "circusd"), folder / "queue_scaler.toml"], stdout=log, stderr=log)

    def ask(*words):
        done = subprocess.run([sdk.program(build, "circusctl"), "--endpoint", endpoint, "--json", *words],
                              capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    try:
        wait_until(lambda: ask("plugins").get("plugins", {}).get("queue_scaler", {}).get("state") == "active",
                   lambda: "the plugin is active\n" + (folder / "log").read_text())
        ask("gauge", "web", "jobs", "11")
        wait_until(lambda: ask("numprocesses", "web").get("numprocesses") == 3, lambda: "11 jobs make 3 processes")
    finally:
        daemon.send_signal(signal.SIGTERM)
        if daemon.wait(60) != 0:
            sys.exit(f"circusd ended with {daemon.returncode}\n" + (folder / "log").read_text())


def main(build, source):
    docs = pathlib.Path(source) / "docs"
    files = files_of(docs / "plugin-guide.md")
    with tempfile.TemporaryDirectory(prefix="circus-guide-") as folder:
        folder = pathlib.Path(folder)
        prefix = folder / "prefix"
        sdk.install(build, prefix)
        for number, snippet in enumerate(C_SNIPPET.findall((docs / "abi.md").read_text())):
            path = folder / f"snippet_{number}.c"
            path.write_text("#include <circus/abi.h>\n" + snippet)
            sdk.run("cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
                    f"-I{prefix}/include", path)
        sdk.run(sdk.program(build, "circusctl"), "plugin", "new", "queue_scaler", cwd=folder)
        for name, text in files.items():
            if not (folder / "queue_scaler" / name).exists():
                sys.exit(f"the guide writes over {name}, which plugin new does not make")
            (folder / "queue_scaler" / name).write_text(text)
        sdk.cmake(folder / "queue_scaler", prefix)
        sdk.ctest(folder / "queue_scaler")
        scales(build, folder / "queue_scaler")


if __name__ == "__main__":
    main(*sys.argv[1:])
