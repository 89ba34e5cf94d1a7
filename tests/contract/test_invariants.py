"""The observer of tests/faults can see: each of the fifteen invariants is shown a stack in which it does not hold.

The test itself is the keeper of that stack: its workers are the test's children.
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from harness import PROBE, kill_everything_below, main, wait_until
from invariants import INVARIANTS, Checks, Delay, Question, Refusal, Repair, Seen, Stop
from lines import Lines
from load import Failure
from observer import Ports, View
from residents import Pace, Planted, Strangers
from stack import IS_ROOT, NOTED, Declared

# Executes its arguments with SIGUSR1 held back.
BLOCKING = """import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])"""


class InvariantCase(unittest.TestCase):
    """self.seen() is a stack in which all is well: two processes of "own", an arbiter, a host."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="circus-invariants-")
        self.addCleanup(self.folder.cleanup)
        self.addCleanup(self.end_all)
        self.started = []
        self.declared = {"own": Declared(count=2, env={"A": "b"})}
        self.other = [self.spawn(["--", "--arbiter"]), self.spawn(["--", "--isolated observed"])]
        self.workers = [self.worker(1), self.worker(2)]

    def end_all(self):
        for each in self.started:
            each.kill()
            each.wait()
        kill_everything_below()

    def spawn(self, words, program=(PROBE,), environment=None, **more):
        process = subprocess.Popen([*program, *words], env=environment or {}, stdin=subprocess.DEVNULL,
                                   start_new_session=True, **more)
        self.started.append(process)
        # Between fork and exec it has this test's command line.
        wait_until(lambda: pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[:-1][-1:] ==
                   [str(words[-1] if words else program[-1]).encode()])
        return process

    def worker(self, wid, words=(), name="own", environment=None, **more):
        return self.spawn([*words, "--", f"{name}:{wid}"],
                          environment={"CIRCUS_INSTANCE": "test.1", "A": "b"} if environment is None else environment,
                          **more)

    def replace(self, wid, **more):
        """The worker by another one."""
        self.started.remove(self.workers[wid - 1])
        self.workers[wid - 1].kill()
        self.workers[wid - 1].wait()
        self.workers[wid - 1] = self.worker(wid, **more)

    def seen(self, **more):
        view = View(os.getpid())
        reported = {"own": ([each.pid for each in self.workers], 2)}
        return Seen(view, **{"declared": self.declared, "reported": reported} | more)

    def faults(self, number, seen):
        return INVARIANTS[number - 1](seen)

    def expect(self, number, text, seen):
        """The invariant of that number complains, in these words."""
        found = self.faults(number, seen)
        self.assertTrue(any(text in each for each in found), f"{text!r} is not in {found}")

    def expect_well(self, seen):
        self.assertEqual(Checks().faults(seen), [])


