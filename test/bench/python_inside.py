#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each thing costs that siprof has inside an interpreter, in nanoseconds an operation: a small object, an exception, a
collection, and what should cost nothing.

Runs without siprof, preloaded with everything switched on, and preloaded with `--python-errors off --python-alloc off` and
without metrics take turns; printed are the medians and the range of the middle half.

    test/bench/python_inside.py [--python /usr/bin/python3.11] [--rounds 15]
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench_agent import Agent, kRoot

kProgram = """
import gc, sys, time, timeit
gc.disable()
class Error(Exception):
    pass
error = Error()
def objects(n):
    for _ in range(n): [None]
def floats(n, x=1.5):
    for _ in range(n): x + 1.0, x + 2.0, x + 3.0
def raises(n):
    for _ in range(n):
        try: raise error
        except Error: error.__traceback__ = None
def deep(n):
    def down(k):
        if k: down(k - 1)
        else: raise error
    for _ in range(n // 10):
        try: down(9)
        except Error: error.__traceback__ = None
def collections(n):
    for _ in range(n // 100): gc.collect(0)
def calls(n):
    def nothing(): pass
    for _ in range(n): nothing()
def ids(n):
    for _ in range(n): id(error)
for name, n in (("objects", 400000), ("floats", 200000), ("raises", 100000), ("deep", 100000), ("collections", 100000), ("calls", 400000), ("ids", 400000)):
    function = globals()[name]
    function(n // 10)
    best = min(timeit.repeat(lambda: function(n), number=1, repeat=5))
    per = {"deep": n // 10, "collections": n // 100}.get(name, n)
    print(name, best / per * 1e9)
"""
kWays = {
    "without": None,
    "outside": {"SIPROF_KINDS": "cpu,heap,errors", "SIPROF_PYTHON_ERRORS": "off", "SIPROF_PYTHON_ALLOC": "off"},
    "inside": {"SIPROF_KINDS": "cpu,heap,errors,metrics"},
}


def run(python: str, program: Path, env: dict) -> dict:
    output = subprocess.run([python, program], env=env, check=True, capture_output=True, text=True).stdout
    return {name: float(value) for name, value in map(str.split, output.splitlines())}


def shown(values: list) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--python", default="/usr/bin/python3.11")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    options.build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="siprof-inside-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        program = folder / "program.py"
        program.write_text(kProgram)
        agent = Agent(options.build, folder, folder / "state", "10s")
        results: dict = {way: [] for way in kWays}
        try:
            for _ in range(options.rounds):
                for way, added in kWays.items():
                    env = dict(os.environ) if added is None else {**agent.environment(100), **added}
                    results[way].append(run(options.python, program, env))
        finally:
            agent.end()
    print(f"{options.python}, {options.rounds} rounds\n\n| ns | " + " | ".join(kWays) + " |\n|---|" + "---|" * len(kWays))
    for name in results["without"][0]:
        print(f"| {name} | " + " | ".join(shown([one[name] for one in results[way]]) for way in kWays) + " |")


if __name__ == "__main__":
    main()
