# SPDX-License-Identifier: Apache-2.0
"""Fork, exec, spawn, daemons, waiting for children, short lives, the ways to end, churn of threads."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import agents, checks
from harness.checks import about, calls, check, of_pid, same
from harness.registry import Skip, add, case, need_program, need_root


@case("prefork_server", hazards=[72])
def prefork(session):
    result = same(session, session.victim("prefork"), hz=100)
    facts, profile = result.facts, result.profile
    parent, workers = facts["parent"][0], facts["worker"]
    check(profile.pids() == {parent, *workers}, f"pids {profile.pids()}, expected {parent} and {workers}")
    used = dict(zip(workers + [parent], facts["worker_cpu_ns"] + facts["parent_cpu_ns"]))
    for pid, cpu_ns in used.items():
        about(f"sampled CPU of {pid} (ns)", profile.sum("cpu", of_pid(pid)), cpu_ns, 0.1, slack=2 * profile.period)
    checks.total_matches(profile, sum(used.values()), threads=len(used))


@case("forked_children_walk_from_their_first_stack")
def forked_stacks(session):
    """They have their parent's code, of which the agent has told the parent long ago."""
    result = session.recorded(session.victim("prefork", 20, 30, 1500), hz=100)
    copied = int(result.profile.counters.get("copied_no_tables", 0))
    # Only the parent's three, before there were tables.
    check(copied <= 4, f"{copied} stacks were copied for want of tables, of {len(result.profile.pids())} processes")


@case("programs_walk_from_their_first_stack")
def first_stacks(session):
    """What is started by a shell knows nothing of its parent; its files are known to the agent all the same."""
    burn = " ".join(session.victim("burn", 30))
    result = session.recorded(["sh", "-c", f"{burn}; sleep 1; for i in $(seq 40); do {burn}; done"], hz=100)
    counters = result.profile.counters
    copied = sum(int(value) for name, value in counters.items() if name.startswith("copied_"))
    check(len(result.profile.pids()) > 35, f"{len(result.profile.pids())} of 41 programs are in the profile")
    # The first program's three, until its tables were made, and few that met a table being announced.
    check(copied <= 6, f"{copied} of {counters['samples']} stacks were copied: {counters}")


@case("two_hundred_forks", hazards=[72])
def many_forks(session):
    result = session.recorded(session.victim("prefork", 200, 20), hz=100)
    facts, profile = result.facts, result.profile
    used = sum(facts["worker_cpu_ns"]) + facts["parent_cpu_ns"][0]
    check(profile.pids() <= {facts["parent"][0], *facts["worker"]}, "a pid is in the profile that nobody had")
    check(len(profile.pids()) > 160, f"only {len(profile.pids())} of 201 processes are in the profile")
    # Nothing twice: at most what was used, give or take the draw of 200 phases. Less is in the kernel's nature: it
    # looks at CPU timers only at its own ticks, which miss processes that share a processor with 100 others.
    slack = 4 * 0.5 * 200**0.5 * profile.period
    check(profile.total() <= used + slack, f"sampled {profile.total() / 1e9:.2f} s of {used / 1e9:.2f} s: counted twice")
    check(profile.total() >= 0.6 * used - slack, f"sampled {profile.total() / 1e9:.2f} s of {used / 1e9:.2f} s")


@case("posix_spawn_storm", hazards=[73])
def spawn_storm(session):
    same(session, session.victim("spawn_storm", os.environ.get("SIPROF_TEST_SPAWNS", 400)))


@case("vfork_storm", hazards=[73])
def vfork_storm(session):
    same(session, session.victim("spawn_storm", 400, "vfork"))


add("raw_clone_thread", [74], lambda session: same(session, session.victim("raw_clone", "thread")))


@case("raw_clone_fork_is_not_sampled_and_does_no_harm", hazards=[74])
def raw_clone_fork(session):
    """No wrapper sees the child, so it has no timer (docs/troubleshooting.md, Known gaps). It must not write into
    its parent's memory either: the profile is the parent's, whole, and nobody else's."""
    result = same(session, session.victim("raw_clone", "fork"), hz=250)
    facts, profile = result.facts, result.profile
    check(profile.pids() == {facts["parent"][0]}, f"pids {profile.pids()}, expected {facts['parent']} alone")
    about("sampled CPU of the parent (ns)", profile.total(), facts["parent_cpu_ns"][0], 0.05, slack=2 * profile.period)


