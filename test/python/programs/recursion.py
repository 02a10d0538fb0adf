# SPDX-License-Identifier: Apache-2.0
"""As deep as it goes, on large and small stacks.  recursion.py deep|error|small"""

import sys
import threading
import traceback

from facts import thread_ns

MS = 1000000


def burn(until):
    total = 0
    while thread_ns() < until:
        total += sum(range(300))
    return total


def deeper(levels, until):
    if levels:
        return deeper(levels - 1, until) + 1
    burn(until)
    return 0


class Nested:
    """By C code at each level, so that the native stack is deep too."""

    def __init__(self, levels, until):
        self.levels, self.until = levels, until

    def __lt__(self, other):
        if self.levels:
            return sorted([Nested(self.levels - 1, self.until), Nested(self.levels - 1, self.until)])[0].levels >= 0
        burn(self.until)
        return True


def endless(number):
    return endless(number + 1) + 1


def endless_by_c(number):
    return max([number], key=lambda n: endless_by_c(n + 1))


def in_thread(stack_bytes, function, *arguments):
    results = []

    def run():
        try:
            results.append(function(*arguments))
        except RecursionError as error:
            results.append("RecursionError")
            if "maximum recursion depth exceeded" not in str(error):
                results.append(str(error))

    threading.stack_size(stack_bytes)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    threading.stack_size(0)
    return results


def main():
    how = sys.argv[1]
    if how == "deep":
        sys.setrecursionlimit(50000)
        print(in_thread(512 << 20, lambda: deeper(20000, thread_ns() + 500 * MS)))
        print(in_thread(512 << 20, lambda: Nested(80, thread_ns() + 300 * MS) < None))
    elif how == "error":
        for _ in range(40):
            print(in_thread(64 << 20, endless, 0), in_thread(64 << 20, endless_by_c, 0))
        try:
            endless(0)
        except RecursionError:
            print(len(traceback.format_exc()) > 200)
    elif how == "small":
        def work():
            burn(thread_ns() + 60 * MS)
            deeper(15, thread_ns() + 60 * MS)
            return sorted(range(5), key=lambda n: deeper(3, thread_ns() + 2 * MS) - n)

        for _ in range(12):
            print(in_thread(65536, work))
    else:
        raise ValueError(how)
    print("end of", how)


main()
