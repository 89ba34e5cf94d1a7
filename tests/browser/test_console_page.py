"""The console's page in a real Chromium, driven by driver.mjs, against a real circusd.

Skipped (77) where Chromium, node or npm is missing, or the console was built with its plain page. Screenshots are left in
tests/browser/shots of the build.
"""
import base64
import hashlib
import os
import socket
import sys

from browser import HERE, WORK, Browser, why_not

from harness import ContractCase, free_port, main, wait_until

SHOTS = WORK / "shots"
TOKEN = "a-token-to-operate"
READ_TOKEN = "a-token-that-only-reads"
TALKER = ("import time, sys\\nn = 0\\nwhile True:\\n    n += 1\\n    print('line', n, flush=True)\\n    time.sleep(0.2)")
ACCEPTOR = ("import socket, sys\\ns = socket.socket(fileno=int(sys.argv[1]))\\ns.setblocking(True)\\nkept = []\\n"
            "while True:\\n    kept.append(s.accept()[0])")
CHECKS = (HERE / "checks.js").read_text()
# Of what a reader of the page needs a name for.
NAMED = {"button", "link", "textbox", "searchbox", "combobox", "spinbutton", "checkbox", "image", "img", "navigation",
         "heading", "columnheader", "rowheader", "region", "figure"}


def scrypt_hash(password):
    """As the plugin's README makes one."""
    salt = os.urandom(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=1 << 12, r=8, p=1, dklen=32)

    def plain(raw):
        return base64.b64encode(raw).decode().rstrip("=")
    return f"$scrypt$ln=12,r=8,p=1${plain(salt)}${plain(key)}"


class PageCase(ContractCase):
    limit = 240

    def setUp(self):
        super().setUp()
        self.browser = None
        SHOTS.mkdir(parents=True, exist_ok=True)

    def tearDown(self):
        # First of all: the harness takes what is left below the test for the daemon's.
        try:
            if self.browser:
                if self._failed():
                    self.browser.shot(file=str(WORK / f"failed-{self._testMethodName}.png"))
                self.browser.close()
        finally:
            super().tearDown()

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
stdout_stream.class = "QueueStream"

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
        self.daemon_here.wait_active("web", 2)
        self.browser = Browser()
        self.go("")
        if log_in:
            self.browser.fill(label="Token", value=log_in)
            self.browser.click(role="button", name="Log in")
            self.browser.see(role="link", name="web")
        return self.daemon_here, self.browser

    def go(self, where):
        self.browser.open(url=f"http://127.0.0.1:{self.port}/{where}")

    def shot(self, name):
        self.browser.shot(file=str(SHOTS / f"{name}.png"))

    def no_errors(self):
        self.assertEqual(self.browser.errors(), [])

    def row(self, name):
        """The texts of that watcher's cells."""
        found = [text for text in self.browser.texts(css="tbody tr") if text.startswith(name + "\t")]
        return found[0].split("\t") if found else []

    def looks(self, name):
        """The page in light, dark and narrow: nothing is wrong with it as a person sees it, and a picture of each."""
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