def daemon(session, when):
    result = same(session, session.victim("daemonise", when), hz=100)
    daemon_pid, profile = result.facts["daemon"][0], result.profile
    about("sampled CPU of the daemon (ns)", profile.sum("cpu", of_pid(daemon_pid)), result.facts["cpu_ns"][0], 0.05,
          slack=2 * profile.period)


add("daemon_at_start", [75], lambda session: daemon(session, "early"))
add("daemon_after_sampling", [75], lambda session: daemon(session, "late"))
add("wait_for_all_children", [76], lambda session: same(session, session.victim("wait_all")))
for how in ("busy", "idle"):
    add(f"wait_for_all_children_as_a_subreaper_{how}", [76, 0], lambda session, how=how: same(
        session, session.victim("wait_all", "subreaper", how)))
    add(f"wait_for_all_children_as_pid_1_{how}", [76, 0], lambda session, how=how: pid_1(session, how))


def pid_namespace(session):
    """What to put before a command to run it as pid 1."""
    unshare = need_program("unshare", "util-linux")
    prefix = [unshare, "-p", "-f", "--mount-proc", "--kill-child"] if os.geteuid() == 0 else [unshare, "-Urpf"]
    if session.plain([*prefix, "true"]).status != 0:
        raise Skip("needs pid namespaces (root, or unprivileged user namespaces)")
    return prefix


def pid_1(session, how):
    prefix = pid_namespace(session)
    # As pid 1 of a namespace the agent dies with it (D2), so that the profile may lack the end.
    same(session, [*prefix, *session.victim("wait_all", "init", how)], sampled=False)


@case("a_pid_namespace_with_the_proc_of_another", hazards=[79, 0])
def foreign_proc(session):
    need_root()
    unshare = need_program("unshare", "util-linux")
    # Numbers in there are small: in /proc they are other processes, of the kernel and of init.
    script = '"$0" 800 >/dev/null; sleep 4'
    result = session.preloaded([unshare, "-p", "-f", "--kill-child", "sh", "-c", script, *session.victim("burn")])
    found, used = result.profile.sum("cpu", calls("burn_ms")), result.facts["cpu_ns"][0]
    about("sampled CPU with its names (ns)", found, used, 0.05, slack=2 * result.profile.period)
    # What the agent reads of the right process only.
    about("CPU by /proc (ns)", int(result.profile.counters.get("cpu_proc_ns", 0)), used, 0.5)


@case("wait_for_all_children_when_the_agent_can_not_start", hazards=[76])
def wait_without_agent(session):
    for program in ("/bin/false", "/nowhere"):
        same(session, session.victim("wait_all", "subreaper"), sampled=False, env={"SIPROF_AGENT_PROGRAM": program})


add("vfork_of_a_subreaper", [73, 76], lambda session: same(session, session.victim("vfork_reaper")))
add("vfork_of_pid_1", [73, 76], lambda session: same(
    session, [*pid_namespace(session), *session.victim("vfork_reaper")], sampled=False))


def wait_for_fact(session, name):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(name in path.read_text() for path in session.folder.glob("facts.*")):
            return
        time.sleep(0.02)
    check(False, f"the victim never noted {name}")


def reaper_execs(session, prefix=()):
    """The agent of before is killed after exec: what stood between it and the app must not be announced."""
    killed = []

    def kill_agents(process):
        wait_for_fact(session, "executed")
        time.sleep(0.3)
        for pid in session.agents():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    command = [*prefix, *session.victim("reaper_execs")]
    result = session.preloaded(command, beside=kill_agents)
    check(result.status == 0, f"ended with {result.status}: {result.stderr!r}")
    check(result.stdout == b"0 SIGCHLD, wait(-1) No child processes\n", f"the app saw {result.stdout!r}")
    check(session.baseline_only or bool(killed), "no agent was running")


add("exec_of_a_subreaper_with_an_agent", [76, 0], reaper_execs)
add("exec_of_pid_1_with_an_agent", [76, 0], lambda session: reaper_execs(session, pid_namespace(session)))


@case("what_stands_between_a_reaper_and_its_agent_is_small", hazards=[76, 89])
def small_middle(session):
    sizes = []

    def look(process):
        wait_for_fact(session, "written")
        for pid in agents.children(process.pid, "siprof-middle"):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes.append(next(int(line.split()[1]) for line in lines if line.startswith("Rss:")))

    if session.baseline_only:
        return
    # Few ticks: the first one, which attaches, comes after the memory was written.
    session.preloaded(session.victim("reaper_execs", "slowly"), hz=2, beside=look)
    check(len(sizes) == 1, f"{len(sizes)} processes stand between, expected one")
    check(sizes[0] < 1024, f"it holds {sizes[0]} KiB")


