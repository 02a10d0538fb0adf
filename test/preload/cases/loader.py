# SPDX-License-Identifier: Apache-2.0
"""Start-up: other preloads, thread-local storage, binaries that can't be preloaded, poor environments."""

import os
import re
import shutil
import stat
import subprocess

from harness import agents, checks
from harness.checks import check, same
from harness.registry import Skip, add, case, need_file, need_program, need_root


@case("hello_is_the_same", hazards=[1])
def hello(session):
    for env in ({}, {"LD_BIND_NOW": "1"}):
        same(session, session.victim("hello"), sampled=False, env=env)


@case("a_preload_that_allocates_early_first", hazards=[2])
def early_first(session):
    same(session, session.victim("burn"), before=[session.victims / "early.so"])


@case("a_preload_that_allocates_early_last", hazards=[2])
def early_last(session):
    same(session, session.victim("burn"), after=[session.victims / "early.so"])


def plugins(session, name, count):
    """Copies of one plugin: to the loader they are different libraries."""
    copies = [session.folder / f"{name}.{i}.so" for i in range(count)]
    for copy in copies:
        shutil.copy(session.victims / f"{name}.so", copy)
    return copies


@case("code_opened_late_is_known_where_it_only_calls", hazards=[])
def late_caller(session):
    """Nothing is ever sampled in it, so only stacks that can't be followed tell that there is something new."""
    result = same(session, session.victim("late_caller", session.victims / "calling_plugin.so"), env={"SIPROF_KINDS": "cpu"}, fixed_work=False)
    profile = result.profile
    called = profile.sum("cpu", lambda s: any(f.name == "(anonymous namespace)::called_back()" for f in s.frames))
    whole = profile.sum("cpu", lambda s: any(f.name == "call_times" for f in s.frames) and any(f.name == "main" for f in s.frames))
    check(called > 600e6, f"{called} ns are in called_back(), it used 800 ms")
    # A look at the mappings comes within some milliseconds.
    check(whole > 0.9 * called, f"of {called} ns in called_back() {whole} are below the plugin and main()")


@case("static_tls_is_left_for_plugins", hazards=[6])
def static_tls(session):
    same(session, session.victim("tls_heavy", *plugins(session, "tls_ie", 10)))


@case("lazy_tls_while_threads_allocate", hazards=[7])
def lazy_tls(session):
    same(session, session.victim("tls_heavy", *plugins(session, "tls_gd", 50)))


@case("two_programs_with_one_build_id")
def same_id(session):
    """One agent sees both, twice: the second time their tables come out of its index."""
    one, other = session.victim("same_id_0")[0], session.victim("same_id_1")[0]
    result = same(session, ["sh", "-c", f"{one}; {other}; {one}; {other}"])
    times = result.profile.self_times()
    shares = [sum(time for name, time in times.items() if re.match(rf"burn_in_{number}\b", name)) / times.total()
              for number in (0, 1)]
    check(min(shares) > 0.35, f"each program has half of the time, found {shares}: {times.most_common(5)}")
    for sample in result.profile.samples:
        names = [frame.name for frame in sample.frames]
        check(not (any("_in_0" in name for name in names) and any("_in_1" in name for name in names)),
              f"a stack of both programs: {names}")


@case("opened_late_by_dlopen", hazards=[6])
def opened_late(session):
    plain = session.plain(session.victim("dlopen_late"))
    if not session.baseline_only:
        settings = {k: v for k, v in session.preload_environment(1000).items() if k != "LD_PRELOAD"}
        checks.same_behaviour(plain, session.run(session.victim("dlopen_late", session.shim), env=settings))


