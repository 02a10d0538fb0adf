# SPDX-License-Identifier: Apache-2.0
"""Runs one command without siprof, preloaded, and under `siprof record`, in a private folder.

Everything that siprof could share between runs (state folder, agent socket, output) lives in that folder,
so cases run in parallel. Output goes through pipes on purpose: an agent that kept one of them open would
keep the run from ending, and the time limit turns that into a failure.
"""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Optional

from harness import agents, pprof
from harness.registry import BaselineOnly

kTimeoutSeconds = 50
kOtherKinds = ("wall", "heap", "lock", "io", "errors")


class Result:
    def __init__(self, command, status, stdout, stderr, seconds, cpu_ns, facts):
        self.command, self.status, self.stdout, self.stderr = command, status, stdout, stderr
        self.seconds, self.cpu_ns, self.facts = seconds, cpu_ns, facts
        self._profile: Optional[pprof.Profile] = None
        self._other_kinds: dict = {}

    @property
    def profile(self) -> pprof.Profile:
        if self._profile is None:
            raise BaselineOnly()
        return self._profile

    def profile_of(self, kind: str) -> pprof.Profile:
        """All profiles of the kind as one; an empty profile when there are none."""
        self.profile  # raises where there is none
        return self._other_kinds[kind]


class Session:
    def __init__(self, build: Path, baseline_only: bool, long: bool = False):
        self.build, self.baseline_only, self.long = build, baseline_only, long
        self.shim = build / "shim" / "libsiprof.so"
        self.agent = build / "collector-client" / "siprof"
        self.victims = build / "test" / "preload" / "victims"
        self.folder = Path(tempfile.mkdtemp(prefix="siprof-case-"))
        self.folder.chmod(0o755)  # victims that drop privileges still find their files
        self.owner: Optional[int] = None
        self.runs = 0
        self.timeout_seconds = kTimeoutSeconds

    def close(self) -> None:
        try:
            agents.stop(self.agent, self.folder)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def copied(self, file: Path) -> Path:
        copy = self.folder / "programs" / file.name
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)
        return copy

    def victim(self, name: str, *arguments) -> list:
        program = self.victims / name
        if self.owner is not None:
            program = self.copied(program)
        return [str(program), *map(str, arguments)]

    def as_ordinary_user(self) -> None:
        """As root: run everything under a user id of its own. Else: nothing to do."""
        if os.geteuid() == 0:
            self.owner = 60000 + os.getpid() % 5000
            os.chown(self.folder, self.owner, self.owner)
            # The build may lie where only root can look, in root's home for one.
            self.shim, self.agent = self.copied(self.shim), self.copied(self.agent)

    def agents(self) -> list:
        return agents.find(self.agent, self.folder)

    def environment(self, facts: Path, extra: dict) -> dict:
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith(("SIPROF_", "OTEL_"))}
        env.update(VICTIM_FACTS=str(facts), VICTIM_FOLDER=str(self.folder), LC_ALL="C.UTF-8")
        env.update({key: str(value) for key, value in extra.items()})
        return env

    def preload_environment(self, hz: int, before=(), after=()) -> dict:
        return {
            "LD_PRELOAD": ":".join([*map(str, before), str(self.shim), *map(str, after)]),
            "XDG_STATE_HOME": self.folder / "state",
            "SIPROF_AGENT_PROGRAM": self.agent,
            "SIPROF_OUTPUT": self.folder / "out",
            "SIPROF_HZ": hz,
            "SIPROF_WINDOW": "2s",
            "SIPROF_BUDGET": "off",
            "SIPROF_LOG": "debug",
        }

    def spawn(self, command: list, env: dict, **popen) -> subprocess.Popen:
        if self.owner is not None:
            popen.update(user=self.owner, group=self.owner, extra_groups=[])
        popen.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            list(map(str, command)), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, restore_signals=True, **popen)

    def run(self, command: list, env: Optional[dict] = None, beside=None, **popen) -> Result:
        """Runs to the end. `beside(process)` runs while the command does."""
        self.runs += 1
        facts = self.folder / f"facts.{self.runs}"
        facts.touch()
        facts.chmod(0o666)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        process = self.spawn(command, self.environment(facts, env or {}), **popen)
        try:
            if beside:
                beside(process)
            stdout, stderr = process.communicate(timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{command} did not end (or its output stayed open) for {self.timeout_seconds} s") from late
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = sum(getattr(after, f) - getattr(before, f) for f in ("ru_utime", "ru_stime"))
        return Result(command, process.returncode, stdout, stderr, time.monotonic() - start, int(cpu * 1e9),
                      read_facts(facts))

    def plain(self, command: list, **options) -> Result:
        return self.run(command, **options)

    def preloaded(self, command: list, hz=1000, before=(), after=(), env=None, **options) -> Result:
        """LD_PRELOAD alone; the agent is started by the shim and stopped afterwards."""
        if self.baseline_only:
            extra = {"LD_PRELOAD": ":".join(map(str, [*before, *after]))} if before or after else {}
            return self.run(command, env={**extra, **(env or {})}, **options)
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        settings = {**self.preload_environment(hz, before, after), **(env or {})}
        result = self.run(command, env=settings, **options)
        agents.stop(self.agent, self.folder)
        result._profile = read_profiles(out)
        result._other_kinds = {kind: read_profiles(out, kind) for kind in kOtherKinds}
        return result

    def recorded(self, command: list, hz=100, env=None, **options) -> Result:
        """`siprof record`; its own summary stays at the end of stderr."""
        if self.baseline_only:
            return self.run(command, env=env, **options)
        out = self.folder / f"record.{self.runs}"
        settings = {"XDG_STATE_HOME": self.folder / "state", "SIPROF_LOG": "debug", **(env or {})}
        record = [self.agent, "record", "--hz", hz, "-o", out, "--"]
        result = self.run(record + command, env=settings, **options)
        left = agents.wait_gone(self.agent, self.folder, 5)
        if left:
            raise AssertionError(f"record ended and left its agents {left} running")
        # There for every kind that was on, also an empty one.
        has_cpu = "cpu" in settings.get("SIPROF_KINDS", "cpu").split(",")
        result._profile = pprof.load(out / "cpu.pb.gz") if has_cpu else pprof.Profile()
        result._other_kinds = {kind: read_profiles(out, kind) for kind in kOtherKinds}
        return result


def read_profiles(folder: Path, kind: str = "cpu") -> pprof.Profile:
    """All profiles of the kind below `folder` as one; an empty profile when there are none."""
    merged = pprof.Profile()
    for path in sorted(folder.glob(f"**/{kind}*.pb.gz")):
        merged.merge(pprof.load(path))
    return merged


def read_facts(path: Path) -> dict:
    """What the victim noted with note_fact(): key -> list of integers, in order."""
    facts: dict = {}
    for line in path.read_text().splitlines():
        key, value = line.split()
        facts.setdefault(key, []).append(int(value))
    return facts
