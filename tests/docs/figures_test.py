"""Figures in the README are those of the guide."""

import re
import unittest

from places import ROOT


def numbers(text):
    return set(re.findall(r"\d[\d.,]*\d|\d", text))


class Figures(unittest.TestCase):
    def test_every_figure_of_the_readme_is_in_the_guide(self):
        readme = (ROOT / "README.md").read_text().split("## Figures")[1].split("\n## ")[0]
        rows = [line for line in readme.splitlines() if line.startswith("| ") and "replicas.md" not in line][1:]
        self.assertGreater(len(rows), 3)
        known = numbers((ROOT / "docs/guide/performance.md").read_text())
        self.assertEqual([(row, numbers(row) - known) for row in rows if numbers(row) - known], [])


if __name__ == "__main__":
    unittest.main()
