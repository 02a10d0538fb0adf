# SPDX-License-Identifier: Apache-2.0
"""A program that handles its own faults.  own_faults.py LIBRARY WAY

WAY: module (signal.signal), sigaction, signal, syscall (libc's), instruction (no libc), ignored, blocked (SIGSEGV and
SIGBUS in the mask of every thread). Faults are made and recovered from by LIBRARY (python_faults.c), while Python code runs
that a profiler looks at.
"""

import ctypes
import os
import signal
import sys
import threading
import time

from facts import thread_ns

MS = 1000000


class Word:
    def __init__(self, text):
        self.text = text

    def __lt__(self, other):
        return self.text < other.text


def work(milliseconds):
    until = thread_ns() + milliseconds * MS
    while thread_ns() < until:
        words = [Word("w%d" % (i * 37 % 101)) for i in range(60)]
        words.sort()


def by_module():
    seen = []
    signal.signal(signal.SIGSEGV, lambda number, frame: seen.append((number, frame.f_code.co_name)))
    signal.signal(signal.SIGBUS, lambda number, frame: seen.append((number, frame.f_code.co_name)))
    for _ in range(50):
        work(10)
        os.kill(os.getpid(), signal.SIGSEGV)
        os.kill(os.getpid(), signal.SIGBUS)
    work(10)
    print(len(seen), sorted({number for number, _ in seen}), signal.getsignal(signal.SIGSEGV) is not None)


def by_library(library, way):
    faults = ctypes.CDLL(library)
    work(150)
    print(way, "installed", faults.install(way.encode()))
    if way == "instruction":
        time.sleep(0.05)  # nobody saw it: the next sample that is 10 ms later looks (docs/decisions/014)
    for _ in range(30):
        work(10)
        print(faults.fault_and_recover(), faults.bus_and_recover(os.environ["VICTIM_FOLDER"].encode()), end=" ")
    print("read back", faults.is_still_installed())
    print("seen", faults.seen())


def blocked():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSEGV, signal.SIGBUS])
    threads = [threading.Thread(target=work, args=(300,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    work(300)
    for thread in threads:
        thread.join()
    print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), sorted(signal.sigpending()))
    os.kill(os.getpid(), signal.SIGSEGV)
    print(sorted(signal.sigpending()), signal.sigwait([signal.SIGSEGV]))


def main():
    library, way = sys.argv[1:]
    if way == "module":
        by_module()
    elif way == "blocked":
        blocked()
    elif way == "ignored":
        work(100)
        signal.signal(signal.SIGSEGV, signal.SIG_IGN)
        for _ in range(20):
            work(10)
            os.kill(os.getpid(), signal.SIGSEGV)
        print(signal.signal(signal.SIGSEGV, signal.SIG_DFL))
    else:
        by_library(library, way)
    print("end of", way)


main()
