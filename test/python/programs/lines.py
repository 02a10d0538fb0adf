# SPDX-License-Identifier: Apache-2.0
"""Hot lines whose numbers the interpreter itself says.  lines.py SECONDS

The case puts 300 lines in the place of each one that says GAP. Every hot place calls hot(), which asks for its
caller's line and notes what it used; leaf() and rounds() are hot themselves, on one line.
"""

import functools
import sys

from facts import note, process_ns, thread_ns

BLOCK_NS = 15000000
used = {}


def hot(weight=1):
    frame = sys._getframe(1)
    place = (frame.f_code.co_name, frame.f_lineno)
    begin = thread_ns()
    until = begin + weight * BLOCK_NS
    while thread_ns() < until:
        sum(range(2000))
    used[place] = used.get(place, 0) + thread_ns() - begin
    return 1


def straight():
    total = 0
    total += hot()
    total += hot(2)
    return total


def jumps_back():
    total = 0
    for _ in range(2):
        total += hot(
            1
        )
    while total < 4:
        total += 1
        hot()
    return total


def expressions():
    values = [
        hot(),
        1 +
        hot(2),
        (lambda: hot())(),
    ]
    return max(
        values[0],
        hot(
            weight=1),
        sum(values),
        *(
            hot(),
            2),
    )


def far_jump():
    total = hot()
    # GAP
    total += hot(2)
    if total:
        # GAP
        total += hot()
    return total


def comprehensions():
    one = [hot() for _ in range(2)]
    two = {
        number: hot()
        for number in one
    }
    three = {hot() for _ in two}
    return sum(
        hot()
        for _ in three
    )


def decorator(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        hot()
        return function(*arguments)

    return wrapper


@decorator
@functools.lru_cache(maxsize=None)
@decorator
def decorated(number):
    return hot() + number


class Accessors:
    @property
    def value(self):
        return hot()

    def __getattr__(self, name):
        hot()
        return 1

    def __enter__(self):
        return hot()

    def __exit__(self, *what):
        hot()


def statements(number):
    things = Accessors()
    with things:
        try:
            things.value
            things.missing
            raise ValueError
        except ValueError:
            hot()
        finally:
            hot()
    assert hot() == 1, (
        "never"
    )
    if (number and
            hot() and
            not hot()):
        return 0
    return (yield hot())


def leaf():
    return sum(range(150000000 // 100))


def rounds(until):
    while thread_ns() < until: sum(range(2000))  # one line, so that it is the hot one


def main():
    until = process_ns() + float(sys.argv[1]) * 1e9
    number = 0
    while process_ns() < until:
        straight()
        jumps_back()
        expressions()
        far_jump()
        comprehensions()
        decorated(number)
        list(statements(1))
        rounds(thread_ns() + 2 * BLOCK_NS)
        leaf()
        number += 1
    for (name, line), ns in used.items():
        note("line:{}:{}".format(name, line), ns)
    note("leaf:leaf", leaf.__code__.co_firstlineno + 1)
    note("leaf:rounds", rounds.__code__.co_firstlineno + 1)
    note("cpu_ns", process_ns())
    print("done", len(used))


main()
