#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the stacks of real programs were got: walked in the handler, or copied for the agent's unwinder, and why;
and how many didn't come out whole. Prints the table of docs/performance.md.

    sudo test/bench/real_stacks.py [--seconds 20] [--hz 100] [--only gcc,redis-server]

The programs and their load are those of real_programs.py. Each runs twice with one state folder: the first time the
agent has to make the unwind tables of its files, later they come from disk. Then less than 1 % may be copied, and
less than 0.5 % cut.
"""

import argparse
import sys
from pathlib import Path

kHere = Path(__file__).resolve().parent
sys.path.insert(0, str(kHere))

import workloads  # noqa: E402  (needs the path above)
from real_programs import Bench, kRoot, pprof  # noqa: E402

kReasons = ["no_tables", "unknown_code", "other_rule", "bounds", "foreign"]
kCut = ["stacks_truncated", "stacks_without_table", "stacks_broken"]
kMostCopied, kMostCut = 1.0, 0.5  # percent


def row(name: str, run: str, counters: dict) -> tuple:
    """A row of the table, and whether it is good."""
    samples = int(counters["samples"]) + int(counters.get("events", 0))
    percent = lambda count: 100 * count / samples  # noqa: E731  (a formula)
    copied = {reason: int(counters.get(f"copied_{reason}", 0)) for reason in kReasons}
    cut = sum(int(counters.get(counter, 0)) for counter in kCut)
    why = ", ".join(f"{reason.replace('_', ' ')} {percent(count):.2f}" for reason, count in copied.items() if count)
    walked = percent(int(counters.get("stack_walked", 0)))
    good = percent(sum(copied.values())) < kMostCopied and percent(cut) < kMostCut
    return f"| {name} | {run} | {samples} | {walked:.2f} | {percent(sum(copied.values())):.2f} | {why or '-'} | {percent(cut):.2f} |", good


def record(bench: Bench, make, state: Path) -> dict:
    """One run; the profile's counters."""
    folder = bench.own_folder("run")
    bench.run(make, folder, lambda command: bench.as_user(
        ["env", f"XDG_STATE_HOME={state}", bench.siprof, "record", "--hz", bench.options.hz, "-o", folder / "profile", "--",
         *command]))
    return pprof.load(folder / "profile" / "cpu.pb.gz").counters


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--seconds", type=int, default=20, help="of load, about")
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--only", default="", help="comma-separated names of the table")
    options = parser.parse_args()
    wanted, bench, failed = options.only.split(",") if options.only else list(workloads.WORKLOADS), Bench(options), False
    print("| program | run | samples | walked % | copied % | why % | cut % |\n|---|---|---|---|---|---|---|")
    try:
        for name in wanted:
            make = workloads.WORKLOADS[name]
            missing = make.missing(make)
            if missing:
                print(f"| {name} | not run: {', '.join(missing)} not installed | | | | | |")
                continue
            state = bench.own_folder("state")
            for run in ("first", "again"):
                line, good = row(name, run, record(bench, make, state))
                print(line, flush=True)
                failed |= run == "again" and not good
    finally:
        bench.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
