# SPDX-License-Identifier: Apache-2.0
"""What runs inside the interpreter: exceptions, objects, metrics; and that the program never sees any of it."""

import json
import re

from harness import checks
from harness.checks import about, check, same
from harness.interpreters import kSome
from harness.python import kPrograms, last_part, on_each, program, python_frames, recorded, shown
from harness.registry import add, need_file

kInside = {"SIPROF_KINDS": "cpu,heap,errors,metrics", "SIPROF_BUDGET": "off"}
kErrors = {"SIPROF_KINDS": "cpu,errors", "SIPROF_BUDGET": "off"}
kTold = ("3.12", "3.13")  # where an exception is raised


def leaf(sample) -> str:
    frames = python_frames(sample)
    return last_part(frames[0]) if frames else ""


def count(profile, where=lambda sample: True) -> int:
    return profile.sum("exceptions", where)


def own_type(sample) -> str:
    """Without the module."""
    kind = sample.labels["type"]
    return kind[len("__main__."):] if kind.startswith("__main__.") else kind


@on_each("raises_are_counted_at_their_place", hazards=["P16"], versions=kTold)
def raises(session, interpreter):
    times, threads = 50, 3
    result = recorded(session, interpreter, "raises.py", times, threads, **kErrors)
    check(result.stdout == b"end\n", f"{result.stdout!r}, {result.stderr[-500:]!r}")
    profile = result.profile_of("errors")
    checks.no_siprof_frames(profile)
    ours = [s for s in profile.samples if any(frame.file.endswith("raises.py") for frame in python_frames(s)[:1])]
    seen: dict = {}
    for sample in ours:
        key = f"raised:{leaf(sample)}:{own_type(sample)}"
        seen[key] = seen.get(key, 0) + sample.values[0]
    expected = {key: sum(values) for key, values in result.facts.items() if key.startswith("raised:")}
    for key, one in expected.items():
        check(seen.get(key) == one, f"{key}: {seen.get(key)}, {one} were raised; {seen}")
    check(set(seen) == set(expected), f"more than was raised: {sorted(set(seen) - set(expected))}")
    check(count(profile) == int(profile.counters["python_raises"]), f"{count(profile)}, the process counted {profile.counters}")
    check(all(s.labels["handled"] == "true" for s in ours), "all were caught")
    nested = {s.labels["type"] for s in ours if leaf(s) == "nested_site"}
    check(nested == {"__main__.Own.Inner"}, f"{nested}")


@on_each("a_storm_of_raises_is_counted_whole", versions=kTold)
def storm(session, interpreter):
    result = recorded(session, interpreter, "raises.py", 12_000, 4, **kErrors)
    profile = result.profile_of("errors")
    expected = sum(sum(values) for key, values in result.facts.items() if key.startswith("raised:"))
    total, raised = count(profile), int(profile.counters["python_raises"])
    check(total == raised and raised >= expected, f"{total} in the profile, {raised} counted, {expected} in the program alone")
    check(raised < 1.05 * expected, f"{raised} counted, {expected} in the program alone")
    taken = int(result.profile.counters["events"])
    check(taken < raised / 2, f"{taken} stacks were taken of {raised}")
    # Of a thread that ends in its storm the last that found no room have no stack.
    known = count(profile, lambda s: s.labels["type"] != "(unknown)")
    check(known > 0.5 * total, f"only {known} of {total} have a stack")
    site = count(profile, lambda s: leaf(s) == "site")
    about("share of raises in site() (ppm)", 1e6 * site / known, 1e6 * result.facts["raised:site:Own"][0] / expected, 0.05)


# The way, the functions of the stack from where it is raised, how often, and how the program ends.
kUnhandled = {"middle": ("innermost middle", 1, 1), "thread": ("innermost middle", 1, 0), "low_thread": ("innermost middle run", 1, 0),
              "dying": ("innermost middle __del__", 1, 0), "own_hook": ("innermost middle", 1, 1),
              "own_thread_hook": ("innermost middle", 1, 0), "exits": ("", 0, 3)}


def without_addresses(text: bytes) -> bytes:
    return re.sub(rb"0x[0-9a-f]+", b"0x", text)


