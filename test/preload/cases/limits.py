# SPDX-License-Identifier: Apache-2.0
"""Descriptors, resource limits, dropped rights, memory."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import checks
from harness.checks import about, calls, check, same
from harness.registry import Skip, add, case, need_root

for way in ("closefrom", "close_range", "loop"):
    for when in ("early", "late"):
        add(f"{way}_{when}_and_reuse", [77], lambda session, way=way, when=when: same(
            session, session.victim("closefrom_echo", way, when)))

for count in (1, 4):
    add(f"open_gives_the_lowest_number_{count}", [78, 0], lambda session, count=count: same(
        session, session.victim("open_three", count)))
@case("a_descriptor_closed_while_attaching_is_closed", hazards=[78, 0])
def last_closer(session):
    command = session.victim("last_closer")
    if session.plain(command).status == 77:
        raise Skip("needs Linux 5.9")
    same(session, command)


add("ulimit_of_four_descriptors", [78], lambda session: same(
    session, ["sh", "-c", 'ulimit -n 4; exec "$0" 300', *session.victim("burn")], sampled=False))


@case("eight_descriptors_and_dup2_over_all", hazards=[78])
def eight_descriptors(session):
    command = session.victim("tight_descriptors")
    same(session, command, sampled=False)
    # The agent runs outside of the limit here, so there is no excuse for an empty profile.
    checks.has_samples(session.recorded(command).profile)


def dropped(session, way, fresh):
    command = session.victim("drop_rights", way, *(["fresh"] if fresh else []))
    if session.plain(command).status == 77:
        raise Skip(f"needs the right to do this ({way}: root)")
    result = same(session, command, hz=100)
    found = result.profile.sum("cpu", calls("after_drop"))
    about(f"sampled CPU after {way} (ns)", found, 1e9, 0.05, slack=2 * result.profile.period)


for way in ("chroot", "pivot_root", "setuid", "capset", "unshare_user", "unshare_pid", "unshare_mount", "unshare_net",
            "dumpable", "no_new_privs"):
    add(f"samples_go_on_after_{way}", [79], lambda session, way=way: dropped(session, way, fresh=False))
# Rights dropped before the first tick: the attach happens with what is left.
for way in ("capset", "dumpable", "no_new_privs", "unshare_mount"):
    add(f"samples_come_after_early_{way}", [79], lambda session, way=way: dropped(session, way, fresh=True))
# Out of the agent's reach, or (unshare_pid) where a child of ours would be the namespace's pid 1: no profile then.
for way in ("chroot", "pivot_root", "setuid", "unshare_user", "unshare_pid"):
    def harmless(session, way=way):
        command = session.victim("drop_rights", way, "fresh")
        if session.plain(command).status == 77:
            raise Skip(f"needs the right to do this ({way}: root)")
        same(session, command, sampled=False)

    add(f"early_{way}_does_no_harm", [79], harmless)

def sandboxed(session, *ways):
    result = same(session, session.victim("sandboxed", *ways))
    found = result.profile.sum("cpu", calls("work_in_sandbox"))
    about("sampled CPU in the sandbox (ns)", found, 1.5e9, 0.05, slack=2 * result.profile.period)


for way in ("prctl", "syscall"):
    add(f"a_sandbox_that_kills_by_{way}", [80], lambda session, way=way: sandboxed(session, way))
    add(f"a_sandbox_that_kills_by_{way}_later", [80], lambda session, way=way: sandboxed(session, way, "late"))


@case("children_without_a_clock", hazards=[80])
def without_clock(session):
    same(session, session.victim("no_clock"), fixed_work=False)


@case("a_sandbox_outlives_its_agent", hazards=[80, 86])
def sandbox_without_agent(session):
    killed = []

    def kill_agents(process):
        time.sleep(0.8)
        for pid in session.agents():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    command = session.victim("sandboxed", "prctl", "late")
    plain = session.plain(command)
    result = session.preloaded(command, beside=kill_agents)
    checks.same_behaviour(plain, result)
    check(session.baseline_only or bool(killed), "no agent was running")


@case("the_shared_memory_reaches_as_far_as_its_mapping", hazards=[86, 89])
def shared_memory_size(session):
    """Beyond the end is SIGBUS, for a thread that still uses a pool the agent has made larger."""
    seen = []

    def look(process):
        deadline = time.monotonic() + 1.4
        while not seen and time.monotonic() < deadline:
            time.sleep(0.2)
            for pid in session.agents():
                for link in Path(f"/proc/{pid}/fd").iterdir():
                    if os.readlink(link).startswith("/memfd:siprof "):
                        seen.append(link.stat())

    if session.baseline_only:
        return
    session.preloaded(session.victim("burn", 1500), beside=look)
    check(bool(seen), "the agent holds no shared memory")
    for memory in seen:
        check(memory.st_size == 420 * 1024 + 2048 * 4096, f"it has {memory.st_size} bytes")
        check(memory.st_blocks * 512 <= 2 << 20, f"{memory.st_blocks * 512} bytes are allocated at the start")


@case("after_chroot_nothing_of_the_jail_is_executed", hazards=[79])
def jail(session):
    """What stands in there where the agent stood leaves a mark when it runs."""
    need_root()
    inside = session.folder / "empty" / str(session.agent).lstrip("/")
    inside.parent.mkdir(parents=True)
    shutil.copy(session.victims / "leaves_mark", inside)
    same(session, session.victim("drop_rights", "chroot", "fresh"), sampled=False)
    check(not (session.folder / "empty" / "mark").exists(), "a file of the jail was executed as root")


for what in ("fsize", "as", "data"):
    add(f"limit_{what}", [89, 0], lambda session, what=what: same(session, session.victim("resource_limits", what)))
# No file may grow, so there can't be shared memory; no process may be made, so nothing can attach.
for what in ("fsize_hard", "nproc"):
    add(f"limit_{what}", [89, 0], lambda session, what=what: same(
        session, session.victim("resource_limits", what), sampled=False))


@case("limit_nproc_as_ordinary_user", hazards=[89])
def nproc(session):
    session.as_ordinary_user()
    same(session, session.victim("resource_limits", "nproc"), sampled=False)


@case("mlockall_of_the_future", hazards=[89, 0])
def mlockall(session):
    command = session.victim("resource_limits", "mlock")
    plain = session.plain(command)
    if plain.status == 77:
        raise Skip("needs a larger RLIMIT_MEMLOCK (or root)")
    result = session.preloaded(command)
    checks.same_behaviour(plain, result)
    more = result.facts["resident_bytes"][0] - plain.facts["resident_bytes"][0]
    checks.has_samples(result.profile)
    check(more < 8 << 20, f"the app holds {more >> 20} MiB more")


@case("ulimit_of_address_space_from_the_start", hazards=[89, 0])
def address_space(session):
    same(session, ["sh", "-c", 'ulimit -v 200000; exec "$0" 300 2', *session.victim("burn")])


def memory_group(session) -> Path:
    """A new memory cgroup (version 1 or 2) that may be written to."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / session.folder.name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(64 << 20))
            return group
        except OSError:
            group.rmdir()
    raise Skip("needs a memory cgroup that may be written to (root)")


@case("a_memory_cgroup_of_64_mib", hazards=[89])
def memory_cgroup(session):
    need_root()
    group = memory_group(session)
    try:
        join = f'echo $$ > {group}/cgroup.procs && exec "$0" 600 4'
        same(session, ["sh", "-c", join, *session.victim("burn")])
    finally:
        session_agents_gone = not session.agents()
        check(session_agents_gone, "an agent is left in the cgroup")
        group.rmdir()
