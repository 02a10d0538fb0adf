#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an uncontended lock and unlock cost more with siprof, in nanoseconds, by sort of lock and number of threads, each with a lock
of its own: libc's own calls and the interposed ones in turn, in one process, kind lock on and off. Budget: 2.5 ns for
a mutex with the kind on (docs/performance.md).

    ninja -C build test/bench/lock_cost && test/bench/lock_cost.py [--rounds 300]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
kBudgetNs = 2.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    over = []
    for kinds in ("cpu,lock", "cpu"):
        with tempfile.TemporaryDirectory(prefix="siprof-locks-") as folder:
            program = options.build / "test" / "bench" / "lock_cost"
            record = [options.build / "collector-client" / "siprof", "record", "--kinds", kinds, "-o", folder, "--"]
            table = subprocess.run([*map(str, record), str(program), str(options.rounds)], check=True, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        print(f"kinds {kinds}\nlock     threads bare  with siprof   more\n{table}", end="")
        if kinds == "cpu,lock":
            over += [line for line in table.splitlines() if line.startswith("mutex") and float(line.split()[-1]) > kBudgetNs]
    for line in over:
        print(f"lock_cost: beyond {kBudgetNs} ns: {line}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
