# SPDX-License-Identifier: Apache-2.0
"""Allocations: how much by whom, what lives, beside which allocators, and at the worst moments.

Exact numbers come from an interval of 1, which samples every allocation; the others from a Poisson sample that is
large enough for the room given: n samples are off by 1 / sqrt(n) of themselves.
"""

import os

from harness import agents, checks, pprof
from harness.checks import about, calls, check
from harness.registry import BaselineOnly, add, case, need_file

kLibraries = "/usr/lib/x86_64-linux-gnu"


def heap_of(folder) -> pprof.Profile:
    """All heap profiles below `folder`; levels of the last one of each process alone."""
    merged = pprof.Profile()
    for path in sorted(folder.glob("**/*heap*.pb.gz")):
        merged.merge(pprof.load(path))
    return merged


def recorded(session, command, interval, kinds="cpu,heap", env=None):
    """The result, the heap profile and all counters of `siprof record`."""
    settings = {"SIPROF_KINDS": kinds, "SIPROF_HEAP_INTERVAL": interval, "SIPROF_BUDGET": "off", **(env or {})}
    result = session.recorded(command, env=settings)
    if session.baseline_only:
        raise BaselineOnly()
    profile = pprof.load(session.folder / f"record.{session.runs - 1}" / "heap.pb.gz")
    checks.no_siprof_frames(profile)
    return result, profile, {**profile.counters, **result.profile.counters}


def nothing_lost(counters) -> None:
    """But what came before the agent, and on a busy machine a part that found no room: others stand for that."""
    lost = {name: int(value) for name, value in counters.items() if name.startswith(("lost_events", "heap_live_")) and int(value)}
    lost.pop("lost_events_unattached", None)
    no_room = lost.pop("lost_events_pool_full", 0)
    check(not lost, f"samples were lost: {lost}")
    check(no_room <= 0.2 * int(counters["heap_samples"]), f"{no_room} samples found no room, {counters['heap_samples']} did")


@case("heap_bytes_by_function", hazards=[31, 32])
def bytes_by_function(session):
    result, profile, counters = recorded(session, session.victim("heap_truth", "sizes"), 131072)
    nothing_lost(counters)
    for size in ("small", "large"):
        seen = profile.sum("alloc_space", calls(f"allocate_{size}"))
        about(f"bytes allocated by allocate_{size}()", seen, result.facts[f"{size}_bytes"][0], 0.03)
    about("objects of 512 bytes", profile.sum("alloc_objects", calls("allocate_small")),
          result.facts["small_bytes"][0] / 512, 0.03)
    check(profile.period == 131072, f"the period is {profile.period}, not the interval")
    check(profile.sum("inuse_space") < 2_000_000, f"{profile.sum('inuse_space')} bytes live, all were freed")


@case("heap_sizes_that_alternate_with_the_interval", hazards=[31])
def alternating(session):
    result, profile, counters = recorded(session, session.victim("heap_truth", "alternating", 20000, 65536), 65536)
    nothing_lost(counters)
    about("large objects", profile.sum("alloc_objects", calls("allocate_large")), result.facts["large_objects"][0], 0.04)
    # 20 000 of 1 byte are one sample now and then, of 40 000 objects.
    check(profile.sum("alloc_space", calls("allocate_small")) <= 300_000, "one byte in two counts for more than it is")


@case("heap_live_after_ten_million_frees", hazards=[24, 25])
def live(session):
    result, profile, counters = recorded(session, session.victim("heap_truth", "live"), 65536)
    nothing_lost(counters)
    expected = {"keep": result.facts["live_by_malloc"][0], "grow": result.facts["live_by_realloc"][0]}
    about("live bytes", profile.sum("inuse_space", calls("churn")), sum(expected.values()), 0.10)
    for name, live_bytes in expected.items():
        about(f"live bytes of {name}()", profile.sum("inuse_space", calls(name)), live_bytes, 0.17)


