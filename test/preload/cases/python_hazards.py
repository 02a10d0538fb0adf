# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in profilers of Python: code that comes and goes, ends, deep stacks, faults, names, all at once."""

import collections
import os
import re
import signal
import time

from harness import agents
from harness.checks import check, of_pid, same
from harness.interpreters import kSome
from harness.python import (calls, chain, last_part, nothing_broken, on_each, program, python_frames, recorded,
                            share_of_python, shown)


@on_each("code_that_comes_and_goes", hazards=["P4"])
def reuse(session, interpreter):
    result = recorded(session, interpreter, "reuse.py", 500, 6)
    again = result.facts["again"][0]
    check(again > 30, f"only {again} of 500 functions were where another had been")
    seen = set()
    for sample in result.profile.samples:
        for frame in python_frames(sample):
            name = re.fullmatch(r"function_(\d+)", last_part(frame))
            file = re.fullmatch(r"<gen (\d+)>", frame.file)
            if not name and not file:
                continue
            if file and last_part(frame) == "<module>":
                continue
            check(bool(name and file) and name[1] == file[1], f"{frame.name} in {frame.file}")
            first = int(name[1]) % 90 + 1
            check(first <= frame.line <= first + 4, f"{frame.name} begins in line {first}, the sample is of {frame.line}")
            seen.add(int(name[1]))
    print(f"{len(seen)} of 500 functions were sampled, {again} were where another had been")
    check(len(seen) > 150, f"only {len(seen)} functions were sampled")
    nothing_broken(result.profile)


def without_numbers(text: bytes) -> bytes:
    """Addresses of threads differ from run to run, and lines in functions that are hot. What faulthandler's timer reads of
    a thread that runs isn't always whole."""
    text = re.sub(rb"0x[0-9a-f]{8,}", b"0x", text)
    text = re.sub(rb"(?s)(\nTimeout \(0:00:00\.200000\)!\n).*", rb"\1", text)
    return re.sub(rb"\n  File [^\n]*, line \d+ in (work|thread_ns|<genexpr>)(?=\n)", b"", text)


def ending(session, interpreter, way: str):
    # CPython ends daemon threads while they run: one in some hundred runs crashes.
    result = same(session, program(interpreter, "ending.py", way), hz=1000, fixed_work=False, crashes_alone=True,
                  env={"SIPROF_KINDS": "cpu"})
    return result


for way in ("daemons", "forks", "processes", "exec", "exit_in_thread"):
    def run(session, interpreter, way=way):
        result = ending(session, interpreter, way)
        check(share_of_python(result.profile) > 0.5, f"Python is in {100 * share_of_python(result.profile):.0f} % only")
        for key, used in result.facts.items():
            if key.startswith("child:"):
                pid = int(key[len("child:"):])
                found = result.profile.sum("cpu", lambda s, pid=pid: of_pid(pid)(s) and calls("noted_child")(s))
                seen = result.profile.sum("cpu", of_pid(pid))
                check(found >= 0.5 * used[0] - 4 * result.profile.period,
                      f"child {pid} used {used[0]} ns, {seen} were seen, {found} are under its function")

    on_each(f"ends_by_{way}", hazards=["P6"], versions=kSome)(run)


