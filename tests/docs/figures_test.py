"""Figures in the guide are those of the notes on benchmarks."""

import unittest

from places import ROOT


class Figures(unittest.TestCase):
    def test_every_line_of_the_guide_is_in_the_notes(self):
        notes = set((ROOT / "bench/NOTES.md").read_text().splitlines())
        page = (ROOT / "docs/guide/performance.md").read_text()
        table = [line for line in page.split("## On two cores")[1].split("\n## ")[0].splitlines() if line.startswith("| ")]
        self.assertGreater(len(table), 15)
        self.assertEqual([line for line in table if line not in notes], [])


if __name__ == "__main__":
    unittest.main()
