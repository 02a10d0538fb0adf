#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the shim's table walker: steps a corpus of programs and compares each walk with libunwind's.

    test/oracle/corpus.py --build build [--short] [--only NAME,…] [--windows N] [--steps N]

Prints what was found by module, and for what isn't equal the places that decided it. Ends with 1 if a frame was
wrong, if less than 99.5 % was equal, or if the corpus was smaller than it has to be.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import debian_programs
import own_programs
from tally import Tally

LEAST_EQUAL = 0.995
LEAST_EQUAL_OF_PART = 0.97  # in which rare rules have a larger share
LEAST_STEPS = 2_000_000
LEAST_MODULES = 40  # with enough instructions each, half of them Debian's


def step(oracle, name, command, folder, *options):
    """The report's text, or why there is none."""
    report = folder / (name.replace(" ", "_") + ".report")
    client = debian_programs.CLIENTS.get(name)
    beside = None
    if client is not None:
        beside = subprocess.Popen(["sh", "-c", client.replace("{w}", str(folder))], start_new_session=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stdin = folder / debian_programs.STDIN[name] if name in debian_programs.STDIN else os.devnull
    try:
        with open(stdin, "rb") as source:
            result = subprocess.run(
                [oracle, *options, "--report", report, "--", *command],
                stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(folder)})
    except OSError as error:
        return None, str(error)
    finally:
        if beside is not None:
            os.killpg(beside.pid, 9)
            beside.wait()
    return report.read_text() if result.returncode == 0 else None, result.stderr.strip()[-300:]


def is_blind(oracle, folder):
    """Whether altered rules go unnoticed."""
    altered = Tally()
    report, problem = step(oracle, "altered", [folder / "frames_O2"], folder, "--damaged", "--windows", "4")
    altered.add("altered", report or "")
    print(f"with altered rules: {altered.total()['wrong']} wrong", problem)
    return altered.total()["wrong"] == 0


def chosen(options):
    """Names of own programs, names of Debian's."""
    own = own_programs.SHORT if options.short else list(own_programs.PROGRAMS)
    debian = debian_programs.SHORT if options.short else list(debian_programs.PROGRAMS)
    if options.only:
        own, debian = ([name for name in names if name in options.only.split(",")] for names in (own, debian))
    return own, debian


def run(options, oracle, folder):
    """All of them, two at a time. What was found, and why programs were skipped."""
    own, debian = chosen(options)
    def size(name):
        # Debian's are what users run; ours have the rare things all the time.
        windows = options.windows if name in debian else options.windows // 2
        return ["--windows", str(windows), "--steps", str(options.steps), "--run-us", "20000"]

    programs = [*own_programs.commands(own, folder), *debian_programs.commands(debian, folder)]
    tally = Tally()
    problems = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(step, oracle, name, command, folder, *size(name))
                for name, command, problem in programs if problem is None}
        for name, _, problem in programs:
            report, problem = runs[name].result() if name in runs else (None, problem)
            if report is None:
                problems.append(problem)
                print(f"skipped {name}: {problem}")
            else:
                tally.add(name, report)
    return tally, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--short", action="store_true", help="a part, in seconds; its size isn't judged")
    parser.add_argument("--only", help="programs, by name")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    oracle = options.build.resolve() / "test/oracle/stack_oracle"
    whole = not options.short and not options.only
    with tempfile.TemporaryDirectory(prefix="siprof-oracle-") as temporary:
        folder = pathlib.Path(temporary)
        tally, problems = run(options, oracle, folder)
        if tally.programs == 0 and any("PTRACE_SEIZE" in problem for problem in problems):
            print("no program may be traced here")
            return 77  # skipped, for Meson
        tally.print(folder)
        blind = not options.only and is_blind(oracle, folder)
    failures = tally.failures(LEAST_EQUAL if whole else LEAST_EQUAL_OF_PART)
    if blind:
        failures.append("altered rules weren't noticed")
    if whole:
        failures += tally.too_small(LEAST_STEPS, LEAST_MODULES)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
