# SPDX-License-Identifier: Apache-2.0
"""Exceptions that nobody catches.  unhandled.py WAY…"""

import sys
import threading
import time


class Own(Exception):
    pass


def innermost():
    raise Own("nobody catches it")


def middle():
    try:
        innermost()
    finally:
        for text in ("none", "neither"):  # caught on the way out
            try:
                int(text)
            except ValueError:
                pass


class Dying:
    def __del__(self):
        middle()


def thread():
    one = threading.Thread(target=middle, name="other")
    one.start()
    one.join()


def low_thread():
    import _thread

    done = threading.Event()

    def run():
        done.set()
        middle()

    _thread.start_new_thread(run, ())
    done.wait()
    time.sleep(0.1)


def dying():
    Dying()


def own_hook():
    before = sys.excepthook

    def hook(*facts):
        print("own hook", facts[0].__name__)
        before(*facts)

    sys.excepthook = hook
    middle()


def own_thread_hook():
    before = threading.excepthook

    def hook(facts):
        print("own hook", facts.exc_type.__name__)
        before(facts)

    threading.excepthook = hook
    thread()


def exits():
    one = threading.Thread(target=sys.exit)
    one.start()
    one.join()
    sys.exit(3)


def syntax():
    sys.excepthook(*failure("1 +"))


def failure(text):
    try:
        compile(text, "<text>", "exec")
    except SyntaxError as error:
        return type(error), error, None
    return None


def busy(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


busy(1)  # the agent finds the interpreter
for way in sys.argv[1:]:
    globals()[way]()
