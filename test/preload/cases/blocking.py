# SPDX-License-Identifier: Apache-2.0
"""Calls that block: what they moved and how long they took, and that they do what they do without siprof."""

import os

from harness import checks
from harness.checks import about, calls, check, same
from harness.registry import add, case

kKinds = {"SIPROF_KINDS": "cpu,io", "SIPROF_BLOCK_INTERVAL": "100us", "SIPROF_BUDGET": "off"}
# By io_truth.cpp; streams count what reaches the kernel.
kTurns = 50
kThousands = {
    "read": 1, "readv": 1, "write": 1, "writev": 1, "pread": 1, "preadv": 1, "pwrite": 1, "pwritev": 1,
    "send": 1, "recv": 1, "sendto": 1, "recvfrom": 1, "sendmsg": 1, "recvmsg": 1, "sendmmsg": 1, "recvmmsg": 1,
    "sendfile": 1, "tee": 1, "splice": 1, "copy_file_range": 1,
}
kStreams = {"fread": 1_000_000, "fgets": 1_000_000, "getline": 1_000_000}


def counter(profile, name: str) -> int:
    return int(profile.counters.get(name, 0))


def bytes_of_each_call(session, victim) -> str:
    result = session.recorded(session.victim(victim, "bytes"), env=kKinds)
    check((result.status, result.stdout) == (0, b"moved\n"), f"{result.status}, {result.stdout!r}, {result.stderr!r}")
    profile = result.profile_of("io")
    for call, thousands in kThousands.items():
        seen = counter(profile, f"io_{call}_bytes")
        check(seen == 1000 * thousands * kTurns, f"{call}: {seen} bytes instead of {1000 * thousands * kTurns}")
    for call, size in kStreams.items():
        check(counter(profile, f"io_{call}_bytes") == size, f"{call}: {counter(profile, f'io_{call}_bytes')} bytes")
    written = sum(counter(profile, f"io_{call}_bytes") for call in ("fwrite", "printf", "fflush", "fclose"))
    check(written == 2_000_000, f"{written} bytes were written by streams")
    check(counter(profile, "io_fsync_calls") == kTurns, f"{counter(profile, 'io_fsync_calls')} fsync")
    check(counter(profile, "io_preadv_calls") == 2 * kTurns, "calls that failed count")
    return f"{len(kThousands) + len(kStreams)} calls, all bytes"


add("bytes_of_each_call_are_exact", [59], lambda session: bytes_of_each_call(session, "io_truth"))
add("bytes_of_each_fortified_call_are_exact", [59], lambda session: bytes_of_each_call(session, "io_truth_fortified"))


@case("blocked_time_is_that_of_the_programs_own_clock", hazards=[])
def waits(session):
    """Waits longer than the interval one by one, shorter ones by what stands for them."""
    result = session.recorded(session.victim("io_truth", "waits", 30_000), env=kKinds)
    check(result.stdout == b"waited\n", f"{result.stdout!r}, {result.stderr!r}")
    profile, facts = result.profile_of("io"), result.facts
    checks.has_samples(profile)
    lines = []
    for name in ("long", "short"):
        inside = calls(f"{name}_read")
        about(f"{name} waits", profile.sum("contentions", inside), facts[f"{name}s"][0], 0.03)
        about(f"ns in {name} waits", profile.sum("delay", inside), facts[f"{name}_ns"][0], 0.03)
        about(f"bytes in {name} waits", profile.sum("bytes", inside), facts[f"{name}s"][0], 0.03)
        check(all(s.labels["call"] == "read" and s.labels["fd"] == "pipe" for s in profile.samples if inside(s)),
              "another call or descriptor than a read of a pipe")
        lines.append(f"{name} {100 * profile.sum('delay', inside) / facts[f'{name}_ns'][0] - 100:+.2f} %")
    total = counter(profile, "io_read_ns")
    about("ns by the exact sum", total, sum(facts[f"{name}_ns"][0] for name in ("long", "short")) +
          profile.sum("delay", lambda s: s.labels["call"] == "read" and not calls("long_read")(s) and not calls("short_read")(s)),
          0.03)
    return ", ".join(lines)


