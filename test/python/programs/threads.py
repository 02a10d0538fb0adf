# SPDX-License-Identifier: Apache-2.0
"""Two threads with functions of their own.  threads.py released|holding SECONDS

released: C code that gives up the GIL (SHA-256 of 2 MB). holding: Python code, as fast as it can change hands.
"""

import hashlib
import sys
import threading

from facts import note, process_ns, thread_ns

DATA = b"x" * 2000000


def hash_of_first(until):
    while thread_ns() < until:
        hashlib.sha256(DATA).digest()


def first_released(until):
    hash_of_first(until)


def hash_of_second(until):
    while thread_ns() < until:
        hashlib.sha256(DATA).digest()


def second_released(until):
    hash_of_second(until)


def work_of_first(until):
    total = 0
    while thread_ns() < until:
        total += sum(i for i in range(50))
    return total


def first_holding(until):
    work_of_first(until)


def work_of_second(until):
    total = 0
    while thread_ns() < until:
        total += sum(i for i in range(50))
    return total


def second_holding(until):
    work_of_second(until)


def run(number, work, seconds):
    note("thread_{}".format(number), threading.get_native_id())
    begin = thread_ns()
    work(begin + int(seconds * 1e9))
    note("used_{}".format(number), thread_ns() - begin)


def main():
    how, seconds = sys.argv[1], float(sys.argv[2])
    # No part of the 4 ms after which many kernels look at a thread's timer: in step with that, it would meet the same
    # thread each time, and the other one's time be seen only later.
    sys.setswitchinterval(0.00067)
    works = {"released": (first_released, second_released), "holding": (first_holding, second_holding)}[how]
    threads = [threading.Thread(target=run, args=(number, work, seconds)) for number, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    note("cpu_ns", process_ns())
    print("done", how)


main()
