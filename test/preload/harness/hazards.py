# SPDX-License-Identifier: Apache-2.0
"""The hazards that a preloaded profiler is held against, and the table of the cases that provoke them.

`run_case.py --hazards` prints it, hazards_test.py holds README.md to it. The numbers are those that the
cases are tagged with; a case may provoke several. Python's own have a P before their number.
"""

import re

HAZARDS = {
    1: "names are resolved before an allocator is known",
    2: "other preloads allocate and make threads before our constructor",
    4: "dlsym(RTLD_NEXT) as a tail call asks for the wrong caller",
    5: "a lazily bound call runs the loader in a handler",
    6: "static thread-local storage is used up",
    7: "thread-local storage is allocated in a handler",
    8: "symbols of an unwinder or a C++ library leak into the program",
    10: "every child inherits the preload: ldd, shells, make, the agent itself",
    11: "setuid programs and those with file capabilities",
    12: "a child for another machine type",
    13: "static programs, Go, musl",
    17: "no HOME, no /proc, closed output, deleted folder, no agent",
    16: "a sanitizer owns the allocator",
    18: "another allocator is preloaded, in either order",
    19: "an allocator is part of the program",
    20: "RTLD_DEEPBIND: a library is bound to libc's allocator",
    21: "dlmopen: another libc with another allocator",
    22: "operator new counts twice, or not at all",
    23: "entry points of the allocator that nobody thought of",
    24: "realloc: moved, failed, of nothing, to nothing",
    25: "an address is used again before its end was noted",
    26: "fork while others allocate",
    27: "signal handlers that allocate",
    28: "threads that allocate as they end",
    29: "allocations after main",
    30: "more live allocations than anyone has room for",
    31: "a rhythm of allocations that a sampler falls in with",
    32: "huge, empty and impossible sizes",
    33: "errno is another after a hook",
    34: "malloc_usable_size and what else knows how blocks look",
    35: "a thread that allocates first of all",
    36: "the program uses the profiling signals itself",
    37: "another profiler is loaded too",
    38: "workers block all signals",
    39: "sigwait and signalfd on a full set",
    41: "EINTR out of calls that the program never interrupted",
    42: "calls that the program's own signal should interrupt",
    43: "a tight limit of queued signals",
    44: "ticks come at jiffies only: overruns count",
    45: "a signal that survives exec kills the next program",
    46: "a signal in flight while sampling is switched off, on, or moved",
    47: "small stacks",
    49: "Go's runtime asks for handlers on its signal stack",
    50: "a tick inside our own wrappers, or inside the program's fault handler",
    51: "mutexes of all kinds and their error codes",
    52: "a lock that is tried first is another lock: who gets it, how often",
    53: "conditions have two versions in libc",
    54: "a thread is cancelled where it waits for a condition",
    55: "a cancellation or pthread_exit unwinds through our wrappers",
    56: "locks in static initializers and call_once",
    58: "mutexes that processes share",
    59: "calls by other names, fortified ones, vectors, sockets, streams",
    61: "results and errors of wrapped calls, calls from handlers",
    62: "the loader's or the allocator's lock is held where the sampler stops a thread",
    63: "code is unmapped, and other code takes its place, before its samples have names",
    70: "a handler of the program jumps out of our wrapper",
    71: "an exception goes through a hook",
    72: "fork without exec",
    73: "vfork and posix_spawn: a child in the parent's memory",
    74: "raw clone: threads and processes without libc",
    75: "daemons: the first parent ends",
    76: "children that the program never made",
    77: "closefrom and descriptors that are used again",
    78: "descriptors are counted, numbered, few",
    79: "rights, root and namespaces change after the start",
    80: "a seccomp filter that kills for an unknown system call",
    81: "short processes",
    82: "every way to end",
    84: "exec storms: agents and memory stay bounded",
    86: "the agent is killed or stopped",
    87: "very many threads, and short ones",
    89: "limits of memory, processes and file size",
}
PYTHON = {
    "P1": "the interpreter is interrupted where it has published a frame that isn't there yet",
    "P2": "C code that runs without the GIL still belongs to its Python caller",
    "P3": "the interpreter's current thread is another one",
    "P4": "code objects come and go at the same addresses",
    "P5": "line tables: backwards, far jumps, decorators, expressions of several lines, comprehensions",
    "P6": "the interpreter ends under its threads; fork, exec, multiprocessing",
    "P7": "deep recursion, RecursionError, threads with small stacks",
    "P8": "the program crashes, with and without faulthandler",
    "P9": "the program handles SIGSEGV and SIGBUS itself",
    "P10": "generators, coroutines, asynchronous generators",
    "P11": "the interpreter is embedded, loaded late, not alone, or has subinterpreters",
    "P12": "a version or a layout that nobody knows",
    "P13": "names that aren't ASCII, very long, or hold what no name should",
    "P15": "servers and libraries that switch stacks or fork workers: greenlet, gevent, gunicorn, uWSGI",
    "P16": "an exception passes many frames, is raised again, belongs to a class that answers for itself",
    "P17": "nobody catches an exception: in the main thread, in others, in a finalizer; the program has hooks of its own",
    "P18": "a program looks at what is ours: hooks, tools, callbacks, modules, allocators",
    "P19": "an object is counted twice, by the interpreter's allocator and by malloc, or not at all",
    "P20": "the interpreter's own numbers of its garbage differ from ours",
}
PROBES = "found by our own probes: pid 1, file and memory limits, timers of ended threads, descriptors, masks"
# What the first release promises; 12 is more.
PROMISED = (set(HAZARDS) - {12}) | set(PYTHON)


def _place(number) -> tuple:
    """Numbers, then Python's, then our own probes."""
    return (1, int(number[1:])) if isinstance(number, str) else (0, number) if number else (2, 0)


def _what(number) -> str:
    return PYTHON[number] if isinstance(number, str) else HAZARDS[number] if number else PROBES


def _cases(names) -> str:
    """What runs once for each interpreter is named once."""
    plain = {re.sub(r"_on_\d+_\d+(_static)?$", "_on_…", name) for name in names}
    return ", ".join(sorted(plain))


def table(cases) -> str:
    by_hazard: dict = {}
    for case in cases:
        for number in case.hazards:
            by_hazard.setdefault(number, []).append(case.name)
    lines = ["| hazard | what goes wrong | cases |", "|---|---|---|"]
    for number in sorted(by_hazard, key=_place):
        lines.append(f"| {number or 'probes'} | {_what(number)} | {_cases(by_hazard[number])} |")
    return "\n".join(lines)