def throws(session, *command):
    """Same answers, the unwinder is libgcc's, and a throw takes as long: an unwinder of our own takes 25 times that.

    Runs with and without take turns, and of each kind the best batch of 100 counts, which no load reaches.
    """
    command = [*session.victim(*command), "6000"]
    same(session, command)
    settings = None if session.baseline_only else session.preload_environment(100)
    plain_ns, ours_ns = [], []
    for _ in range(8):
        plain_ns += session.plain(command).facts["throw_ns"]
        ours_ns += session.run(command, env=settings).facts["throw_ns"]
    if not session.baseline_only:
        agents.stop(session.agent, session.folder)
    check(min(ours_ns) <= 1.5 * min(plain_ns), f"a throw takes {min(ours_ns)} ns, without siprof {min(plain_ns)} ns")


@case("throws_stay_with_libgcc_in_a_cpp_program", hazards=[8])
def throws_cpp(session):
    throws(session, "throw_main")


@case("throws_stay_with_libgcc_in_a_c_host", hazards=[8])
def throws_c(session):
    throws(session, "throw_host", session.victims / "throw_plugin.so")


@case("the_shim_binary_is_modest", hazards=[4, 5, 6, 7, 8])
def shim_binary(session):
    if session.baseline_only:
        return
    need_program("objdump", "binutils")

    def tool(*command):
        return subprocess.run([*command, session.shim], check=True, capture_output=True, text=True).stdout

    dynamic, code = tool("readelf", "-dW"), tool("objdump", "-d")
    check(re.findall(r"NEEDED.*\[(.*)\]", dynamic) == ["libc.so.6"], f"it needs other libraries:\n{dynamic}")
    check("BIND_NOW" in dynamic or "NOW" in dynamic, "it is not linked with -z now")
    check("__tls_get_addr" not in code, "it calls __tls_get_addr: a handler could allocate")
    check(not re.search(r"jmp.*<dlv?sym", code), "dlsym(RTLD_NEXT) is a tail call")
    tls = re.search(r"^\s*TLS\s+\S+\s+\S+\s+\S+\s+\S+\s+(0x[0-9a-f]+)", tool("readelf", "-lW"), re.M)
    check(tls is None or int(tls[1], 16) <= 256, f"it takes {tls and tls[1]} bytes of static TLS")
    exported = {line.split()[-1].split("@")[0] for line in tool("nm", "-D", "--defined-only").splitlines()}
    foreign = sorted(n for n in exported if re.match(r"_Unwind|unw_|_U|backtrace|__register_frame|__gxx|_ZN?S[at]|_ZNK", n))
    foreign = [name for name in foreign if name != "_ZSt9terminatev"]  # handed on like all that is interposed
    check(not foreign, f"it exports what other libraries own: {foreign}")
    needed = {line.split()[-1].split("@")[0] for line in tool("nm", "-D", "--undefined-only").splitlines()}
    check(not {n for n in needed if n.startswith("_Unwind")}, "it binds to an unwinder")


@case("ldd_works_under_preload", hazards=[10])
def ldd(session):
    def without_us(text):
        lines = [line for line in text.splitlines() if b"libsiprof" not in line]
        return b"\n".join(re.sub(rb"0x[0-9a-f]+", b"ADDRESS", line) for line in lines)

    same(session, ["ldd", "/bin/bash"], sampled=False, normal=without_us)


@case("a_setuid_program_is_left_alone", hazards=[11])
def setuid(session):
    need_root()
    program = session.folder / "setuid_burn"
    shutil.copy(session.victims / "burn", program)
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o755 | stat.S_ISUID)
    if os.statvfs(session.folder).f_flag & os.ST_NOSUID:
        raise Skip("needs a temporary folder that is not mounted nosuid")
    same(session, [program, 50], sampled=False)
    same(session, ["sh", "-c", '"$0" 50', program], sampled=False)


@case("a_program_with_capabilities_is_left_alone", hazards=[11])
def capabilities(session):
    need_root()
    setcap = need_program("setcap", "libcap2-bin")
    program = session.folder / "capable_burn"
    shutil.copy(session.victims / "burn", program)
    subprocess.run([setcap, "cap_net_raw+ep", program], check=True)
    session.as_ordinary_user()
    same(session, [program, 50], sampled=False)


