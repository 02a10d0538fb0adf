# SPDX-License-Identifier: Apache-2.0
"""Python programs with a known answer: shares, chains, lines, threads, on each version of CPython."""

import math
import re

from harness import checks
from harness.checks import check
from harness.python import (aligned, calls, chain, in_main, is_python, kPrograms, last_part, nothing_broken, on_each, python_frames,
                            recorded, share_of_python, shown)

# Of shares.py, root first.
kChains = {
    "plain": r"plain",
    "by_sort_key": r"by_sort_key( key_of)?",
    "by_substitution": r"by_substitution( sub( replacement| _compile.*)?)?",
    "by_generator": r"by_generator( squares)?",
    "by_recursion": r"by_recursion( deeper){0,30}|by_recursion( deeper){31}( spin)?",
    "by_library": r"by_library( <listcomp>| compare_numbers)?",
    "by_comparison": r"by_comparison( __lt__| __init__| <listcomp>( __init__)?)?",
}


def room_for(share: float, profile) -> float:
    """In points: 3, or four standard deviations of so few draws; a late tick stands for several."""
    draws = int(profile.counters["samples"]) ** 2 / max(1, int(profile.counters["ticks"]))
    return max(3.0, 400 * math.sqrt(share * (1 - share) / draws))


def shares_match(profile, used: dict, found: dict) -> str:
    """By key; both in nanoseconds."""
    used_ns, found_ns, lines = sum(used.values()), max(1, sum(found.values())), []
    for key, ns in used.items():
        expected, seen = ns / used_ns, found.get(key, 0) / found_ns
        lines.append(f"{key} {100 * seen:.1f} % (used {100 * expected:.1f} %)")
        check(abs(100 * (seen - expected)) <= room_for(expected, profile), lines[-1])
    return ", ".join(lines)


@on_each("shares")
def shares(session, interpreter):
    result = recorded(session, interpreter, "shares.py", 6)
    profile = result.profile
    samples, found = in_main(profile), {}
    for sample in samples:
        way = next((name for name in kChains if calls(name)(sample)), "")
        found[way] = found.get(way, 0) + sample.values[profile.column("cpu")]
        if way:
            text = chain(sample)
            check(re.fullmatch(f"<module> main ({kChains[way]})", text) is not None, f"{text}: {shown(sample)}")
    found.pop("", None)
    used = {key.partition(":")[2]: ns[0] for key, ns in result.facts.items() if key.startswith("used:")}
    print(shares_match(profile, used, found))
    checks.total_matches(profile, result.facts["cpu_ns"][0], threads=1)
    check(sum(found.values()) > 0.95 * sum(used.values()), f"{sum(found.values())} ns of {sum(used.values())} are in the program's functions")
    check(all(frame.name.startswith("shares.") for s in samples for frame in python_frames(s) if frame.file.endswith("shares.py")),
          "a function has a name without its module")
    print(aligned(profile))
    nothing_broken(profile)


def ticks_of(profile, sample) -> float:
    return sample.values[profile.column("cpu")] / profile.period


@on_each("native_frames_as_asked_for")
def native_frames(session, interpreter):
    """`app` hides the interpreter's own, `all` shows what is between Python's, `none` only Python."""
    for mode in ("app", "all", "none"):
        profile = recorded(session, interpreter, "shares.py", 2, SIPROF_NATIVE_FRAMES=mode).profile
        for caller, callee in (("by_sort_key", "key_of"), ("by_library", "compare_numbers")):
            samples = [sample for sample in in_main(profile) if calls(callee)(sample)]
            ticks = sum(ticks_of(profile, sample) for sample in samples)
            check(ticks > 20, f"{mode}: {ticks} ticks are in {callee}")
            wrong = [sample for sample in samples if not native_frames_are_right(mode, sample, caller, callee)]
            # Where a call is on its way in or out, it has no Python frame.
            strange = sum(ticks_of(profile, sample) for sample in wrong)
            check(strange <= 0.03 * ticks, f"{mode}: {strange} of {ticks} ticks, such as {[shown(sample) for sample in wrong[:1]]}")


def native_frames_are_right(mode: str, sample, caller: str, callee: str) -> bool:
    at = [last_part(frame) if is_python(frame) else "" for frame in sample.frames]
    between = sample.frames[at.index(callee) + 1 : at.index(caller)]
    if any(is_python(frame) for frame in between) or any(frame.name == "_PyEval_EvalFrameDefault" for frame in sample.frames):
        return False
    if mode == "none":
        return all(is_python(frame) for frame in sample.frames)
    if callee == "compare_numbers":  # called by the library's sort
        return any("libc.so" in frame.mapping for frame in between)
    return bool(between) == (mode == "all")


