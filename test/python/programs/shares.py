# SPDX-License-Identifier: Apache-2.0
"""Functions with known shares of the CPU time, each reached in a way of its own.  shares.py SECONDS

Each is at work for some hundredths of a second before the next one is, so that few samples say enough.
"""

import ctypes
import re
import sys

from facts import note, process_ns, thread_ns

BLOCK_NS = 40000000
SHARES = {"plain": 4, "by_sort_key": 3, "by_substitution": 2, "by_generator": 2, "by_recursion": 1, "by_comparison": 1,
          "by_library": 2}
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
LIBC = ctypes.CDLL(None)


def spin(until):
    total = 0
    while thread_ns() < until:
        for i in range(300):
            total += i * i
    return total


def plain(until):
    total = 0
    while thread_ns() < until:
        for i in range(300):
            total ^= i
    return total


def key_of(item):
    total = 0
    for i in range(200):
        total += i
    return total + item


def by_sort_key(until):
    while thread_ns() < until:
        sorted(range(20), key=key_of)


def replacement(match):
    total = 0
    for i in range(200):
        total += i
    return str(total)


def by_substitution(until):
    while thread_ns() < until:
        re.sub("[0-9]", replacement, "1 2 3 4 5 6 7 8 9")


def squares(count):
    for number in range(count):
        total = 0
        for i in range(200):
            total += i
        yield number * total


def by_generator(until):
    while thread_ns() < until:
        sum(squares(20))


def deeper(levels, until):
    return deeper(levels - 1, until) if levels else spin(until)


def by_recursion(until):
    deeper(30, until)


class Item:
    def __init__(self, number):
        self.number = number

    def __lt__(self, other):
        total = 0
        for i in range(200):
            total += i
        return self.number < other.number


def by_comparison(until):
    while thread_ns() < until:
        sorted([Item(number % 7) for number in range(20)])


def compare_numbers(first, second):
    total = 0
    for i in range(200):
        total += i
    return first[0] - second[0]


def by_library(until):
    compare = COMPARE(compare_numbers)
    while thread_ns() < until:
        numbers = (ctypes.c_int * 16)(*[number * 7 % 16 for number in range(16)])
        LIBC.qsort(numbers, len(numbers), 4, compare)


def main():
    ways = {"plain": plain, "by_sort_key": by_sort_key, "by_substitution": by_substitution, "by_generator": by_generator,
            "by_recursion": by_recursion, "by_comparison": by_comparison,
            "by_library": by_library}
    used = dict.fromkeys(ways, 0)
    rounds = max(1, int(float(sys.argv[1]) * 1e9 / BLOCK_NS / sum(SHARES.values())))
    for _ in range(rounds):
        for name, blocks in SHARES.items():
            begin = thread_ns()
            ways[name](begin + blocks * BLOCK_NS)
            used[name] += thread_ns() - begin
    for name, ns in used.items():
        note("used:" + name, ns)
    note("cpu_ns", process_ns())
    print("done", sorted(SHARES))


main()
