# SPDX-License-Identifier: Apache-2.0
"""Signals and their masks: the app's own use of the profiling signals, full masks, small stacks."""

import os
import re
import subprocess
import time

from harness import checks
from harness.checks import about, check, same
from harness.control import Switch
from harness.registry import add, case, need_file, need_program

for way in ("handler", "timer", "ignore", "default", "raise"):
    add(f"app_owns_sigprof_{way}_late", [36], lambda session, way=way: same(
        session, session.victim("sigprof_owner", way)))
for way in ("handler", "timer", "ignore"):
    add(f"app_owns_sigprof_{way}_early", [36], lambda session, way=way: same(
        session, session.victim("sigprof_owner", way, "early")))
# SIGVTALRM, SIGPWR, SIGSTKFLT, SIGPROF sent by hand: the default action is the app's.
for number in (26, 30, 16, 27):
    add(f"signal_{number}_sent_by_the_app_is_deadly", [36], lambda session, number=number: same(
        session, session.victim("sigprof_owner", "raise", number)))


def as_many_ticks(ours, plain) -> None:
    """Ticks of the app's own timer. The kernel merges those that come late, so a loaded machine takes some."""
    check(ours >= 0.6 * plain - 3, f"the app got {ours} of its own ticks, without siprof {plain}")
    check(ours <= 1.7 * plain + 3, f"the app got {ours} ticks, without siprof {plain}: some were not its own")


def both_counts(session, way):
    command = session.victim("sigprof_owner", way)
    result, plain = same(session, command, hz=100), session.plain(command)
    as_many_ticks(result.facts["ticks"][0], plain.facts["ticks"][0])
    about("sampled CPU beside the app's own timer (ns)", result.profile.total(), result.cpu_ns, 0.1, slack=20e6)


for way in ("handler", "timer"):
    add(f"app_with_its_own_sigprof_{way}_is_profiled", [36], lambda session, way=way: both_counts(session, way))


def libprofiler(session, order):
    library = need_file("/usr/lib/x86_64-linux-gnu/libprofiler.so.0", "libprofiler (package libgoogle-perftools4)")

    def interrupts(text):
        return int(re.search(rb"interrupts/evictions/bytes = (\d+)/", text)[1])

    def without_numbers(text):
        return re.sub(rb"PROFILE: .*\n", b"PROFILE\n", text)

    env = {"CPUPROFILE": session.folder / "theirs.prof"}
    command = session.victim("burn", 1000)
    result = same(session, command, normal=without_numbers, env=env, hz=100, **{order: [library]})
    plain = session.plain(command, env={**env, "LD_PRELOAD": library})
    as_many_ticks(interrupts(result.stderr), interrupts(plain.stderr))
    about("our sampled CPU (ns)", result.profile.total(), result.cpu_ns, 0.1, slack=20e6)


add("libprofiler_preloaded_before", [37], lambda session: libprofiler(session, "before"))
add("libprofiler_preloaded_after", [37], lambda session: libprofiler(session, "after"))


@case("a_go_library_that_profiles_itself", hazards=[37, 49])
def go_shared(session):
    library = need_file(session.victims / "goshared.so", "Go at build time (package golang-go)")
    same(session, session.victim("goshared_host", library))


@case("a_go_program_with_cgo", hazards=[49])
def cgo(session):
    need_file(session.victims / "cgo", "Go at build time (package golang-go)")
    same(session, session.victim("cgo"))


@case("workers_that_block_all_signals", hazards=[38])
def blocked_workers(session):
    result = same(session, session.victim("blocked_workers"), hz=100)
    profile = result.profile
    check(len({s.labels["thread_id"] for s in profile.samples if checks.calls("worker_burn")(s)}) == 2,
          "not both workers are in the profile")
    checks.total_matches(profile, result.facts["cpu_ns"][0], threads=3)


for how in ("sigwait", "sigwaitinfo", "sigtimedwait", "signalfd"):
    add(f"{how}_on_a_full_set", [39], lambda session, how=how: same(session, session.victim("sigwait_full", how)))


