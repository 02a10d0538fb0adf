# SPDX-License-Identifier: Apache-2.0
"""What the cases assert: the app behaves the same, and its profile tells the truth.

Every function raises AssertionError with the numbers that it compared.
"""

import os
import re
from typing import Callable

from harness.pprof import Profile, Sample
from harness.session import Result, Session


def check(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def unchanged(data: bytes) -> bytes:
    return data


class Slower(AssertionError):
    """Output and status are right, the time is not: with a loaded machine as witness, worth another look."""


def same_behaviour(plain: Result, profiled: Result, normal: Callable = unchanged, summary: bool = False,
                   fixed_work: bool = True) -> None:
    """Status and output equal, no hang, as much CPU time. `summary`: record's own text may follow on stderr.
    `fixed_work=False`: the victim works until a time is over, so that its CPU time says nothing."""
    where = f"{profiled.command}"
    check(plain.status == profiled.status,
          f"{where} ended with {profiled.status}, without siprof with {plain.status}\n"
          f"stdout: {profiled.stdout[-2000:]!r}\nstderr: {profiled.stderr[-2000:]!r}")
    check(normal(plain.stdout) == normal(profiled.stdout),
          f"{where} wrote other output:\n{normal(profiled.stdout)[-3000:]!r}\nwithout siprof:\n{normal(plain.stdout)[-3000:]!r}")
    ours, theirs = normal(profiled.stderr), normal(plain.stderr)
    check(ours.startswith(theirs) if summary else ours == theirs,
          f"{where} wrote other errors:\n{ours[-3000:]!r}\nwithout siprof:\n{theirs[-3000:]!r}")
    # The machine may be loaded, so the wall clock finds hangs and time-outs only; CPU time says more.
    limit = 4 * plain.seconds + 8
    check(profiled.seconds <= limit, f"{where} took {profiled.seconds:.1f} s, without siprof {plain.seconds:.1f} s")
    if fixed_work and profiled.cpu_ns > 1.5 * plain.cpu_ns + 150e6:
        raise Slower(f"{where} used {profiled.cpu_ns / 1e6:.0f} ms of CPU, without siprof {plain.cpu_ns / 1e6:.0f} ms")


def no_siprof_frames(profile: Profile) -> None:
    for sample in profile.samples:
        for frame in sample.frames:
            file = os.path.basename(frame.mapping)
            ours = file.startswith("libsiprof") or re.search(r"\bsiprof\b", frame.name)
            check(not ours, f"a frame of siprof itself is in the profile: {frame}")


def has_samples(profile: Profile) -> None:
    check(bool(profile.samples), "the profile is empty: the victim was not profiled at all")
    no_siprof_frames(profile)


def about(what: str, seen: float, expected: float, relative: float, slack: float = 0) -> None:
    room = relative * expected + slack
    check(abs(seen - expected) <= room, f"{what} is {seen:.0f}, expected {expected:.0f} ± {room:.0f}")


def total_matches(profile: Profile, cpu_ns: int, threads: int, relative: float = 0.03) -> None:
    """Sampled CPU against getrusage. A thread's last, unfinished period is the slack: it has no sample yet."""
    about("sampled CPU time (ns)", profile.total("cpu"), cpu_ns, relative, slack=2 * threads * profile.period)


def calls(name: str) -> Callable[[Sample], bool]:
    """True for stacks with the function `name` (without scope and parameters) somewhere in them."""
    wanted = re.compile(rf"(^|[ :~]){re.escape(name)}($|[(<])")
    return lambda sample: any(wanted.search(frame.name) for frame in sample.frames)


def of_pid(pid: int) -> Callable[[Sample], bool]:
    return lambda sample: int(sample.labels["pid"]) == pid


def whole(sample: Sample) -> bool:
    """The stack reaches where the kernel or clone started the thread.

    The main thread's stack ends in `_start` of the program; others end in libc's clone, whose symbol a
    stripped libc does not have, so the file is what tells.
    """
    if not sample.frames:
        return False
    root = sample.frames[-1]
    if root.name == "_start":
        return True
    return os.path.basename(root.mapping).startswith(("libc.so", "libc-", "libpthread"))


def stacks_walked(profile, share: float) -> None:
    """Handlers walked them by the agent's tables, instead of copying stacks for the agent to unwind."""
    samples, walked = (sum(int(profile.counters.get(name, 0)) for name in names)
                       for names in (("samples", "events"), ("stack_walked",)))
    copied = {name: int(value) for name, value in profile.counters.items() if name.startswith("copied_") and int(value)}
    check(walked >= share * samples, f"{walked} of {samples} stacks were walked; copied: {copied}")
    check(walked + sum(copied.values()) == samples, f"{walked} walked, copied {copied}, of {samples} samples")


def stacks_whole(profile: Profile, share: float = 1.0) -> None:
    broken = [sample for sample in profile.samples if not whole(sample)]
    lost = sum(sample.values[profile.column("cpu")] for sample in broken)
    if lost > (1 - share) * profile.total("cpu"):
        shown = [frame.name or f"{frame.mapping}+{frame.address:#x}" for frame in broken[0].frames]
        check(False, f"{len(broken)} of {len(profile.samples)} stacks do not reach the thread's start, such as {shown}")


def same(session: Session, command: list, sampled: bool = True, normal: Callable = unchanged, fixed_work: bool = True,
         crashes_alone: bool = False, **options) -> Result:
    """The usual case: without, then preloaded; same behaviour, no agent left, a profile without our frames.
    `crashes_alone`: the program has a bug of its own by which it crashes now and then; where it does so without siprof,
    and only there, both are run again."""
    shared = {k: v for k, v in options.items() if k not in ("hz", "before", "after")}
    extra = [*options.get("before", ()), *options.get("after", ())]
    if extra:
        shared["env"] = {**shared.get("env", {}), "LD_PRELOAD": ":".join(map(str, extra))}
    for attempts_left in (2, 1, 0):
        plain = session.plain(command, **shared)
        profiled = session.preloaded(command, **options)
        if crashes_alone and attempts_left > 0 and plain.status < 0 <= profiled.status:
            continue
        try:
            same_behaviour(plain, profiled, normal, fixed_work=fixed_work)
            break
        except Slower:
            if attempts_left == 0:
                raise
    if sampled:
        has_samples(profiled.profile)
    return profiled
