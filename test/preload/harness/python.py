# SPDX-License-Identifier: Apache-2.0
"""What the cases of Python have in common: their programs, run on each interpreter, and Python frames in profiles."""

from pathlib import Path

from harness import checks, interpreters
from harness.checks import check
from harness.registry import add

kPrograms = Path(__file__).resolve().parents[2] / "python" / "programs"
kHz = 250  # as often as most kernels look at CPU timers


def on_each(name: str, hazards=(), versions=interpreters.kVersions):
    """A case for each interpreter: the function gets the session and the interpreter."""
    def register(run):
        for version in versions:
            add(f"python_{name}_on_{interpreters.label(version)}", hazards,
                lambda session, version=version: run(session, interpreters.find(version)), suite="python")
        return run

    return register


def program(interpreter, name: str, *arguments) -> list:
    """-B: the folder of the programs is the source's."""
    return [interpreter.path, "-B", "-W", "ignore", str(kPrograms / name), *map(str, arguments)]


def recorded(session, interpreter, name: str, *arguments, hz=kHz, **env):
    """By `siprof record`, CPU alone unless `SIPROF_KINDS` says otherwise; the program has to end well."""
    settings = {"SIPROF_KINDS": "cpu", "SIPROF_BUDGET": "off", **env}
    result = session.recorded(program(interpreter, name, *arguments), hz=hz, env=settings)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr[-2000:]!r}")
    return result


def is_python(frame) -> bool:
    """Of Python code, not of C: it lies in no file that the loader knows, and has no address."""
    return bool(frame.name) and not frame.mapping and not frame.address


def last_part(frame) -> str:
    """co_name, also where the profile has the qualified one."""
    return frame.system_name.rpartition(".")[2]


def python_frames(sample) -> list:
    """Leaf first."""
    return [frame for frame in sample.frames if is_python(frame)]


def chain(sample) -> str:
    """Names of the Python functions, root first, without the look at the clock that loops of the programs have."""
    frames = [frame for frame in python_frames(sample) if last_part(frame) != "thread_ns"]
    return " ".join(last_part(frame) for frame in reversed(frames))


def calls(name: str):
    return lambda sample: any(last_part(frame) == name for frame in python_frames(sample))


def shown(sample) -> str:
    return " < ".join(f"{frame.name or hex(frame.address)}:{frame.line}" for frame in sample.frames)


def in_main(profile) -> list:
    """Samples of the program itself: not of its start, its imports and its end."""
    return [sample for sample in profile.samples if calls("main")(sample)]


def aligned(profile, share: float = 0.98) -> str:
    """Native and Python frames fit together, segment by segment. A call on its way in or out has no frame, which is
    exact as well: a generator's are made and gone at every turn."""
    counts = {name: int(profile.counters.get(f"python_{name}", 0)) for name in ("aligned", "entering", "partial", "mismatched")}
    whole = sum(counts.values())
    check(whole > 0, f"no stack has Python frames: {profile.counters}")
    line = f"{100 * counts['aligned'] / whole:.1f} % of {whole} stacks are aligned: {counts}"
    check(counts["aligned"] + counts["entering"] >= share * whole and counts["aligned"] >= 0.8 * whole, line)
    return line


def nothing_broken(profile, share: float = 0.01) -> None:
    walked, broken, lost = (int(profile.counters.get(f"python_{name}", 0)) for name in ("walked", "broken", "code_lost"))
    check(broken + lost <= share * walked, f"of {walked} stacks {broken} end at something unreadable, and {lost} had no room for names")
    checks.no_siprof_frames(profile)


def share_of_python(profile) -> float:
    """Of the samples' time, that with Python frames."""
    return profile.sum("cpu", lambda sample: bool(python_frames(sample))) / max(1, profile.total())
