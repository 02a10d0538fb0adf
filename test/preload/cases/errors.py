# SPDX-License-Identifier: Apache-2.0
"""Exceptions of C++: every throw is counted at its place, and ends where it would without siprof."""

import collections

from harness.checks import check
from harness.registry import add, case

kKinds = {"SIPROF_KINDS": "cpu,errors", "SIPROF_BUDGET": "off"}
kThreads = 4


def thrown(profile, where=lambda sample: True) -> int:
    return profile.sum("exceptions", where)


def by(profile, kind, function) -> int:
    return thrown(profile, lambda s: s.labels["type"] == kind and s.frames and f"{function}(" in s.frames[0].name)


def others(profile) -> str:
    """What is in neither of the functions that throw."""
    found = [s for s in profile.samples if not any("_thrower(" in f.name for f in s.frames[:1])]
    return "; ".join(f"{s.values[0]} × {s.labels['type']} in {[f.name for f in s.frames[:3]]}" for s in found)


def expected(per_thread: int) -> dict:
    """What throws.cpp throws, by type and function."""
    turns = [sum(1 for i in range(per_thread) if i % 6 == which) * kThreads for which in range(6)]
    return {
        ("std::runtime_error", "first_thrower"): turns[0],
        ("(anonymous namespace)::Own", "first_thrower"): turns[1],
        ("std::runtime_error", "second_thrower"): turns[2] + turns[3],
        ("(anonymous namespace)::Own", "second_thrower"): turns[4],
        ("int", "second_thrower"): turns[5],
    }


def same(plain, result) -> None:
    check((plain.status, plain.stdout) == (result.status, result.stdout),
          f"it ended with {result.status}, {result.stdout!r}; without siprof {plain.status}, {plain.stdout!r}")


@case("throws_are_counted_one_by_one", hazards=[])
def exact(session):
    command = session.victim("throws", 25_000, 30_000)
    result = session.recorded(command, env=kKinds)
    same(session.plain(session.victim("throws", 25_000, 0)), result)
    profile = result.profile_of("errors")
    # Where the agent had no time to make room the next ones stand for what found none, wherever they were thrown.
    lost = int(result.profile.counters.get("lost_events_pool_full", 0))
    check(lost <= 5_000, f"{lost} of {25_000 * kThreads} found no room")
    for (kind, function), count in expected(25_000).items():
        found = by(profile, kind, function)
        check(abs(found - count) <= (0.1 * count if lost else 0), f"{found} of {kind} in {function}, {count} were thrown; {others(profile)}")
    check(thrown(profile) == 25_000 * kThreads, f"{thrown(profile)} in all, {25_000 * kThreads} were thrown")
    check(all(s.labels["handled"] == "true" for s in profile.samples), "all were caught")
    check(profile.period == 1, f"the period is {profile.period}")


@case("messages_of_exceptions_when_asked_for", hazards=[])
def messages(session):
    def by_message(**env):
        result = session.recorded(session.victim("throw_messages"), env={**kKinds, **env})
        check((result.status, result.stdout) == (0, b"thrown\n"), f"{result.status}, {result.stdout!r}")
        counts = collections.Counter()
        for sample in result.profile_of("errors").samples:
            counts[sample.labels.get("message", "")] += sample.values[0]
        return counts

    check(set(by_message()) == {""}, "nobody asked for messages")
    seen = by_message(SIPROF_ERROR_MESSAGES="1")
    texts = {"one base": 1, "second of two bases": 2, "by a virtual base": 3, "deeper": 4, "nested": 7, "x" * 256: 9}
    for text, count in texts.items():
        check(seen[text] == count, f"{seen[text]} of {text!r}, {count} were thrown: {seen}")
    check(seen[""] == 5 + 6 + 8 + 10, f"{seen['']} without a message: {seen}")
    check(sum(seen.values()) == 66 and len(seen) == len(texts) + 2, f"{seen}")


