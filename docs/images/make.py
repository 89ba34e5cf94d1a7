#!/usr/bin/python3
"""Makes the pictures of the console in this folder again: docs/images/make.py [--build DIR]

A web stack of its own runs for half a minute under some load, and Chromium takes its pictures of the pages (the packages of
`configs/packages.sh web browser stack`). They are reduced to 128 colours where pngquant or ImageMagick is there.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MOST_BYTES = 150_000
WORKER = f"/usr/bin/python3 {ROOT}/configs/app/serve.py"
STACK = f"""
[socket.web]
host = "127.0.0.1"
port = 0
backlog = 2048
blocking = true

[watcher.web]
cmd = "{WORKER}"
args = "--fd $(circus.sockets.web) --backend wsgiref --log-level info work:application"
use_sockets = true
numprocesses = 2
graceful_timeout = 10
stdout_stream.class = "QueueStream"
stderr_stream.class = "QueueStream"
autoscale = {{ min = 2, max = 6, boot_time = 1, down_window = 20 }}

[watcher.mailer]
cmd = "/bin/sh -c 'while sleep 7; do echo no route to mail.example.com >&2; exit 1; done'"
stderr_stream.class = "QueueStream"

[watcher.queue]
cmd = "/bin/sh -c 'while :; do i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; sleep 0.4; done'"
numprocesses = 3

[watcher.nightly]
cmd = "/bin/sleep 1000"
autostart = false

[plugin.autoscaler]
use = "autoscaler"
"""


def visit(port, ended):
    """One user, until it is over."""
    while not ended.is_set():
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
        except OSError:
            ended.wait(0.1)


def shrink(file):
    for tool in (["pngquant", "--force", "--ext", ".png", "--speed", "1", "128"],
                 ["convert", "-colors", "128", "-define", "png:compression-level=9"]):
        if shutil.which(tool[0]):
            target = [str(file)] if tool[0] == "pngquant" else [str(file), f"PNG8:{file}"]
            command = tool + target if tool[0] == "pngquant" else [tool[0], target[0], *tool[1:], target[1]]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            break
    size = file.stat().st_size
    print(f"{file.name}: {size} bytes")
    if size > MOST_BYTES:
        sys.exit(f"make.py: {file.name} has more than {MOST_BYTES} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build"))
    os.environ["CIRCUS_BUILD"] = str(pathlib.Path(parser.parse_args().build).resolve())
    sys.path[:0] = [str(ROOT / "tests/browser"), str(ROOT / "tests/contract")]
    from browser import Browser, why_not  # they look for the build when they are imported
    from daemon import Daemon
    from process_tree import free_port
    reason = why_not()
    if reason:
        sys.exit(f"make.py: {reason}")
    port = free_port()
    daemon = Daemon(f'{STACK}\n[plugin.console]\nuse = "console"\nlisten = "127.0.0.1:{port}"\n')
    daemon.working_dir = ROOT
    ended = threading.Event()
    browser = None
    try:
        daemon.start()
        web = daemon.client.ok("listsockets")["sockets"][0]["port"]
        users = [threading.Thread(target=visit, args=(web, ended)) for _ in range(8)]
        browser = Browser(scale=1)
        browser.look(width=1100, height=760, dark=False)
        browser.open(url=f"http://127.0.0.1:{port}/")
        for at, each in enumerate(users):
            each.start()
            time.sleep(2 if at < 4 else 0.5)
        time.sleep(25)  # so that the graphs have something to show
        browser.shot(file=str(HERE / "console-overview.png"), whole=False)
        browser.look(width=1100, height=900, dark=True)
        browser.click(role="link", name="web")
        browser.see(role="heading", name="Autoscaler")
        time.sleep(8)
        browser.shot(file=str(HERE / "console-watcher.png"), whole=False)
        browser.look(width=390, height=780, dark=False)
        browser.open(url=f"http://127.0.0.1:{port}/#/sockets")
        browser.see(css=".card canvas")
        time.sleep(20)
        browser.shot(file=str(HERE / "console-narrow.png"), whole=False)
    finally:
        ended.set()
        if browser:
            browser.close()
        if daemon.process:
            daemon.terminate(60)
        daemon.destroy()
        shutil.rmtree(daemon.directory, ignore_errors=True)
    for name in ("console-overview", "console-watcher", "console-narrow"):
        shrink(HERE / f"{name}.png")


if __name__ == "__main__":
    main()
