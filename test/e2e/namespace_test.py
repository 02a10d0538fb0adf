#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One agent for other users and containers, and the container entrypoint as pid 1 of a namespace."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from support.world import WorldTest, main, session, wait_for

kEntrypoint = Path(__file__).resolve().parents[2] / "scripts" / "siprof-entrypoint"
kNobody = 65534


def first_of_each(facts: Path) -> dict:
    return {key: values[0] for key, values in session.read_facts(facts).items()}


class NamespaceTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.collector = self.world.collector()
        # Reachable for every user, wherever the build folder is.
        self.programs = self.world.folder / "programs"
        self.programs.mkdir(mode=0o755)
        self.shim, self.load = (shutil.copy(path, self.programs) for path in (self.world.shim, self.world.load))
        self.socket = self.world.folder / "agent.sock"

    def sidecar(self):
        command = [self.world.siprof, "agent", "--agent-socket", self.socket, "--socket-mode", "666", "--collector",
                   self.collector.url]
        log = open(self.world.folder / "sidecar.log", "w", encoding="utf-8")
        self.addCleanup(log.close)
        agent = self.world.start(command, self.world.environment(), stdout=subprocess.DEVNULL, stderr=log)
        wait_for("the agent's socket", self.socket.exists, 10)
        self.assertEqual(self.socket.stat().st_mode & 0o777, 0o666)
        return agent

    def unshare(self, *more) -> list:
        command = ["unshare", "-Urpf", *more]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest(f"needs user and pid namespaces ({' '.join(command)})")
        return [*command, "--"]

    def joined(self, service: str, prefix: list, seconds: float = 4, **env) -> dict:
        """Runs the load as a process that joins by the socket; its facts."""
        facts = self.world.facts_file()
        settings = self.world.environment(
            LD_PRELOAD=self.shim, SIPROF_AGENT_SOCKET=self.socket, SIPROF_SERVICE=service, VICTIM_FACTS=facts,
            XDG_STATE_HOME=self.world.folder / "not-there", **env)
        process = self.world.start([*prefix, self.load, seconds], settings)
        out, err = process.communicate(timeout=40)
        self.assertEqual((out, err, process.returncode), ("served\n", "", 0))
        return first_of_each(facts)

    def assert_arrived(self, agent, services: dict) -> None:
        """Each service's profile holds the CPU time that the app measured, by the pid that it knows itself by."""
        agent.terminate()
        self.assertEqual(agent.wait(timeout=20), 0, (self.world.folder / "sidecar.log").read_text())
        self.assertFalse(self.socket.exists())
        for service, facts in services.items():
            profile = self.collector.profile(service)
            self.assert_close(f"stored CPU of {service} (ns)", profile.total("cpu"), facts["cpu_ns"], 0.03, slack=20e6)
            names = {frame.name for sample in profile.samples for frame in sample.frames}
            self.assertTrue(any("answer_request" in name for name in names), f"{service}: {names}")

    def test_processes_of_another_user_join_a_sidecar(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        agent = self.sidecar()
        as_nobody = ["setpriv", f"--reuid={kNobody}", f"--regid={kNobody}", "--clear-groups"]
        self.assert_arrived(agent, {"own": self.joined("own", []), "other": self.joined("other", as_nobody)})

    def test_processes_of_containers_join_a_sidecar(self):
        agent = self.sidecar()
        plain, mounted = self.unshare(), self.unshare("--mount-proc")
        services = {"contained": self.joined("contained", plain), "with-proc": self.joined("with-proc", mounted)}
        self.assertEqual({facts["pid"] for facts in services.values()}, {1})
        self.assert_arrived(agent, services)

    def test_samples_of_a_container_carry_its_own_pids(self):
        """The store merges pids away, so a folder of files shows them."""
        folder = self.world.folder / "out"
        command = [self.world.siprof, "agent", "--agent-socket", self.socket, "--socket-mode", "666", "--output", folder]
        agent = self.world.start(command, self.world.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the agent's socket", self.socket.exists, 10)
        self.joined("contained", self.unshare("--mount-proc"))
        agent.terminate()
        agent.wait(timeout=20)
        profile = session.read_profiles(folder)
        self.assertEqual(profile.pids(), {1})

    def test_a_sidecar_that_others_may_not_join_refuses_them(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        agent = self.world.start([self.world.siprof, "agent", "--agent-socket", self.socket, "--collector",
                                  self.collector.url], self.world.environment(), stderr=subprocess.DEVNULL)
        wait_for("the agent's socket", self.socket.exists, 10)
        self.assertEqual(self.socket.stat().st_mode & 0o777, 0o600)
        self.joined("other", ["setpriv", f"--reuid={kNobody}", f"--regid={kNobody}", "--clear-groups"], 2)
        agent.terminate()
        agent.wait(timeout=20)
        # setpriv itself is root's still, and now and then uses enough CPU time for a sample.
        for service in self.collector.services():
            names = {frame.name for sample in self.collector.profile(service).samples for frame in sample.frames}
            self.assertFalse(any("answer_request" in name for name in names), f"{service}: {names}")

    def entrypoint(self, *arguments, stop: bool = False, **env) -> tuple:
        """As pid 1; (status, facts)."""
        facts = self.world.facts_file()
        settings = self.world.environment(SIPROF_LIBRARY=self.shim, SIPROF_COLLECTOR=self.collector.url,
                                          SIPROF_SERVICE="boxed", VICTIM_FACTS=facts, **env)
        process = self.world.start([*self.unshare("--mount-proc", "--kill-child"), kEntrypoint, self.load, *arguments], settings)
        if stop:
            wait_for("the app's start", lambda: "pid" in first_of_each(facts), 10)
            # The first one may hold counters alone: pid 1 attaches before it has used any CPU time.
            wait_for("a stored profile with samples", lambda: self.collector.services() == ["boxed"] and
                     self.collector.profile("boxed").total("cpu") > 0, 20)
            self.signal_inside(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=40)
        self.assertEqual((out, err), ("served\n", ""))
        return process.returncode, first_of_each(facts)

    @staticmethod
    def signal_inside(parent: int, number: int) -> None:
        """To the process that is pid 1 in the namespace: unshare's child."""
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        os.kill(int(children[0]), number)

    def test_the_entrypoint_is_pid_1_with_an_agent_outside(self):
        agent = self.sidecar()
        status, facts = self.entrypoint(4, 1, 7, SIPROF_AGENT_SOCKET=self.socket)
        self.assertEqual((status, facts["pid"], facts["parent"]), (7, 1, 0))
        self.assert_arrived(agent, {"boxed": facts})

    def test_the_entrypoint_is_pid_1_with_the_agent_inside(self):
        """The agent ends with the namespace; what was sent before has arrived, and SIGTERM reaches pid 1."""
        program = {"SIPROF_AGENT_PROGRAM": self.world.siprof}
        status, facts = self.entrypoint(40, 1, 7, stop=True, **program)
        self.assertEqual((status, facts["pid"], facts["parent"]), (7, 1, 0))
        profile = self.collector.profile("boxed")
        self.assertGreater(profile.total("cpu"), 0)
        self.assertLessEqual(profile.total("cpu"), 1.03 * facts["cpu_ns"] + 20e6)
        wait_for("the end of what was in the namespace", lambda: not self.world.agents(), 10)


if __name__ == "__main__":
    main()