@case("a_storm_of_throws_is_counted_whole_and_split_fairly", hazards=[])
def throw_storm(session):
    times = 600_000
    result = session.recorded(session.victim("throws", times, 0), env=kKinds)
    profile = result.profile_of("errors")
    check(thrown(profile) == times * kThreads, f"{thrown(profile)} in all, {times * kThreads} were thrown")
    for (kind, function), count in expected(times).items():
        found = by(profile, kind, function)
        off = found / count - 1
        print(f"{kind} in {function}: {found} of {count}, {100 * off:+.2f} %")
        check(abs(off) < 0.03, f"{found} of {kind} in {function}, {count} were thrown")
    taken = int(result.profile.counters["events"])
    check(taken < times * kThreads / 4, f"{taken} stacks were taken of {times * kThreads} throws")


def way(session, name, check_profile=None) -> None:
    command = session.victim("throw_ways", name)
    plain = session.plain(command)
    result = session.recorded(command, env=kKinds)
    status = plain.status if plain.status >= 0 or session.baseline_only else 128 - plain.status  # as a shell's
    check((status, plain.stdout) == (result.status, result.stdout),
          f"it ended with {result.status}, {result.stdout!r}; without siprof {status}, {plain.stdout!r}")
    check(plain.stderr in result.stderr, f"stderr is {result.stderr!r}, without siprof {plain.stderr!r}")
    if check_profile:
        profile = result.profile_of("errors")
        # Before the agent has made tables stacks are copied, and few fit: counted, not always with their type.
        profile.short_of_room = int(result.profile.counters.get("lost_events_pool_full", 0)) > 0
        check_profile(profile)


def counted(times, kind="std::runtime_error", room=0):
    def check_it(profile):
        known = (kind, "(unknown)") if profile.short_of_room else (kind,)
        found = thrown(profile, lambda s: s.labels["type"] in known)
        check(abs(found - times) <= room, f"{found} of {kind}, {times} were thrown")
        check(not any(f.mapping.rpartition("/")[2].startswith("libsiprof") for s in profile.samples for f in s.frames), "siprof is in a stack")
    return check_it


def unhandled(profile):
    found = [(s.labels["type"], s.labels["handled"], s.values[0]) for s in profile.samples]
    check(found == [("std::logic_error", "false", 1)], f"the profile has {found}")
    check("never_caught" in profile.samples[0].frames[0].name, f"it was thrown in {profile.samples[0].frames[:3]}")


def bad_allocs(profile):
    # The last of the storm, which wait for a stack, are with the first after it.
    counted(1_000_000, "std::bad_alloc", room=1_000)(profile)
    counted(5_000, room=1_000)(profile)
    check(thrown(profile) == 1_005_000, f"{thrown(profile)} in all, 1005000 were thrown")
    inside = thrown(profile, lambda s: any("out_of_memory" in f.name for f in s.frames))
    check(inside > 0.99 * 1_005_000, f"{inside} of 1005000 are in out_of_memory()")


# A rethrow isn't a new exception: one raise counts once, where it was.
for name, check_it, hazards in (("rethrown", counted(1000), []), ("carried", counted(1), []),
                                ("nested", None, []), ("from_handler", counted(1000, "int"), []),
                                ("cancellation", None, [55]), ("out_of_memory", bad_allocs, [71]),
                                ("unhandled", unhandled, []), ("unhandled_in_thread", unhandled, []),
                                ("from_noexcept", None, []), ("own_terminate", unhandled, [])):
    add(f"throws_{name}", hazards, lambda session, n=name, c=check_it: way(session, n, c))


@case("throws_belong_to_the_runtime_of_their_plugin", hazards=[63])
def runtimes(session):
    plugins = [session.victims / f"throw_runtime_{name}.so" for name in ("own_1", "shared", "own_2")]
    for order in (plugins, plugins[1:] + plugins[:1], plugins[::-1]):
        command = [*session.victim("throw_runtimes", 200), *order]
        same(session.plain(command), session.preloaded(command, env=kKinds))
