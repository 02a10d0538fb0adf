#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one preload case: `run_case.py --build BUILD NAME`. Meson calls it once for each.

Ends with 0 (passed), 1 (failed, the reason on stderr) or 77 (skipped, what is missing on stdout).
`--list` prints all names, `--list SUITE` those of one of meson's suites, `--hazards` the table of hazards and their
cases (it stands in README.md), `--baseline` runs the victims without siprof at all: what fails then is the victim's own
fault. `--long` gives cases that have a longer version that one; scripts/soak runs them.
"""

import argparse
import importlib
import sys
import traceback
from pathlib import Path

kSkipStatus = 77
kHere = Path(__file__).resolve().parent
sys.path.insert(0, str(kHere))

from harness.registry import CASES, BaselineOnly, Skip  # noqa: E402  (needs the path above)
from harness import hazards  # noqa: E402
from harness.session import Session  # noqa: E402


def load_cases() -> None:
    for path in sorted((kHere / "cases").glob("[a-z]*.py")):
        importlib.import_module(f"cases.{path.stem}")


def run(name: str, build: Path, baseline: bool, long: bool) -> int:
    session = Session(build, baseline, long)
    try:
        CASES[name].run(session)
    except Skip as reason:
        print(f"SKIP {name}: {reason}")
        return kSkipStatus
    except BaselineOnly:
        print(f"{name}: the victim is right without siprof; its profile was not looked at")
    except AssertionError as wrong:
        places = traceback.extract_tb(wrong.__traceback__)
        place = [frame for frame in places if Path(frame.filename).parent.name == "cases"][-1]
        print(f"FAIL {name} ({Path(place.filename).name}:{place.lineno}): {wrong}", file=sys.stderr)
        return 1
    finally:
        session.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=kHere.parent.parent / "build")
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", nargs="?", const="", metavar="SUITE")
    parser.add_argument("--hazards", action="store_true")
    parser.add_argument("name", nargs="?")
    options = parser.parse_args()
    load_cases()
    if options.list is not None:
        print("\n".join(name for name, case in CASES.items() if options.list in ("", case.suite)))
        return 0
    if options.hazards:
        print(hazards.table(CASES.values()))
        return 0
    if options.name not in CASES:
        parser.error(f"no case is called {options.name}; --list prints them")
    return run(options.name, options.build.resolve(), options.baseline, options.long)


if __name__ == "__main__":
    sys.exit(main())
