# SPDX-License-Identifier: Apache-2.0
"""Programs with a known answer: total CPU, shares, whole stacks, with every mask and at several rates."""

import math

from harness import checks
from harness.checks import about, calls, check
from harness.registry import add

kLevels = 25


def shares(result, hz) -> str:
    """hot() against what it used. The room is 2 points, or four standard deviations of so many samples."""
    profile, facts = result.profile, result.facts
    hot_ns, warm_ns = sum(facts["hot_ns"]), sum(facts["warm_ns"])
    expected = 100 * hot_ns / (hot_ns + warm_ns)
    check(abs(expected - 70) < 5, f"the victim itself used {expected:.1f} % in hot()")
    found_hot, found_warm = (profile.sum("cpu", calls(name)) for name in ("hot", "warm"))
    check(found_hot + found_warm > 0.97 * profile.total(), "more than 3 % of the time is in neither function")
    found = 100 * found_hot / max(1, found_hot + found_warm)
    # On a loaded machine ticks come late and a sample stands for several, so that there are fewer draws:
    # about samples² ÷ ticks of equal weight.
    samples = int(profile.counters["samples"]) ** 2 / max(1, int(profile.counters["ticks"]))
    room = max(2.0, 400 * math.sqrt(0.7 * 0.3 / samples))
    line = f"hot() has {found:.2f} %, it used {expected:.2f} % (room {room:.1f} points for {samples:.0f} draws)"
    check(abs(found - expected) <= room, line)
    return line


def depth(profile) -> None:
    """Every stack through hot() has all 25 levels, in order, each once."""
    for sample in profile.samples:
        if not calls("hot")(sample):
            continue
        levels = [frame.name for frame in sample.frames if "level<" in frame.name]
        numbers = [int(name.split("level<")[1].split(">")[0]) for name in levels]
        check(numbers == list(range(1, kLevels + 1)), f"the levels of a stack are {numbers}")


def truth(session, victim, hz, mask, ms, threads=2) -> str:
    command = session.victim(victim, ms, threads, mask)
    plain = session.plain(session.victim(victim, 100, threads, mask))
    result = session.recorded(command, hz=hz)
    check(plain.status == result.status and plain.stdout == result.stdout, f"the output differs: {result.stdout!r}")
    check(plain.stdout == b"mask kept\n" * threads, f"the victim reads back another mask: {plain.stdout!r}")
    profile = result.profile
    checks.has_samples(profile)
    checks.total_matches(profile, result.facts["cpu_ns"][0], threads)
    depth(profile)
    checks.stacks_whole(profile, share=0.99)
    # Only those before the tables were there are copied.
    checks.stacks_walked(profile, share=0.7)
    off = 100 * (profile.total() / result.facts["cpu_ns"][0] - 1)
    return f"total {off:+.2f} %, {shares(result, hz)}"


for victim, frames in {"truth": "no_frame_pointers", "truth_fp": "frame_pointers"}.items():
    for hz in (100, 250):
        for mask in ("open", "blocked"):
            add(f"truth_{frames}_{hz}_hz_{mask}", [38, 44], lambda session, v=victim, h=hz, m=mask: truth(
                session, v, h, m, ms=2500))


def four_threads(session, hz) -> None:
    result = session.recorded(session.victim("burn", 2500, 4), hz=hz)
    checks.has_samples(result.profile)
    checks.total_matches(result.profile, result.facts["cpu_ns"][0], threads=4, relative=0.02)


for hz in (100, 250, 1000):
    add(f"four_threads_at_{hz}_hz", [44], lambda session, hz=hz: four_threads(session, hz))