class TreeTest(InvariantCase):
    """1, 2, 3, 4 and 8: who is there."""

    def test_WhereAllIsWellNobodyComplains(self):
        self.expect_well(self.seen())

    def test_1_AMissingWorkerAndOneTooManyAndAnotherReport(self):
        seen = self.seen(reported={"own": ([self.workers[0].pid], 2)})
        self.expect(1, f"circusd reports [{self.workers[0].pid}], there are", seen)
        self.expect(1, "numprocesses 3, 2 are wanted", self.seen(reported={"own": ([], 3)}))
        third = self.worker(3)
        self.expect(1, "own: 2 wanted", self.seen())
        self.started.remove(third)
        for each in (third, self.workers[1]):
            each.kill()
            each.wait()
        self.expect(1, "own: 2 wanted, by wid there are {1:", self.seen())

    def test_1_AWidTwice(self):
        self.worker(2)
        self.expect(1, "own: 2 wanted", self.seen())

    def test_1_MoreThanOneOfWhatComesAndGoes(self):
        self.declared["crasher"] = Declared(steady=False, env={"A": "b"})
        self.worker(1, name="crasher")
        self.expect_well(self.seen())
        self.worker(2, name="crasher")
        self.expect(1, "crasher: at most 1 wanted", self.seen())

    def test_2_AStray(self):
        stray = self.spawn(["1000"], program=["/bin/sleep"])
        self.expect(2, f"strays: [{stray.pid} ", self.seen())

    def test_2_AMemberOfAFamilyTooManyOrTooFew(self):
        self.declared["own"].family = 2
        self.expect(2, "own 1: 2 processes each", self.seen())
        for wid in (1, 2):
            self.replace(wid, words=["--grandchild"])
        wait_until(lambda: len(View(os.getpid()).below) == 6)
        self.expect_well(self.seen())
        self.worker(1, words=[])
        self.expect(2, "own 1: 2 processes each", self.seen())

    def test_2_WhoEscapedIsKnownByItsMarkAndByHavingBeenThere(self):
        keeper = self.spawn(["1000"], program=["/bin/sleep"])
        view = View(keeper.pid)
        self.expect(2, "escaped from the keeper", Seen(view, declared=self.declared, instances={"test"}))
        unmarked = self.spawn(["1000"], program=["/bin/sleep"])
        there = View(os.getpid()).processes[unmarked.pid]
        self.expect(2, f"escaped from the keeper: {unmarked.pid}",
                    Seen(View(keeper.pid), declared=self.declared, ever={there.identity: there}))

    def test_3_AZombie(self):
        zombie = subprocess.Popen(["/bin/true"])
        self.started.append(zombie)
        wait_until(lambda: View(os.getpid()).zombies)
        self.expect(3, f"zombies: [{zombie.pid} Z", self.seen())

    def test_4_AStopThatTookTooLongOrLeftSomebody(self):
        self.expect_well(self.seen(stops=[Stop("a stop", 2.0, 3.0)]))
        self.expect(4, "took 9.0 s with a grace of 2.0 s", self.seen(stops=[Stop("a stop", 2.0, 9.0)]))
        self.expect(4, "still there: ['who']", self.seen(stops=[Stop("a stop", 2.0, 3.0, left=["who"])]))

    def test_4_WhoWasReplacedAndIsStillThere(self):
        keeper, old = (self.spawn(["1000"], program=["/bin/sleep"]) for _ in range(2))
        known = View(os.getpid()).processes[old.pid]
        self.expect(4, "was replaced and is still there", Seen(View(keeper.pid), ever={known.identity: known}))

    def test_8_TwoArbitersOrNone(self):
        second = self.spawn(["--", "--arbiter"])
        self.expect(8, "arbiters: [", self.seen())
        for each in (second, self.other[0]):
            self.started.remove(each)
            each.kill()
            each.wait()
        self.expect(8, "arbiters: []", self.seen())

    def test_8_AWidThatRunsTwice(self):
        self.worker(1)
        self.expect(8, "own 1 runs 2 times", self.seen())

    def test_8_TwoListenersOrOneThatTheKeeperDoesNotHold(self):
        with socket.socket() as one, socket.socket() as two:
            for each in (one, two):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("127.0.0.1", 0))
            one.listen()
            port = one.getsockname()[1]
            self.expect_well(self.seen(ports=Ports(port), port=port))
            keeper = self.spawn(["1000"], program=["/bin/sleep"])
            self.expect(8, f"does not hold the listener of port {port}",
                        Seen(View(keeper.pid), ports=Ports(port), port=port))
            two.bind(("127.0.0.1", port))
            two.listen()
            self.expect(8, f"2 sockets listen on port {port}", self.seen(ports=Ports(port), port=port))
        self.expect(8, "0 sockets listen", self.seen(ports=Ports(port), port=port))

    def test_8_ASecondDaemonThatRuns(self):
        self.expect(8, "a second daemon", self.seen(seconds_daemons=["a second daemon: None"]))


