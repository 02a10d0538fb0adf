# SPDX-License-Identifier: Apache-2.0
"""Holds the walk of Python frames against sys._getframe at some hundreds of points.  points.py LIBRARY

Names, files and lines of the whole chain have to be the same, and there have to be as many ends of segments as
evaluation functions on the native stack. Prints the number of points, or what differs at the first wrong ones.
"""

import asyncio
import concurrent.futures
import contextlib
import copy
import ctypes
import functools
import gc
import json
import os
import pickle
import re
import sys
import tempfile
import threading
import types
import weakref

MOST = 192
VERSION = sys.version_info[0] << 8 | sys.version_info[1]


class Row(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 256), ("plain_name", ctypes.c_char * 256), ("file", ctypes.c_char * 1024),
                ("line", ctypes.c_uint32), ("segment_end", ctypes.c_uint32)]


# One keeps the GIL while it is in the library, the other one doesn't.
LIBRARIES = [ctypes.PyDLL(sys.argv[1]), ctypes.CDLL(sys.argv[1])]
passed, wrong = [], []


def text(value):
    """As the shim writes it: what no UTF-8 can say is replaced."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)


def frames_of(frame):
    chain = []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        chain.append((text(name), text(code.co_name), text(code.co_filename), frame.f_lineno or 0))
        frame = frame.f_back
    return chain


def compare(what, count, rows, evaluations, expected):
    seen = [(row.name.decode(), row.plain_name.decode(), row.file.decode(), row.line) for row in rows[: max(0, count)]]
    ends = sum(row.segment_end != 0 for row in rows[: max(0, count)])
    if seen == expected and ends == evaluations:
        passed.append(what)
    else:
        wrong.append("{}: {} frames, {} segments, {} evaluations\n  seen     {}\n  expected {}".format(
            what, count, ends, evaluations, [s for s, e in zip(seen, expected) if s != e][:3] or seen,
            [e for s, e in zip(seen, expected) if s != e][:3] or expected))


def point(what="", *ignored):
    for library in LIBRARIES:
        rows = (Row * MOST)()
        count, frame, line = library.siprof_test_walk(VERSION, rows, MOST), sys._getframe(), sys._getframe().f_lineno
        evaluations = library.siprof_test_evaluations()
        expected = frames_of(frame)
        compare(what, count, rows, evaluations, [(*expected[0][:3], line)] + expected[1:])
    return 1


def calls():
    point("function")
    (lambda: point("lambda"))()
    functools.partial(point, "partial")()
    (lambda *a, **k: point(*a, **k))("arguments")
    point(
        "several lines"
    ), [
        point("in a list"),
        point("and below"),
        (point("one"),
         point("two")),
    ]

    def inner(other=lambda: point("default")):
        def innermost():
            return point("closure") and other()
        return innermost()

    inner()
    return {point("dict"): [point("list") for _ in range(2)], "set": {point("set") for _ in "a"},
            "of generators": sum(point("generator expression") for _ in range(2)),
            "nested": [[point("nested") for _ in "a"] for _ in "a"]}


def recursion():
    def down(levels):
        if levels % 20 == 0:
            point("level {}".format(levels))
        return levels and down(levels - 1)

    down(150)

    def by_c(levels):
        if levels % 5 == 0:
            point("level {} by C".format(levels))
        return levels and max([levels], key=lambda n: by_c(n - 1))

    by_c(25)


class Meta(type):
    def __new__(meta, name, bases, space):
        point("metaclass")
        return super().__new__(meta, name, bases, space)

    def __call__(cls, *arguments):
        point("metaclass' call")
        return super().__call__(*arguments)


class Things(metaclass=Meta):
    point("class body")

    def __init__(self):
        point("__init__")

    def __getattr__(self, name):
        return point("__getattr__")

    @property
    def value(self):
        return point("property")

    @staticmethod
    def static():
        point("static method")

    @classmethod
    def of_class(cls):
        point("class method")

    def __enter__(self):
        return point("__enter__")

    def __exit__(self, *what):
        point("__exit__")
        return True

    def __hash__(self):
        return point("__hash__")

    def __eq__(self, other):
        return bool(point("__eq__"))

    def __lt__(self, other):
        return bool(point("__lt__"))

    def __iter__(self):
        point("__iter__")
        yield point("generator")

    def __format__(self, how):
        return str(point("__format__"))

    def __del__(self):
        point("__del__")

    def __reduce__(self):
        point("__reduce__")
        return Things, ()

    def __call__(self):
        point("__call__")


def classes():
    one, two = Things(), Things()
    one.value, one.missing, one.static(), one.of_class(), one()
    with one:
        raise ValueError
    {one: 1, two: 2}
    sorted([one, two])
    list(one), "{}".format(one), f"{two}", [*two]
    pickle.dumps(one), copy.copy(two)


def generators():
    def simple():
        point("before")
        got = yield 1
        point("sent {}".format(got))
        try:
            yield 2
        except KeyError:
            point("thrown")
        finally:
            point("finally")
        yield 3

    def delegating(levels):
        if levels:
            result = yield from delegating(levels - 1)
            point("after level {}".format(levels))
            return result
        yield from simple()

    one = simple()
    next(one), one.send("x"), one.throw(KeyError), one.close()
    closed = simple()
    next(closed), next(closed), closed.close()
    for _ in delegating(6):
        point("in the loop")
    list(map(lambda n: point("map"), simple()))
    sum(n for n in (point("chained") for _ in range(3)))
    forgotten = simple()
    next(forgotten), next(forgotten)
    del forgotten
    gc.collect()


def coroutines():
    async def leaf(what):
        point(what)
        await asyncio.sleep(0)
        return point(what + " again")

    async def nested(levels):
        if levels:
            return await nested(levels - 1)
        return await leaf("awaited")

    async def asynchronous_generator():
        for _ in range(2):
            await asyncio.sleep(0)
            yield point("asynchronous generator")

    @contextlib.asynccontextmanager
    async def manager():
        point("asynchronous enter")
        yield
        point("asynchronous exit")

    async def main():
        await nested(5)
        await asyncio.gather(*[leaf("gathered {}".format(n)) for n in range(3)])
        async for _ in asynchronous_generator():
            point("asynchronous loop")
        [_ async for _ in asynchronous_generator()]
        async with manager():
            point("asynchronous with")
        loop = asyncio.get_running_loop()
        loop.call_soon(point, "call_soon")
        task = loop.create_task(leaf("task"))
        task.add_done_callback(functools.partial(point, "done"))
        await task
        await loop.run_in_executor(None, point, "executor")
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        except asyncio.TimeoutError:
            point("timeout")

    asyncio.run(main())


def callbacks():
    sorted(range(3), key=lambda n: point("sort key"))
    sorted([functools.cmp_to_key(lambda a, b: point("comparison"))(n) for n in range(2)])
    re.sub("a", lambda match: str(point("re.sub")), "banana")
    functools.reduce(lambda a, b: point("reduce"), range(3))
    list(filter(lambda n: point("filter"), range(2)))
    list(iter(lambda: point("iter"), 1))
    json.dumps(object(), default=lambda o: point("json"))
    json.loads("[{}]", object_hook=lambda o: point("object_hook"))
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    numbers = (ctypes.c_int * 4)(3, 1, 2, 0)
    ctypes.CDLL(None).qsort(numbers, 4, 4, compare_type(lambda a, b: point("qsort")))
    thing = type("Weak", (), {})()
    weakref.finalize(thing, point, "finalize")
    kept = weakref.ref(thing, lambda reference: point("weakref"))
    del thing, kept
    types.new_class("Made", (), {}, lambda space: point("new_class"))
    contextlib.ExitStack().__enter__().callback(point, "exit stack")

    def traced(frame, event, argument):
        sys.settrace(None)
        point("settrace")

    sys.settrace(traced)
    (lambda: None)()
    sys.settrace(None)

    def profiled(frame, event, argument):
        sys.setprofile(None)
        point("setprofile")

    sys.setprofile(profiled)
    len("")
    sys.setprofile(None)
    # Straight from C, with no Python function between.
    rows = (Row * MOST)()
    walk = functools.partial(LIBRARIES[0].siprof_test_walk, VERSION, rows)
    count, frame, line = max([MOST], key=walk) and walk(MOST), sys._getframe(), sys._getframe().f_lineno
    expected = frames_of(frame)
    seen = [(row.name.decode(), row.plain_name.decode(), row.file.decode(), row.line) for row in rows[:count]]
    (passed if seen == [(*expected[0][:3], line)] + expected[1:] else wrong).append("straight from C: {}".format(seen[:2]))


def codes():
    again, seen = 0, set()
    for number in range(60):
        space = {"point": point}
        name = "made_{}".format(number)
        exec(compile("\n" * number + "def {0}():\n\n  return point('{0}')\n{0}()".format(name), "<made {}>".format(number), "exec"), space)
        again += id(space[name].__code__) in seen
        seen.add(id(space[name].__code__))
        del space
    eval("point('eval')"), exec("point('exec')")
    return again


def names():
    for name in ("caf\u00e9", "\u03b1\u03b2\u03b3", "\u540d\u524d", "\U0001d4d0x", "x\udc80y", "a b", "", "n" * 200):
        def original():
            point("name {!a}".format(name))

        changes = {"co_name": name, "co_filename": "/names/{}.py".format(name)}
        if VERSION >= 0x30b:
            changes["co_qualname"] = "outer." + name
        types.FunctionType(original.__code__.replace(**changes), globals(), None, None, original.__closure__)()


def lines():
    source = ["def far(go):", "    total = go('first line')"]
    for gap in (1, 200, 255, 256, 300, 1000):
        source += ["    # nothing"] * gap + ["    total += go('gap {}')".format(gap)]
    source += ["    total = sum([", *["        # nothing"] * 130, "        go('in brackets'),", "        total])"]
    source += ["    for _ in range(2):", "        total += go('loop')", "    while total:", "        total = 0", "        go('while')"]
    source += ["    return go(", "        'call'", "        if total == 0 else", *[""] * 140, "        'never')"]
    space = {}
    exec(compile("\n".join(source), "/lines/far.py", "exec"), space)
    space["far"](point)
    if VERSION >= 0x30a:
        exec("def matched(go, value):\n  match value:\n    case [a, b]:\n      return go('match')\n    case _:\n      return go('other')\n", space)
        space["matched"](point, [1, 2]), space["matched"](point, 1)
    wide = "go('wide', " + " + ".join(["value"] * 2000) + ")"  # beyond one byte of arguments and columns
    exec("def wide(go):\n  value = 1\n\n  return (" + wide + ",\n    go('after'))\n", space)
    space["wide"](point)


def exceptions():
    try:
        try:
            raise ValueError
        except ValueError:
            point("except")
            raise KeyError from None
        finally:
            point("finally")
    except KeyError as error:
        point("outer")
        kept = error
    with contextlib.suppress(ZeroDivisionError):
        point("with")
        1 / 0
    point("after")
    return kept.__traceback__.tb_lineno and point("traceback")


def modules():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "imported_by_points.py"), "w") as file:
            file.write("import sys\nsys.modules['__main__'].point('import')\ndef later(go):\n    return go('imported')\n")
        sys.path.insert(0, folder)
        try:
            import imported_by_points

            imported_by_points.later(point)
        finally:
            sys.path.remove(folder)


def threads():
    def run(number):
        point("thread {}".format(number))
        sorted([1], key=lambda n: point("key in thread"))

    all_of_them = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    timer = threading.Timer(0, point, ("timer",))
    for thread in [*all_of_them, timer]:
        thread.start()
    for thread in [*all_of_them, timer]:
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(point, ["pool"] * 4))


def main():
    for library in LIBRARIES:
        library.siprof_test_evaluations.restype = ctypes.c_uint
    for group in (calls, recursion, classes, generators, coroutines, callbacks, codes, names, lines, exceptions, modules, threads):
        group()
    gc.collect()
    for text_of_it in wrong[:8]:
        sys.stdout.buffer.write(text_of_it.encode("utf-8", "backslashreplace") + b"\n")
    print(len(passed), "points are right,", len(wrong), "wrong")
    return 0 if len(passed) > 400 and not wrong else 1


sys.dont_write_bytecode = True
point("module")
sys.exit(main())