@case("heap_nothing_lives_when_all_is_freed", hazards=[24, 25])
def freed(session):
    _, profile, counters = recorded(session, session.victim("heap_truth", "freed"), 65536)
    nothing_lost(counters)
    check(profile.sum("alloc_space") > 4e9, f"only {profile.sum('alloc_space')} bytes were seen")
    check(profile.sum("inuse_space", calls("churn")) == 0, f"{profile.sum('inuse_space')} bytes live, all were freed")


@case("heap_more_live_than_there_is_room_for", hazards=[30])
def too_many(session):
    """A million live objects at an interval of 64 bytes: bounded, and what isn't followed is counted."""
    result, profile, counters = recorded(session, session.victim("heap_truth", "hoard", 400_000, 48), 1024)
    dropped = int(counters.get("heap_live_dropped", 0))
    seen, live = (profile.sum(column, calls("hoard")) for column in ("alloc_objects", "inuse_objects"))
    lost = int(counters.get("lost_events_pool_full", 0))
    check(lost <= 0.2 * int(counters["heap_samples"]), f"{lost} samples found no room")
    about("objects allocated", seen, result.facts["hoarded"][0], 0.05)
    expected = seen - dropped * 1024 / 49
    about("live objects that could be followed", live, expected, 0.05, slack=1000)
    check(dropped > 0, f"{dropped} allocations were not followed")


def entries(session, victim="heap_entries", mode="", env=None, wrong=b"0 wrong answers\n", rounds=True):
    """Every byte that each function allocated, and none of it live in the end."""
    if victim != "heap_entries":
        need_file(session.victims / victim, f"the allocator's development package at build time, for {victim}")
    settings = {**(env or {}), **({"VICTIM_ROUNDS": "1"} if rounds else {})}
    command = session.victim(victim, mode)
    if "LD_PRELOAD" in settings:
        command = ["env", f"LD_PRELOAD={settings.pop('LD_PRELOAD')}", *command]
    plain_command = session.victim(victim, mode)
    plain = session.plain(plain_command)
    result, profile, counters = recorded(session, command, 1, env=settings)
    check(result.stdout == plain.stdout == wrong, f"{result.stdout!r}, without siprof {plain.stdout!r}")
    check(result.status == 0, f"status {result.status}")
    nothing_lost(counters)
    for name, values in result.facts.items():
        if not name.startswith("by_"):
            continue
        seen, live_bytes = (profile.sum(column, calls(name)) for column in ("alloc_space", "inuse_space"))
        check(seen == values[0], f"{seen} bytes allocated {name}, it was {values[0]}")
        if mode != "keep":
            check(live_bytes == 0, f"{live_bytes} bytes {name} live, all were freed")
        else:
            about(f"live bytes {name}", live_bytes, values[0] / 2, 0.01, slack=300)


add("heap_every_entry_point", [22, 23, 33, 34], lambda session: entries(session))
add("heap_every_entry_point_live", [23], lambda session: entries(session, mode="keep"))
add("heap_failures_stay_failures", [24, 32, 33], lambda session: entries(session, mode="failures"))

ALLOCATORS = {"jemalloc": ("libjemalloc.so.2", "libjemalloc2"), "tcmalloc": ("libtcmalloc.so.4", "libgoogle-perftools4"),
              "tcmalloc_minimal": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
              "mimalloc": ("libmimalloc.so.2.0", "libmimalloc2.0")}


def beside(session, allocator, first, mode):
    file, package = ALLOCATORS[allocator]
    path = need_file(f"{kLibraries}/{file}", f"the Debian package {package}")
    order = [path, session.shim] if first else [session.shim, path]
    entries(session, mode=mode, env={"LD_PRELOAD": ":".join(map(str, order))}, rounds=False)


for allocator in ALLOCATORS:
    for first in (True, False):
        for mode in ("freed", "keep"):
            order = "after" if first else "before"
            add(f"heap_preloaded_{order}_{allocator}{'' if mode == 'freed' else '_live'}", [18, 22],
                lambda session, a=allocator, f=first, m=mode: beside(session, a, f, m))

