# SPDX-License-Identifier: Apache-2.0
"""Ends by a fault.  crash.py HANDLER ORDER FAULT

HANDLER: none, enable (faulthandler); ORDER: early, late (after it was sampled); FAULT: null (read by ctypes), abort,
bus (a file that became shorter), thread (null, in another thread), dump (no fault: stacks by timer and by signal).
"""

import ctypes
import faulthandler
import mmap
import os
import signal
import sys
import threading
import time

from facts import thread_ns


def work(milliseconds):
    until = thread_ns() + milliseconds * 1000000
    total = 0
    while thread_ns() < until:
        total += sum(i for i in range(100))
    return total


def prepare(handler):
    if handler == "enable":
        faulthandler.enable()


def read_null():
    work(50)
    ctypes.string_at(0)


def read_beyond_the_end():
    with open(os.environ["VICTIM_FOLDER"] + "/shorter", "w+b") as file:
        file.write(b"x" * 8192)
        file.flush()
        memory = mmap.mmap(file.fileno(), 8192)
        file.truncate(0)
        return memory[5000]


def dump():
    faulthandler.register(signal.SIGUSR1)
    for _ in range(20):
        work(20)
        os.kill(os.getpid(), signal.SIGUSR1)
    # Of a thread that runs it reads half a frame now and then, and crashes, also without anybody else.
    faulthandler.dump_traceback_later(0.2, exit=True)
    time.sleep(5)


def main():
    handler, order, fault = sys.argv[1:]
    if order == "early":
        prepare(handler)
        work(400)
    else:
        work(400)
        prepare(handler)
    print("about to", fault, flush=True)
    if fault == "null":
        read_null()
    elif fault == "abort":
        os.abort()
    elif fault == "bus":
        read_beyond_the_end()
    elif fault == "thread":
        thread = threading.Thread(target=read_null)
        thread.start()
        thread.join()
    elif fault == "dump":
        dump()
    print("still there")


main()
