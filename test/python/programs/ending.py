# SPDX-License-Identifier: Apache-2.0
"""The interpreter ends while its daemon threads hash without the GIL and hold it in turns; before, it has had children
of every kind.  ending.py WAY

Children say with `child:PID` what CPU time they used.
"""

import atexit
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading

from facts import note, process_ns, thread_ns

DATA = b"x" * 300000


def hash_on(stop_at):
    while thread_ns() < stop_at:
        hashlib.sha256(DATA).digest()


def count_on(stop_at):
    total = 0
    while thread_ns() < stop_at:
        total += sum(i for i in range(40))


def child_work(milliseconds):
    count_on(thread_ns() + milliseconds * 1000000)


def noted_child(milliseconds):
    child_work(milliseconds)
    note("child:%d" % os.getpid(), process_ns())


def start_daemons():
    for work in (hash_on, count_on, hash_on):
        threading.Thread(target=work, args=(1 << 62,), daemon=True).start()


def fork_while_threads_run(count):
    start_daemons()
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            noted_child(250)
            os._exit(number)
        status = os.waitpid(pid, 0)[1]
        print("child", number, status >> 8, status & 0xFF)
    child_work(30)


def fork_in_threads(count):
    def one(results, number):
        pid = os.fork()
        if pid == 0:
            noted_child(250)
            os._exit(7)
        results[number] = os.waitpid(pid, 0)[1] >> 8

    results = {}
    threads = [threading.Thread(target=one, args=(results, number)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(results.items()))


def pools(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        print(method, sorted(pool.map(square, range(8))))


def square(number):
    count_on(thread_ns() + 30000000)
    return number * number


def others():
    for number in range(5):
        print(subprocess.run([sys.executable, "-S", "-c", "print(sum(range(2000000)))"], stdout=subprocess.PIPE).stdout)
    print(subprocess.run(["sh", "-c", "exit 3"]).returncode)


def goodbye(what):
    child_work(40)
    print("goodbye", what)


def main():
    way = sys.argv[1]
    atexit.register(goodbye, way)
    if way == "daemons":
        start_daemons()
        child_work(200)
    elif way == "forks":
        fork_while_threads_run(6)
        fork_in_threads(4)
    elif way == "processes":
        for method in ("fork", "spawn", "forkserver"):
            pools(method)
        others()
    elif way == "exec":
        start_daemons()
        child_work(100)
        if len(sys.argv) < 3:
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, "-B", __file__, way, "again"])
        print("after exec")
    elif way == "exit_in_thread":
        start_daemons()
        threading.Thread(target=child_work, args=(100,)).start()
        raise SystemExit(5)
    else:
        raise ValueError(way)
    note("parent", os.getpid())
    note("cpu_ns", process_ns())
    print("end of", way)


if __name__ == "__main__":
    main()
