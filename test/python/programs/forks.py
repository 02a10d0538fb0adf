# SPDX-License-Identifier: Apache-2.0
"""A child that works while whoever watches it isn't there, and one of the child's own.  forks.py

Goes on from `ready` to the fork when there is a file `go`, and from `done` to its end when there is one `on`.
"""

import os
import time

from facts import note, process_ns, thread_ns


def burn(milliseconds):
    until = thread_ns() + milliseconds * 1000000
    while thread_ns() < until:
        sum(i for i in range(50))


def of_grandchild():
    burn(200)
    note("grandchild:%d" % os.getpid(), process_ns())


def of_child():
    burn(200)
    pid = os.fork()
    if pid == 0:
        of_grandchild()
        os._exit(0)
    os.waitpid(pid, 0)
    note("child:%d" % os.getpid(), process_ns())


def tell(name):
    with open(name, "w"):
        pass


def wait_for(name):
    deadline = time.monotonic() + 30
    while not os.path.exists(name) and time.monotonic() < deadline:
        time.sleep(0.005)


def main():
    burn(600)
    tell("ready")
    wait_for("go")
    pid = os.fork()
    if pid == 0:
        of_child()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    tell("done")
    wait_for("on")
    print("child ended with", status)


main()
