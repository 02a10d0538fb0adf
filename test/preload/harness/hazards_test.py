#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every promised hazard has a case, and README.md has the table that run_case.py --hazards prints."""

import importlib
import sys
import unittest
from pathlib import Path

kFolder = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(kFolder))

from harness import hazards  # noqa: E402  (needs the path above)
from harness.registry import CASES, Case  # noqa: E402


def load_cases() -> None:
    for path in sorted((kFolder / "cases").glob("[a-z]*.py")):
        importlib.import_module(f"cases.{path.stem}")


class HazardsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        load_cases()

    def test_every_promised_hazard_has_a_case(self):
        provoked = {number for case in CASES.values() for number in case.hazards}
        self.assertEqual(hazards.PROMISED - provoked, set())

    def test_no_case_is_tagged_with_an_unknown_hazard(self):
        for case in CASES.values():
            self.assertEqual(set(case.hazards) - set(hazards.HAZARDS) - set(hazards.PYTHON) - {0}, set(), case.name)

    def test_the_table_in_the_readme_is_the_present_one(self):
        readme = (kFolder / "README.md").read_text(encoding="utf-8")
        self.assertTrue(hazards.table(CASES.values()) in readme,
                        "README.md is out of date: put what `run_case.py --hazards` prints in the place of its table")

    def test_another_case_makes_another_table(self):
        more = [*CASES.values(), Case("one_more", (8,), lambda session: None)]
        self.assertNotEqual(hazards.table(more), hazards.table(CASES.values()))


if __name__ == "__main__":
    unittest.main()
