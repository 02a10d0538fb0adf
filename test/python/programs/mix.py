# SPDX-License-Identifier: Apache-2.0
"""All at once, from a seed: threads, callbacks, generators, coroutines, exceptions, imports, forks, children, garbage, code
that comes and goes. What it prints depends on the seed alone.  mix.py SEED ROUNDS
"""

import asyncio
import ctypes
import gc
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import weakref

LIBC = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))


def sort_by_libc(dice):
    numbers = (ctypes.c_int * 200)(*[dice.randrange(1000) for _ in range(200)])
    LIBC.qsort(numbers, len(numbers), ctypes.sizeof(ctypes.c_int), COMPARE(lambda a, b: a[0] - b[0]))
    return sum(i * n for i, n in enumerate(numbers))


def text_work(dice):
    words = ["".join(dice.choice("abcdef") for _ in range(5)) for _ in range(800)]
    text = re.sub("[ab]+", lambda match: match.group(0).upper(), " ".join(words))
    return hashlib.sha256(json.dumps(sorted(text.split(), key=lambda w: w[::-1])).encode()).hexdigest()[:8]


def raising(dice, levels):
    if levels == 0:
        raise [ValueError, KeyError, ZeroDivisionError][dice.randrange(3)]("deep")
    try:
        return raising(dice, levels - 1)
    except KeyError as error:
        raise RuntimeError("other") from error
    finally:
        dice.random()


def exceptions(dice):
    seen = []
    for _ in range(60):
        try:
            raising(dice, 12)
        except Exception as error:
            seen.append(type(error).__name__)
    return "".join(name[0] for name in seen)


async def ticking(dice, number):
    total = 0
    async for value in counting(5):
        await asyncio.sleep(0)
        total += value * number
    return total + dice.randrange(9)


async def counting(limit):
    for value in range(limit):
        await asyncio.sleep(0)
        yield value


def coroutines(dice):
    async def all_of_them():
        return await asyncio.gather(*[ticking(dice, number) for number in range(20)])

    return sum(asyncio.run(all_of_them()))


class Node:
    def __init__(self, other=None):
        self.other, self.own = other, self

    def __del__(self):
        sum(range(20))


def garbage(dice):
    gone = []
    for _ in range(200):
        node = Node(Node())
        weakref.finalize(node, gone.append, 1)
    node = None
    while len(gone) < 200:  # another thread may be collecting
        gc.collect()
        time.sleep(0)
    return len(gone)


def codes(dice):
    total = 0
    for number in range(40):
        space = {}
        exec("def f{0}(n):\n    return [i * {0} for i in range(n)]\nclass C{0}:\n    def g(self): return f{0}(30)".format(number), space)
        total += sum(space["C%d" % number]().g())
    return total


def forks(dice):
    reading, writing = os.pipe()
    number = dice.randrange(1000)
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(sum(range(100000)) + number).encode())
        os._exit(3)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    return text, os.waitpid(pid, 0)[1] >> 8


def children(dice):
    return subprocess.run(["sh", "-c", "read line; echo $line; exit 4"], input=b"text\n", stdout=subprocess.PIPE).stdout


def waits(dice):
    condition = threading.Condition()
    with condition:
        condition.wait(0.01)
    time.sleep(0.005)
    return threading.active_count() > 0


WORKS = [sort_by_libc, text_work, exceptions, coroutines, garbage, codes, forks, children, waits]


def in_thread(seed, rounds, results, number):
    dice = random.Random(seed * 100 + number)
    for _ in range(rounds):
        # Threads and a fork: children do nothing but write and end.
        work = WORKS[dice.randrange(len(WORKS) - 1)]
        results[number].append((work.__name__, work(dice)))


def main():
    seed, rounds = int(sys.argv[1]), int(sys.argv[2])
    sys.setswitchinterval(0.001)
    results = {number: [] for number in range(4)}
    threads = [threading.Thread(target=in_thread, args=(seed, rounds, results, number)) for number in results]
    for thread in threads:
        thread.start()
    dice = random.Random(seed)
    for work in WORKS:
        print(work.__name__, work(dice))
    for thread in threads:
        thread.join()
    # What asyncio and gc do in one thread may come first or last in another: each thread has its own results.
    print(hashlib.sha256(repr(sorted(results.items())).encode()).hexdigest())
    threading.Thread(target=lambda: [hashlib.sha256(b"x" * 100000) for _ in range(10**9)], daemon=True).start()


main()
