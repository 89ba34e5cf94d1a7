"""Every TOML snippet of docs/migration.md is a configuration that circusd --check passes without a warning; what docs/config.md
says of a plugin's table is what the plugin has."""
import json
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


class ConfigPage(unittest.TestCase):
    def test_TheTableAutoscaleHasTheOptionsAndDefaultsOfThePlugin(self):
        table = re.search(r'R"\((.*)\)";', (ROOT / "plugins/autoscaler/options.hpp").read_text(), re.S).group(1)
        options = {name: row.get("default") or None for name, row in json.loads(table).items()}
        section = (ROOT / "docs/config.md").read_text().partition("## autoscale\n")[2].partition("\n# ")[0]
        rows = re.findall(r"^\| ([a-z_]+) \| [^|]+ \| ([^|]+) \| ", section, re.M)
        self.assertEqual(rows.pop(0)[0], "option")
        shown = {name: None if default == "–" else json.loads(default.strip("`")) or None for name, default in rows}
        self.assertEqual(shown, options)


if __name__ == "__main__":
    unittest.main()