class Overview(PageCase):
    def test_ItShowsWhatRunsAndButtonsChangeIt(self):
        daemon, browser = self.page()
        wait_until(lambda: self.row("web")[1:2] == ["active"] and self.row("off")[1:2] == ["stopped"],
                   what=lambda: browser.texts(css="tbody tr"))
        browser.click(role="button", name="one process more of web")
        daemon.wait_active("web", 3)
        wait_until(lambda: "3/3" in self.row("web")[2], what=lambda: self.row("web"))
        browser.click(role="button", name="one process less of web")
        daemon.wait_active("web", 2)
        browser.click(role="button", name="stop idle")
        wait_until(lambda: self.row("idle")[1] == "stopped", what=lambda: self.row("idle"))
        self.assertEqual(daemon.status("idle"), "stopped")
        browser.click(role="button", name="start off")
        daemon.wait_active("off", 1)
        before = daemon.pids("off")
        browser.click(role="button", name="restart off")
        wait_until(lambda: daemon.pids("off") not in ([], before))
        before = daemon.pids("web")
        browser.click(role="button", name="reload web")
        wait_until(lambda: not set(before) & set(daemon.pids("web")))
        browser.see(text="watcher.off.spawn")
        self.reads()
        self.looks("overview")
        self.no_errors()

    def test_NothingJumpsWhileFiguresChange(self):
        daemon, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        seen = browser.texts(css="footer")
        daemon.client.ok("incr", name="web", waiting=True)
        wait_until(lambda: "3/3" in self.row("web")[2], what=lambda: self.row("web"))
        wait_until(lambda: browser.texts(css="footer") != seen or browser.count(css="footer") == 1)
        self.stands_still()
        self.go("#/watcher/web")
        browser.see(role="heading", name="Options")
        for _ in range(3):
            first = browser.texts(css=".log")
            wait_until(lambda: browser.texts(css=".log") != first)
        self.stands_still()
        self.no_errors()

    def test_AnErrorOfACommandIsShown(self):
        daemon, browser = self.page()
        browser.see(role="button", name="start off")
        daemon.client.ok("rm", name="off", waiting=True)
        # The row is still there until the next figures: what it says then is the daemon's own reason, or it is gone.
        wait_until(lambda: not self.row("off"))
        browser.run(script="location.hash = '#/watcher/off'")
        browser.see(text="There is no watcher off.")
        browser.run(script="location.hash = '#/watcher/web'")
        browser.click(role="button", name="change numprocesses")
        browser.fill(label="numprocesses", value="many")
        browser.click(role="button", name="save")
        browser.see(css="[role=alert]:not(:empty)")
        self.assertIn("set: ", browser.texts(css="[role=alert]")[0])
        self.assertTrue(all("400" in error for error in browser.errors()))

    def test_WatchersAreAddedOnlyWhereThatIsAllowed(self):
        daemon, browser = self.page(options="allow_add = true\n", log_in=None)
        browser.see(role="link", name="web")
        browser.click(role="button", name="Add a watcher")
        self.reads()
        browser.fill(label="Name", value="fresh")
        browser.fill(label="Command", value="/bin/sleep 1000")
        browser.fill(label="Processes", value="2")
        # What comes meanwhile leaves what was typed as it is.
        daemon.client.ok("incr", name="web", waiting=True)
        wait_until(lambda: "3/3" in self.row("web")[2], what=lambda: self.row("web"))
        self.assertEqual(browser.run(script="document.querySelector('input[name=numprocesses]').value"), "2")
        self.looks("add")
        browser.press(keys="Enter")
        browser.see(role="link", name="fresh")
        daemon.wait_active("fresh", 2)
        self.no_errors()
        browser.close()
        _, browser = self.page()
        self.assertEqual(browser.count(role="button", name="Add a watcher"), 0)


