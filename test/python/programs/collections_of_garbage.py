# SPDX-License-Identifier: Apache-2.0
"""Garbage for every generation; at the end the interpreter's own numbers of it are noted."""

import gc
import sys
import time

from facts import note


class Node:
    def __init__(self):
        self.me = self


def main():
    until = time.monotonic() + 2.6
    kept = []
    while time.monotonic() < until:
        for _ in range(2000):
            Node()
        kept.append([Node() for _ in range(50)])
        gc.collect(1)
        time.sleep(0.005)
        if len(kept) % 50 == 0:
            gc.collect()
    gc.collect()
    gc.disable()
    note("modules", len(sys.modules))
    note("blocks", sys.getallocatedblocks())
    for number, stats in enumerate(gc.get_stats()):
        for name in ("collections", "collected", "uncollectable"):
            note("%s:%d" % (name, number), stats[name])
    time.sleep(0.3)
    sys.stdout.write("end\n")
    sys.stdout.flush()
    import os

    os._exit(0)  # the interpreter collects once more where it ends


main()
