"""The console's page in a real Chromium: the overview, and the page of a watcher."""
import functools
import socket

from page_case import PageCase, main, wait_until


class Overview(PageCase):
    def test_ItShowsWhatRunsAndButtonsChangeIt(self):
        daemon, browser = self.page()
        wait_until(lambda: self.row("web")[1:2] == ["active"] and self.row("off")[1:2] == ["stopped"],
                   what=lambda: browser.texts(css="tbody tr"))
        browser.click(role="button", name="one process more of web")
        self.active(daemon, "web", 3)
        wait_until(lambda: "3/3" in self.row("web")[2], what=lambda: self.row("web"))
        browser.click(role="button", name="one process less of web")
        self.active(daemon, "web", 2)
        browser.click(role="button", name="stop idle")
        wait_until(lambda: self.row("idle")[1] == "stopped", what=lambda: self.row("idle"))
        self.assertEqual(daemon.status("idle"), "stopped")
        browser.click(role="button", name="start off")
        self.active(daemon, "off", 1)
        browser.see(text="watcher.off.spawn")  # before others have taken all of the places
        before = daemon.pids("off")
        browser.click(role="button", name="restart off")
        wait_until(lambda: daemon.pids("off") not in ([], before))
        before = daemon.pids("web")
        browser.click(role="button", name="reload web")
        wait_until(lambda: not set(before) & set(daemon.pids("web")))
        # Those two were replaced; the one that was one too many has ended, and nobody took its place.
        wait_until(lambda: self.row("web")[6:8] == ["2", "3"], what=lambda: self.row("web"))
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

    def test_AFigureIsDrawnWhenItComesOnTheScreenAndAStateAtOnce(self):
        many = "".join(f'[watcher.job{at:02}]\ncmd = "/bin/sleep 1000"\nautostart = false\n' for at in range(60))
        daemon, browser = self.page(options="", log_in=None, config=many)
        browser.see(role="link", name="job59")
        daemon.client.ok("start", name="job59", waiting=True)
        wait_until(lambda: self.row("job59")[1] == "active" and "1/1" in self.row("job59")[2], what=lambda: self.row("job59"))
        self.assertEqual(self.row("job59")[5], "0 B", "nobody sees it")
        browser.run(script="[...document.querySelectorAll('tbody tr')].find((each) =>"
                           " each.textContent.startsWith('job59')).scrollIntoView()")
        wait_until(lambda: self.row("job59")[5] != "0 B", what=lambda: self.row("job59"))
        self.no_errors()

    def test_APageThatWasHiddenShowsWhatIsWhenItIsSeenAgain(self):
        daemon, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        hide = ("Object.defineProperty(document, 'hidden', {{ configurable: true, value: {} }});"
                " document.dispatchEvent(new Event('visibilitychange'))")
        browser.run(script=hide.format("true"))
        daemon.client.ok("incr", name="web", waiting=True)
        daemon.client.ok("stop", name="idle", waiting=True)
        browser.run(script=hide.format("false"))
        wait_until(lambda: "3/3" in self.row("web")[2] and self.row("idle")[1] == "stopped",
                   what=lambda: browser.texts(css="tbody tr"))
        self.no_errors()

    def test_FiguresThatDoNotComeAnyMoreAreSaidToBeOld(self):
        _, browser = self.page(options="", log_in=None)
        browser.see(role="link", name="web")
        self.assertEqual(browser.texts(css="[role=status]"), ["connected"])
        browser.run(script="window.parse = JSON.parse; JSON.parse = (text) => {"
                           " const found = parse(text);"
                           " return found.type === 'overview' ? { type: 'nothing' } : found; }; true")
        status = functools.partial(browser.texts, css="[role=status]")
        wait_until(lambda: "no figures since " in status()[0], what=status)
        self.assertEqual(browser.count(css="main.old"), 1)
        browser.run(script="JSON.parse = parse; true")
        wait_until(lambda: status() == ["connected"], what=status)
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
        wait_until(lambda: browser.run(script="document.activeElement.textContent") == "Add a watcher")
        self.active(daemon, "fresh", 2)
        self.no_errors()
        browser.fresh()
        self.page()
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
        self.assertNotIn(pids[0], self.active(daemon, "web", 2))
        browser.click(role="button", name="one process more of web")
        for pid in self.active(daemon, "web", 3):
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

    def test_OptionsThatCanBeSetAreOfferedWithWhatAChangeCosts(self):
        daemon, browser = self.page()
        pids = self.active(daemon, "web", 2)
        browser.click(role="link", name="web")
        browser.see(role="heading", name="Options")

        def option(name):
            return [text for text in browser.texts(css=".options tr") if text.split("\t")[0].strip() == name][0]

        def change(name, value):
            browser.click(role="button", name=f"change {name}")
            browser.fill(label=name, value=value)
            browser.click(role="button", name="save")
        self.assertIn("not set", option("max_surge"))
        self.assertIn("a change replaces the processes", option("max_age"))
        self.assertNotIn("a change replaces", option("kill_tree"))
        self.assertEqual(browser.count(role="button", name="change cmd"), 0)
        change("max_surge", "1")
        wait_until(lambda: "1" in option("max_surge"), what=lambda: option("max_surge"))
        change("kill_tree", "true")
        wait_until(lambda: "true" in option("kill_tree"), what=lambda: option("kill_tree"))
        change("stop_signal", "2")
        wait_until(lambda: option("stop_signal").split()[1:2] == ["2"], what=lambda: option("stop_signal"))
        self.assertEqual(daemon.pids("web"), pids)
        change("max_age", "5000")
        wait_until(lambda: not set(pids) & set(daemon.pids("web")))
        self.reads()
        self.no_errors()

    def test_WhyProcessesEndedIsTold(self):
        daemon, browser = self.page(config='''
[watcher.sick]
cmd = "/bin/sh -c 'echo all is well; echo the database is gone >&2; exit 3'"
max_retry = 2
stdout_stream.class = "QueueStream"
stderr_stream.class = "QueueStream"
''')
        self.active(daemon, "web", 2)
        browser.run(script="location.hash = '#/watcher/sick'")
        browser.see(role="cell", name="exit 3")
        browser.see(text="the database is gone")
        browser.click(css="summary")
        browser.see(css="details[open] pre.last")  # it is not the first any more when the next one has ended
        self.reads()
        self.looks("deaths")
        self.no_errors()

    def test_WhyAProcessWasNeverStartedIsTold(self):
        daemon, browser = self.page(config='''
[watcher.absent]
cmd = "/nowhere/to/be/found"
max_retry = 2
max_backoff = 0.02
stdout_stream.class = "QueueStream"
''')
        daemon.wait_log("watcher absent: stopped")
        browser.run(script="location.hash = '#/watcher/absent'")
        browser.see(role="cell", name="not started")
        cells = wait_until(lambda: [text for text in browser.texts(css="tbody tr") if "not started" in text])[0].split("\t")
        self.assertEqual(cells[2:4] + cells[5:8], ["–", "not started", "–", "–", "–"])
        self.assertIn("No such file or directory (2 times)", cells[4])
        self.reads()
        self.looks("not-started")
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
        self.active(daemon, "front")
        # Nobody accepts: they wait, and are a reason for more workers.
        address = daemon.client.ok("listsockets")["sockets"][0]
        callers = [socket.create_connection((address["host"], address["port"])) for _ in range(12)]
        for each in callers:
            self.addCleanup(each.close)
        self.active(daemon, "front", 3)
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


if __name__ == "__main__":
    main()
