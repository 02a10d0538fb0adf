#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What siprof costs in all: CPU time of a busy program of two threads and of the agent, against the program alone.

The agent runs already and knows the program, as on a machine that is profiled all the time. Runs with and without
siprof take turns; printed are the median of the pairs' differences with the range of its middle half, the agent's
time over all of it, and what handlers say of themselves. --copies gives the program a limit on its address space,
under which stacks are copied instead of walked: what walking saves, per 10 000 samples.

    ninja -C build test/bench/busy && test/bench/whole_cost.py [--hz 100] [--pairs 15] [--copies]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_agent import Agent, kRoot

kWindowSeconds = 10  # as by default


def run(command: list, env: dict) -> float:
    return int(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout) / 1e9


def measure(options, agent: Agent, work: list) -> tuple:
    """Pairs of (without, with), and the agent's time, in seconds of CPU."""
    env, pairs = agent.environment(options.hz), []
    limited = ["prlimit", f"--as={64 << 30}", *work] if options.copies else work
    run(limited, env)
    time.sleep(kWindowSeconds + 1)  # the agent has named what there is
    before = agent.cpu_seconds()
    for number in range(options.pairs):
        if number % 2:
            plain = run(work, dict(os.environ))
            pairs.append((plain, run(limited, env)))
        else:
            profiled = run(limited, env)
            pairs.append((run(work, dict(os.environ)), profiled))
    time.sleep(kWindowSeconds + 1)
    return pairs, agent.cpu_seconds() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=40000, help="of work for each thread; 40000 is some 6 s")
    parser.add_argument("--copies", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    work = [str(options.build / "test" / "bench" / "busy"), str(options.megabytes)]
    with tempfile.TemporaryDirectory(prefix="siprof-cost-") as folder:
        agent = Agent(options.build, Path(folder), Path(folder) / "state", f"{kWindowSeconds}s")
        try:
            pairs, agents = measure(options, agent, work)
        finally:
            agent.end()
        sums = agent.counters()
    plain = sum(pair[0] for pair in pairs)
    low, middle, high = statistics.quantiles([100 * (profiled - plain) / plain for plain, profiled in pairs], n=4)
    print(f"{options.hz} Hz, {options.pairs} pairs of {plain / len(pairs):.1f} s of CPU: the program {middle:+.2f} % ({low:+.2f} to {high:+.2f}), "
          f"the agent {100 * agents / plain:.2f} %, together {middle + 100 * agents / plain:.2f} %")
    samples = sums["samples"] * len(pairs) / (len(pairs) + 1)
    print(f"handlers by their own account {100 * sums['handler_ns'] / 1e9 / plain:.3f} %; "
          f"{100 * sums['stack_walked'] / sums['samples']:.1f} % of {sums['samples']} stacks walked, {sums['lost_pool_full']} lost")
    print(f"agent: {1000 * agents / samples * 1e4:.0f} ms per 10 000 samples")
    return 0


if __name__ == "__main__":
    sys.exit(main())