@case("a_short_process_is_in_the_profile", hazards=[81])
def short_process(session):
    result = session.recorded(["sh", "-c", 'for i in 1 2 3 4 5 6 7 8 9 10; do "$0" 50 >/dev/null; done', *session.victim("burn")], hz=100)
    used = sum(result.facts["cpu_ns"])
    found = result.profile.sum("cpu", calls("burn_ms"))
    # Ten runs of 50 ms: each is right within a period, and their random phases average out.
    about("sampled CPU of ten 50 ms processes (ns)", found, used, 0.1, slack=2 * result.profile.period)
    check(len(result.profile.pids()) >= 10, f"only {len(result.profile.pids())} processes are in the profile")


@case("many_short_processes_leave_nothing", hazards=[81, 84])
def many_true(session):
    script = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; echo done"
    most = 0

    def watch(process):
        nonlocal most
        while process.poll() is None:
            most = max(most, len(session.agents()))
            time.sleep(0.02)

    plain = session.plain(["sh", "-c", script])
    if session.baseline_only:
        return
    result = session.preloaded(["sh", "-c", script], beside=watch)
    checks.same_behaviour(plain, result)
    check(most <= 2, f"{most} agents ran at once")  # two for a moment: the loser of a start race
    check(not session.agents(), "an agent is left")


ENDS = ("exit", "_exit", "quick_exit", "abort", "segv", "kill", "term", "exec", "thread_exit", "pthread_exit")


def end(session, way):
    result = same(session, session.victim("ends", way, 1000), hz=100)
    found = result.profile.sum("cpu", calls("work_before_end"))
    used = result.facts["cpu_ns"][0]
    # 95 % of the samples that there were; the last period of the thread has none, wherever it ends.
    check(found >= 0.95 * (used - result.profile.period), f"{found / 1e6:.0f} ms of {used / 1e6:.0f} ms were sampled")
    about("sampled CPU (ns)", found, used, 0.05, slack=2 * result.profile.period)


for one_way in ENDS:
    add(f"nothing_lost_by_{one_way.strip('_')}{'_at_once' if one_way == '_exit' else ''}", [82],
        lambda session, one_way=one_way: end(session, one_way))


@case("record_ends_with_the_status_of_the_command", hazards=[82])
def record_status(session):
    plain = session.plain(session.victim("ends", "exit", 100))
    if session.baseline_only:
        return
    for way, status in {"exit": 3, "segv": 128 + signal.SIGSEGV, "kill": 128 + signal.SIGKILL}.items():
        result = session.recorded(session.victim("ends", way, 100))
        check(result.status == status, f"record ended with {result.status} after {way}, expected {status}")
        check(result.stdout == plain.stdout, "record wrote to stdout")


@case("record_forwards_signals", hazards=[82])
def record_signals(session):
    if session.baseline_only:
        return

    def stop(process):
        time.sleep(1)
        process.send_signal(signal.SIGTERM)

    result = session.recorded(session.victim("burn", 20000), beside=stop)
    check(result.status == 128 + signal.SIGTERM, f"record ended with {result.status}, expected 143")
    checks.has_samples(result.profile)


@case("exec_storm_keeps_one_agent_small", hazards=[84])
def exec_agents(session):
    sizes, handles, most = [], [], 0

    def watch(process):
        nonlocal most
        while process.poll() is None:
            running = session.agents()
            most = max(most, len(running))
            for pid in running:
                try:
                    sizes.append(int(open(f"/proc/{pid}/statm").read().split()[1]) * 4)
                    handles.append(len(os.listdir(f"/proc/{pid}/fd")))
                except OSError:
                    continue
            time.sleep(0.05)

    command = session.victim("exec_chain", os.environ.get("SIPROF_TEST_EXECS", 400))
    plain = session.plain(command)
    if session.baseline_only:
        return
    result = session.preloaded(command, beside=watch)
    checks.same_behaviour(plain, result)
    checks.has_samples(result.profile)
    check(most <= 2, f"{most} agents ran at once")
    # A session holds five until its last window is cut, a second later at most; a leak would be 2 000.
    check(max(handles) < 1000, f"an agent held {max(handles)} descriptors")
    check(max(sizes) < 120 * 1024, f"an agent grew to {max(sizes)} KiB")