def is_unhandled(sample) -> bool:
    return sample.labels["handled"] == "false"


@on_each("exceptions_that_nobody_catches", hazards=["P17"], versions=kSome)
def unhandled(session, interpreter):
    for way, (stack, times, status) in kUnhandled.items():
        result = same(session, program(interpreter, "unhandled.py", way), normal=without_addresses, fixed_work=False, env=kInside)
        check(result.status == status, f"{way}: it ended with {result.status}")
        profile = result.profile_of("errors")
        found = [s for s in profile.samples if is_unhandled(s)]
        check(count(profile, is_unhandled) == times, f"{way}: {[(s.values, s.labels, shown(s)) for s in found]}")
        for sample in found:
            check(own_type(sample) == "Own", f"{way}: it is a {sample.labels['type']}")
            names = " ".join(last_part(frame) for frame in python_frames(sample))
            check(names.startswith(stack), f"{way}: the stack is {names}")
        # It counts once, whether it was told of when it was raised or not.
        whole = count(profile, lambda s: own_type(s) == "Own")
        check(whole == times, f"{way}: {whole} in all")
        checks.no_siprof_frames(profile)


@on_each("an_exception_without_a_stack")
def syntax(session, interpreter):
    result = same(session, program(interpreter, "unhandled.py", "syntax"), fixed_work=False, env=kErrors)
    found = count(result.profile_of("errors"), lambda s: is_unhandled(s) and s.labels["type"] == "SyntaxError")
    check(found == 1, f"{found} of one that no Python code raised")


@on_each("messages_of_exceptions")
def messages(session, interpreter):
    for switch, expected in (("1", {"nobody catches it"}), ("0", {None})):
        env = {**kErrors, "SIPROF_ERROR_MESSAGES": switch}
        result = same(session, program(interpreter, "unhandled.py", "middle"), fixed_work=False, env=env)
        found = {s.labels.get("message") for s in result.profile_of("errors").samples if is_unhandled(s)}
        check(found == expected, f"with {switch}: {found}")


def visible(session, interpreter, arguments: list, ways: list, env=None, normal=without_addresses) -> None:
    command = [interpreter.path, "-B", *arguments, str(kPrograms / "inside.py"), *ways]
    result = same(session, command, normal=normal, fixed_work=False, sampled=False, env={**kInside, **(env or {})}, hz=1000)
    check(result.status == 0, f"{arguments} {env}: it ended with {result.status}: {result.stderr[-1000:]!r}")


@on_each("nothing_is_to_be_seen_from_inside", hazards=["P18"])
def inside(session, interpreter):
    visible(session, interpreter, [], [])
    visible(session, interpreter, ["-S", "-I", "-E"], [])
    visible(session, interpreter, ["-X", "tracemalloc"], [])
    visible(session, interpreter, ["-X", "dev"], [])
    for allocator in ("malloc", "debug", "pymalloc_debug"):
        visible(session, interpreter, [], ["allocators", "recursion"], {"PYTHONMALLOC": allocator})


def imports_alone(text: bytes) -> bytes:
    """What -X importtime writes, without the times."""
    return re.sub(rb"[ 0-9]+\|[ 0-9]+\|", b"||", without_addresses(text))


@on_each("no_import_is_seen")
def no_import(session, interpreter):
    visible(session, interpreter, ["-X", "importtime"], ["show_modules"], normal=imports_alone)
    # At the end modules go in an order that isn't anybody's.
    visible(session, interpreter, ["-v"], ["show_modules"], normal=lambda text: b"\n".join(sorted(imports_alone(text).split(b"\n"))))


@on_each("switched_off_nothing_is_inside")
def switched_off(session, interpreter):
    env = {**kInside, "SIPROF_KINDS": "cpu,heap,errors", "SIPROF_PYTHON_ERRORS": "off", "SIPROF_PYTHON_ALLOC": "off"}
    result = same(session, program(interpreter, "unhandled.py", "middle"), fixed_work=False, env=env)
    check("python_raises" not in result.profile_of("errors").counters, f"{result.profile_of('errors').counters}")
    check(count(result.profile_of("errors")) == 0, "there are exceptions")
    result = recorded(session, interpreter, "objects.py", 0.5, **{**env, "SIPROF_HEAP_INTERVAL": "4096"})
    found = in_function(result.profile_of("heap"), "alloc_space", "small")
    check(found == 0, f"{found} bytes of small objects")


