"""The outside observer itself: it must see what the other tests rely on it to see."""
import os
import socket
import subprocess
import unittest

from harness import (ContractCase, NotReached, descendants, holds_for, is_running, kill_everything_below, main, observe,
                     wait_until)


class ObserverTest(ContractCase):
    def ended_daemon(self):
        daemon = self.run_daemon('[watcher.web]\ncmd = "@PROBE@"\n')
        daemon.wait_active("web", 1)
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual(observe(daemon), [])
        return daemon

    def test_AnOrphanInASessionOfItsOwnIsSeen(self):
        daemon = self.ended_daemon()
        subprocess.run(["/bin/sh", "-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &"], check=True)
        left = wait_until(lambda: [text for text in observe(daemon) if "sleep 1000" in text])
        self.assertIn("processes:", left[0])
        kill_everything_below()
        self.assertEqual(observe(daemon), [])

    def test_ASocketFileIsSeen(self):
        daemon = self.ended_daemon()
        path = os.path.join(daemon.directory, "left.sock")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        self.assertEqual(observe(daemon), [f"socket files: ['{path}']"])
        os.unlink(path)

    def test_ABoundPortIsSeen(self):
        daemon = self.ended_daemon()
        with socket.socket() as left:
            left.bind(("127.0.0.1", 0))
            left.listen()
            daemon.ports = [left.getsockname()[1]]
            self.assertEqual(observe(daemon), [f"ports still bound: {daemon.ports}"])


class WaitingTest(unittest.TestCase):
    def test_AConditionThatStaysFalseIsAFailure(self):
        with self.assertRaises(NotReached):
            wait_until(lambda: False, 0.05)
        self.assertFalse(holds_for(lambda: False, 0.05))

    def test_AZombieDoesNotRun(self):
        child = subprocess.Popen(["/bin/true"])
        wait_until(lambda: descendants(os.getpid()).get(child.pid) == "Z")
        self.assertFalse(is_running(child.pid))
        child.wait()


if __name__ == "__main__":
    main()
