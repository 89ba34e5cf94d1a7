"""No connection is lost over all that an operator does and over deaths, whatever the workers listen on.

The workers are test_steering's SERVER: plain programs that end as they should.
"""
import os
import pathlib
import signal

from harness import main, wait_until
from test_autoscaler import PATIENT, Load
from test_steering import KINDS, SteeringCase


class NothingIsLost(SteeringCase):
    def under_load(self, kind, act, users=8, count=4):
        daemon = self.steered(kind, "server", count, "min_uptime = 0.0")
        load = Load(*self.address(daemon), users=users)
        try:
            wait_until(lambda: load.count > 20, PATIENT)
            act(daemon, load)
            count = load.count
            wait_until(lambda: load.count > count + 20, PATIENT)
        finally:
            load.stop()
        return load

    def test_ChangesOfTheNumberAndReloads(self):
        def act(daemon, _):
            for command, more, count in (("decr", {"nb": 2}, 2), ("incr", {"nb": 2}, 4), ("reload", {}, 4),
                                         ("set", {"options": {"numprocesses": 1}}, 1),
                                         ("set", {"options": {"numprocesses": 5}}, 5),
                                         ("decr", {"nb": 3, "drain": 20}, 2),
                                         ("reload", {"sequential": True}, 2)):
                # A drain under load may take all its seconds.
                daemon.client.ok(command, PATIENT, name="web", waiting=True, **more)
                self.wait_accepting(daemon, count)
        for kind in KINDS:
            with self.subTest(kind):
                self.assertEqual(self.under_load(kind, act).failures, [])

    def test_AReloadToAConfigurationWithFewer(self):
        def act(daemon, _):
            text = pathlib.Path(daemon.config_path).read_text()
            pathlib.Path(daemon.config_path).write_text(text.replace("numprocesses = 4", "numprocesses = 1"))
            daemon.client.ok("reloadconfig", waiting=True)
            self.wait_accepting(daemon, 1)
        for kind in ("reuseport", "round_robin"):
            with self.subTest(kind):
                self.assertEqual(self.under_load(kind, act).failures, [])

    def test_DeathsBySigtermOneAfterTheOther(self):
        """One worker a turn; the next when another one serves in its place."""
        deaths = 10

        def act(daemon, load):
            for turn in range(deaths):
                pids, count = daemon.pids("web"), load.count
                os.kill(pids[turn % len(pids)], signal.SIGTERM)
                wait_until(lambda old=pids[turn % len(pids)]: old not in daemon.pids("web"), PATIENT)
                daemon.wait_active("web", 4)
                wait_until(lambda before=count: load.count > before + 20, PATIENT)
        for kind in KINDS:
            with self.subTest(kind):
                # The issue allows 0.1 of each; a worker that ends as it should has none to lose.
                self.assertEqual(self.under_load(kind, act).failures, [])

    def test_DeathsBySigkillTakeWhatIsInHandAndNoMore(self):
        deaths = 8

        def act(daemon, load):
            for turn in range(deaths):
                pids, count = daemon.pids("web"), load.count
                os.kill(pids[turn % len(pids)], signal.SIGKILL)
                wait_until(lambda old=pids[turn % len(pids)]: old not in daemon.pids("web"), PATIENT)
                daemon.wait_active("web", 4)
                wait_until(lambda before=count: load.count > before + 20, PATIENT)
        for kind in KINDS:
            with self.subTest(kind):
                # Twelve users and four workers: each death finds two that wait in its slot.
                self.assertLessEqual(len(self.under_load(kind, act, users=12).failures), deaths)


if __name__ == "__main__":
    main()