def in_function(profile, column: str, name: str) -> int:
    return profile.sum(column, lambda s: leaf(s) == name)


@on_each("small_objects_by_function", hazards=["P19"])
def objects(session, interpreter):
    result = recorded(session, interpreter, "objects.py", 4, **{**kInside, "SIPROF_HEAP_INTERVAL": "131072"})
    profile = result.profile_of("heap")
    checks.no_siprof_frames(profile)
    for name in ("small", "middle", "large"):
        about(f"bytes in {name}()", in_function(profile, "alloc_space", name), result.facts[f"allocated:{name}"][0], 0.06)
    live = result.facts["live:kept"][0]
    about("live bytes of kept()", profile.sum("inuse_space", lambda s: any(last_part(f) == "kept" for f in python_frames(s))), live, 0.1)
    others = profile.sum("inuse_space") - live - result.facts["live:list"][0]
    check(abs(others) < 0.1 * live + 2e6, f"{others} bytes of others live")


def points(session, name: str) -> list:
    file = session.folder / f"record.{session.runs - 1}" / "metrics.json"
    return [point for metric in json.loads(file.read_text())["metrics"] if metric["name"] == name for point in metric["points"]]


@on_each("metrics_of_the_interpreter", hazards=["P20"])
def metrics(session, interpreter):
    result = recorded(session, interpreter, "collections_of_garbage.py", **{**kInside, "SIPROF_WINDOW": "1s"})
    if session.baseline_only:
        return
    names = {"collections": "cpython.gc.collections", "collected": "cpython.gc.collected_objects",
             "uncollectable": "cpython.gc.uncollectable_objects"}
    for key, name in names.items():
        for number in range(3):
            of_it = [p["value"] for p in points(session, name) if p["labels"]["cpython.gc.generation"] == str(number)]
            check(len(of_it) >= 2, f"{name} of {number}: {of_it}")
            expected = result.facts[f"{key}:{number}"][0]
            check(sum(of_it) == expected, f"{name} of generation {number}: {of_it}, the interpreter says {expected}")
    pauses = [p["value"] for p in points(session, "cpython.gc.pause")]
    cpu = sum(p["value"] for p in points(session, "process.cpu.time"))
    check(0 < sum(pauses) < cpu, f"{sum(pauses)} s of {cpu} s were pauses")
    modules, blocks = ([p["value"] for p in points(session, f"cpython.{name}")] for name in ("modules", "allocated_blocks"))
    check(modules[-1] == result.facts["modules"][0], f"{modules}, the program sees {result.facts['modules']}")
    check(blocks and 1000 < blocks[-1] < 2 * result.facts["blocks"][0], f"{blocks}, the program sees {result.facts['blocks']}")


@on_each("with_everything_inside_ends", hazards=["P6"], versions=kSome)
def ends(session, interpreter):
    for way in ("daemons", "forks", "processes", "exec", "exit_in_thread"):
        same(session, program(interpreter, "ending.py", way), hz=1000, fixed_work=False, sampled=False, env=kInside)


def home(interpreter) -> str:
    return "/usr" if interpreter.name.endswith("static") else str(interpreter.prefix)


@on_each("opened_late_with_everything_inside", hazards=["P11"])
def opened_late(session, interpreter):
    command = session.victim("python_host", interpreter.library, home(interpreter))
    result = same(session, command, env=kInside, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")


@on_each("subinterpreters_with_everything_inside", hazards=["P11"])
def subinterpreters(session, interpreter):
    result = same(session, program(interpreter, "subinterpreters.py", 100), env=kInside, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")


def linked(session):
    need_file(session.victims / "python_embed", "a libpython to link (Debian package libpython3.11-dev)")
    result = same(session, session.victim("python_embed"), env=kInside, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")


add("python_linked_with_everything_inside", ["P11"], linked, suite="python")