class WorkerTest(InvariantCase):
    """15: what a worker was given."""

    def test_15_AStrayVariableAMissingOneAndNoMark(self):
        for environment, text in (({"CIRCUS_INSTANCE": "test.1", "A": "b", "SECRET": "s"}, "has the environment"),
                                  ({"CIRCUS_INSTANCE": "test.1"}, "has the environment {}"),
                                  ({"CIRCUS_INSTANCE": "test.1", "A": "c"}, "has the environment {'A': 'c'}"),
                                  ({"A": "b"}, "does not carry the mark")):
            with self.subTest(environment):
                self.replace(1, environment=environment)
                self.expect(15, text, self.seen())

    def test_15_ADescriptorTooManyAndAnInputThatIsSomething(self):
        with open("/etc/passwd") as file:
            self.replace(1, pass_fds=(file.fileno(),))
            self.expect(15, "has more descriptors than declared", self.seen())
        process = subprocess.Popen([PROBE, "--", "own:1"], stdin=subprocess.PIPE,
                                   env={"CIRCUS_INSTANCE": "test.1", "A": "b"})
        self.addCleanup(process.stdin.close)
        self.started.append(process)
        wait_until(lambda: any("as its input" in each for each in self.faults(15, self.seen())))

    def test_15_ASocketThatIsNotItsListener(self):
        self.declared["own"] = Declared(count=1, sockets=("web",), opens=True)
        with socket.socket() as listener, socket.socket() as other:
            for each in (listener, other):
                each.bind(("127.0.0.1", 0))
                each.listen()
            ports = Ports(listener.getsockname()[1])
            self.replace(1, program=["/bin/sh", "-c", f'exec 3<&{other.fileno()}; exec "$@"', "sh", PROBE],
                         pass_fds=(other.fileno(),))
            self.expect(15, "and not its listener", self.seen(ports=ports))

    def test_15_ADescriptorThatStaysIsNoConnectionOfItsOwn(self):
        self.declared["own"].opens = True
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.replace(1, pass_fds=(theirs.fileno(),))
            self.expect(15, "has more descriptors than declared", self.seen(ports=Ports(1)))

    def test_15_ABlockedAndAnIgnoredSignal(self):
        self.replace(1, words=["--ignore", "10"])
        wait_until(lambda: self.faults(15, self.seen()))
        self.expect(15, "ignores the signals 200", self.seen())
        self.started.append(subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", BLOCKING, PROBE, "--", "own:1"], stdin=subprocess.DEVNULL,
            env={"CIRCUS_INSTANCE": "test.1", "A": "b"}))
        wait_until(lambda: any("blocks the signals 200" in each for each in self.faults(15, self.seen())))

    @unittest.skipUnless(IS_ROOT, "needs root to be another user")
    def test_15_AnotherUserAGroupTooManyAndCapabilities(self):
        self.declared["own"].uid = 65531
        self.expect(15, "has the ids", self.seen())
        for wid in (1, 2):
            self.replace(wid, user=65531, group=65531, extra_groups=[65531])
        self.expect_well(self.seen())
        self.replace(1, user=65531, group=65531, extra_groups=[65531, 0])
        self.expect(15, "has the ids", self.seen())
        self.replace(1, user=65531, group=65531, extra_groups=[])
        self.expect(15, "has the ids", self.seen())

    def test_15_AnEndpointForEverybody(self):
        path = os.path.join(self.folder.name, "endpoint")
        pathlib.Path(path).touch(0o600)
        self.expect_well(self.seen(places={path: 0o600}))
        os.chmod(path, 0o666)
        self.expect(15, f"{path} has the mode 666, not 600", self.seen(places={path: 0o600}))

    def test_15_AFollowedLink(self):
        log = os.path.join(self.folder.name, "log")
        pathlib.Path(log).touch()
        planted = Planted(self.folder.name)
        planted.plant(log)
        self.expect_well(self.seen(planted=planted.faults()))
        with open(log, "a") as file:
            file.write("a line\n")
        self.expect(15, "what a planted link points to was", self.seen(planted=planted.faults()))


