# SPDX-License-Identifier: Apache-2.0
"""From C back into Python and out again as often as possible, in three threads.  callbacks.py ROUNDS"""

import functools
import re
import sys
import threading


class Word:
    def __init__(self, text):
        self.text = text

    def __lt__(self, other):
        return self.text < other.text

    def __hash__(self):
        return hash(self.text)

    def __eq__(self, other):
        return self.text == other.text


def swap(match):
    return match.group(0).swapcase()


def one_of(generator):
    for value in generator:
        yield value * 2


def work(rounds, results):
    total = 0
    for number in range(rounds):
        words = [Word("w%d" % (i * 37 % 101)) for i in range(60)]
        words.sort()
        total += len({word: number for word in words})
        total += len(re.sub(r"[a-z]+", swap, "some words of a text that is not long"))
        total += sum(one_of(i for i in range(30)))
        total += functools.reduce(lambda a, b: a + b, map(lambda i: i + 1, range(30)))
        total += max(range(20), key=lambda i: -i)
        try:
            [][1]
        except IndexError as error:
            total += len(str(error))
    results.append(total)


def main():
    results = []
    threads = [threading.Thread(target=work, args=(int(sys.argv[1]), results)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(results)


main()
