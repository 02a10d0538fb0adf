# SPDX-License-Identifier: Apache-2.0
"""Interpreters in the interpreter, each with functions of its own, in the main thread and in others.
subinterpreters.py MILLISECONDS"""

import sys
import threading

from facts import thread_ns

try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
import time
clock = lambda: time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
def inside_{number}(until):
    total = 0
    while clock() < until:
        for i in range(100):
            total += i
    return total
def enter_{number}():
    inside_{number}(clock() + {ns})
enter_{number}()
"""


def run(number, milliseconds):
    own = interpreters.create()
    interpreters.run_string(own, CODE.format(number=number, ns=milliseconds * 1000000))
    interpreters.destroy(own)


def beside(milliseconds):
    until = thread_ns() + milliseconds * 1000000
    total = 0
    while thread_ns() < until:
        total += sum(range(100))
    return total


def main():
    milliseconds = int(sys.argv[1])
    run(0, milliseconds)
    thread = threading.Thread(target=run, args=(1, milliseconds))
    thread.start()
    beside(milliseconds)
    thread.join()
    for number in range(2, 6):
        run(number, milliseconds // 4)
    print("end")


main()
