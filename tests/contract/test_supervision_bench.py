"""tests/bench/supervision.py judges: with --strict a target that is missed is an error, and without none is."""
import contextlib
import io
import sys
import unittest
from unittest import mock

from harness import BUILD, ROOT, main

sys.path.insert(0, str(ROOT / "tests/bench"))
import supervision  # noqa: E402  pylint: disable=wrong-import-position

FLOOR = {"one_median": 1e6, "one_p99": 2e6, "launch": 100e6, "all": 100e6, "term": 10e6, "pss": 1024, "processes": 1,
         "idle_cpu": -1}


class StrictTest(unittest.TestCase):
    def run_bench(self, *arguments, **slower):
        """Its exit code and what it printed, of a circusd that is slower than the floor by these factors."""
        def measure(_tools, kind, _workers, _seed, _idle):
            return FLOOR if kind == "floor" else {key: value * slower.get(key, 1) for key, value in FLOOR.items()}
        said = io.StringIO()
        with mock.patch.object(supervision, "measure", measure), contextlib.redirect_stdout(said), \
                mock.patch.object(supervision.shutil, "which", lambda program: program), \
                mock.patch.object(sys, "argv", ["supervision.py", "--build", str(BUILD), "--rounds", "1", *arguments]):
            code = supervision.main()
        return code, said.getvalue()

    def test_AMissedTargetIsAnErrorOnlyWhereThatIsAskedFor(self):
        for arguments, slower, code, missed in ((["--strict"], {}, 0, 0), (["--strict"], {"term": 1.9}, 0, 0),
                                                (["--strict"], {"term": 2.1}, 1, 1), ([], {"term": 2.1}, 0, 1),
                                                (["--strict"], {"pss": 11}, 1, 1)):
            with self.subTest(arguments=arguments, slower=slower):
                got, said = self.run_bench("--workers", "500", *arguments, **slower)
                self.assertEqual((got, said.count("MISSED")), (code, missed), said)
                self.assertEqual("1 target missed" in said, missed == 1, said)

    def test_WithOneWorkerOnlyTheReplacementHasATarget(self):
        self.assertEqual(self.run_bench("--workers", "1", "--strict", launch=3, all=3, term=9)[0], 0)
        self.assertEqual(self.run_bench("--workers", "1", "--strict", one_median=1.6)[0], 1)


if __name__ == "__main__":
    main()
