# SPDX-License-Identifier: Apache-2.0
"""Finds the agents that one test run brought to life, and nothing else.

A run is known by its private folder, whose name stands in the environment or the arguments of everything
that it started. Only such processes are ever signalled.
"""

import os
import signal
import time
from pathlib import Path


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # it has just ended, or belongs to another user
        return b""


def find(program: Path, folder: Path) -> list:
    """Pids of running agents (`program`) that belong to `folder`, zombies included."""
    mark, found = os.fsencode(folder), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if mark not in _read(f"/proc/{pid}/environ") + _read(f"/proc/{pid}/cmdline"):
            continue
        try:
            same = os.path.samefile(f"/proc/{pid}/exe", program)
        except OSError:
            continue
        if same:
            found.append(int(pid))
    return found


def state(pid: int) -> str:
    """R, S, Z, …; "" when there is no such process."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2][1:2].decode()


def zombie_children(parent: int) -> list:
    """Pids of dead processes that `parent` would have to reap."""
    dead = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if len(fields) > 1 and fields[0] == b"Z" and int(fields[1]) == parent:
            dead.append(int(pid))
    return dead


def children(parent: int, name: str) -> list:
    """Pids of living children of `parent` that are called `name`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        head, _, tail = _read(f"/proc/{pid}/stat").rpartition(b")")
        if head.partition(b"(")[2] == os.fsencode(name) and int(tail.split()[1]) == parent:
            found.append(int(pid))
    return found


def wait_gone(program: Path, folder: Path, seconds: float) -> list:
    """Waits until no agent is left; gives back those that are."""
    deadline = time.monotonic() + seconds
    while (left := find(program, folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it has ended meanwhile, as it should
        pass


def stop(program: Path, folder: Path) -> None:
    """Asks the agents to drain and end; one that does not within 15 s fails the test."""
    for pid in find(program, folder):
        _signal(pid, signal.SIGCONT)
        _signal(pid, signal.SIGTERM)
    left = wait_gone(program, folder, 15)
    for pid in left:
        _signal(pid, signal.SIGKILL)
    if left:
        raise AssertionError(f"agents {left} were still running 15 s after SIGTERM")