class Watcher(PageCase):
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
        browser.click(role="button", name="one process more of web")
        for pid in daemon.wait_active("web", 3):
            browser.see(role="button", name=f"kill {pid}")
        browser.click(role="button", name="change graceful_timeout")
        browser.fill(label="graceful_timeout", value="7.5")
        browser.click(role="button", name="save")
        wait_until(lambda: daemon.client.ok("get", name="web", keys=["graceful_timeout"])["options"]
                   == {"graceful_timeout": 7.5})
        # The graphs are drawn: some of their pixels are not the background's.
        drawn = ("[...document.querySelectorAll('.card canvas')].every((c) =>"
                 " c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((each) => each !== 0))")
        wait_until(lambda: browser.count(css=".card canvas") == 3 and browser.run(script=drawn))
        self.reads()
        self.looks("watcher")
        self.no_errors()

    def test_WhyProcessesEndedIsTold(self):
        daemon, browser = self.page(config='''
[watcher.sick]
cmd = "/bin/sh -c 'echo all is well; echo the database is gone >&2; exit 3'"
max_retry = 2
stdout_stream.class = "QueueStream"
stderr_stream.class = "QueueStream"
''')
        daemon.wait_active("web", 2)
        browser.run(script="location.hash = '#/watcher/sick'")
        browser.see(role="cell", name="exit 3")
        browser.see(text="the database is gone")
        browser.click(css="summary")
        browser.see(css="pre.last")
        self.reads()
        self.looks("deaths")
        self.no_errors()

    def test_AKilledProcessIsAmongThoseThatEnded(self):
        daemon, browser = self.page()
        browser.click(role="link", name="web")
        browser.see(text="No process has ended yet.")
        pid = daemon.pids("web")[0]
        browser.click(role="button", name=f"kill {pid}")
        browser.see(role="cell", name=str(pid))
        browser.see(role="cell", name="SIGTERM")
        self.no_errors()

    def test_AnAddressWithAWatcherIsOpenedAsItIs(self):
        daemon, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        self.go("#/watcher/web")
        browser.run(script="location.reload()")
        for pid in daemon.pids("web"):
            browser.see(role="button", name=f"kill {pid}")
        self.go("#/watcher/%zz")
        browser.see(text="There is no watcher %zz.")
        self.no_errors()

    def test_WhatTheAutoscalerDecidesIsShown(self):
        daemon, browser = self.page(config='''
[watcher.front]
cmd = "/bin/sleep 1000"
use_sockets = true
stdout_stream.class = "QueueStream"
autoscale = { min = 1, max = 3, boot_time = 0.5 }

[plugin.autoscaler]
use = "autoscaler"
''')
        daemon.wait_active("front")
        # Nobody accepts: they wait, and are a reason for more workers.
        address = daemon.client.ok("listsockets")["sockets"][0]
        callers = [socket.create_connection((address["host"], address["port"])) for _ in range(12)]
        for each in callers:
            self.addCleanup(each.close)
        daemon.wait_active("front", 3)
        browser.click(role="link", name="front")
        browser.see(role="heading", name="Autoscaler")
        browser.see(role="rowheader", name="autoscaler.workers")
        section = "section[aria-labelledby=autoscaler]"
        wait_until(lambda: "queue" in " ".join(browser.texts(css=section)), what=lambda: browser.texts(css=section))
        browser.click(role="button", name="pause the autoscaler")
        browser.see(role="button", name="resume the autoscaler")
        self.assertTrue(daemon.client.ok("autoscale", action="explain", name="front", decisions=True)["paused"])
        self.reads()
        self.looks("autoscaler")
        browser.click(role="button", name="resume the autoscaler")
        browser.see(role="button", name="pause the autoscaler")
        self.no_errors()


class OtherPages(PageCase):
    def test_AGraphOfASocketMovesUnderLoad(self):
        daemon, browser = self.page(config=f'''
[watcher.acceptor]
cmd = "/usr/bin/python3 -c"
args = ["{ACCEPTOR}", "$(circus.sockets.front)"]
use_sockets = true
autostart = false
''')
        browser.click(role="link", name="Sockets")
        browser.see(role="heading", name="front", exact=False)
        browser.see(css=".card canvas")
        # How high the line of the queue, known by its colour, gets: in pixels from the lower edge.
        height = ("(() => { const c = document.querySelector('.card canvas');"
                  " const want = getComputedStyle(document.documentElement).getPropertyValue('--third').trim();"
                  " const probe = document.createElement('canvas').getContext('2d'); probe.fillStyle = want;"
                  " probe.fillRect(0, 0, 1, 1); const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;"
                  " const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
                  " for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && Math.abs(data[i] - r) +"
                  " Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30)"
                  " return c.height - Math.floor(i / 4 / c.width); return 0; })()")
        low = wait_until(lambda: browser.run(script=height), what="a line of the queue")
        address = daemon.client.ok("listsockets")["sockets"][0]

        def load(count):
            for _ in range(count):
                each = socket.create_connection((address["host"], address["port"]))
                self.addCleanup(each.close)
        load(20)
        wait_until(lambda: "queue 20 of" in browser.texts(css=".card")[0], what=lambda: browser.texts(css=".card"))
        # Beside it are the connections per second, whose peak may be some times as high.
        wait_until(lambda: browser.run(script=height) > low + 5, what=lambda: (low, browser.run(script=height)))
        self.reads()
        self.looks("sockets")
        daemon.client.ok("start", name="acceptor", waiting=True)
        wait_until(lambda: "queue 0 of" in browser.texts(css=".card")[0], what=lambda: browser.texts(css=".card"))
        self.no_errors()

    def test_PluginsAreRestartedAndEventsAreFiltered(self):
        daemon, browser = self.page(config='\n[plugin.flapping]\nuse = "flapping"\n')
        browser.click(role="link", name="Plugins")
        browser.see(css="td .active")
        self.reads()
        self.looks("plugins")
        browser.click(role="button", name="disable flapping")
        browser.see(css="td .disabled")
        self.assertEqual(daemon.client.ok("plugins")["plugins"]["flapping"]["state"], "disabled")
        browser.click(role="button", name="enable flapping")
        browser.gone(css="td .disabled")
        browser.click(role="link", name="Events")
        browser.fill(css="input[type=search]", value="web.spawn")
        browser.see(text="watcher.web.spawn")
        self.assertEqual([each for each in browser.texts(css=".events b") if "web.spawn" not in each], [])
        self.reads()
        self.looks("events")
        self.no_errors()


