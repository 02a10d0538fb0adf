# SPDX-License-Identifier: Apache-2.0
"""Real programs under preload: shells, interpreters, sudo, a parallel build."""

import os
import re
import time

from harness import checks
from harness.checks import check, same
from harness.registry import add, case, need_program, need_root

LOOP = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo $i; (echo sub); echo a | cat | sort; trap 'echo bye' EXIT"
PROGRAMS = {
    "sh": ["-c", LOOP],
    "bash": ["-c", LOOP],
    "zsh": ["-fc", LOOP],
    "perl": ["-e", 'my $s = 0; $s += $_ % 7 for 1..4000000; print "$s\\n"; print `echo child`; $SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; sleep 3'],
    "python3": ["-c", "import subprocess, threading, signal, time\nprint(sum(i % 7 for i in range(4000000)))\n"
                "t = threading.Thread(target=lambda: print(sum(range(1000000)))); t.start(); t.join()\n"
                "print(subprocess.check_output(['echo', 'child']))\n"
                "signal.signal(signal.SIGPROF, lambda *a: None); print(signal.getsignal(signal.SIGALRM))\n"],
    "node": ["-e", "let s = 0; for (let i = 0; i < 2e8; i++) s = (s + i) % 1000003; console.log(s);"
             "console.log(require('child_process').execSync('echo child').toString()); setTimeout(() => console.log('late'), 50)"],
    "tclsh": [],
}


def program(session, name):
    path = need_program(name)
    arguments = PROGRAMS[name]
    if name == "tclsh":
        script = session.folder / "loop.tcl"
        script.write_text("set s 0\nfor {set i 0} {$i < 400000} {incr i} {incr s [expr {$i % 7}]}\nputs $s\nputs [exec echo child]\n")
        arguments = [script]
    same(session, [path, *arguments])


for program_name in PROGRAMS:
    add(f"{program_name}_under_preload", [8, 10], lambda session, name=program_name: program(session, name))


@case("sudo_under_preload", hazards=[11])
def sudo(session):
    same(session, [need_program("sudo", "sudo"), "-V"], sampled=False)


@case("parallel_make", hazards=[10, 84])
def parallel_make(session):
    need_program("make"), need_program("cc", "gcc")
    project = session.folder / "project"
    project.mkdir()
    for number in range(24):
        functions = "\n".join(f"int f{number}_{i}(int x) {{ return x * {i} + (x >> {i % 5}); }}" for i in range(120))
        (project / f"unit{number}.c").write_text(functions)
    (project / "main.c").write_text('#include <stdio.h>\nint f3_7(int);\nint main(void) { printf("%d\\n", f3_7(6)); return 0; }\n')
    (project / "Makefile").write_text(
        "OBJECTS = main.o $(patsubst %.c,%.o,$(wildcard unit*.c))\nprog: $(OBJECTS)\n\t@cc -o $@ $^\n%.o: %.c\n\t@cc -O2 -c -o $@ $<\n")
    command = ["sh", "-c", f"cd {project} && make -s -j8 && ./prog && make -s clean 2>/dev/null; rm -f *.o prog"]
    most, since = 0, {}

    def watch(process):
        """Several may be started in the same moment: all but one find that out and end."""
        nonlocal most, since
        while process.poll() is None:
            now = time.monotonic()
            since = {agent: since.get(agent, now) for agent in session.agents()}
            most = max(most, sum(now - start >= 0.2 for start in since.values()))
            time.sleep(0.02)

    plain = session.plain(command)
    result = session.preloaded(command, beside=watch)
    checks.same_behaviour(plain, result)
    checks.has_samples(result.profile)
    check(most == 1, f"{most} agents ran at once")
    check(len(result.profile.pids()) >= 20, f"only {len(result.profile.pids())} processes are in the profile")


@case("the_agent_is_not_profiled", hazards=[10])
def agent_environment(session):
    if session.baseline_only:
        return
    seen = {}

    def watch(process):
        while process.poll() is None:
            for pid in session.agents():
                try:
                    seen[pid] = (open(f"/proc/{pid}/environ", "rb").read(), open(f"/proc/{pid}/maps").read())
                except OSError:
                    continue
            time.sleep(0.05)

    session.preloaded(session.victim("burn", 600), beside=watch)
    check(bool(seen), "no agent was seen")
    for environment, maps in seen.values():
        # It may map libsiprof.so to read its symbols, but not to run it.
        loaded = [line for line in maps.splitlines() if "libsiprof.so" in line and "x" in line.split()[1]]
        check(b"LD_PRELOAD=" not in environment and not loaded, "the agent is preloaded itself")