def agent_trouble(session, number):
    """Kills the agent in the first third, or stops it for 5 s; all of the last third has to be in the profile."""
    troubled = []

    def trouble(process):
        deadline = time.monotonic() + 2
        while not session.agents() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1)
        for pid in session.agents():
            os.kill(pid, number)
            troubled.append(pid)
        if number == signal.SIGSTOP:
            time.sleep(5)
            for pid in troubled:
                os.kill(pid, signal.SIGCONT)

    command = session.victim("phases", 15)
    if session.baseline_only:
        session.plain(command)
        return
    for attempts_left in (1, 0):
        with ThreadPoolExecutor() as pool:  # side by side: what loads the machine falls on both
            other = pool.submit(session.plain, command)
            result = session.preloaded(command, hz=100, beside=trouble, env={"SIPROF_WINDOW": "1s"})
            plain = other.result()
        checks.same_behaviour(plain, result, fixed_work=False)
        check(bool(troubled), "no agent was running")
        found, used = result.profile.sum("cpu", calls("third_phase")), result.facts["third_cpu_ns"][0]
        about("sampled CPU of the last third (ns)", found, used, 0.05, slack=2 * result.profile.period)
        try:
            same_latency(result.facts, plain.facts)
            return
        except checks.Slower:
            if attempts_left == 0:
                raise


def same_latency(ours, theirs) -> None:
    """Pieces of 1 ms, about 9 000 in each run. The slowest may meet one reattach (about 1 ms) and the scheduler."""
    for key, times, room_ns in (("median_piece_ns", 1.2, 0.1e6), ("p999_piece_ns", 2, 4e6), ("slowest_piece_ns", 2, 50e6)):
        limit = times * theirs[key][0] + room_ns
        line = f"{key} is {ours[key][0] / 1e6:.2f} ms, beside it without siprof {theirs[key][0] / 1e6:.2f} ms"
        if ours[key][0] > limit:
            raise checks.Slower(line)


add("the_agent_is_killed", [86], lambda session: agent_trouble(session, signal.SIGKILL))
add("the_agent_is_stopped_for_a_while", [86], lambda session: agent_trouble(session, signal.SIGSTOP))


def shared_memories(pid) -> set:
    """Inodes of siprof's memory in a process; it changes with each attempt to attach."""
    with open(f"/proc/{pid}/maps") as maps:
        return {line.split()[4] for line in maps if "/memfd:siprof" in line}


@case("a_stopped_agent_does_not_hoard_memory", hazards=[86, 89])
def stopped_agent(session):
    """Each attempt to attach leaves 1 MiB in the queue of an agent that does not run: they have to be rare."""
    stopped, seen = [], set()

    def stop(process):
        time.sleep(2)
        for pid in session.agents():
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline:
            seen.update(shared_memories(process.pid))
            time.sleep(0.1)
        check(all(agents.state(pid) == "T" for pid in stopped), f"agents {stopped} did not stay stopped")

    if session.baseline_only:
        return
    session.preloaded(session.victim("phases", 15), hz=100, beside=stop)
    check(len(stopped) == 1, f"{len(stopped)} agents were stopped, expected one")
    # As often as the heartbeat is found too old, every 2 s, would be seven.
    check(2 <= len(seen) <= 4, f"the app has handed over {len(seen)} memories in 12 s")


@case("the_agent_ends_by_itself", hazards=[76, 84])
def agent_ends(session):
    if session.baseline_only:
        return
    seen = []

    def watch(process):
        while process.poll() is None:
            seen.extend(pid for pid in session.agents() if pid not in seen)
            time.sleep(0.05)

    session.run(session.victim("burn", 500), env=session.preload_environment(100), beside=watch)
    check(len(seen) == 1, f"{len(seen)} agents were seen, expected one")
    left = agents.wait_gone(session.agent, session.folder, 40)
    check(not left, f"agents {left} were still there 40 s after the last process")


def churn(session, threads, at_once, most_kib=4096, env=None):
    result = same(session, session.victim("thread_churn", threads, at_once), env=env)
    timers, growth = result.facts["timers"][0], result.facts["growth_kib"][0]
    check(0 <= timers <= 64, f"{timers} timers are left")
    check(growth <= most_kib, f"the app's memory grew by {growth} KiB")


add("churn_of_threads", [87, 0], lambda session: churn(session, os.environ.get("SIPROF_TEST_THREADS", 6000), 8))
add("a_thousand_threads_at_once", [87, 0], lambda session: churn(session, 10000, 1000, env={"SIPROF_KINDS": "cpu"}))
# All of them wait for each other, so that each has a sample to write: the pool of 8 MiB is what there may be.
add("a_thousand_threads_at_once_with_all_kinds", [87, 0], lambda session: churn(session, 10000, 1000, most_kib=9216))
