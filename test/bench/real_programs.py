#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs under their load: the same output and status as without siprof, and a profile that agrees
with perf's. Prints the table of docs/performance.md.

perf samples the very run that `siprof record` profiles (cpu clock, call graphs), so that differences are
the profilers' and not the run's. Kernel frames are dropped and their time given to the user frame below. Of
perf's ten hottest functions (self) at least eight must be in our ten, with shares within 5 points.

    sudo test/bench/real_programs.py [--seconds 10] [--only gcc,redis-server] [--details]

As root everything but perf runs as an ordinary user that owns nothing else. Without root,
/proc/sys/kernel/perf_event_paranoid has to be 1 or lower, for the kernel's part.
"""

import argparse
import itertools
import functools
import multiprocessing
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

kHere = Path(__file__).resolve().parent
kRoot = kHere.parent.parent
sys.path[:0] = [str(kHere), str(kRoot / "test" / "preload")]

import workloads  # noqa: E402  (needs the path above)
from harness import pprof  # noqa: E402

kUser = pwd.getpwnam("nobody").pw_uid  # has to have an entry: initdb asks
kKernelStart = 0xFFFF800000000000
kTop = 10


def become_user() -> None:
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(kUser)
        os.setuid(kUser)


def environment(folder: Path) -> dict:
    own = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("SIPROF_")}
    return {**own, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder)}


class Bench:
    def __init__(self, options):
        self.options, self.folder = options, Path(tempfile.mkdtemp(prefix="siprof-real-"))
        self.siprof = options.build.resolve() / "collector-client" / "siprof"
        self.folder.chmod(0o755)
        # Servers refuse root, and their clients are then the same user: all but perf runs in or below this.
        self.user = ProcessPoolExecutor(1, multiprocessing.get_context("fork"), initializer=become_user)

    def close(self) -> None:
        self.user.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)

    def own_folder(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, kUser, kUser)
        return folder

    def as_user(self, command: list) -> list:
        if os.geteuid() != 0:
            return command
        return ["setpriv", f"--reuid={kUser}", f"--regid={kUser}", "--clear-groups", *command]

    def run(self, make, folder: Path, wrap) -> tuple:
        """One run of a workload: ((stdout, what clients saw, output), status)."""
        workload = self.user.submit(make, folder, self.options.seconds).result()
        with open(self.folder / "stderr", "wb") as log:
            process = subprocess.Popen([str(part) for part in wrap(workload.command)], env=environment(folder),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            seen = self.user.submit(workload.drive).result()
            stdout, _ = process.communicate(timeout=60 * self.options.seconds)
        return (stdout, seen, workload.output()), process.returncode

    def compare(self, name: str, make) -> tuple:
        """A row of the table, and whether it is good."""
        plain = self.run(make, self.own_folder("run"), self.as_user)
        data, folder = self.folder / "perf.data", self.own_folder("run")

        def both(command):
            recorded = [self.siprof, "record", "--hz", self.options.hz, "-o", folder / "profile", "--", *command]
            # Of all CPUs: a clock of its own for each thread is set at each switch, which costs a virtual machine so
            # much that it shows as time of whatever call slept.
            return ["perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", "997", "-g", "-o", data, "--", *self.as_user(recorded)]

        profiled = self.run(make, folder, both)
        # In the same folder, so that paths in outputs are the same.
        ours = our_shares(pprof.load(folder / "profile" / "cpu.pb.gz"))
        theirs = perf_shares(data)
        if self.options.details:
            details(name, ours, theirs)
        return row(name, plain == profiled, ours, theirs)


def plain_name(name: str) -> str:
    """Without parameters, template arguments and the compiler's suffixes: perf shows no parameters for C."""
    name = re.sub(r"\(anonymous namespace\)", "{anonymous}", name)
    name = re.sub(r"(\.(part|constprop|isra|cold|lto_priv)(\.\d+)?)+$", "", re.sub(r"\s*\[clone.*", "", name))
    return name.split("(")[0].split("@")[0] or name


@functools.cache
def one_name_each(file: str) -> dict:
    """One function has several names (open and open64, memcpy and memmove); which one is shown is chance. All names
    that stand at one address, by the file's own symbol tables, count as the plainest of them."""
    notes = subprocess.run(["readelf", "-n", file], capture_output=True, text=True).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", notes)
    debug = f"/usr/lib/debug/.build-id/{build_id[1]}/{build_id[2]}.debug" if build_id else ""
    names = defaultdict(set)
    for command in (["nm", "-D", file], ["nm", file], ["nm", debug]):
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
            match = re.match(r"([0-9a-f]+) [TtWwiVv] (\S+)$", line)
            if match:
                names[match[1]].add(plain_name(match[2]))
    return {name: min(same, key=lambda n: (n.startswith("_"), len(n), n)) for same in names.values() if len(same) > 1 for name in same}


def key(name: str, file: str) -> str:
    """Functions without a symbol are told apart by their file alone."""
    if not name or name.startswith(("0x", "[unknown")) or "+0x" in name:
        return f"[{os.path.basename(os.path.realpath(file)) or 'unknown'}]"
    return one_name_each(os.path.realpath(file)).get(plain_name(name), plain_name(name))


