# SPDX-License-Identifier: Apache-2.0
"""Small objects, so many of a size, some of which live on.  objects.py MILLIONS

Notes `allocated:FUNCTION` and `live:FUNCTION`, in bytes as the interpreter asks for them.
"""

import gc
import itertools
import sys
import time

from facts import note

kRounds = 20
HEAD = sys.getsizeof(b"")


def small(times):
    """bytes of 100: each one object."""
    for _ in itertools.repeat(None, times):
        bytes(100)


def middle(times):
    for _ in itertools.repeat(None, times):
        bytes(400)


def large(times):
    """By malloc, which counts them."""
    for _ in itertools.repeat(None, times):
        bytes(5000)


def kept(times):
    return [bytes(200) for _ in itertools.repeat(None, times)]


def grown(times):
    """Begins small and is malloc's from 512 bytes on: nothing counts twice."""
    total = 0
    for _ in itertools.repeat(None, times):
        one = bytearray(300)
        one.extend(bytes(3000))
        total += len(one)
    return total


def main():
    until = time.monotonic() + 0.5  # the agent finds the interpreter
    while time.monotonic() < until:
        sum(range(1000))
    gc.disable()
    times = int(float(sys.argv[1]) * 1000000)
    for _ in range(kRounds):  # the agent makes room
        small(times // kRounds)
        middle(times // 4 // kRounds)
        large(times // 40 // kRounds)
        time.sleep(0.05)
    live = kept(times // 4)
    grown(times // 40)
    note("allocated:small", times * (HEAD + 100))
    note("allocated:middle", times // 4 * (HEAD + 400))
    note("allocated:large", times // 40 * (HEAD + 5000))
    note("live:kept", len(live) * (HEAD + 200))
    note("live:list", sys.getsizeof(live))
    print("end", flush=True)
    time.sleep(0.2)
    import os

    os._exit(0)  # what lives does so at the end


main()
