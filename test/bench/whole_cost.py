#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What siprof costs in all: CPU time of a busy program of two threads and of the agent, against the program alone.

The agent runs already and knows the program, as on a machine that is profiled all the time. Runs with and without
siprof take turns; printed are the median of the pairs' differences with the range of its middle half, and what
siprof's own accounts say: time in handlers, and the agent's. --copies gives the program a limit on its address space,
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


def run(command: list, env: dict) -> float:
    return int(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout) / 1e9


def measure(options, agent: Agent, work: list) -> tuple:
    """Per pair (without, with, the agent's part), in seconds of CPU."""
    env, pairs = agent.environment(options.hz), []
    limited = ["prlimit", f"--as={64 << 30}", *work] if options.copies else work
    run(limited, env)
    for number in range(options.pairs):
        plain = run(work, dict(os.environ)) if number % 2 else None
        before = agent.cpu_seconds()
        profiled = run(limited, env)
        time.sleep(2.5)  # the agent finishes its window
        own = agent.cpu_seconds() - before
        plain = plain if plain is not None else run(work, dict(os.environ))
        pairs.append((plain, profiled, own))
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=12000, help="of work for each thread; 12000 is about 5 s")
    parser.add_argument("--copies", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    work = [str(options.build / "test" / "bench" / "busy"), str(options.megabytes)]
    with tempfile.TemporaryDirectory(prefix="siprof-cost-") as folder:
        agent = Agent(options.build, Path(folder), Path(folder) / "state")
        try:
            pairs = measure(options, agent, work)
        finally:
            agent.end()
        sums = agent.counters()
    percent = lambda values: statistics.quantiles(values, n=4)  # noqa: E731  (a formula)
    low, middle, high = percent([100 * (profiled + own - plain) / plain for plain, profiled, own in pairs])
    print(f"{options.hz} Hz, {options.pairs} pairs of {statistics.median(p[0] for p in pairs):.1f} s of CPU: "
          f"cost {middle:.2f} % ({low:.2f} to {high:.2f})")
    handlers = sums["handler_ns"] / 1e9 / sum(profiled for _, profiled, _ in pairs) / (1 + 1 / len(pairs))
    agents = sum(own for _, _, own in pairs) / sum(plain for plain, _, _ in pairs)
    print(f"by its own accounts: handlers {100 * handlers:.3f} %, agent {100 * agents:.3f} %; "
          f"{100 * sums['stack_walked'] / sums['samples']:.1f} % of {sums['samples']} stacks walked, {sums['lost_pool_full']} lost")
    per_run = sums["samples"] / (len(pairs) + 1)
    print(f"agent: {1000 * statistics.median(own for _, _, own in pairs) / per_run * 1e4:.0f} ms per 10 000 samples")
    return 0


if __name__ == "__main__":
    sys.exit(main())
