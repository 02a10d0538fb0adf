# SPDX-License-Identifier: Apache-2.0
"""Interpreters that aren't the program: linked, opened late, two at once; and those that nobody knows."""

import re
import shutil
import struct
from pathlib import Path

from harness import checks, interpreters
from harness.checks import check, same
from harness.python import kPrograms, on_each, python_frames, shown
from harness.registry import Skip, add, need_file

kAlone = {"SIPROF_KINDS": "cpu"}
kInner = re.compile(r"inner_of_(\d+)")


def time_in(profile, name: str) -> int:
    return profile.sum("cpu", lambda sample: any(frame.system_name == name for frame in sample.frames))


def home(interpreter) -> str:
    return "/usr" if interpreter.name.endswith("static") else str(interpreter.prefix)


@on_each("opened_late_for_itself", hazards=["P11"])
def opened_late(session, interpreter):
    """RTLD_LOCAL: nothing of it can be found by name from outside."""
    command = session.victim("python_host", interpreter.library, home(interpreter))
    result = same(session, command, env=kAlone, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")
    for name, ms in (("inner_of_0", 600), ("key_of_10", 600)):
        found = time_in(result.profile, name)
        check(found > 0.6e6 * ms, f"{found} ns are in {name}, it used {ms} ms")


def linked(session):
    need_file(session.victims / "python_embed", "a libpython to link (Debian package libpython3.11-dev)")
    result = same(session, session.victim("python_embed"), env=kAlone, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")
    for name in ("inner_of_0", "inner_of_1"):  # the interpreter has ended and begun again between
        found = time_in(result.profile, name)
        check(found > 0.6 * 600e6, f"{found} ns are in {name}, it used 600 ms")


add("python_linked_into_a_program", ["P11"], linked, suite="python")


def two_at_once(session):
    """One of them is looked at. What is in neither may not harm."""
    found = [one for one in interpreters.present() if not one.name.endswith("static")]
    if len(found) < 2:
        raise Skip("needs two versions of a shared libpython")
    first, second = found[0], found[-1]
    command = session.victim("python_host", first.library, home(first), second.library, home(second))
    result = same(session, command, env=kAlone, fixed_work=False)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")
    numbers = {match[1] for sample in result.profile.samples for frame in sample.frames if (match := kInner.fullmatch(frame.system_name))}
    check(numbers in ({"0", "10"}, {"1", "11"}, {"0", "1", "10", "11"}), f"frames of {numbers}")
    for sample in result.profile.samples:
        own = {match[1][-1] for frame in sample.frames if (match := re.fullmatch(r"(?:inner|key)_of_(\d+)", frame.system_name))}
        check(len(own) <= 1, shown(sample))


add("python_two_versions_in_one_process", ["P11"], two_at_once, suite="python")


def file_offset(data: bytes, name: bytes) -> int:
    """Where a dynamic symbol's value lies in an ELF file of 64 bits."""
    sections, = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    table = [struct.unpack_from("<IIQQQQIIQQ", data, sections + i * size) for i in range(count)]
    for _, kind, _, _, offset, length, link, *_ in table:
        if kind != 11:  # SHT_DYNSYM
            continue
        strings = table[link][4]
        for at in range(offset, offset + length, 24):
            text, _, _, index, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            if data[strings + text : strings + text + len(name) + 1] == name + b"\0":
                return value - table[index][3] + table[index][4]
    raise AssertionError(f"{name!r} isn't there")


def with_version(session, interpreter, version: int) -> list:
    """The command of a copy that says it is another version, and what it needs in its environment."""
    static = interpreter.name.endswith("static")
    original = Path(interpreter.path).resolve() if static else interpreter.library
    data = bytearray(original.read_bytes())
    at = file_offset(bytes(data), b"Py_Version")
    was, = struct.unpack_from("<Q", data, at)
    check(was >> 16 == interpreter.version[0] << 8 | interpreter.version[1], f"Py_Version is {was:#x}")
    struct.pack_into("<Q", data, at, version << 16 | was & 0xFFFF)
    copy = session.folder / "changed" / original.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(data)
    if static:
        copy.chmod(0o755)
        return [str(copy)], {"PYTHONHOME": "/usr"}
    return [interpreter.path], {"LD_LIBRARY_PATH": str(copy.parent)}


def unknown(session, interpreter, version: int):
    """Native frames only, and one line in the log; the program is as it always is."""
    python, env = with_version(session, interpreter, version)
    command = [*python, "-B", str(kPrograms / "callbacks.py"), "1200"]
    plain = session.plain(command, env=env)
    shutil.rmtree(session.folder / "state", ignore_errors=True)
    result = session.preloaded(command, env={**kAlone, **env, "SIPROF_LOG": "warn"})
    checks.same_behaviour(plain, result)
    checks.has_samples(result.profile)
    seen = [sample for sample in result.profile.samples if python_frames(sample)]
    check(not seen, f"{len(seen)} stacks have Python frames: {shown(seen[0]) if seen else ''}")
    log = (session.folder / "state" / "siprof" / "agent.log").read_text()
    lines = [line for line in log.splitlines() if "python" in line.lower()]
    check(len(lines) == 1, f"{len(lines)} lines of the log are about Python:\n{log}")
    print(lines[0])


kSayTheirVersion = ("3.11", "3.11 static", "3.12", "3.13")


@on_each("of_an_unknown_version", hazards=["P12"], versions=kSayTheirVersion)
def unknown_version(session, interpreter):
    unknown(session, interpreter, 0x0363)


@on_each("of_another_layout", hazards=["P12"], versions=kSayTheirVersion)
def another_layout(session, interpreter):
    """It takes itself for the one before: its own description of its objects says otherwise."""
    unknown(session, interpreter, 0x0300 | interpreter.version[1] - 1)