def expanded(session) -> str:
    """lines.py with its gaps of 300 lines."""
    text = (kPrograms / "lines.py").read_text().replace("# GAP\n", "# so far\n" * 300)
    (session.folder / "lines.py").write_text(text)
    (session.folder / "facts.py").write_text((kPrograms / "facts.py").read_text())
    return str(session.folder / "lines.py")


@on_each("lines", hazards=["P5"])
def lines(session, interpreter):
    """Where hot() is called from, and the lines of two hot functions: each number is the interpreter's own."""
    result = recorded(session, interpreter, expanded(session), 6)
    profile, found = result.profile, {}
    used = {(key.split(":")[1], int(key.split(":")[2])): ns[0] for key, ns in result.facts.items() if key.startswith("line:")}
    check(len(used) == 28 and max(line for _, line in used) > 600, f"{sorted(used)}")
    hot_lines = {key.partition(":")[2]: line[0] for key, line in result.facts.items() if key.startswith("leaf:")}
    for sample in in_main(profile):
        frames = python_frames(sample)
        names = [last_part(frame) for frame in frames]
        if names[0] in hot_lines:
            check(frames[0].line == hot_lines[names[0]], f"line {frames[0].line} of {names[0]}, it is {hot_lines[names[0]]}")
        if "hot" in names:
            caller = frames[names.index("hot") + 1]
            place = (last_part(caller), caller.line)
            check(place in used, f"{place} calls hot(), but there are only {sorted(used)}: {shown(sample)}")
            found[place] = found.get(place, 0) + sample.values[profile.column("cpu")]
    shares_match(profile, used, found)
    check(set(found) == set(used), f"never sampled: {sorted(set(used) - set(found))}")
    print(f"{len(found)} hot places have their lines; {aligned(profile)}")


def of_thread(profile, thread: int, where=lambda sample: True) -> int:
    return profile.sum("cpu", lambda s: int(s.labels["thread_id"]) == thread and where(s))


def threads(session, interpreter, how: str, leaves: tuple) -> None:
    result = recorded(session, interpreter, "threads.py", how, 2)
    profile = result.profile
    for number, (own, other) in enumerate((leaves, leaves[::-1])):
        thread, used = result.facts[f"thread_{number}"][0], result.facts[f"used_{number}"][0]
        under, strange = (of_thread(profile, thread, calls(name)) for name in (own, other))
        check(strange == 0, f"{strange} ns of thread {number} are in {other}, which the other one runs")
        print(f"thread {number}: {100 * under / used:.1f} % of {used / 1e9:.2f} s under {own}")
        check(under >= 0.95 * used - 2 * profile.period, f"{under} ns of {used} are under {own}")
        names = {chain(s) for s in profile.samples if calls(own)(s) and int(s.labels["thread_id"]) == thread}
        check(all(re.search(f"run {'first' if number == 0 else 'second'}_{how} {own}", name) for name in names), f"{names}")
    nothing_broken(profile)
    print(aligned(profile))


@on_each("code_without_the_gil", hazards=["P2"])
def released(session, interpreter):
    threads(session, interpreter, "released", ("hash_of_first", "hash_of_second"))


@on_each("threads_are_not_mixed", hazards=["P3"])
def holding(session, interpreter):
    threads(session, interpreter, "holding", ("work_of_first", "work_of_second"))


@on_each("callbacks_at_1000_hz", hazards=["P1"])
def callbacks(session, interpreter):
    command_arguments = ("callbacks.py", 20000)
    result = recorded(session, interpreter, *command_arguments, hz=1000)
    check(result.stdout.startswith(b"[") and len(set(result.stdout.strip(b"[]\n").split(b", "))) == 1, f"{result.stdout!r}")
    profile = result.profile
    print(f"{profile.counters['samples']} samples, {aligned(profile)}, faults {profile.counters.get('python_faults', 0)}, "
          f"Python in {100 * share_of_python(profile):.1f} %")
    nothing_broken(profile, share=0.02)
    allowed = {"<module>", "main", "work", "_bootstrap", "_bootstrap_inner", "run", "<lambda>", "<genexpr>", "one_of", "swap",
               "__lt__", "__init__", "__hash__", "__eq__", "<listcomp>", "<dictcomp>", "sub", "_compile"}
    for sample in profile.samples:
        names = [last_part(frame) for frame in python_frames(sample) if frame.file.endswith("callbacks.py")]
        check(set(names) <= allowed, f"{set(names) - allowed} in {shown(sample)}")
        check(names.count("work") <= 1, shown(sample))
