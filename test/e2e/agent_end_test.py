#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Agents end some seconds after their last process, however that one and those before it came to their end."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from support.world import WorldTest, agents, main, wait_for


def workers_of(agent: int) -> list:
    """Pids of an agent's symbol worker."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == agent and b"symbolize-worker" in line:
            found.append(int(pid))
    return found


class AgentEndTest(WorldTest):
    # It waits 3 s for another process; the rest is room for a machine under load.
    kSeconds = 20

    def setUp(self) -> None:
        super().setUp()
        self.collector = self.world.collector()

    def command(self, *command) -> list:
        return [self.world.siprof, "run", "--collector", self.collector.url, "--hz", "1000", "--", *command]

    def start(self, *command) -> subprocess.Popen:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return self.world.start(self.command(*command), self.world.environment(), **quiet)

    def test_after_hundreds_of_short_programs_some_killed_while_they_attach(self):
        chance = random.Random(1)
        for _ in range(6):
            jobs = [self.start(self.world.victims / "burn", chance.choice((1, 5, 20))) for _ in range(50)]
            for job in chance.sample(jobs, 20):
                time.sleep(chance.random() * 0.01)
                job.kill()
            for job in jobs:
                job.wait(timeout=60)
        self.world.agents_gone(self.kSeconds)
        self.assertIn("attached", self.world.log())  # of an agent that nobody needed the end says nothing

    def test_while_nobody_reaps_its_processes(self):
        jobs = [self.start(self.world.victims / "burn", 50) for _ in range(5)]

        def zombies() -> int:
            return sum(agents.state(job.pid) == "Z" for job in jobs)

        wait_for("five zombies", lambda: zombies() == 5, 20)
        self.world.agents_gone(self.kSeconds)
        self.assertEqual(zombies(), 5)

    def test_whose_symbol_workers_are_killed_all_the_time(self):
        app = self.world.run_app(self.collector.url, "python3", "-c",
                                 "import json, ssl, sqlite3, decimal, time\n"
                                 "end = time.process_time() + 3\n"
                                 "while time.process_time() < end: json.dumps(list(range(1000)))\n"
                                 "print('served')", service="python")
        agent = self.world.agent()
        killed = 0
        while app.process.poll() is None:
            for pid in workers_of(agent):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass  # the agent was faster
        app.process.communicate(timeout=30)
        self.assertGreater(killed, 0)
        self.world.agents_gone(self.kSeconds)

    def test_of_programs_that_start_others_by_vfork(self):
        job = self.start("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do env true; python3 -c 'import subprocess\n"
                         "for i in range(20): subprocess.run([\"true\"], close_fds=False)'; done")
        job.wait(timeout=60)
        self.world.agents_gone(self.kSeconds)

    def test_when_the_collector_is_away(self):
        self.collector.kill()
        job = self.start(self.world.victims / "burn", 300)
        wait_for("an agent's start", self.world.agents, 10)
        job.wait(timeout=60)
        # 10 s longer: so long it tries to deliver.
        self.world.agents_gone(self.kSeconds + 10)

    def test_and_waste_nothing_of_a_program_that_comes_meanwhile(self):
        self.collector.kill()
        services = ("first", "second")
        for service in services:
            command = self.command(self.world.victims / "burn", 300)
            command[2:2] = ["--service", service]
            self.world.start(command, self.world.environment()).wait(timeout=60)
            time.sleep(5)  # after 3 s the agent of the first one tries to deliver
        self.world.agents_gone(self.kSeconds + 10)
        spooled = b"".join(path.read_bytes() for path in self.world.state.rglob("*.msg"))
        for service in services:
            self.assertIn(service.encode(), spooled)

    def test_when_the_collector_is_stopped_in_the_middle_of_a_stream(self):
        job = self.start(self.world.victims / "burn", 5000)
        wait_for("a stored profile", self.collector.services, 20)
        self.collector.process.send_signal(signal.SIGSTOP)
        job.wait(timeout=60)
        self.world.agents_gone(self.kSeconds + 10)
        self.collector.process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    main()
