#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a program that allocates 2 GB a second on four threads stays within the budget, all default kinds on.

Runs with and without siprof in turns; the cost is what the program uses more, and its agent, as a share of what it uses
alone. Says which rate was in force at the end, what siprof itself says that it cost, and what the profile makes of the bytes.

    test/bench/heap_budget.py [--pairs 5] [--seconds 20] [--mb 2000] [--budget 1%] [--build build]
"""

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench_agent import Agent, pprof

kRoot = Path(__file__).resolve().parent.parent.parent


def run(program, options, environment=None):
    done = subprocess.run([program, "4", str(options.mb), str(options.seconds)], env=environment, capture_output=True, text=True,
                          check=True)
    cpu_ns, count = map(int, done.stdout.split())
    return cpu_ns, count


def measure(program, options, folder):
    agent = Agent(options.build, folder, folder / "state")
    try:
        environment = {**agent.environment(100), "SIPROF_BUDGET": options.budget}
        del environment["SIPROF_KINDS"]
        before = agent.cpu_seconds()
        cpu_ns, count = run(program, options, environment)
        agent_ns = 1e9 * (agent.cpu_seconds() - before)
    finally:
        agent.end()
    profile = pprof.Profile()
    for path in sorted(agent.output.rglob("heap-*.pb.gz")):
        profile.merge(pprof.load(path))
    return cpu_ns, agent_ns, profile.counters, profile.total("alloc_space") / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--budget", default="1%")
    options = parser.parse_args()
    options.build = options.build.resolve()
    program = options.build / "test/bench/heap_churn"
    costs = []
    print("| CPU of a run, s | the program, % | the agent, % | interval at the end, KiB | it says, % | bytes by the profile, % |")
    print("|---|---|---|---|---|---|")
    for pair in range(options.pairs):
        with tempfile.TemporaryDirectory(prefix="siprof-budget-") as temporary:
            alone = run(program, options)[0] if pair % 2 else None
            cpu_ns, agent_ns, counters, share = measure(program, options, Path(temporary))
            alone = alone or run(program, options)[0]
        program_part, agent_part = 100 * (cpu_ns / alone - 1), 100 * agent_ns / alone
        costs.append(program_part + agent_part)
        print(f"| {alone / 1e9:.2f} | {program_part:+.2f} | {agent_part:.2f} | {int(counters['heap_interval_bytes']) / 1024:.0f} | "
              f"{int(counters['cost_permille']) / 10:.1f} | {100 * share:.1f} |", flush=True)
    print(f"\nmedian cost: {statistics.median(costs):.2f} % of the program's CPU time, budget {options.budget}")


if __name__ == "__main__":
    main()