def as_shares(times: Counter) -> dict:
    total = sum(times.values()) or 1
    return {name: 100 * value / total for name, value in times.most_common()}


def innermost_code(frames: list):
    """The function whose code it is. perf doesn't say what was inlined into it."""
    if not frames:
        return pprof.Frame("", "", "", 0)
    place = frames[0].mapping, frames[0].address
    return [frame for frame in itertools.takewhile(lambda f: (f.mapping, f.address) == place, frames)][-1]


def our_shares(profile) -> dict:
    times, at = Counter(), profile.column("cpu")
    for sample in profile.samples:
        leaf = innermost_code(sample.frames)
        times[key(leaf.name, leaf.mapping)] += sample.values[at]
    return as_shares(times)


kFrame = re.compile(r"\s*([0-9a-f]+) (.*) \((.*)\)$")


def perf_script(data: Path, *options) -> str:
    return subprocess.run(["perf", "script", "-i", data, "--no-inline", *options], check=True, capture_output=True, text=True).stdout


def own_processes(data: Path) -> set:
    """What perf has started, and all that descends from it."""
    own = set()
    for line in perf_script(data, "--show-task-events", "-F", "comm,pid,tid,ip", "-G").split("\n"):
        started = re.search(r"PERF_RECORD_COMM exec: (?:setpriv|siprof):(\d+)/", line)
        if started and not own:
            own.add(started[1])
        forked = re.search(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):", line)
        if forked and forked[2] in own:
            own.add(forked[1])
    assert own, "perf has not seen the program start"
    return own


def user_frame(lines: list):
    """The first frame that is neither the kernel's nor ours."""
    for match in filter(None, map(kFrame.match, lines)):
        if int(match[1], 16) < kKernelStart and "libsiprof" not in match[3]:
            return match
    return None


def perf_shares(data: Path) -> dict:
    """Self time by perf: the first frame of each sample that is not the kernel's. The agent is left out."""
    fields = ["-F", "comm,pid,ip,sym,dso"]
    chains = [block.strip("\n").split("\n") for block in perf_script(data, *fields).split("\n\n") if block.strip()]
    # perf prints no frame at all where the frame pointer leads nowhere; the sample has its place all the same.
    places = perf_script(data, "-G", *fields).rstrip("\n").split("\n")
    assert len(chains) == len(places), f"perf script shows {len(chains)} call chains of {len(places)} samples"
    own, times = own_processes(data), Counter()
    for (head, *frames), place in zip(chains, places):
        comm, pid = head.strip().rsplit(maxsplit=1)
        frame = user_frame(frames or [place.strip()[len(head.strip()):]])
        # The agent's threads have other names than siprof; it is one static program.
        if frame and pid in own and not comm.startswith(("perf", "setpriv")) and os.path.basename(frame[3]) != "siprof":
            times[key(frame[2], frame[3])] += 1
    return as_shares(times)


def row(name: str, same: bool, ours: dict, theirs: dict) -> tuple:
    top, own = list(theirs)[:kTop], list(ours)[:kTop]
    common = [function for function in top if function in own]
    worst = max((abs(ours.get(function, 0) - theirs[function]) for function in common), default=100)
    good = same and len(common) >= min(8, len(top)) and worst <= 5
    hottest = ", ".join(f"`{f}` {theirs[f]:.1f} / {ours.get(f, 0):.1f}" for f in top[:2])
    return f"| {name} | {'same' if same else 'DIFFERENT'} | {len(common)} of {len(top)} | {worst:.1f} | {hottest} |", good


def details(name: str, ours: dict, theirs: dict) -> None:
    print(f"\n{name}: perf %, siprof %", file=sys.stderr)
    for function in dict.fromkeys([*list(theirs)[:kTop], *list(ours)[:kTop]]):
        print(f"{theirs.get(function, 0):6.1f} {ours.get(function, 0):6.1f}  {function}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--seconds", type=int, default=10, help="of load, about")
    parser.add_argument("--hz", type=int, default=100)
    parser.add_argument("--only", default="", help="comma-separated names of the table")
    parser.add_argument("--details", action="store_true", help="both lists of hottest functions on stderr")
    options = parser.parse_args()
    if not shutil.which("perf"):
        raise SystemExit("perf is not installed (Debian package linux-perf)")
    wanted, bench, failed = options.only.split(",") if options.only else list(workloads.WORKLOADS), Bench(options), False
    print("| program | output, status | perf's ten in ours | largest difference, points | hottest: perf / siprof % |")
    print("|---|---|---|---|---|")
    try:
        for name in wanted:
            make = workloads.WORKLOADS[name]
            missing = make.missing(make)
            if missing:
                print(f"| {name} | not run: {', '.join(missing)} not installed | | | |")
                continue
            line, good = bench.compare(name, make)
            print(line, flush=True)
            failed |= not good
    finally:
        bench.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
