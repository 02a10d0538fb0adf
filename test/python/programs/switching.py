# SPDX-License-Identifier: Apache-2.0
"""Greenlets that switch all the time, each with functions of its own.  switching.py greenlet|gevent SECONDS"""

import sys

from facts import note, process_ns

HOW = sys.argv[1]
SECONDS = float(sys.argv[2])
SOURCE = """
def burn_{0}():
    total = 0
    for i in range(2000):
        total += i
    return total
def inner_{0}(depth, switch):
    if depth:
        return inner_{0}(depth - 1, switch)
    burn_{0}()
    switch()
    return sorted(range(3), key=lambda n: burn_{0}() + (switch() or 0) + n)[0]
def outer_{0}(is_over, switch):
    rounds = 0
    while not is_over():
        inner_{0}({0} * 3, switch)
        rounds += 1
    return rounds
"""
COUNT = 8


def functions():
    made = []
    for number in range(COUNT):
        space = {}
        exec(compile(SOURCE.format(number), "<greenlet {}>".format(number), "exec"), space)
        made.append(space["outer_{}".format(number)])
    return made


def by_greenlet(is_over):
    import greenlet

    hub, rounds = greenlet.getcurrent(), []
    workers = [greenlet.greenlet(lambda f=f: rounds.append(f(is_over, hub.switch))) for f in functions()]
    while any(not worker.dead for worker in workers):
        for worker in workers:
            if not worker.dead:
                worker.switch()
    return rounds


def by_gevent(is_over):
    import gevent

    jobs = [gevent.spawn(f, is_over, lambda: gevent.sleep(0)) for f in functions()]
    gevent.joinall(jobs)
    return [job.value for job in jobs]


def main():
    until = process_ns() + SECONDS * 1e9
    rounds = {"greenlet": by_greenlet, "gevent": by_gevent}[HOW](lambda: process_ns() > until)
    note("cpu_ns", process_ns())
    print("done", len(rounds), all(rounds))


main()