class RecordTest(InvariantCase):
    """5, 6, 7, 9, 10, 12, 13 and 14: what was measured, asked and tried."""

    def test_5_WhoWaitedForAnother(self):
        self.expect_well(self.seen(delays=[Delay("an answer", 0.9), Delay("an answer", 2.0, steady=False)]))
        self.expect(5, "an answer: waited 1.10 s", self.seen(delays=[Delay("an answer", 1.1)]))

    def test_5_AnObserverThatWasHeldUpKnowsIt(self):
        pace = Pace()
        pace.stop()
        pace.gaps.append((10.0, 10.5))
        self.assertFalse(pace.was_steady(9.0, 10.2))
        self.assertTrue(pace.was_steady(10.5, 11.0))

    def test_6_AStrangerThatIsSignalledOrEnds(self):
        os.chmod(self.folder.name, 0o777)
        strangers = Strangers(self.folder.name)
        self.addCleanup(strangers.close)
        first = strangers.started[0]
        wait_until(lambda: os.path.exists(os.path.join(self.folder.name, f"{first.pid}.json")))
        for signo in NOTED:  # the report comes last: nothing is lost before it
            self.assertTrue(1 << signo - 1 & int(View(os.getpid()).processes[first.pid].status["SigCgt"], 16), signo)
        self.assertEqual(strangers.faults(), [])
        os.kill(first.pid, signal.SIGUSR1)
        wait_until(strangers.faults)
        self.expect(6, f"the stranger {first.pid} got SIGUSR1", self.seen(strangers=strangers.faults()))
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: f"the stranger {first.pid} has ended with -9" in strangers.faults())

    def test_6_AWorkerThatNobodyTouchedIsReplaced(self):
        before = {"own": {each.identity: wid for wid, (each,) in View(os.getpid()).workers["own"].items()}}
        self.expect_well(self.seen(before=before))
        old = self.workers[0].pid
        self.replace(1)
        self.expect(6, f"own: nobody touched [{old}]", self.seen(before=before))
        self.expect_well(self.seen(before=before, killed={old}))
        self.expect_well(self.seen(before=before, replaced={"own"}))

    def test_6_TheQuietOneGetsASignal(self):
        self.expect(6, "got a signal", self.seen(quiet_notes=["the quiet watcher got a signal: 10 5"]))

    def test_7_WhatDoesNotComeBackAndWhatSpins(self):
        self.expect_well(self.seen(repairs=[Repair("EMFILE", 0.1, True)], busy={1: 0.5}))
        self.expect(7, "did not come back by itself", self.seen(repairs=[Repair("EMFILE", 0.1, False)]))
        self.expect(7, "0.90 of a processor used meanwhile", self.seen(repairs=[Repair("EMFILE", 0.9, True)]))
        self.expect(7, "process 1 of the daemon used 0.95", self.seen(busy={1: 0.95}))

    def test_9_AFailedRequestThatNoKillExplains(self):
        failure = Failure(time.monotonic(), "reset")
        self.expect(9, "1 requests failed and 0 workers were killed", self.seen(failures=[failure]))
        self.expect_well(self.seen(failures=[failure], kills=[failure.began]))
        self.expect(9, "no worker had been killed", self.seen(failures=[failure], kills=[failure.ended + 1]))

    def test_10_AGraceThatMovedWithTheClock(self):
        self.expect_well(self.seen(stops=[Stop("a stop", 0.5, 0.6, jumped=1000)]))
        self.expect(10, "a grace of 0.5 s took 0.0 s", self.seen(stops=[Stop("a stop", 0.5, 0.0, jumped=1000)]))
        self.expect(10, "a stop took 40.0 s", self.seen(stops=[Stop("a stop", 0.5, 40.0, jumped=-1000)]))

    def test_10_AnAgeThatMovedWithTheClock(self):
        self.declared["quiet"] = Declared(env={"A": "b"})
        quiet = self.worker(1, name="quiet")
        view = View(os.getpid())
        reported = {"own": ([each.pid for each in self.workers], 2), "quiet": ([quiet.pid], 1)}
        before = {"quiet": {view.heads("quiet")[0].identity: 1}}
        self.expect_well(self.seen(before=before, reported=reported))
        self.expect(10, "a process of max_age 3600 was replaced", self.seen(before={"quiet": {(1, 1): 1}}))

    def test_12_AWriterThatIsStopped(self):
        self.expect_well(self.seen(writers={"loud": 3}))
        self.expect(12, "loud has not written", self.seen(writers={"loud": 0}))
        self.expect(12, "somebody has read", self.seen(deaf_faults=["somebody has read the daemon's standard output"]))

    def test_13_NoAnswerAWrongOneAndALateOne(self):
        self.expect_well(self.seen(questions=[Question("list", "ok", {"status": "ok"}, 0.1)]))
        self.expect(13, "no answer to 'list'", self.seen(questions=[Question("list", "ok")]))
        self.expect(13, "ok expected", self.seen(questions=[Question("list", "ok", {"status": "error"}, 0.1)]))
        self.expect(13, "answered after 7.0 s", self.seen(questions=[Question("list", "ok", {"status": "ok"}, 7.0)]))

    def test_13_AProcessThatGrows(self):
        self.expect_well(self.seen(memory={"keeper": (1 << 20, 2 << 20), "arbiter": (1 << 20, 64 << 20)}))
        self.expect(13, "keeper: 1024 KiB at first, 4096 KiB now", self.seen(memory={"keeper": (1 << 20, 4 << 20)}))
        self.expect(13, "arbiter: 10 descriptors at first, 99 now", self.seen(descriptors={"arbiter": (10, 99)}))

    def test_14_ARefusalWithoutAPlaceAStartAndALateEnd(self):
        told = 'stack.toml:7:1: unknown option "x"'
        self.expect_well(self.seen(refusals=[Refusal("a start", told, "stack.toml:7:", "x", 1, 0.1)]))
        self.expect(14, "neither stack.toml:7: nor x is named",
                    self.seen(refusals=[Refusal("a start", "no", "stack.toml:7:", "x")]))
        self.expect(14, "started, or said 0", self.seen(refusals=[Refusal("a start", told, "stack.toml:7:", "x", 0)]))
        self.expect(14, "refused after 3.0 s", self.seen(refusals=[Refusal("a start", told, "stack.toml:7:", "x", 1, 3.0)]))


