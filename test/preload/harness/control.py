# SPDX-License-Identifier: Apache-2.0
"""The switch of a profiled process: the words of its shared memory by which an agent passes on a changed
configuration (proto/siprof/shared_memory.h). The cases turn it faster than any collector would.
"""

import ctypes
import mmap
import os
import struct
from typing import Optional

from harness.checks import check

kMagic, kVersion = 0x66727073, 8
kHeaderBytes = 4096
kGenerationAt, kHzAt, kKindsAt = 76, 80, 84  # behind heartbeat_ns (64) and chunk_count
kCpu = 1


def _memory_of(agent: int, pid: int) -> Optional[mmap.mmap]:
    """The shared memory of `pid` among what `agent` holds open."""
    folder = f"/proc/{agent}/fd"
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if not os.readlink(path).startswith("/memfd:"):
            continue
        with open(path, "r+b", buffering=0) as file:
            magic, version, _, app = struct.unpack("IIIi", file.read(16))
            if (magic, app) == (kMagic, pid):
                check(version == kVersion, f"shared memory of version {version}: adapt the offsets in control.py")
                return mmap.mmap(file.fileno(), kHeaderBytes)
    return None


class Switch:
    def __init__(self, agents: list, pid: int) -> None:
        found = [memory for agent in agents if (memory := _memory_of(agent, pid))]
        check(len(found) == 1, f"{len(found)} agents hold the memory of process {pid}")
        self._generation = ctypes.c_uint32.from_buffer(found[0], kGenerationAt)
        self._hz = ctypes.c_uint32.from_buffer(found[0], kHzAt)
        self._kinds = ctypes.c_uint32.from_buffer(found[0], kKindsAt)

    def turn(self, on: bool) -> None:
        self._kinds.value = self._kinds.value | kCpu if on else self._kinds.value & ~kCpu
        self._generation.value += 1  # after the kinds: the handler looks here first

    def rate(self, hz: int) -> None:
        self._hz.value = hz
        self._generation.value += 1
