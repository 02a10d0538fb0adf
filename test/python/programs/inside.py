# SPDX-License-Identifier: Apache-2.0
"""What a program can see of the interpreter it runs in, and what it may do with that: all of it has to be the same with a
profiler in there.  inside.py [WAY…]"""

import sys


def show_hooks():
    import threading

    hooks = [(sys, "excepthook"), (sys, "__excepthook__"), (sys, "unraisablehook"), (sys, "__unraisablehook__"),
             (threading, "excepthook"), (threading, "__excepthook__")]
    hooks += [(sys.monitoring, name) for name in sorted(dir(sys.monitoring))] if hasattr(sys, "monitoring") else []
    for holder, name in hooks:
        hook = getattr(holder, name, None)
        print(name, hook, type(hook), getattr(hook, "__name__", 0), getattr(hook, "__qualname__", 0), getattr(hook, "__module__", 0),
              getattr(hook, "__self__", 0), getattr(hook, "__doc__", 0), getattr(hook, "__text_signature__", 0), callable(hook))
        for arguments in ((), (1,), (1, 2, 3, 4, 5)):
            try:
                print(name, len(arguments), hook(*arguments) if callable(hook) else 0)
            except BaseException as error:
                print(name, len(arguments), type(error), error)
    print(sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__)


def show_modules():
    before = sorted(sys.modules)
    print(len(before), before)
    import gc

    print(sorted(set(sys.modules) - set(before)), gc.isenabled(), gc.get_threshold(), gc.get_debug())


def gc_callbacks():
    import gc

    seen = []

    def mine(phase, facts):
        seen.append((phase, facts["generation"]))

    gc.callbacks.append(mine)
    gc.collect()
    print(gc.callbacks[-1] is mine, seen, gc.callbacks.pop() is mine)
    gc.callbacks.clear()
    gc.collect()
    gc.callbacks = None
    gc.collect()
    print(len(seen))


def monitoring():
    """All six tools are the program's."""
    if not hasattr(sys, "monitoring"):
        return
    tools, raised = sys.monitoring, []
    print([tools.get_tool(number) for number in range(6)], tools._all_events())
    for number in range(6):
        for call in (tools.get_events, tools.free_tool_id, lambda n: tools.set_events(n, tools.events.RAISE),
                     lambda n: tools.get_local_events(n, fail.__code__), lambda n: tools.set_local_events(n, fail.__code__, 0),
                     lambda n: tools.register_callback(n, tools.events.RAISE, None)):
            try:
                print(number, call(number))
            except ValueError as error:
                print(number, error)
    print(tools._all_events())
    for number in range(6):
        tools.use_tool_id(number, "tool %d" % number)
        tools.register_callback(number, tools.events.RAISE, lambda code, at, error: raised.append(code.co_name))
        tools.set_events(number, tools.events.RAISE)
    print([tools.get_tool(number) for number in range(6)])
    try:
        tools.use_tool_id(4, "again")
    except ValueError as error:
        print(error)
    fail(KeyError)
    for number in range(6):
        print(tools.get_events(number))
        tools.set_events(number, 0)
        tools.free_tool_id(number)
    print([tools.get_tool(number) for number in range(6)], raised)
    for wrong in (-1, 6, 99, 1 << 80, "x", None, 4.0):
        for call in (tools.get_tool, lambda n: tools.use_tool_id(n, "x")):
            try:
                print(call(wrong))
            except BaseException as error:
                print(type(error), error)


def fail(kind):
    try:
        raise kind("x")
    except kind:
        return sys.exc_info()[1]


def tracing():
    """Debuggers and tools of coverage."""
    lines, events = [], []

    def trace(frame, event, _):
        if frame.f_code.co_name in ("fail", "deeper"):
            lines.append((event, frame.f_lineno - frame.f_code.co_firstlineno))
        return trace

    def profile(frame, event, _):
        if frame.f_code.co_name in ("fail", "deeper"):
            events.append((frame.f_code.co_name, event))

    def deeper():
        return fail(ValueError)

    sys.settrace(trace)
    deeper()
    sys.settrace(None)
    sys.setprofile(profile)
    deeper()
    sys.setprofile(None)
    print(lines, events)


def allocators():
    import tracemalloc

    tracemalloc.start(2)
    kept = [bytes(100) for _ in range(10000)] + [bytes(2000) for _ in range(100)]
    here = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, __file__)]).statistics("lineno")
    print(max(one.count for one in here) >= 10000, len(kept))
    tracemalloc.stop()
    del kept
    kept = [[n] for n in range(100000)]
    for n in range(0, 100000, 2):
        kept[n] = None
    print(sum(one[0] for one in kept if one), sys.getallocatedblocks() > 50000)
    grown = bytearray()
    for n in range(2000):
        grown += b"x" * (n % 7)
    print(len(grown), len("".join(str(n) for n in range(1000))))


def audits():
    """Hooks that were there from the beginning see what the program does and nothing else."""
    seen = []
    ours = ("sys.", "gc.", "object.")
    sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(ours) and "_getframe" not in event else None)
    error = fail(KeyError)
    sys.excepthook(KeyError, error, error.__traceback__)
    sys.excepthook(*[ValueError, ValueError("x"), None])
    print(seen)


def recursion():
    def deeper(n):
        return deeper(n + 1)

    for _ in range(3):
        try:
            deeper(0)
        except RecursionError as error:
            print(error)


def limits():
    """At the limit of recursion, where garbage is collected and nothing more can be called."""
    import gc

    gc.set_threshold(1)

    class Pair:
        def __init__(self):
            self.me = self

    def deeper(n):
        Pair()
        return deeper(n + 1)

    def by_key(n):
        return sorted([2, 1], key=lambda _: by_key(n + 1))

    for one in (deeper, by_key) * 3:
        try:
            one(0)
        except RecursionError as error:
            print(one.__name__, error, error.__context__)
    gc.set_threshold(700)


def states():
    """The exception that is under way is kept."""
    try:
        raise KeyError("outer")
    except KeyError:
        import gc

        gc.collect()
        print(fail(ValueError).__context__, sys.exc_info()[1])


WAYS = (show_modules, show_hooks, gc_callbacks, monitoring, tracing, allocators, audits, recursion, limits, states)
for way in WAYS:
    if len(sys.argv) == 1 or way.__name__ in sys.argv[1:]:
        print("==", way.__name__)
        way()
