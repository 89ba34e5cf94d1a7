"""The console's page in a real Chromium: its other pages, who may see them, and what happens when circusd goes."""
import socket

from page_case import TOKEN, PageCase, main, wait_until
from test_console import READ_TOKEN, scrypt_hash

ACCEPTOR = ("import socket, sys\\ns = socket.socket(fileno=int(sys.argv[1]))\\ns.setblocking(True)\\nkept = []\\n"
            "while True:\\n    kept.append(s.accept()[0])")


class OtherPages(PageCase):
    def test_OnTheOverviewTheQueueIsDrawnTooAndMovesUnderLoad(self):
        daemon, browser = self.page()
        for label in ("connections per second", "queue", "in flight"):
            browser.see(role="img", name=f"{label} of front over time")
        # How high the line gets: in parts of the picture, from its lower edge.
        height = ("(() => { const c = document.querySelector('canvas[aria-label=\"queue of front over time\"]');"
                  " const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
                  " for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100)"
                  " return 1 - Math.floor(i / 4 / c.width) / c.height; return 0; })()")
        wait_until(lambda: 0 < browser.run(script=height) < 0.3, what=lambda: browser.run(script=height))
        address = daemon.client.ok("listsockets")["sockets"][0]
        for _ in range(20):
            self.addCleanup(socket.create_connection((address["host"], address["port"])).close)
        wait_until(lambda: browser.run(script=height) > 0.7, what=lambda: browser.run(script=height))
        self.no_errors()

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
            self.assertTrue(browser.tab(until=here, name=name, most=most), f"{name} is not reached by the keyboard")
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
        self.active(daemon, "web", 3)
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
        # What was in hand has gone, and the keyboard is where it came from.
        for key in ("save", "cancel"):
            wait_until(lambda: browser.run(script=here) == "change graceful_timeout", what=lambda: browser.run(script=here))
            browser.press(keys="Enter")
            wait_until(lambda: browser.run(script=here) == "graceful_timeout", what=lambda: browser.run(script=here))
            tab_to(key, 3)
            browser.press(keys="Enter")
        wait_until(lambda: browser.run(script=here) == "change graceful_timeout", what=lambda: browser.run(script=here))
        # What is too wide for a screen is scrolled by the keyboard.
        self.assertGreater(browser.count(css=".wide"), 0)
        self.assertEqual(browser.count(css=".wide:not([role=region][tabindex='0'][aria-labelledby])"), 0)
        self.go("#/")
        browser.see(role="link", name="web")
        self.assertEqual(browser.count(css=".wide[role=region][tabindex='0'][aria-labelledby]"), 2)
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
        for pid in self.active(daemon, "web", 3):
            browser.see(role="button", name=f"kill {pid}")
        self.assertTrue(browser.run(script="window.wasOffline"), "the arbiter that died was this page's")
        browser.gone(text="offline: trying again")
        self.assertLessEqual(set(pids), set(daemon.pids("web")))
        browser.click(role="button", name="one process less of web")
        self.active(daemon, "web", 2)
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
        fresh = self.active(daemon, "web", 2)
        self.assertFalse(set(fresh) & set(pids))
        browser.click(role="link", name="web")
        browser.see(role="button", name=f"kill {fresh[0]}")
        self.offline_errors_only()


class Several(PageCase):
    def test_OneConsoleShowsSeveralCircusds(self):
        other = self.run_daemon('[watcher.east_job]\ncmd = "/bin/sleep 1000"\nstdout_stream.class = "QueueStream"\n')
        self.active(other, "east_job", 1)
        daemon, browser = self.page(options=f'endpoints.east = "{other.endpoint}"\n', log_in=None)
        browser.see(role="link", name="web")
        browser.choose(label="circusd", value="east")
        browser.see(role="link", name="east_job")
        self.assertEqual(browser.count(role="link", name="web"), 0)
        browser.click(role="button", name="one process more of east_job")
        self.active(other, "east_job", 2)
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
        for pid in self.active(other, "east_job", 1):
            browser.see(role="button", name=f"kill {pid}")
        browser.choose(label="circusd", value="")
        browser.see(role="link", name="web")
        self.go("#nowhere/")
        browser.see(text="This console has no endpoint nowhere.")


if __name__ == "__main__":
    main()
