#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a tick costs the thread that it interrupts, beyond the kernel's signal, by stack depth: nanoseconds of an
empty handler, of siprof's, and the median of the pairs' differences. Warm, and with 64 MiB of other memory written
before each. Budget: 1 µs warm, 10 µs cold, for 30 frames (docs/performance.md).

    ninja -C build test/bench/handler_cost && test/bench/handler_cost.py [--rounds 200]

The numbers count only if the handler walked stacks of those depths by tables, and had room for each: the profile
that comes out of the run has to say so.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import groupby
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(kRoot / "test" / "preload"))

from harness import pprof  # noqa: E402  (needs the path above)

kDepths = {8, 30, 100}
kLeaf = "send_ticks"


def problems(profile) -> list:
    counters = {name: int(value) for name, value in profile.counters.items() if value.isdigit()}
    found = []
    if counters["stack_walked"] < 0.95 * counters["samples"]:
        found.append(f"only {counters['stack_walked']} of {counters['samples']} stacks were walked")
    if counters.get("lost_pool_full"):
        found.append(f"{counters['lost_pool_full']} ticks found the ring full: use a quieter machine")
    at, depths = profile.column("samples"), Counter()
    for sample in profile.samples:
        if kLeaf in sample.frames[0].name:
            # Inlined calls are frames of one address.
            depths[sum(1 for _ in groupby(sample.frames, lambda frame: frame.address))] += sample.values[at]
    usual = {depth for depth, count in depths.items() if count > 0.05 * sum(depths.values())}
    if usual != kDepths:
        found.append(f"the stacks have {sorted(usual)} frames instead of {sorted(kDepths)}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siprof-handler-") as folder:
        program = options.build / "test" / "bench" / "handler_cost"
        record = [options.build / "collector-client" / "siprof", "record", "--kinds", "cpu", "-o", folder, "--"]
        subprocess.run([*map(str, record), str(program), str(options.rounds)], check=True, stderr=subprocess.DEVNULL)
        found = problems(pprof.load(Path(folder) / "cpu.pb.gz"))
    for problem in found:
        print(f"handler_cost: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
