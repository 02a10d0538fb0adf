#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a throw costs: bare, with siprof preloaded and the kind off, and with a stack taken of each.

    test/bench/throw_cost.py [--build BUILD] [--rounds N]

Runs take turns; of each run the best and the median of its batches of a hundred count, and of all runs the median.
A program in C++ and a program in C that opens a C++ plugin, whose throws pass through ten frames.
"""

import argparse
import statistics
import sys
from pathlib import Path

kHere = Path(__file__).resolve().parent
sys.path.insert(0, str(kHere.parent / "preload"))

from harness import agents  # noqa: E402  (needs the path above)
from harness.session import Session  # noqa: E402

kThrows = 4000
kPause = {"THROW_PAUSE_US": "20000"}  # 5 000 a second at most: each has its stack


def settings(session, kinds) -> dict:
    return dict(kPause) if kinds is None else {**session.preload_environment(100), **kPause, "SIPROF_KINDS": kinds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=kHere.parent.parent / "build")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    session = Session(options.build, baseline_only=False)
    programs = {"C++ program": session.victim("throw_main", kThrows),
                "C program, C++ plugin": session.victim("throw_host", session.victims / "throw_plugin.so", kThrows)}
    ways = {"bare": None, "kind off": "cpu", "errors on": "cpu,errors"}
    try:
        for name, command in programs.items():
            found = {way: ([], []) for way in ways}
            for _ in range(options.rounds):
                for way, kinds in ways.items():
                    facts = session.run(command, env=settings(session, kinds)).facts
                    found[way][0].append(facts["throw_ns"][0])
                    found[way][1].append(facts["throw_median_ns"][0])
            bare = [statistics.median(column) for column in found["bare"]]
            for way, columns in found.items():
                best, middle = (statistics.median(column) for column in columns)
                print(f"{name:22} {way:10} best batch {best:6.0f} ns ({best - bare[0]:+6.0f}), "
                      f"median batch {middle:6.0f} ns ({middle - bare[1]:+6.0f})")
    finally:
        agents.stop(session.agent, session.folder)
        session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
