"""stop_command: run in the place of the stop signal; and whatever it does, the process ends and nothing is left."""
import os
import pwd
import unittest

from harness import ContractCase, is_running, main, quoted, wait_until


def watcher(name, stop_command, *lines, args=()):
    words = ["--report", "@REPORTS@", "--note", "15:@DIR@/terms", *args]
    return (f'\n[watcher.{name}]\ncmd = "@PROBE@"\nargs = [' + ", ".join(quoted(word) for word in words) +
            f"]\nstop_command = {quoted(stop_command)}\n" + "\n".join(lines) + "\n")


class StopCommandTest(ContractCase):
    def start(self, *arguments, **more):
        daemon = self.run_daemon(watcher("web", *arguments, **more))
        pid = daemon.wait_active("web", 1)[0]
        daemon.report(pid)
        return daemon, pid

    def stop_report(self, daemon):
        """What the stop command saw."""
        return wait_until(lambda: [each for each in daemon.all_reports() if "stopper" in each["argv"]])[0]

    def was_asked_to_end(self, daemon):
        return os.path.exists(os.path.join(daemon.directory, "terms"))

    def stop(self, daemon, pid):
        self.assertIsNone(daemon.client.ok("stop", name="web", waiting=True)["info"])
        self.assertFalse(is_running(pid))
        self.assertEqual(daemon.workers(), [])

    def test_IsRunInsteadOfTheSignalInTheWorkersSurroundings(self):
        daemon, pid = self.start("@PROBE@ --report @REPORTS@ --kill $(circus.pid):12 --exit-after 0 -- "
                                 "stopper $(circus.wid) $(circus.numprocesses)",
                                 'working_dir = "/usr"', 'env = {COLOUR = "red"}', 'umask = "027"',
                                 "rlimit_nofile = 500", args=["--exit-on", "12:0"])
        self.stop(daemon, pid)
        self.assertFalse(self.was_asked_to_end(daemon))
        seen, worker = self.stop_report(daemon), daemon.report(pid)
        env = dict(entry.split("=", 1) for entry in seen["env"])
        self.assertEqual((env["COLOUR"], env["CIRCUS_PID"]), ("red", str(pid)))
        self.assertEqual(seen["argv"][-3:], ["stopper", "1", "1"])
        for key in ("cwd", "umask", "uids", "gids", "limits"):
            self.assertEqual(seen[key], worker[key], key)
        self.assertEqual(sorted(seen["fds"]), ["0", "1", "2"])
        self.assertEqual(seen["fds"]["0"], "/dev/null")

    @unittest.skipUnless(os.geteuid() == 0, "changing ids needs root")
    def test_HasTheWorkersIds(self):
        daemon, pid = self.start("@PROBE@ --report @REPORTS@ --kill $(circus.pid):12 --exit-after 0 -- stopper",
                                 'uid = "nobody"', args=["--exit-on", "12:0"])
        self.stop(daemon, pid)
        self.assertEqual(self.stop_report(daemon)["uids"], [pwd.getpwnam("nobody").pw_uid] * 3)

    def test_WithShellItIsAScript(self):
        daemon = self.run_daemon('[watcher.web]\ncmd = "exec @PROBE@ --report @REPORTS@ --exit-on 12:0"\nshell = true\n'
                                 'stop_command = "kill -USR$((1 + 1)) $CIRCUS_PID"\n')
        pid = daemon.wait_active("web", 1)[0]
        daemon.report(pid)
        self.stop(daemon, pid)
        self.assertFalse(self.was_asked_to_end(daemon))

    def test_OneThatFailsIsFollowedByTheSignalAndByTheKill(self):
        daemon, pid = self.start("@PROBE@ --exit-after 0:3", "graceful_timeout = 0.5")
        self.stop(daemon, pid)
        self.assertTrue(self.was_asked_to_end(daemon))
        daemon.wait_log("exited with 3")
        daemon.wait_log("SIGKILL")

    def test_OneThatCannotBeRunIsFollowedByTheSignalAndByTheKill(self):
        daemon, pid = self.start("/nowhere/stop it", "graceful_timeout = 0.5")
        self.stop(daemon, pid)
        self.assertTrue(self.was_asked_to_end(daemon))
        daemon.wait_log("/nowhere/stop")
        daemon.wait_log("No such file or directory")

    def test_OneThatHangsIsKilledWithAllItStartedWhenTheGraceIsOver(self):
        daemon, pid = self.start("@PROBE@ --ignore 15 --grandchild --daemonize --report @REPORTS@ -- stopper",
                                 "graceful_timeout = 1")
        daemon.client.ok("stop", name="web", waiting=True)
        self.assertFalse(is_running(pid))
        self.assertFalse(is_running(self.stop_report(daemon)["pid"]))
        # What it started has got its SIGKILL: each is gone when it is next scheduled.
        wait_until(lambda: daemon.workers() == [], what=daemon.workers)
        self.assertFalse(self.was_asked_to_end(daemon))

    def test_OneThatOutlivesItsProcessIsWaitedFor(self):
        daemon, pid = self.start("@PROBE@ --report @REPORTS@ --kill $(circus.pid):12 --exit-after 0.5 -- stopper",
                                 args=["--exit-on", "12:0"])
        self.stop(daemon, pid)
        self.assertFalse(is_running(self.stop_report(daemon)["pid"]))

    def test_EndsTheProcessesOfAReloadOfADecrAndOfTheDaemonsEnd(self):
        daemon, _ = self.start("@PROBE@ --report @REPORTS@ --kill $(circus.pid):12 --exit-after 0 -- stopper",
                               args=["--exit-on", "12:0"])
        stopped = []
        stopped += daemon.client.ok("reload", name="web", waiting=True)["info"]["stopped"]
        daemon.client.ok("incr", name="web", waiting=True)
        both = daemon.wait_active("web", 2)
        daemon.client.ok("decr", name="web", waiting=True)
        stopped += both
        self.assertEqual(daemon.terminate(), 0)
        told = [dict(entry.split("=", 1) for entry in each["env"])["CIRCUS_PID"] for each in daemon.all_reports()
                if "stopper" in each["argv"]]
        self.assertEqual(sorted(told), sorted(str(pid) for pid in stopped))
        self.assertFalse(self.was_asked_to_end(daemon))

    def test_EventsAreThoseOfAStop(self):
        daemon, pid = self.start("@PROBE@ --kill $(circus.pid):12 --exit-after 0", args=["--exit-on", "12:0"])
        events = daemon.new_events("web")
        daemon.client.ok("stop", name="web", waiting=True)
        events.wait_for("web", "stop")
        self.assertEqual(events.names("web"), ["kill", "reap", "stop"])
        self.assertEqual(events.of("web", "kill")[0]["process_pid"], pid)

    def test_SetChangesItForWhatRuns(self):
        daemon, pid = self.start("/nowhere/stop", args=["--exit-on", "12:0"])
        daemon.client.ok("set", name="web", options={"stop_command": "/bin/kill -USR2 $(circus.pid)"}, waiting=True)
        self.assertEqual(daemon.pids("web"), [pid])
        self.stop(daemon, pid)
        self.assertFalse(self.was_asked_to_end(daemon))


if __name__ == "__main__":
    main()