for library in ("tcmalloc", "jemalloc", "mimalloc"):
    add(f"heap_of_a_program_that_needs_{library}", [18], lambda session, v=f"heap_with_{library}": entries(
        session, v, rounds=False))


def linked_in(session, victim):
    need_file(session.victims / victim, f"the allocator's archive at build time, for {victim}")
    command = session.victim(victim)
    plain = session.plain(command)
    result, profile, counters = recorded(session, command, 1)
    check(plain.stdout == result.stdout and plain.status == result.status, f"it wrote {result.stdout!r}")
    check(profile.sum("alloc_space", calls("by_malloc")) == 0, "it has samples: then the reason is a wrong one")
    check(int(profile.counters.get("heap_unseen", 0)) > 0, f"the profile doesn't say why it is empty: {profile.counters}")


for library in ("tcmalloc", "jemalloc"):
    add(f"heap_of_a_program_with_{library}_inside", [19], lambda session, v=f"heap_static_{library}": linked_in(session, v))


def hazard(session, mode, *arguments, after=(), look=None, interval=1, **options):
    env = {"SIPROF_KINDS": "cpu,heap", "SIPROF_HEAP_INTERVAL": str(interval), "SIPROF_BUDGET": "off"}
    checks.same(session, session.victim("heap_hazards", mode, *arguments), after=after, env=env, **options)
    if session.baseline_only:
        return
    profile = heap_of(session.folder / "out")
    checks.has_samples(profile)
    left = profile.sum("inuse_space", calls("allocate")) if mode not in ("fork", "fork_unloading", "deepbind", "jumps") else 0
    # Levels of windows in the middle of it are in here, too: a few blocks on their way, not thousands.
    check(left < 100_000_000, f"{left} bytes are said to live, all were freed")
    if look:
        look(profile)


def after(name):
    def look(profile):
        check(profile.sum("alloc_objects", calls(name)) > 0, f"no sample of {name}(): siprof still thinks it is in its own code")
    return look


add("heap_blocks_from_hand_to_hand", [25, 50], lambda session: hazard(session, "ping_pong"))
add("heap_forks_in_a_storm", [26], lambda session: hazard(session, "fork", interval=65536, fixed_work=False))
add("heap_forks_beside_an_unload", [25, 62], lambda session: hazard(
    session, "fork_unloading", session.victims / "slow_unload.so", interval=65536, fixed_work=False))
add("heap_allocations_in_signal_handlers", [27], lambda session: hazard(session, "handlers"))
add("heap_jumps_out_of_hooks", [70], lambda session: hazard(
    session, "jumps", after=[session.victims / "heap_bump.so"], look=after("after_jumps"), fixed_work=False))
add("heap_new_throws", [71], lambda session: hazard(session, "bad_alloc", look=after("after_bad_alloc")))
add("heap_as_threads_end", [28, 35], lambda session: hazard(session, "thread_exit"))
add("heap_after_main", [29], lambda session: hazard(session, "at_exit"))
add("heap_of_a_plugin_bound_to_libc", [20], lambda session: hazard(session, "deepbind", session.victims / "heap_plugin.so"))
add("heap_of_another_namespace", [21], lambda session: hazard(session, "dlmopen", session.victims / "heap_plugin.so"))


@case("heap_switched_off", hazards=[0])
def switched_off(session):
    """No kind, no record; the wrappers pass on what they get."""
    checks.same(session, session.victim("heap_entries", "failures"), env={"SIPROF_KINDS": "cpu"})
    if session.baseline_only:
        return
    check(not heap_of(session.folder / "out").samples, "there are heap samples, the kind is off")


@case("heap_of_a_sanitized_program", hazards=[16])
def sanitized(session):
    """Its runtime has to come first, and owns the allocator: nothing of ours is in between."""
    program = need_file(session.victims / "heap_sanitized", "a compiler with AddressSanitizer at build time")
    env = {"SIPROF_KINDS": "cpu,heap", "SIPROF_HEAP_INTERVAL": "1", "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    checks.same(session, [program, "ping_pong"], env=env, sampled=False, fixed_work=False)
