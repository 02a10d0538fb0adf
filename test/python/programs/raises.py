# SPDX-License-Identifier: Apache-2.0
"""Exceptions in many ways, each so many times.  raises.py TIMES [THREADS]

Notes `raised:FUNCTION:TYPE` for what is raised in each function: once for each `raise` with an object and each error of
C code, not for those that go on (`raise` alone, `finally`, a task's result). Control flow (StopIteration) is none.
"""

import asyncio
import collections
import signal
import sys
import threading
import time

from facts import note

TOLD = collections.Counter()


class Own(Exception):
    class Inner(Exception):
        pass


def told(function, kind, times):
    TOLD["raised:%s:%s" % (function, kind)] += times


def site():
    raise Own("at its site")


def nested_site():
    raise Own.Inner


def through():
    try:
        site()
    finally:
        abs(1)


def of_c():
    return int("none")


def of_division():
    return [1 / n for n in (1, 0)]


def passed_on():
    try:
        site()
    except Own:
        raise


def raised_again():
    try:
        site()
    except Own as error:
        raise error


def kept():
    try:
        site()
    except Own as error:
        return error


def raised_elsewhere():
    raise kept()


def raised_from():
    try:
        site()
    except Own as error:
        raise LookupError("from") from error


def from_callback():
    return sorted([2, 1], key=lambda n: {}[n])


def thrown_into():
    def generator():
        yield 1

    one = generator()
    next(one)
    one.throw(Own("thrown"))


def control_flow():
    generator = (n for n in range(3))
    for _ in generator:
        pass
    next(iter([]), None)
    try:
        next(iter([]))
    except StopIteration:
        pass
    (n for n in range(3)).close()
    raise StopIteration  # by hand


async def awaited():
    site()


async def task():
    try:
        await asyncio.ensure_future(awaited())
    except Own:
        pass


def recursion():
    recursion()


def no_memory():
    raise MemoryError


class Odd(Exception):
    """Answers for itself: nothing of it may be asked."""

    asked = 0

    def __str__(self):
        Odd.asked += 1
        return "asked"

    __repr__ = __str__

    @property
    def args(self):
        Odd.asked += 1
        return ("asked",)

    def __getattribute__(self, name):
        Odd.asked += 1
        return super().__getattribute__(name)


class OddMeta(type):
    asked = 0

    @property
    def __module__(cls):
        OddMeta.asked += 1
        return "asked"

    def __getattribute__(cls, name):
        if name in ("__module__", "__qualname__", "__name__"):
            OddMeta.asked += 1
        return super().__getattribute__(name)


class OddClass(Exception, metaclass=OddMeta):
    pass


def odd():
    raise Odd("x")


def odd_class():
    raise OddClass("x")


WAYS = [(site, {"site:Own"}), (nested_site, {"nested_site:Own.Inner"}), (through, {"site:Own"}), (of_c, {"of_c:ValueError"}),
        (passed_on, {"site:Own"}), (raised_again, {"site:Own", "raised_again:Own"}),
        (raised_elsewhere, {"site:Own", "raised_elsewhere:Own"}), (raised_from, {"site:Own", "raised_from:LookupError"}),
        (from_callback, {"<lambda>:KeyError"}), (thrown_into, {"generator:Own"}), (control_flow, set()),
        (no_memory, {"no_memory:MemoryError"}), (odd, {"odd:Odd"}), (odd_class, {"odd_class:OddClass"}),
        (of_division, {("<listcomp>" if sys.version_info < (3, 12) else "of_division") + ":ZeroDivisionError"})]


def run(times):
    for _ in range(times):
        for way, _ in WAYS:
            try:
                way()
            except Exception:
                pass
    for _, kinds in WAYS:
        for kind in kinds:
            told(*kind.split(":"), times)
    for _ in range(5):
        try:
            recursion()
        except RecursionError:
            pass
    told("recursion", "RecursionError", 5)


def in_handlers(times):
    seen = []

    def handler(*_):
        seen.append(1)
        raise Own("in a handler")

    signal.signal(signal.SIGUSR1, handler)
    for _ in range(times):
        try:
            signal.raise_signal(signal.SIGUSR1)
            for _ in range(100):
                pass
        except Own:
            pass
    assert len(seen) == times
    told("handler", "Own", times)


def main():
    times = int(sys.argv[1])
    until = time.monotonic() + 1  # the agent finds the interpreter
    while time.monotonic() < until:
        sum(range(1000))
    threads = [threading.Thread(target=run, args=(times,)) for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_handlers(times)
    asyncio.run(several(times))
    told("site", "Own", times)
    assert Odd.asked == 0 and OddMeta.asked == 0, (Odd.asked, OddMeta.asked)
    for key, count in TOLD.items():
        note(key, count)
    print("end")


async def several(times):
    for _ in range(times):
        await task()


main()
