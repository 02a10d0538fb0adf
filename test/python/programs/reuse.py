# SPDX-License-Identifier: Apache-2.0
"""Functions that come and go: each has a name, a file and lines of its own, and is gone when the next one comes, often
at the same address.  reuse.py COUNT MILLISECONDS
"""

import gc
import sys

from facts import note, thread_ns

SOURCE = """{gap}def {name}(until, clock):
    total = 0
    while clock() < until:
        total += sum(range(100))
    return total
"""


def run_one(number, milliseconds):
    name = "function_{}".format(number)
    space = {}
    source = SOURCE.format(gap="\n" * (number % 90), name=name)
    exec(compile(source, "<gen {}>".format(number), "exec"), space)
    function = space[name]
    function(thread_ns() + milliseconds * 1000000, thread_ns)
    return id(function.__code__)


def main():
    count, milliseconds = int(sys.argv[1]), int(sys.argv[2])
    seen, again = set(), 0
    for number in range(count):
        address = run_one(number, milliseconds)
        again += address in seen
        seen.add(address)
        if number % 50 == 49:
            gc.collect()
    note("again", again)
    print("done", count)


main()
