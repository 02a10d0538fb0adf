#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What servers and programs get done with all default kinds, beside the same without siprof. Prints the table of
docs/performance.md.

Two servers run at once, one of them profiled, and have their load in turns, some bursts each: what the machine does at
that moment hits both halves of a pair. The ratio is that of a pair's two mean rates; the table has their median and the
range of the middle half. Memory is the server's own (Pss of all its processes) after all bursts.

    sudo test/bench/throughput.py [--pairs 10] [--bursts 8] [--seconds 1] [--only redis-server,python3] [--kinds LIST]

As root everything runs as an ordinary user (PostgreSQL refuses root).
"""

import argparse
import os
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

kHere = Path(__file__).resolve().parent
kRoot = kHere.parent.parent
sys.path[:0] = [str(kHere), str(kRoot / "test" / "preload")]

import workloads  # noqa: E402  (needs the path above)
from harness import pprof  # noqa: E402

kUser = pwd.getpwnam("nobody").pw_uid


class Server:
    """A workload's program that stays, and what a burst of load gets out of it."""

    stop_signal = signal.SIGTERM

    def burst(self, seconds: int) -> float:
        raise NotImplementedError

    def ready(self) -> None:
        workloads.wait_for_port(self.port)


class Redis(Server, workloads.Redis):
    requests = 50_000

    def burst(self, seconds):
        begin = time.monotonic()
        self.run("redis-benchmark", "-p", self.port, "-q", "-n", self.requests * seconds, "-c", 20, "-r", 10000, "-t", "get")
        return self.requests * seconds / (time.monotonic() - begin)


class Nginx(Server, workloads.Nginx):
    stop_signal = signal.SIGQUIT

    def burst(self, seconds):
        text = self.run("wrk", "-t1", "-c20", f"-d{seconds}s", f"http://127.0.0.1:{self.port}/page.html")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


class Postgres(Server, workloads.Postgres):
    stop_signal = signal.SIGINT

    @property
    def at(self):
        return ["-h", self.folder, "-p", self.port, "-U", "bench"]

    def ready(self):
        deadline = time.monotonic() + 30
        while subprocess.run([workloads.find_postgres("pg_isready"), *map(str, self.at)], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise SystemExit("PostgreSQL does not answer after 30 s")
            time.sleep(0.1)
        self.run("pgbench", *self.at, "-i", "-q", "-s", 3, "postgres")

    def burst(self, seconds):
        text = self.run("pgbench", *self.at, "-c", 4, "-T", seconds, "-S", "postgres")
        return float(re.search(r"tps = ([\d.]+)", text)[1])


class Python(Server, workloads.Python):
    """No server: each burst is the whole program, its start included."""

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        self.script_command, self.command = self.command, ["/bin/sleep", "1000000"]
        self.environment = None

    def ready(self):
        pass

    def burst(self, seconds):
        begin = time.monotonic()
        subprocess.run([str(part) for part in self.script_command], env=self.environment, check=True, stdout=subprocess.DEVNULL)
        return 1 / (time.monotonic() - begin)


SERVERS = {"redis-server": Redis, "PostgreSQL": Postgres, "nginx": Nginx, "python3": Python}


class Running:
    """One server in a folder of its own. `profiled`: what is added to its environment."""

    def __init__(self, make, folder: Path, seconds: int, profiled: dict):
        folder.mkdir()
        self.server = make(folder, seconds)
        environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder), **profiled}
        self.server.environment = environment
        self.process = subprocess.Popen([str(part) for part in self.server.command], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.server.ready()

    def memory_mb(self) -> float:
        """Of all processes of its session; the agent has one of its own."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:
                    rollup = (status.parent / "smaps_rollup").read_text()
                    total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return total / 1024

    def end(self) -> None:
        self.process.send_signal(self.server.stop_signal)
        self.process.wait(30)


def rates_in_force(folder: Path) -> str:
    """What the last CPU profiles say of siprof's cost."""
    files = sorted(folder.rglob("cpu-*.pb.gz"), key=lambda path: path.stat().st_mtime)[-3:]
    costs = [int(pprof.load(path).counters.get("cost_permille", 0)) / 10 for path in files]
    return f"{statistics.median(costs):.1f}" if costs else "-"


def measure(name: str, make, options, folder: Path, programs: dict) -> str:
    output = folder / "profiles"
    profiled = {"LD_PRELOAD": str(programs["libsiprof.so"]), "SIPROF_AGENT_PROGRAM": str(programs["siprof"]),
                "SIPROF_OUTPUT": str(output), "XDG_STATE_HOME": str(folder / "state"), **options.settings}
    folder.mkdir()
    both = {"without": Running(make, folder / "without", options.seconds, {}),
            "with": Running(make, folder / "with", options.seconds, profiled)}
    ratios = []
    try:
        for pair in range(-1, options.pairs):  # the first one warms caches, unwind tables too
            done = {which: [] for which in both}
            for turn in range(options.bursts):
                for which in list(both) if turn % 2 else list(both)[::-1]:
                    done[which].append(both[which].server.burst(options.seconds))
            rates = {which: statistics.mean(each) for which, each in done.items()}
            if pair >= 0:
                ratios.append(100 * rates["with"] / rates["without"])
        memory = {which: running.memory_mb() for which, running in both.items()}
    finally:
        for running in both.values():
            running.end()
    low, middle, high = statistics.quantiles(ratios, n=4)
    held = "-" if make is Python else f"{memory['without']:.1f} | {memory['with']:.1f}"
    return (f"| {name} | {rates['without']:.0f} | **{middle:.1f}** ({low:.1f} to {high:.1f}) | "
            f"{held if held != '-' else '- | -'} | {rates_in_force(output)} |")


def become_user(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, kUser, kUser)
        os.setgroups([])
        os.setgid(kUser)
        os.setuid(kUser)
    os.umask(0o022)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--bursts", type=int, default=8, help="of each server in a pair")
    parser.add_argument("--seconds", type=int, default=1, help="of load in a burst, about")
    parser.add_argument("--only", default="", help="comma-separated names of the table")
    parser.add_argument("--kinds", default="", help="instead of the default ones")
    options = parser.parse_args()
    options.settings = {"SIPROF_KINDS": options.kinds} if options.kinds else {}
    wanted = options.only.split(",") if options.only else list(SERVERS)
    with tempfile.TemporaryDirectory(prefix="siprof-throughput-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        programs = {}
        for part in ("shim/libsiprof.so", "collector-client/siprof"):  # the build may lie where only root can look
            programs[Path(part).name] = shutil.copy(options.build.resolve() / part, folder)
        become_user(folder)
        print("| program | rate without, 1/s | with, % of it | memory without, MB | with, MB | siprof's cost, % |")
        print("|---|---|---|---|---|---|")
        for name in wanted:
            make = SERVERS[name]
            missing = make.missing(make)
            if missing:
                print(f"| {name} | not run: {', '.join(missing)} not installed | | | | |")
                continue
            print(measure(name, make, options, folder / name, programs), flush=True)


if __name__ == "__main__":
    main()
