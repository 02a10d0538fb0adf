#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The start of large programs: when the first sample is there and when all unwind tables are, what that takes of the
agent's memory, and whether the program starts any slower. Prints the table of docs/performance.md.

The first run is on a machine that has never seen the program (no tables on disk), the second one has them. Starts
are timed in turns with and without siprof; the ratio is the median of the pairs'.

    test/bench/start_up.py [--pairs 9] [--only clang,chromium]

Targets: first sample within 200 ms, tables within seconds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_agent import Agent, kRoot

kFirstSampleMs = 200
kTablesMs = 5000
kMaximumMs = 30000


def large_file(folder: Path) -> Path:
    """Some seconds of work for a compiler."""
    path = folder / "large.cpp"
    headers = ["algorithm", "functional", "iostream", "map", "random", "regex", "string", "thread", "vector"]
    functions = [f"int f{i}(std::map<int, std::string>& m) {{ std::regex r(\"a{i}+\"); return std::count_if(m.begin(), m.end(), "
                 f"[&](auto& p) {{ return std::regex_search(p.second, r); }}); }}" for i in range(40)]
    path.write_text("\n".join([f"#include <{header}>" for header in headers] + functions))
    return path


def programs(folder: Path) -> dict:
    """By name: the command that is profiled, and one that only starts."""
    page = folder / "page.html"
    page.write_text("<p id=p></p><script>for (let end = Date.now() + 3000, s = ''; Date.now() < end; s = s.slice(-999) + end) "
                    "p.textContent = JSON.stringify({s, n: s.length});</script>")
    chromium = ["/usr/lib/chromium/chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    return {"clang": (["clang", "-O2", "-c", large_file(folder), "-o", "/dev/null"], ["clang", "--version"]),
            "chromium": ([*chromium, "--dump-dom", f"file://{page}"], [*chromium, "--dump-dom", "about:blank"])}


def seconds(command: list, env: dict) -> float:
    begin = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def follow(agent: Agent, command: list, hz: int) -> dict:
    """When things were there, in ms since the start; None: never."""
    seen: dict = {"sample": None, "tables": None}
    begin = time.monotonic()
    process = subprocess.Popen(command, env=agent.environment(hz), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        status, now = agent.status(), round(1000 * (time.monotonic() - begin))
        if now > kMaximumMs:
            process.kill()
        samples = sum(one["samples"] for one in status["processes"])
        if samples and seen["sample"] is None:
            seen["sample"] = now
        tables = status["unwind_tables"]
        # Modules are found one after the other: the last time that all known ones had their tables counts.
        if tables["waiting"]:
            seen["tables"] = None
        elif samples and seen["tables"] is None:
            seen["tables"] = now
        seen.update(rows=tables["rows"], bytes=tables["bytes"], from_disk=tables["from_disk"])
        time.sleep(0.005)
    seen.update(status=process.returncode, peak=agent.peak_bytes())
    return seen


def start_ratio(build: Path, folder: Path, command: list, pairs: int, hz: int) -> float:
    agent = Agent(build, folder, folder / "state")
    try:
        env, ratios = agent.environment(hz), []
        for number in range(pairs + 1):
            first, second = (os.environ, env) if number % 2 else (env, os.environ)
            times = [seconds(command, dict(first)), seconds(command, dict(second))]
            plain, profiled = times if number % 2 else reversed(times)
            ratios.append(profiled / plain)
        return statistics.median(ratios[1:])
    finally:
        agent.end()


def row(name: str, run: str, seen: dict, ratio: float) -> tuple:
    good = seen["status"] == 0 and (seen["sample"] or kMaximumMs) <= kFirstSampleMs and (seen["tables"] or kMaximumMs) <= kTablesMs
    return (f"| {name} | {run} | {seen['sample']} | {seen['tables']} | {seen['rows']:,} | {seen['bytes'] / 1e6:.1f} | "
            f"{seen['peak'] / 1e6:.0f} | {ratio:.3f} |"), good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--only", default="clang,chromium")
    options = parser.parse_args()
    build, failed = options.build.resolve(), False
    print("| program | run | first sample, ms | all tables, ms | rows | tables, MB | agent's peak, MB | start, with / without |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="siprof-start-") as text:
        folder = Path(text)
        for name in options.only.split(","):
            work, start = programs(folder)[name]
            if not shutil.which(work[0]):
                print(f"| {name} | not installed | | | | | | |")
                continue
            subprocess.run(work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # into the page cache
            ratio = start_ratio(build, folder, start, options.pairs, options.hz)
            for run in ("first", "again"):
                agent = Agent(build, folder, folder / f"state-{name}")
                try:
                    line, good = row(name, run, follow(agent, work, options.hz), ratio)
                finally:
                    agent.end()
                print(line, flush=True)
                failed |= not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