@case("a_32_bit_child_still_runs", hazards=[12])
def child32(session):
    # ld.so itself says that it can't preload a 64-bit library; that line can't be avoided by the library.
    def without_loader(text):
        return b"\n".join(line for line in text.splitlines() if b"wrong ELF class" not in line)

    program = need_file(session.victims / "hello32", "a compiler for 32-bit programs (package gcc-multilib) at build time")
    same(session, ["sh", "-c", '"$0"; echo $?; "$1" 60', program, session.victims / "burn"], normal=without_loader)


@case("a_static_program_is_left_alone", hazards=[13])
def static(session):
    same(session, session.victim("burn_static", 50), sampled=False)


@case("a_go_program_with_a_loader_is_left_alone", hazards=[13])
def go_pie(session):
    """Its threads' storage isn't libc's: before, a tick in its first milliseconds was its end, in 6 runs of 60."""
    need_file(session.victims / "go_pie", "Go at build time (package golang-go)")
    loop = 'i=0; while [ $i -lt 150 ]; do "$0" >/dev/null || exit; i=$((i+1)); done; exec "$0"'
    same(session, ["sh", "-c", loop, *session.victim("go_pie")], sampled=False, env={"SIPROF_HZ": "1000"})


@case("a_static_go_program_is_left_alone", hazards=[13])
def static_go(session):
    need_file(session.victims / "go_static", "Go at build time (package golang-go)")
    same(session, session.victim("go_static"), sampled=False)


@case("a_static_musl_program_is_left_alone", hazards=[13])
def static_musl(session):
    need_file(session.victims / "hello_musl_static", "musl-gcc at build time (package musl-tools)")
    same(session, session.victim("hello_musl_static"), sampled=False)


@case("an_empty_environment", hazards=[17])
def empty_environment(session):
    def run(settings):
        keep = [f"{key}={value}" for key, value in settings.items() if key.startswith(("LD_", "SIPROF_AGENT", "SIPROF_OUT"))]
        return ["env", "-i", *keep, *session.victim("burn")]

    plain = session.plain(run({}))
    if not session.baseline_only:
        checks.same_behaviour(plain, session.preloaded(run(session.preload_environment(100))))


POOR = {
    "closed_stdio": ['exec "$0" 300 >&- 2>&- <&-'],
    "closed_output": ['exec "$0" 300 >&-'],
    "deleted_working_folder": ['mkdir "$VICTIM_FOLDER/gone" && cd "$VICTIM_FOLDER/gone" && rmdir ../gone && exec "$0" 300'],
    "a_full_disk_for_output": ['exec "$0" 300 >/dev/full'],
}
for poor, (script,) in POOR.items():
    add(poor, [17], lambda session, script=script: same(session, ["sh", "-c", script, *session.victim("burn")]))


@case("no_proc", hazards=[17])
def no_proc(session):
    need_root()
    unshare = need_program("unshare", "util-linux")
    script = 'umount -l /proc 2>/dev/null; test -e /proc/self && exit 78; exec "$0" 300'
    command = [unshare, "-m", "sh", "-c", script, *session.victim("burn")]
    if session.plain(command).status == 78:
        raise Skip("needs the right to unmount /proc in a mount namespace of its own")
    same(session, command, sampled=False)


@case("no_agent_program", hazards=[17])
def no_agent(session):
    for agent in ("/nowhere/siprof", "/bin/false", "/dev/null"):
        same(session, session.victim("burn", 300, 2), sampled=False, env={"SIPROF_AGENT_PROGRAM": agent})


@case("failed_attaches_leave_no_memory_behind", hazards=[17])
def failed_attaches(session):
    """Four attempts in 2.5 s: the address space is as if there had been none."""
    same(session, session.victim("memory_files", 2500), sampled=False, env={"SIPROF_AGENT_PROGRAM": "/nowhere/siprof"})
