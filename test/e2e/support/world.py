# SPDX-License-Identifier: Apache-2.0
"""One test's private world: a folder, a collector, apps with and without siprof, and the agents they start.

Everything that siprof shares between runs is below the folder or behind a port that the kernel picked, so
tests run in parallel. close() stops all that the test brought to life, and fails when an agent stays.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness import agents, pprof, session  # noqa: F401  (pprof for the tests)
from harness.registry import Skip, need_root  # noqa: F401  (for the tests, whose path doesn't lead there)
from support.collector import Collector

kOptions: dict = {"build": None, "long": False}


def wait_for(what: str, seen, seconds: float, every: float = 0.1):
    """The first true answer of seen(); fails after `seconds` with `what`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = seen()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s (seen last: {answer!r})")
        time.sleep(every)


class World:
    def __init__(self) -> None:
        self.build = kOptions["build"]
        self.siprof = self.build / "collector-client" / "siprof"
        self.shim = self.build / "shim" / "libsiprof.so"
        self.victims = self.build / "test" / "preload" / "victims"
        self.load = self.build / "test" / "e2e" / "e2e_load"
        self.folder = Path(tempfile.mkdtemp(prefix="siprof-e2e-"))
        self.folder.chmod(0o755)  # for apps of other users
        self.state = self.folder / "state"
        self.processes: list = []
        self.cleanups: list = []
        self.facts_made = 0

    def close(self) -> None:
        if log := self.log():  # meson shows it where the test failed
            print(f"agent.log:\n{log[-4000:]}", file=sys.stderr)
        for clean in reversed(self.cleanups):
            clean()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe and not pipe.closed:
                    pipe.close()
        try:
            agents.stop(self.siprof, self.folder)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, **extra) -> dict:
        """Without siprof's own variables but those of this world. None takes one away."""
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith(("SIPROF_", "OTEL_", "DD_"))}
        env.update(XDG_STATE_HOME=str(self.state), SIPROF_WINDOW="2s", SIPROF_BUDGET="off",
                   SIPROF_LOG="debug", LC_ALL="C.UTF-8")
        for key, value in extra.items():
            env.pop(key, None)
            if value is not None:
                env[key] = str(value)
        return env

    def facts_file(self) -> Path:
        self.facts_made += 1
        path = self.folder / f"facts.{self.facts_made}"
        path.touch()
        path.chmod(0o666)
        return path

    def start(self, command: list, env: dict, **popen) -> subprocess.Popen:
        """Started, with pipes for its output, and stopped at the end whatever happens."""
        popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        process = subprocess.Popen(list(map(str, command)), env=env, text=True, start_new_session=True, **popen)
        self.processes.append(process)
        return process

    def collector(self, *options, **how) -> Collector:
        return Collector(self, options, **how)

    def run_app(self, collector_url: str, *command, service: str = "load", env=None, **popen) -> "App":
        """`siprof run` of a command, by default the load; the App is running when this returns."""
        facts = self.facts_file()
        settings = self.environment(VICTIM_FACTS=facts, **(env or {}))
        run = [self.siprof, "run", "--collector", collector_url, "--service", service, "--"]
        return App(self.start(run + list(command), settings, **popen), facts)

    def plain_app(self, *command) -> "App":
        facts = self.facts_file()
        return App(self.start(command, self.environment(VICTIM_FACTS=facts)), facts)

    def ask(self, *arguments, **env) -> subprocess.CompletedProcess:
        """One of siprof's own commands, to its end."""
        return subprocess.run([self.siprof, *map(str, arguments)], env=self.environment(**env), text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=50, check=False)

    def agents(self) -> list:
        """Those that apps have started. An app is a siprof too, until `siprof run` has become it."""
        own = {process.pid for process in self.processes}
        return [pid for pid in agents.find(self.siprof, self.folder) if pid not in own]

    def agent(self) -> int:
        return wait_for("an agent's start", self.agents, 10)[0]

    def agents_gone(self, seconds: float = 30) -> None:
        left = agents.wait_gone(self.siprof, self.folder, seconds)
        if left:
            raise AssertionError(f"agents {left} still run {seconds} s after their last process:\n{self.log()}")

    def log(self) -> str:
        path = self.state / "siprof" / "agent.log"
        return path.read_text() if path.exists() else ""


class App:
    """A started program that notes facts."""

    def __init__(self, process: subprocess.Popen, facts: Path) -> None:
        self.process, self.facts_path = process, facts

    @property
    def pid(self) -> int:
        return self.process.pid

    def facts(self) -> dict:
        return session.read_facts(self.facts_path)

    def end(self, stop: bool = False, seconds: float = 50) -> dict:
        """Waits for its end (asks for it first); its facts."""
        if stop:
            self.process.terminate()
        out, err = self.process.communicate(timeout=seconds)
        if self.process.returncode != 0 or out != "served\n" or err:
            raise AssertionError(f"the app ended with {self.process.returncode}, wrote {out!r} and {err!r}")
        return self.facts()


class WorldTest(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def assert_close(self, what: str, seen: float, expected: float, relative: float, slack: float = 0) -> None:
        room = relative * expected + slack
        self.assertLessEqual(abs(seen - expected), room, f"{what} is {seen:.0f}, expected {expected:.0f} ± {room:.0f}")


def main() -> None:
    """`TOPIC_test.py BUILD-FOLDER [--long] [unittest's arguments]`"""
    arguments = sys.argv[1:]
    if not arguments or arguments[0].startswith("-"):
        sys.exit(f"usage: {sys.argv[0]} BUILD-FOLDER [--long] [TestCase.test …]")
    kOptions["build"] = Path(arguments.pop(0)).resolve()
    if "--long" in arguments:
        arguments.remove("--long")
        kOptions["long"] = True
    unittest.main(module="__main__", argv=[sys.argv[0], *arguments], verbosity=2)