class WhoMay(PageCase):
    def test_AWrongLoginIsRefusedAndARightOneIsKept(self):
        _, browser = self.page(log_in=None)
        browser.fill(label="Token", value="a-token-to-operatf")
        browser.click(role="button", name="Log in")
        browser.see(text="wrong name, password or token")
        self.assertEqual(browser.texts(css="[role=status]"), [""], "it waits for the person")
        self.reads()
        self.looks("login")
        self.assertEqual(browser.count(role="link", name="web"), 0)
        self.assertTrue(all("401" in error for error in browser.errors()))
        browser.fill(label="Token", value=TOKEN)
        browser.press(keys="Enter")
        browser.see(role="link", name="web")
        self.go("")
        browser.see(role="link", name="web")
        self.assertEqual(browser.run(script="document.cookie"), "", "HttpOnly")
        browser.click(role="button", name="Log out")
        browser.see(label="Token")
        # However early the answer to who one is comes, it is seen, though nothing else follows it: here before the first
        # frame, which is what the page's effects wait for.
        browser.before(script="window.requestAnimationFrame = () => 0")
        self.go("")
        browser.see(label="Token")
        self.no_errors()

    def test_AUserLogsInByName(self):
        _, browser = self.page(f'users.ann = "{scrypt_hash("correct horse")}"\n', log_in=None)
        browser.fill(label="User", value="ann")
        browser.fill(css="input[type=password]", value="correct house")
        browser.press(keys="Enter")
        browser.see(text="wrong name, password or token")
        browser.fill(css="input[type=password]", value="correct horse")
        browser.press(keys="Enter")
        browser.see(role="link", name="web")
        browser.see(text="ann")
        self.assertTrue(all("401" in error for error in browser.errors()))

    def test_WhoMayOnlyReadHasNoButtons(self):
        daemon, browser = self.page(f'token = "{TOKEN}"\nread_token = "{READ_TOKEN}"\n', log_in=READ_TOKEN)
        browser.see(text="may only read")
        all_off = "[...document.querySelectorAll('main button')].every((each) => each.disabled)"
        self.assertTrue(browser.run(script=all_off))
        browser.click(role="link", name="web")
        browser.see(role="button", name=f"kill {daemon.pids('web')[0]}")
        browser.see(role="heading", name="Options")
        self.assertTrue(browser.run(script=all_off))
        self.shot("read-only")
        browser.click(role="link", name="Plugins")
        browser.see(role="button", name="restart console")
        self.assertTrue(browser.run(script=all_off))
        self.no_errors()

    def test_TheKeyboardIsEnough(self):
        daemon, browser = self.page()
        here = ("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")

        def tab_to(name, most=60):
            for _ in range(most):
                browser.press(keys="Tab")
                if browser.run(script=here).strip() == name:
                    return
            self.fail(f"{name} is not reached by the keyboard")
        # The first is a way past the navigation. (A fresh page: on this one Tab goes on from where the login's button was.)
        self.go("")
        browser.see(role="link", name="web")
        browser.press(keys="Tab")
        self.assertEqual(browser.run(script=here), "To the content")
        browser.press(keys="Enter")
        self.assertEqual(browser.run(script="document.activeElement.tagName"), "MAIN")
        tab_to("one process more of web")
        outline = browser.run(script="getComputedStyle(document.activeElement).outlineStyle")
        self.assertNotEqual(outline, "none", "where one is must be seen")
        browser.press(keys="Enter")
        daemon.wait_active("web", 3)
        browser.run(script="document.querySelector('main').focus()")
        tab_to("web")
        browser.press(keys="Enter")
        browser.see(role="heading", name="Options")
        self.assertEqual(browser.run(script="document.activeElement.tagName"), "MAIN", "a new page is begun at its start")
        pid = daemon.pids("web")[0]
        tab_to(f"kill {pid}")
        browser.press(keys="Space")
        browser.gone(role="button", name=f"kill {pid}")
        tab_to("change graceful_timeout", 150)
        browser.press(keys="Enter")
        wait_until(lambda: browser.run(script="document.activeElement.getAttribute('aria-label')") == "graceful_timeout",
                   what=lambda: browser.run(script=here))
        browser.press(keys="Control+A")
        browser.press(keys="5")
        browser.press(keys="Enter")
        wait_until(lambda: daemon.client.ok("get", name="web", keys=["graceful_timeout"])["options"]
                   == {"graceful_timeout": 5})
        self.no_errors()