class LinesTest(InvariantCase):
    """11: what is in the log."""

    def setUp(self):
        super().setUp()
        self.lines = Lines(self.folder.name, "log", r"(\d+) (\d+) text")
        self.path = os.path.join(self.folder.name, "log")

    def write(self, text):
        with open(self.path, "a") as file:
            file.write(text)
        self.lines.look()

    def expect_lines(self, text, answered=None, twice=0):
        self.expect(11, text, self.seen(log_faults=self.lines.faults(answered or {}, twice)))

    def test_11_WholeLinesOverARotationAreWell(self):
        self.write("7 1 text\n7 2 te")
        os.rename(self.path, self.path + ".1")
        with open(self.path + ".1", "a") as file:
            file.write("xt\n")
        self.write("7 3 text\n8 1 text\n")
        self.assertEqual((self.lines.faults({7: 3, 8: 1}, 0), self.lines.count), ([], 4))

    def test_11_ATornLine(self):
        self.write("7 1 te8 1 text\nxt\n")
        self.expect_lines("log: 2 torn lines, the first: b'7 1 te8 1 text'")

    def test_11_AMissingLineInTheMiddleAndAtTheEnd(self):
        self.write("7 1 text\n7 3 text\n")
        self.expect_lines("of worker 7 line 2 is missing, 3 is there")
        self.expect_lines("of worker 8 the lines from 1 to 2 are missing", {8: 2})

    def test_11_ALineThatStandsTwice(self):
        self.write("7 1 text\n7 2 text\n7 1 text\n")
        self.assertEqual(self.lines.faults({7: 2}, 1), [])
        self.expect_lines("1 lines stand twice, at most 0 may")


class TableTest(unittest.TestCase):
    def test_ThereAreFifteenAndAllAreCounted(self):
        self.assertEqual(len(INVARIANTS), 15)
        checks = Checks()
        checks.count_all()
        self.assertEqual(str(checks).count("checked 1 times"), 15)

    def test_EachHasATestInWhichItFails(self):
        tests = {word for case in (TreeTest, WorkerTest, RecordTest, LinesTest) for word in dir(case)
                 if word.startswith("test_")}
        missing = [number for number in range(1, 16) if not any(name.startswith(f"test_{number}_") for name in tests)]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    main()
