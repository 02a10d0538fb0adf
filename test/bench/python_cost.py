#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What siprof costs Python programs: CPU time of three programs with and without, by CPU samples alone and by all default
kinds; what a Flask application under gunicorn gets done; and what handlers take for a sample.

Runs with and without take turns; printed are the medians of the pairs' differences with the range of the middle half.
The agent runs already and has seen the program, as on a machine that is profiled all the time.

    test/bench/python_cost.py [--python /usr/bin/python3.11] [--pairs 10] [--hz 100] [--only json,calls,objects,flask]
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench_agent import Agent, kRoot
from throughput import Running, Server
from workloads import Workload, free_port

kWindowSeconds = 10  # as by default
kAllKinds = "cpu,heap,lock,io,errors"
kPrograms = {
    "json": """
import json
rows = [{"customer": i % 17, "amount": i % 97, "items": [{"name": "n%d" % k, "price": k * 1.5} for k in range(6)]} for i in range(300)]
def transform(rows):
    return [{**row, "total": sum(item["price"] for item in row["items"])} for row in rows]
for _ in range(ROUNDS // 2):
    json.dumps(transform(json.loads(json.dumps(rows))), indent=1)
""",
    "calls": """
import re
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
text = " ".join("word%d x-%d" % (i, i * 7) for i in range(400))
def replace(match):
    return str(int(match.group(1)) + 1)
for _ in range(ROUNDS * 3):
    fib(16)
    re.sub(r"(\\d+)", replace, text)
    sorted(text.split(), key=lambda word: (len(word), word))
""",
    "objects": """
class Node:
    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right
    def insert(self, value):
        if value < self.value:
            self.left = self.left.insert(value) if self.left else Node(value)
        else:
            self.right = self.right.insert(value) if self.right else Node(value)
        return self
    def walk(self):
        if self.left:
            yield from self.left.walk()
        yield self.value
        if self.right:
            yield from self.right.walk()
for k in range(ROUNDS * 2):
    root = Node(500)
    for i in range(800):
        root.insert((i * 379 + k) % 1009)
    table = {value: [value] * 3 for value in root.walk()}
""",
}
kEnd = "\nimport time\nprint(time.process_time_ns())\n"


def run(python: str, program: Path, env: dict) -> float:
    return int(subprocess.run([python, program], env=env, check=True, capture_output=True, text=True).stdout) / 1e9


def pairs_of(options, agent: Agent, program: Path, kinds: str) -> list:
    """Differences in percent of CPU time."""
    profiled = {**agent.environment(options.hz), "SIPROF_KINDS": kinds}
    run(options.python, program, profiled)
    time.sleep(kWindowSeconds + 1)  # the agent has named what there is
    differences = []
    for number in range(options.pairs):
        seconds = {}
        for which in ("without", "with") if number % 2 else ("with", "without"):
            seconds[which] = run(options.python, program, profiled if which == "with" else dict(os.environ))
        differences.append(100 * (seconds["with"] / seconds["without"] - 1))
    time.sleep(kWindowSeconds + 1)
    return differences


def spread(values: list) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"**{middle:+.2f}** ({low:+.2f} to {high:+.2f})"


def row(options, name: str, folder: Path) -> str:
    program, cells = folder / f"{name}.py", []
    program.write_text(kPrograms[name].replace("ROUNDS", str(options.rounds)) + kEnd)
    for kinds in ("cpu", kAllKinds):
        place = folder / f"{name}-{kinds[:4].strip(',')}-{len(kinds)}"
        place.mkdir()
        agent = Agent(options.build, place, place / "state", f"{kWindowSeconds}s")
        try:
            differences = pairs_of(options, agent, program, kinds)
        finally:
            agent.end()
        sums = agent.counters()
        walked = 100 * sums["python_walked"] / max(1, sums["samples"])
        cells.append(f"{spread(differences)} | {sums['handler_ns'] / max(1, sums['samples']):.0f} ({walked:.0f} % with Python)")
    return f"| {name} | " + " | ".join(cells) + " |"


class Flask(Server, Workload):
    programs = ["wrk"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        self.port = free_port()
        # -E would hide the application's folder.
        self.command = ["/usr/bin/env", f"PYTHONPATH={kRoot / 'test' / 'python' / 'programs'}", "PYTHONDONTWRITEBYTECODE=1",
                        "/usr/bin/python3.11", "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{self.port}", "web_app:app"]

    def burst(self, seconds):
        text = self.run("wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{self.port}/report?seed=5")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def flask_row(options, kinds: str, folder: Path) -> str:
    """Two servers at once, in turns under load."""
    folder.mkdir()
    profiled = {"LD_PRELOAD": str(options.build / "shim" / "libsiprof.so"), "SIPROF_AGENT_PROGRAM": str(options.build / "collector-client" / "siprof"),
                "SIPROF_OUTPUT": str(folder / "profiles"), "XDG_STATE_HOME": str(folder / "state"), "SIPROF_KINDS": kinds,
                "SIPROF_HZ": str(options.hz)}
    both, differences = {}, []
    try:
        for which, added in (("without", {}), ("with", profiled)):
            both[which] = Running(Flask, folder / which, 1, added)
        for pair in range(-1, options.pairs):  # the first one warms up
            done = {which: [] for which in both}
            for turn in range(8):
                for which in list(both) if turn % 2 else list(both)[::-1]:
                    done[which].append(both[which].server.burst(1))
            if pair >= 0:
                differences.append(100 * (statistics.mean(done["without"]) / statistics.mean(done["with"]) - 1))
    finally:
        for running in both.values():
            running.end()
    return f"| flask, {kinds} | {spread(differences)} time a request, {statistics.mean(done['without']):.0f}/s without |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--python", default="/usr/bin/python3.11")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1000, help="1000 take each program some seconds")
    parser.add_argument("--only", default="json,calls,objects,flask")
    options = parser.parse_args()
    options.build = options.build.resolve()
    wanted = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="siprof-python-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        print(f"{options.python} at {options.hz} Hz, {options.pairs} pairs\n")
        print("| program | more CPU, % (cpu alone) | handler, ns a sample | more CPU, % (all kinds) | handler, ns a sample |\n|---|---|---|---|---|")
        for name in kPrograms:
            if name in wanted:
                print(row(options, name, folder), flush=True)
        if "flask" in wanted:
            for kinds in ("cpu", kAllKinds):
                print(flask_row(options, kinds, folder / f"flask-{len(kinds)}"), flush=True)


if __name__ == "__main__":
    main()