@case("a_tight_limit_of_queued_signals", hazards=[43, 0])
def sigpending(session):
    """Of 64 a process takes 16, so that 40 (and the one to queue) are to be had while its 300 threads live."""
    session.as_ordinary_user()  # the limit counts all processes of a user
    result = same(session, session.victim("sigpending_limit", 1, 40))
    check(int(result.profile.counters["timers_refused"]) > 200, "the limit of siprof's own timers was never met")


@case("a_tight_limit_of_queued_signals_for_two_processes", hazards=[43, 0])
def sigpending_two(session):
    session.as_ordinary_user()
    result = same(session, session.victim("sigpending_limit", 2, 24))
    check(len(result.profile.pids()) == 2, f"{len(result.profile.pids())} processes are in the profile")


@case("exec_storm_while_sampled", hazards=[45, 84])
def exec_storm(session):
    same(session, session.victim("exec_chain", 300))


@case("exec_storm_with_the_signal_blocked", hazards=[45])
def exec_storm_blocked(session):
    same(session, session.victim("exec_chain", 150, "blocked"))


@case("threads_on_16_kib_stacks", hazards=[5, 47])
def small_stacks(session):
    same(session, session.victim("small_stack"))


kHandlerBytes = 1024  # what shim/wrap_actions.cpp leaves for it on alternate stacks


@case("a_tick_uses_a_kilobyte_of_stack_at_most", hazards=[47])
def handler_depth(session):
    """The attach, copied stacks and walked ones; AVX-512 machines leave little beside the kernel's own frame."""
    result = session.preloaded(session.victim("handler_depth"), hz=250)
    used = int(result.stdout)
    print(f"{used} bytes below the kernel's frame")
    check(int(result.profile.counters["samples"]) > 50, f"{result.profile.counters['samples']} samples: nothing was measured")
    check(200 < used <= kHandlerBytes - 64, f"a tick used {used} bytes of the stack")


@case("a_fault_handler_on_its_own_stack", hazards=[47, 50])
def altstack(session):
    same(session, session.victim("altstack"))


@case("stacks_that_end_in_guard_pages", hazards=[47])
def stack_holes(session):
    same(session, session.victim("stack_holes"))


@case("ticks_inside_our_own_wrappers", hazards=[50])
def nested(session):
    result = same(session, session.victim("nested_hooks"))
    check(int(result.profile.counters.get("ticks_deferred", 0)) > 0, "no tick met the shim at work: nothing was tested")


def switch_by_phase(process, switch) -> None:
    """A byte ends each phase of the victim. Without siprof (`switch` is None) only time passes."""
    turn, rate = (switch.turn, switch.rate) if switch else (lambda on: None, lambda hz: None)

    def next_phase():
        os.write(process.stdin.fileno(), b"n")

    next_phase()
    for i in range(1000):
        rate(1000) if i < 500 else turn(False)
        time.sleep(0.001)
        rate(250) if i < 500 else turn(True)
        time.sleep(0.001)
    turn(False)
    next_phase()
    time.sleep(1)
    turn(True)
    next_phase()


@case("switched_off_and_on_a_thousand_times_under_load", hazards=[46])
def switched(session):
    """Nothing is lost but what was off: none of the off phase is in the profile, all of the last one is."""
    command = session.victim("switched_load")
    plain = session.plain(command, stdin=subprocess.PIPE, beside=lambda process: switch_by_phase(process, None))
    if session.baseline_only:
        return

    def play(process):
        time.sleep(1.5)
        switch_by_phase(process, Switch(session.agents(), process.pid))

    result = session.preloaded(command, hz=250, stdin=subprocess.PIPE, beside=play)
    checks.same_behaviour(plain, result, fixed_work=False)
    profile, used = result.profile, result.facts["phase_cpu_ns"]
    checks.has_samples(profile)
    # Not phase_settling: its first tick is one of the idle rate, and stands for a second of which a part was off.
    before, storm, off, after = (profile.sum("cpu", checks.calls(f"phase_{name}")) for name in (
        "before", "storm", "off", "after"))
    check(before > 0 and storm > 0, f"{before / 1e6:.0f} ms before and {storm / 1e6:.0f} ms in the storm were sampled")
    check(off == 0, f"{off / 1e6:.0f} ms of the phase in which sampling was off are in the profile")
    about("sampled CPU when it was on again (ns)", after, used[4], 0.05, slack=4 * profile.period)
    few_losses(profile)
    check(0 <= result.facts["timers"][0] <= 8, f"{result.facts['timers'][0]} timers are left")


