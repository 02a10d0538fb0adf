#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a start costs: CPU time (wait4's rusage) of programs that end at once, without a preload, with an
empty library preloaded, and with libsiprof.so.

Runs are interleaved in a new random order each round, so that drift of the machine hits all alike; the
differences are medians of the rounds' own differences. Budget: 60 µs more than without (docs/performance.md).

    test/bench/exec_cost.py [--count 1000] [--build build] [--limit-us 60]
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(kRoot / "test" / "preload"))

from harness import agents  # noqa: E402  (needs the path above)

PROGRAMS = {
    "/bin/true": ["/bin/true"],
    "sh -c :": ["/bin/sh", "-c", ":"],
    "bash -c :": ["/bin/bash", "-c", ":"],
    "perl -e 1": ["/usr/bin/perl", "-e", "1"],
    "python3 -c pass": ["/usr/bin/python3", "-S", "-E", "-c", "pass"],
}


def cpu_us(command: list, env: dict) -> float:
    pid = os.posix_spawn(command[0], command, env)
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command} ended with status {status}")
    return (used.ru_utime + used.ru_stime) * 1e6


def measure(command: list, environments: dict, count: int) -> dict:
    times: dict = {name: [] for name in environments}
    names = list(environments)
    for name in names * 5:  # page cache and branch predictors
        cpu_us(command, environments[name])
    for _ in range(count):
        random.shuffle(names)
        for name in names:
            times[name].append(cpu_us(command, environments[name]))
    return times


def paired(times: dict, name: str, against: str) -> tuple:
    """Median difference, and half the range that holds it with 95 % (sign test)."""
    differences = sorted(a - b for a, b in zip(times[name], times[against]))
    n, middle = len(differences), statistics.median(differences)
    reach = int(0.98 * n**0.5)
    low, high = differences[max(0, n // 2 - reach)], differences[min(n - 1, n // 2 + reach)]
    return middle, (high - low) / 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--limit-us", type=float, default=60)
    options = parser.parse_args()
    build = options.build.resolve()
    folder = Path(tempfile.mkdtemp(prefix="siprof-bench-"))
    try:
        empty = folder / "empty.so"
        subprocess.run(["cc", "-shared", "-xc", "/dev/null", "-o", empty], check=True)
        plain = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("SIPROF_")}
        ours = {"XDG_STATE_HOME": str(folder / "state"), "SIPROF_OUTPUT": str(folder / "out"),
                "SIPROF_AGENT_PROGRAM": str(build / "collector-client" / "siprof")}
        environments = {"without": plain, "empty library": {**plain, "LD_PRELOAD": str(empty)},
                        "siprof": {**plain, **ours, "LD_PRELOAD": str(build / "shim" / "libsiprof.so")}}
        return report(environments, options, build, folder)
    finally:
        agents.stop(build / "collector-client" / "siprof", folder)
        shutil.rmtree(folder, ignore_errors=True)


def ended(program: Path, folder: Path) -> bool:
    """Now and then a short program is sampled; the agent that it started has to go."""
    until = time.monotonic() + 20
    while agents.find(program, folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def report(environments: dict, options, build: Path, folder: Path) -> int:
    print(f"CPU µs a run, median of {options.count} paired runs\n")
    print("| program | without | empty library | siprof | more than without | more than empty |")
    print("|---|---|---|---|---|---|")
    over = False
    for name, command in PROGRAMS.items():
        if not os.path.exists(command[0]):
            continue
        count = options.count if name == "/bin/true" else max(50, options.count // 5)
        times = measure(command, environments, count)
        cells = [f"{statistics.median(times[key]):.0f}" for key in environments]
        for against in ("without", "empty library"):
            more, half = paired(times, "siprof", against)
            cells.append(f"{more:+.0f} ± {half:.0f}")
            over |= name == "/bin/true" and against == "without" and more > options.limit_us
        print(f"| {name} | " + " | ".join(cells) + " |")
        if name == "/bin/true" and not ended(build / "collector-client" / "siprof", folder):
            print("an agent is left 20 s after the last program", file=sys.stderr)
            over = True
    if over:
        print(f"over the budget of {options.limit_us:.0f} µs for /bin/true", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