def wall_time(session, kinds):
    """Also of threads that wait, and of time in the kernel once only."""
    result = session.recorded(session.victim("wall_truth"), env={**kKinds, "SIPROF_KINDS": kinds}, hz=1000)
    check(result.stdout == b"waited\n", f"{result.stdout!r}, {result.stderr!r}")
    profile, lines = result.profile_of("wall"), []
    for fact, (ns, *_) in result.facts.items():
        name = fact.removesuffix("_ns")
        seen = profile.sum("wall", calls(name))
        # These are known by samples, 300 ticks and 1 000 of the short waits.
        about(f"ns in {name}", seen, ns, 0.1 if name in ("run", "sleep_short") else 0.05)
        lines.append(f"{name} {100 * seen / ns - 100:+.1f} %")
    states = {state: profile.sum("wall", lambda s: s.labels["state"] == state) for state in ("running", "waiting")}
    check(sum(states.values()) == profile.total("wall") and states["running"] > 0, f"{states}")
    return ", ".join(lines)


add("wall_time_is_that_of_threads_that_wait_and_run", [], lambda session: wall_time(session, "wall"))
add("wall_time_beside_all_other_kinds", [], lambda session: wall_time(session, "cpu,wall,heap,lock,io,errors"))


@case("no_call_is_cut_short_while_wall_time_is_measured", hazards=[41])
def interrupted_wall(session):
    same(session, session.victim("interrupted"), env={"SIPROF_KINDS": "wall"}, hz=1000, fixed_work=False, sampled=False)


@case("no_call_is_cut_short_by_a_tick", hazards=[41, 42])
def interrupted(session):
    result = same(session, session.victim("interrupted"), env=kKinds, hz=1000, fixed_work=False)
    check(session.baseline_only or result.facts["sent"][0] > 3000, f"{result.facts} ticks: nothing was tested")


@case("no_call_is_cut_short_while_io_is_off", hazards=[41])
def interrupted_off(session):
    same(session, session.victim("interrupted"), hz=1000, fixed_work=False)


@case("results_and_errors_of_calls_that_block", hazards=[61])
def results(session):
    same(session, session.victim("io_contract", "results"), env=kKinds)


@case("every_cancellation_point_stays_one", hazards=[55])
def cancel(session):
    same(session, session.victim("io_contract", "cancel"), env=kKinds, hz=1000)


@case("a_handler_writes_while_the_program_does", hazards=[50, 61])
def handler(session):
    result = same(session, session.victim("io_contract", "handler"), env=kKinds, hz=1000, fixed_work=False)
    check(result.facts["from_handler"][0] > 3000, "the handler hardly ran")
    # The victim's one line and its facts are writes as well.
    seen, own = counter(result.profile_of("io"), "io_write_calls"), result.facts["writes"][0]
    check(own <= seen <= own + 4, f"{seen} writes, the program made {own}")


@case("jumps_out_of_calls_that_block", hazards=[70])
def jumps(session):
    result = same(session, session.victim("io_contract", "jumps"), env=kKinds, hz=1000, fixed_work=False)
    profile = result.profile_of("io")
    about("ns in poll", profile.sum("delay", lambda s: s.labels["call"] == "poll"), result.facts["poll_ns"][0], 0.03)


def writes_by(session, mode, writes):
    result = same(session, session.victim("io_contract", mode), env=kKinds, hz=1000)
    profile = result.profile_of("io")
    seen = sum(s.values[profile.column("bytes")] for s in profile.samples if s.labels["call"] == "write")
    counted = counter(profile, "io_write_bytes")
    check(counted == writes, f"{counted} bytes are counted, {writes} were written (samples stand for {seen})")


@case("children_count_what_they_write_themselves", hazards=[72])
def forks(session):
    writes_by(session, "forks", 6000)


@case("more_threads_than_banks", hazards=[87])
def threads(session):
    writes_by(session, "threads", 60_000)