def few_losses(profile) -> None:
    """At most 2 % of the ticks: those that met the attach or the shim's own code."""
    losses = {name: int(value) for name, value in profile.counters.items() if name.startswith("lost_") and not name.startswith("lost_events_") and int(value)}
    check(sum(losses.values()) <= 0.02 * int(profile.counters["ticks"]) + 4, f"lost ticks: {losses}")
    for name in ("timers_failed", "timers_refused"):
        check(int(profile.counters.get(name, 0)) == 0, f"{name} is {profile.counters.get(name)}")


@case("the_signal_is_claimed_a_thousand_times_under_load", hazards=[36, 46])
def signal_tug(session):
    result = same(session, session.victim("signal_tug"), hz=250)
    few_losses(result.profile)
    found = result.profile.sum("cpu", checks.calls("work"))
    about("sampled CPU of the workers (ns)", found, 2e9, 0.05, slack=4 * result.profile.period)


@case("masks_and_actions_read_back")
def masks(session):
    same(session, session.victim("mask_readback"))


@case("masks_and_actions_read_back_while_ignored")
def masks_ignored(session):
    same(session, session.victim("mask_readback", "ignored"))


for mode, hazards in {"vfork_actions": [73, 36], "vfork_masks": [73, 38], "small_stacks": [47], "unblock_pending": [38],
                      "full_masks": [36, 38], "stack_of_handler": [36, 47], "wait_for_all": [36, 39]}.items():
    add(f"signal_contract_{mode}", hazards, lambda session, mode=mode: same(
        session, session.victim("signal_contract", mode), sampled=False))


@case("samples_go_on_after_a_stray_signal", hazards=[36, 38])
def stray(session):
    result = same(session, session.victim("signal_contract", "stray"), hz=100)
    checks.total_matches(result.profile, result.facts["cpu_ns"][0], threads=1)


@case("libcs_own_profiler_counts_its_own_ticks", hazards=[36])
def profil_user(session):
    same(session, session.victim("profil_user"), hz=1000)


@case("under_valgrind_it_stays_away", hazards=[17])
def valgrind(session):
    program = need_program("valgrind", "valgrind")
    same(session, [program, "-q", *session.victim("burn", 50)], sampled=False)


@case("a_debugger_that_follows_forks_stays_with_the_app", hazards=[17])
def debugger(session):
    program = need_program("gdb", "gdb")
    settings = {} if session.baseline_only else session.preload_environment(1000, (), ())
    ours = [part for name, value in settings.items() for part in ("-ex", f"set environment {name} {value}")]
    result = session.run([program, "-nx", "-q", "-batch", *ours, "-ex", "set follow-fork-mode child", "-ex", "run", "--args",
                          *session.victim("burn", 300)])
    check(b"done" in result.stdout, f"the program did not get to its end: {result.stdout[-500:]!r}")
    check(b"vfork" not in result.stdout, f"the debugger saw a child: {result.stdout[-500:]!r}")


@case("signal_contract_busy_neighbour", hazards=[36])
def busy_neighbour(session):
    """The moment is short: 9 of 300 runs died of it."""
    for _ in range(1 if session.baseline_only else 60):
        same(session, session.victim("signal_contract", "busy_neighbour"), sampled=False)


@case("handlers_that_change_the_mask")
def handler_masks(session):
    same(session, session.victim("handler_masks"))


@case("siglongjmp_restores_the_mask")
def jumps(session):
    same(session, session.victim("jump_masks", "jump"))


@case("swapcontext_restores_the_mask")
def contexts(session):
    same(session, session.victim("jump_masks", "context"))