class Gone(PageCase):
    def offline_errors_only(self):
        left = [error for error in self.browser.errors()
                if "ERR_CONNECTION_REFUSED" not in error and "WebSocket" not in error and "ERR_" not in error
                and "503" not in error]
        self.assertEqual(left, [])

    def test_ThePageComesBackWithTheNextArbiterAndWhoWasLoggedInStaysSo(self):
        daemon, browser = self.page()
        browser.click(role="link", name="web")
        pids = daemon.pids("web")
        browser.see(role="button", name=f"kill {pids[0]}")
        browser.run(script="new MutationObserver(() => { if (document.querySelector('[role=status]').textContent"
                           ".includes('offline')) window.wasOffline = true; }).observe(document.body,"
                           " { subtree: true, childList: true, characterData: true })")
        daemon.kill_arbiter()
        # What the old connection still sends may be lost with it.
        daemon.client = daemon.new_client()
        # Nobody touches the page: what happens after is seen all the same.
        daemon.client.ok("incr", name="web", waiting=True)
        for pid in daemon.wait_active("web", 3):
            browser.see(role="button", name=f"kill {pid}")
        self.assertTrue(browser.run(script="window.wasOffline"), "the arbiter that died was this page's")
        browser.gone(text="offline: trying again")
        self.assertLessEqual(set(pids), set(daemon.pids("web")))
        browser.click(role="button", name="one process less of web")
        daemon.wait_active("web", 2)
        self.offline_errors_only()

    def test_ThePageComesBackWithCircusd(self):
        daemon, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        pids = daemon.pids("web")
        self.assertEqual(daemon.terminate(), 0)
        browser.see(text="offline: trying again")
        self.looks("offline")
        daemon.start()
        browser.gone(text="offline: trying again")
        fresh = daemon.wait_active("web", 2)
        self.assertFalse(set(fresh) & set(pids))
        browser.click(role="link", name="web")
        browser.see(role="button", name=f"kill {fresh[0]}")
        self.offline_errors_only()


class Several(PageCase):
    def test_OneConsoleShowsSeveralCircusds(self):
        other = self.run_daemon('[watcher.east_job]\ncmd = "/bin/sleep 1000"\nstdout_stream.class = "QueueStream"\n')
        other.wait_active("east_job", 1)
        daemon, browser = self.page(options=f'endpoints.east = "{other.endpoint}"\n', log_in=None)
        browser.see(role="link", name="web")
        browser.choose(label="circusd", value="east")
        browser.see(role="link", name="east_job")
        self.assertEqual(browser.count(role="link", name="web"), 0)
        browser.click(role="button", name="one process more of east_job")
        other.wait_active("east_job", 2)
        self.assertEqual(daemon.client.ask("status", name="east_job")["status"], "error")
        browser.see(text="watcher.east_job.spawn")
        self.reads()
        self.looks("endpoints")
        browser.click(role="link", name="east_job")
        browser.see(role="button", name=f"kill {other.pids('east_job')[0]}")
        self.no_errors()
        # It goes: that is said, and it comes back by itself.
        self.assertEqual(other.terminate(), 0)
        browser.see(text=f"nobody answers at {other.endpoint}")
        self.shot("endpoints-gone")
        other.start()
        browser.gone(text="nobody answers")
        for pid in other.wait_active("east_job", 1):
            browser.see(role="button", name=f"kill {pid}")
        browser.choose(label="circusd", value="")
        browser.see(role="link", name="web")
        self.go("#nowhere/")
        browser.see(text="This console has no endpoint nowhere.")


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    main()
