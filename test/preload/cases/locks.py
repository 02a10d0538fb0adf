# SPDX-License-Identifier: Apache-2.0
"""Locks: waits of a known length and who held the lock, every answer of every call, cancellation, versions, processes."""

import math

from harness.checks import about, calls, check, no_siprof_frames, same
from harness.registry import add, case

# Each wait has a stack, so that the slow way is what runs.
kEveryWait = {"SIPROF_KINDS": "cpu,lock", "SIPROF_BLOCK_INTERVAL": "1us"}


def waits(profile, label):
    """(number, nanoseconds) of the waits of that sort, as they stand for all."""
    mine = [sample for sample in profile.samples if sample.labels.get("lock") == label]
    return sum(sample.values[0] for sample in mine), sum(sample.values[1] for sample in mine)


def truth(session, sort, hold_us, ms, interval) -> str:
    """Waits by the profile against the victim's own clock, and the holder of each."""
    env = {"SIPROF_KINDS": "cpu,lock", "SIPROF_BLOCK_INTERVAL": interval, "SIPROF_BUDGET": "off"}
    result = session.recorded(session.victim("lock_truth", sort, hold_us, ms), env=env)
    check(result.stdout == b"done\n", f"the victim wrote {result.stdout!r}")
    profile, facts = result.profile_of("lock"), result.facts
    no_siprof_frames(profile)
    rounds = facts["rounds"][0]
    red_ns, blue_ns = facts["red_ns"][0], facts["blue_ns"][0]
    found, right = 0, 0
    for colour in ("red", "blue"):
        of_colour = calls(f"wait_for_{colour}")
        mine = [sample for sample in profile.samples if of_colour(sample)]
        found += sum(sample.values[1] for sample in mine)
        right += sum(sample.values[1] for sample in mine if f"hold_{colour}" in sample.labels.get("holder", ""))
        check(all(sample.labels["holder_thread_id"] != sample.labels["thread_id"]
                  for sample in mine if "holder_thread_id" in sample.labels), "a thread is said to have waited for itself")
    samples = int(profile.counters["lock_samples"])
    # Before the process is attached there are no samples: two milliseconds or a wait, whichever is more.
    start = 3e6 + (red_ns + blue_ns) / rounds
    # The room is 3 %, or four standard deviations of so many samples; and what a starved agent left no place for.
    lost = int(result.profile.counters.get("lost_events_pool_full", 0)) / int(result.profile.counters["events"])
    room = max(0.03, 4 / math.sqrt(samples) if hold_us < 1000 else 0) + 2 * lost
    line = f"waits {100 * found / (red_ns + blue_ns) - 100:+.2f} % in {samples} samples, holder right {100 * right / found:.1f} %"
    about(f"blocked time (ns; {line})", found, red_ns + blue_ns, room, slack=start)
    check(right >= 0.95 * found, line)
    return line


for kind in ("mutex", "rwlock", "mtx", "robust"):
    add(f"waits_of_5_ms_for_a_{kind}", [], lambda session, kind=kind: truth(session, kind, 5000, 2500, "1ms"))
    add(f"waits_of_5_us_for_a_{kind}", [], lambda session, kind=kind: truth(session, kind, 5, 4000, "200us"))


@case("every_call_on_locks_answers_the_same", hazards=[51, 56])
def semantics(session):
    for victim in ("lock_semantics", "wait_semantics"):
        same(session, session.victim(victim), sampled=False, fixed_work=False, env=kEveryWait)


@case("threads_are_cancelled_where_they_wait", hazards=[54, 55])
def cancellation(session):
    same(session, session.victim("lock_cancel"), env=kEveryWait, fixed_work=False)


@case("old_and_new_conditions_in_one_program", hazards=[53])
def both_conditions(session):
    result = same(session, session.victim("old_cond"), sampled=False, env=kEveryWait, fixed_work=False)
    number, blocked_ns = waits(result.profile_of("lock"), "cond")
    # A second each by timedwait, of both.
    check(number >= 2 and blocked_ns >= 1.9e9, f"{number} waits for conditions, {blocked_ns / 1e9:.2f} s")


@case("locks_of_several_processes", hazards=[58, 72])
def processes(session):
    result = same(session, session.victim("lock_fork"), env=kEveryWait, fixed_work=False)
    pids = result.profile_of("lock").pids()
    check(len(pids) >= 2, f"waits of {len(pids)} processes are in the profile")


@case("a_convoy_goes_as_fast_and_as_fair", hazards=[52])
def convoy(session):
    command = session.victim("lock_storm", "convoy", 1500)
    rates, shares = [], []
    for attempt in range(3):
        plain = session.plain(command).facts["count"]
        profiled = session.preloaded(command, hz=100, env={"SIPROF_KINDS": "cpu,lock"}).facts["count"]
        rates.append(sum(profiled) / sum(plain))
        shares.append((min(profiled) / max(profiled)) / (min(plain) / max(plain)))
    # 0.7 on a quiet machine of two processors (docs/performance.md).
    check(max(rates) > 0.5, f"eight threads took a mutex {rates} times as often as without siprof")
    check(max(shares) > 0.3, f"the thread that had it least, by the one that had it most, is {shares} times what it is without")


@case("a_handler_posts_what_the_program_waits_for", hazards=[])
def handler_posts(session):
    same(session, session.victim("lock_storm", "handler", 1000), sampled=False, env=kEveryWait, fixed_work=False)


@case("a_handler_jumps_out_of_waits_for_locks", hazards=[70])
def handler_jumps(session):
    result = same(session, session.victim("lock_storm", "jump", 1000), sampled=False, env=kEveryWait, fixed_work=False)
    profile = result.profile_of("lock")
    after = profile.sum("delay", lambda sample: calls("wait_after_jumps")(sample) and sample.labels["lock"] == "mutex")
    check(after > 150e6, f"of 200 ms of waits after the jumps {after / 1e6:.0f} ms are in the profile")
