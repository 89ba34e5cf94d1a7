"""What the README's two commands begin with: packages.sh installs what is missing and nothing else, as root and with sudo,
and a second quickstart.sh does nothing twice. The package manager is a stand-in that writes down what it is asked."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT, main

PACKAGES = ROOT / "configs/packages.sh"
QUICKSTART = ROOT / "configs/quickstart.sh"


class PackagesTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="circus-packages-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.asked = self.folder / "asked"
        for name in ("sh", "env", "cat", "mktemp", "rm", "mkdir"):
            os.symlink(shutil.which(name), self.folder / name)
        for name in ("apt-get", "sudo"):
            self.stand_in(name, f'echo "{name} $*" >> {self.asked}')
        self.user(0)
        self.installed("*")

    def stand_in(self, name, script):
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def user(self, uid):
        self.stand_in("id", f"echo {uid}")

    def installed(self, pattern):
        """dpkg-query -W -f FORMAT PACKAGE knows the packages that match the shell's pattern."""
        self.stand_in("dpkg-query", f'case $4 in {pattern}) echo -n installed ;; *) exit 1 ;; esac')

    def run_packages(self, *groups):
        done = subprocess.run([PACKAGES, *groups], env={"PATH": str(self.folder), "HOME": str(self.folder)},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        asked = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return done.returncode, done.stdout, asked

    def test_WhereAllIsThereNothingIsAskedFor(self):
        for uid in (0, 1000):
            self.user(uid)
            self.assertEqual(self.run_packages("build", "stack"), (0, "", []))

    def test_RootInstallsWhatIsMissingAndNothingElse(self):
        self.installed("redis-server|cmake) exit 1 ;; *")
        code, said, asked = self.run_packages("build", "stack")
        self.assertEqual((code, len(asked)), (0, 1), said)
        self.assertRegex(asked[0], r"^apt-get .*install cmake redis-server$")
        self.assertIn("Installing: cmake redis-server", said)

    def test_OthersInstallWithSudo(self):
        self.user(1000)
        self.installed("memcached) exit 1 ;; *")
        code, said, asked = self.run_packages("stack")
        self.assertEqual(code, 0, said)
        self.assertEqual([line.split()[0] for line in asked], ["sudo"])
        self.assertRegex(asked[0], r"env DEBIAN_FRONTEND=noninteractive apt-get .* install memcached$")

    def test_WithoutSudoTheyAreToldWhatToDo(self):
        self.user(1000)
        (self.folder / "sudo").unlink()
        self.installed("memcached) exit 1 ;; *")
        code, said, asked = self.run_packages("stack")
        self.assertEqual((code, asked), (1, []))
        self.assertIn("apt-get install memcached", said)

    def test_OldListsOfPackagesAreFetchedAnew(self):
        self.installed("memcached) exit 1 ;; *")
        self.stand_in("apt-get", f'echo "apt-get $*" >> {self.asked}\n'
                                 f'case "$*" in *update*) : > {self.folder}/fresh ;; esac\n[ -e {self.folder}/fresh ]')
        code, said, asked = self.run_packages("stack")
        self.assertEqual(code, 0, said)
        self.assertEqual(["update" in line for line in asked], [False, True, False])

    def test_AnUnknownGroupIsAnError(self):
        code, said, asked = self.run_packages("stacks")
        self.assertEqual((code, asked), (2, []))
        self.assertIn('no group "stacks"', said)


class QuickstartTest(unittest.TestCase):
    def test_ASecondOneBuildsNothing(self):
        if BUILD != ROOT / "build":
            self.skipTest("it builds ./build, and this is another one")
        done = subprocess.run([QUICKSTART, "--no-run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=200, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("no work to do", done.stdout)
        self.assertNotIn("Installing", done.stdout)

    def test_ItBuildsEveryProgramAndPluginAndNoTest(self):
        self.assertIn("cmake --build build --target programs\n", QUICKSTART.read_text())
        done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "programs"], stdout=subprocess.PIPE, text=True,
                              timeout=60, check=True)
        built = set(re.findall(r" -o (\S+)", done.stdout))
        plugins = {path.parent.name for path in (ROOT / "plugins").glob("*/CMakeLists.txt")}
        self.assertIn("stats", plugins)
        self.assertLessEqual({f"plugins/{name}.so" for name in plugins}, built)
        self.assertLessEqual({f"bin/{name}" for name in ("circusd", "circusctl", "circus-top", "circus-plugin")}, built)
        self.assertEqual([each for each in built if each.startswith("tests/")], [])

    def test_AnUnknownArgumentIsAnError(self):
        done = subprocess.run([QUICKSTART, "--norun"], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn('unknown argument "--norun"', done.stderr)


if __name__ == "__main__":
    main()
