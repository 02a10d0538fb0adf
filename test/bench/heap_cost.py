#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What malloc and free cost together, nanoseconds a pair, at 1, 2 and 8 threads: without siprof, with it, and
under heaptrack and tcmalloc's own sampler where their Debian packages are installed (heaptrack,
libgoogle-perftools4). Budget (docs/performance.md): 3 ns more for one size, 5 ns for random sizes with 1 000 live.

    ninja -C build test/bench/heap_cost && test/bench/heap_cost.py [--rounds 400]

siprof's difference is that of pairs within one process, by libc's own names and by those that siprof has; the others
are whole programs, one after the other.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
kTcmalloc = Path("/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4")


def measured(command, env=None) -> dict:
    run = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env={**os.environ, **(env or {})})
    lines = [line.split() for line in run.stdout.splitlines() if line.startswith(("same_size", "random_sizes"))]
    return {line[0]: [float(number) for number in line[2:]] for line in lines}


def shown(name, threads, rows) -> None:
    for what, (by_name, by_libc, difference) in rows.items():
        print(f"{name:28} {what:13} {threads} threads: {by_name:7.1f} ns, libc's {by_libc:7.1f}, difference {difference:+6.2f}",
              flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args()
    program = options.build / "test" / "bench" / "heap_cost"
    with tempfile.TemporaryDirectory(prefix="siprof-heap-") as folder:
        record = [options.build / "collector-client" / "siprof", "record", "--budget", "off", "-o", folder]
        alone = {"HEAP_COST_ALONE": "1"}
        for threads in (1, 2, 8):
            work = [program, threads, options.rounds]
            shown("bare", threads, measured(work))
            shown("siprof, heap off", threads, measured([*record, "--kinds", "cpu", "--", *work]))
            shown("siprof, cpu and heap", threads, measured([*record, "--kinds", "cpu,heap", "--", *work]))
            if shutil.which("heaptrack"):
                short = [program, threads, max(1, options.rounds // 40)]
                shown("heaptrack", threads, measured(["heaptrack", "-o", f"{folder}/heaptrack", *short]))
            if kTcmalloc.exists():
                for interval in (0, 524288):
                    env = {**alone, "LD_PRELOAD": str(kTcmalloc), "TCMALLOC_SAMPLE_PARAMETER": str(interval)}
                    shown(f"tcmalloc, sampled by {interval}", threads, measured(work, env))


if __name__ == "__main__":
    main()
