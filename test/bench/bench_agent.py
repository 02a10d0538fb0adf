# SPDX-License-Identifier: Apache-2.0
"""An agent of a benchmark's own, which runs already when a program starts, as on a machine that is profiled all the
time."""

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(kRoot / "test" / "preload"))

from harness import pprof  # noqa: E402  (needs the path above)

kStatusRequest = (0x73727073).to_bytes(4, "little") + (1).to_bytes(4, "little")


class Agent:
    """`state` holds what it keeps from run to run, `folder` the rest."""

    def __init__(self, build: Path, folder: Path, state: Path, window: str = "2s"):
        self.build, self.socket, self.output = build, folder / "agent.sock", folder / "profiles"
        program = build / "collector-client" / "siprof"
        self.process = subprocess.Popen(
            [program, "agent", "--agent-socket", self.socket, "--output", self.output, "--window", window],
            env={**os.environ, "XDG_STATE_HOME": str(state)}, stderr=subprocess.DEVNULL)
        while not self.socket.exists():
            time.sleep(0.01)

    def environment(self, hz: int) -> dict:
        return {**os.environ, "LD_PRELOAD": str(self.build / "shim" / "libsiprof.so"), "SIPROF_KINDS": "cpu",
                "SIPROF_HZ": str(hz), "SIPROF_AGENT_SOCKET": str(self.socket)}

    def cpu_seconds(self) -> float:
        """By the clock that the kernel keeps for each process (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def peak_bytes(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the agent has no VmHWM")

    def status(self) -> dict:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.connect(str(self.socket))
            asking.send(kStatusRequest)
            return json.loads(b"".join(iter(lambda: asking.recv(1 << 16), b"")))

    def counters(self) -> Counter:
        """Of all profiles so far."""
        sums: Counter = Counter()
        for path in self.output.rglob("*.pb.gz"):
            sums.update({name: int(value) for name, value in pprof.load(path).counters.items() if value.isdigit()})
        return sums

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
