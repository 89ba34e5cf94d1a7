"""Every TOML snippet of docs/migration.md is a configuration that circusd --check passes without a warning."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from harness import CIRCUSD, ROOT


def snippets(page):
    """[(line, text)] of the blocks marked as toml."""
    text = page.read_text()
    return [(text.count("\n", 0, found.start()) + 1, found.group(1))
            for found in re.finditer(r"^```toml\n(.*?)^```$", text, re.M | re.S)]


class MigrationPage(unittest.TestCase):
    def test_EverySnippetPassesTheCheck(self):
        found = snippets(ROOT / "docs/migration.md")
        self.assertGreaterEqual(len(found), 9)
        for line, text in found:
            with self.subTest(f"docs/migration.md:{line}"), tempfile.TemporaryDirectory() as directory:
                (pathlib.Path(directory) / "stack.toml").write_text(text)
                check = subprocess.run([CIRCUSD, "--check", "stack.toml"], cwd=directory, capture_output=True, text=True,
                                       timeout=30, check=False, env={**os.environ, "HOME": directory})
                self.assertEqual((check.returncode, check.stderr), (0, ""), text)

    def test_EveryBlockSaysWhatItIs(self):
        blocks = re.findall(r"^```(.*)$", (ROOT / "docs/migration.md").read_text(), re.M)
        self.assertEqual(blocks[1::2], [""] * (len(blocks) // 2))
        self.assertLessEqual(set(blocks[::2]), {"", "ini", "toml"})


if __name__ == "__main__":
    unittest.main()