def wait_for_file(path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        check(time.monotonic() < deadline, f"there is no {path.name} after 30 s")
        time.sleep(0.005)


@on_each("children_before_their_agent_has_looked", hazards=["P6"])
def inherited(session, interpreter):
    """While the agent is stopped a child's stacks are Python's by what its parent knows."""
    def stop_meanwhile(process):
        wait_for_file(session.folder / "ready")
        stopped = session.agents()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            (session.folder / "go").touch()
            wait_for_file(session.folder / "done")
            check(all(agents.state(pid) == "T" for pid in stopped), f"agents {stopped} did not stay stopped")
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            (session.folder / "on").touch()

    result = session.preloaded(program(interpreter, "forks.py"), hz=250, env={"SIPROF_KINDS": "cpu"}, beside=stop_meanwhile,
                               cwd=session.folder)
    check(result.status == 0 and result.stdout == b"child ended with 0\n", f"{result.status}, {result.stdout!r}: {result.stderr!r}")
    facts, profile = result.facts, result.profile
    for key, used in facts.items():
        if "child:" in key:
            who, pid = key.split(":")
            seen = profile.sum("cpu", of_pid(int(pid)))
            found = profile.sum("cpu", lambda s, pid=int(pid), who=who: of_pid(pid)(s) and calls(f"of_{who}")(s))
            check(seen >= 0.7 * used[0], f"{who} used {used[0]} ns, {seen} were seen")
            check(found >= 0.9 * seen, f"{found} of {seen} ns of the {who} are under its function")
    check(sum("child:" in key for key in facts) == 2, f"{facts}")


def walked(profile) -> int:
    return int(profile.counters.get("python_walked", 0))


@on_each("deep_recursion", hazards=["P7"])
def deep(session, interpreter):
    result = same(session, program(interpreter, "recursion.py", "deep"), env={"SIPROF_KINDS": "cpu"}, fixed_work=False)
    profile = result.profile
    cut = int(profile.counters.get("python_cut", 0))
    check(cut > 50, f"{cut} of {walked(profile)} stacks are cut, most are deeper than what is kept")
    deepest = [s for s in profile.samples if calls("burn")(s) and calls("deeper")(s)]
    # The innermost are kept.
    wrong = [s for s in deepest if not re.fullmatch(r"(deeper ){100,}burn", chain(s)) and not re.search(r"deeper burn$", chain(s))]
    check(bool(deepest) and not wrong, f"{len(wrong)} of {len(deepest)}: {shown(wrong[0]) if wrong else ''}")


@on_each("recursion_errors", hazards=["P7"])
def recursion_errors(session, interpreter):
    same(session, program(interpreter, "recursion.py", "error"), env={"SIPROF_KINDS": "cpu"})


@on_each("threads_on_64_kib_stacks", hazards=["P7"])
def small_stacks(session, interpreter):
    result = same(session, program(interpreter, "recursion.py", "small"), env={"SIPROF_KINDS": "cpu"}, fixed_work=False)
    found = result.profile.sum("cpu", calls("burn"))
    check(found > 0.7 * result.profile.total(), f"{found} of {result.profile.total()} ns are in burn()")


kCrashes = [("none", "late", "null"), ("enable", "early", "null"), ("enable", "late", "null"), ("enable", "late", "thread"),
            ("enable", "early", "bus"), ("none", "late", "bus"), ("enable", "late", "abort"), ("enable", "late", "dump")]


@on_each("crashes_are_the_same", hazards=["P8"], versions=kSome)
def crashes(session, interpreter):
    for arguments in kCrashes:
        command = program(interpreter, "crash.py", *arguments)
        # faulthandler's timer reads the stacks of threads that run.
        result = same(session, command, normal=without_numbers, fixed_work=False, crashes_alone=arguments[2] == "dump",
                      env={"SIPROF_KINDS": "cpu"})
        expected = {"null": -11, "thread": -11, "bus": -7, "abort": -6, "dump": 1}[arguments[2]]
        check(result.status == expected, f"{arguments}: it ended with {result.status}")
        check(b"File" in result.stderr or arguments[0] == "none", f"{arguments}: no stack on stderr: {result.stderr!r}")
        found = result.profile.sum("cpu", calls("work"))
        check(found > 0.5 * result.profile.total(), f"{arguments}: {found} of {result.profile.total()} ns are in work()")


kWays = ("module", "sigaction", "signal", "syscall", "instruction", "ignored", "blocked")


@on_each("faults_are_the_programs_own", hazards=["P9"], versions=kSome)
def own_faults(session, interpreter):
    for way in kWays:
        command = program(interpreter, "own_faults.py", session.victims / "python_faults.so", way)
        result = same(session, command, fixed_work=False, env={"SIPROF_KINDS": "cpu"})
        check(result.status == 0, f"{way}: it ended with {result.status}: {result.stderr[-1000:]!r}")
        share = share_of_python(result.profile)
        # By a system call of its own the program takes the guard away, and Python with it.
        check(way == "instruction" or share > 0.7, f"{way}: Python is in {100 * share:.0f} % only: {result.profile.counters}")


@on_each("names_of_all_kinds", hazards=["P13"])
def names(session, interpreter):
    """That they are UTF-8 the decoder checks."""
    result = recorded(session, interpreter, "names.py", 200)
    profile, seen = result.profile, collections.Counter()
    expected = {"latin": "café_über", "greek": "αβγ_привет", "wide": "𝓐𝓑_🐍", "dotted": "a.b.<c>"}
    for sample in profile.samples:
        for frame in sample.frames:
            kind = re.fullmatch(r"/names/(\w+)\.py", frame.file)
            if kind:
                seen[kind[1]] += sample.values[profile.column("cpu")]
                name = frame.system_name
                if kind[1] in expected:
                    check(name == expected[kind[1]], f"{kind[1]} is called {name!r}")
                check(len(frame.name.encode()) <= 1024, f"{kind[1]} has a name of {len(frame.name)} characters")
                check("\0" not in frame.name, f"{kind[1]} has a zero in its name")
                if kind[1].startswith("long"):
                    check(re.match("n{200}|🐍{50}", name) is not None, f"{kind[1]} is called {name!r}")
            elif frame.system_name.startswith("in_file_"):
                seen[frame.system_name] += sample.values[profile.column("cpu")]
                check(len(frame.file.encode()) <= 1024 and "\0" not in frame.file, f"the file is {frame.file!r}")
                if frame.system_name == "in_file_greek":
                    check(frame.file == "/tmp/папка/α.py", f"the file is {frame.file!r}")
    for key, ns in result.facts.items():
        where, kind = key.split(":")
        name = kind if where == "name" else "in_file_" + kind
        check(seen[name] > 0.5 * ns[0], f"{kind} used {ns[0]} ns, found are {seen[name]}")


@on_each("everything_at_once", hazards=["P1", "P4", "P6", "P10"])
def mix(session, interpreter):
    """Output and status are the same. `scripts/soak python` takes ten minutes for each version."""
    session.timeout_seconds = 900 if session.long else 60
    command = program(interpreter, "mix.py", 5, 30_000 if session.long else 600)
    for kinds in ("cpu", "cpu,heap,lock,io,errors"):
        result = same(session, command, hz=1000, env={"SIPROF_KINDS": kinds}, fixed_work=False)
        check(result.status == 0 and result.stdout.count(b"\n") == 10, f"{result.status}, {result.stdout!r}")
        nothing_broken(result.profile, share=0.05)
        print(f"{kinds}: {walked(result.profile)} stacks with Python, faults {result.profile.counters.get('python_faults', 0)}, "
              f"{result.seconds:.1f} s")
        check(share_of_python(result.profile) > 0.3, f"Python is in {100 * share_of_python(result.profile):.0f} % only")


@on_each("subinterpreters", hazards=["P11"])
def subinterpreters(session, interpreter):
    result = same(session, program(interpreter, "subinterpreters.py", 300), env={"SIPROF_KINDS": "cpu"}, fixed_work=False)
    profile, found = result.profile, collections.Counter()
    for sample in profile.samples:
        inside = {match[1] for frame in python_frames(sample) if (match := re.fullmatch(r"(?:inside|enter)_(\d)", last_part(frame)))}
        check(len(inside) <= 1, f"interpreters are mixed: {shown(sample)}")
        check(not (inside and calls("beside")(sample)), f"threads are mixed: {shown(sample)}")
        for number in inside:
            found[number] += sample.values[profile.column("cpu")]
    for number in "01":
        check(found[number] > 0.8 * 300e6, f"{found[number]} ns are in interpreter {number}, which used 300 ms")
    check(profile.sum("cpu", calls("beside")) > 0.8 * 300e6, "what runs beside them is missing")
