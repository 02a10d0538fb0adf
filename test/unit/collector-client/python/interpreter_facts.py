#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares line tables and layouts of code objects with what interpreters themselves say.

    interpreter_facts.py PYTHON_FACTS          the program made of interpreter_facts.cpp

Every CPython from 3.8 on that is found is asked: those below ~/.pyenv/versions, in /usr/bin, and the one that runs
this.  Run by itself with --tell it is the part that an interpreter executes.
"""

import ctypes
import glob
import os
import subprocess
import sys

FIRST, LAST = (3, 8), (3, 14)
FILES = ("argparse.py", "asyncio/*.py", "collections/*.py", "decimal.py", "_pydecimal.py", "dataclasses.py",
         "email/*.py", "inspect.py", "json/*.py", "logging/*.py", "pickle.py", "tarfile.py", "typing.py",
         "unittest/*.py", "xml/dom/*.py")
# No line, lines that go back, entries longer than a table's units, code of no instruction's own.
ODD = """
def far():
    try:
        a = [x
             for x in (1, 2)
             if x]
    except (ValueError,
            KeyError) as e:
        raise
    finally:
        with open(a) as f, open(a): pass
    return (a,
%s
            1)
async def later():
    async with a as b:
        async for c in b: yield (
            c)
@far
@later
class C:
    a = lambda: (yield
                 1)
""" % ("\n" * 700)


def codes_in(code):
    yield code
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from codes_in(constant)


def tell_layout():
    """The offsets of PyCode_Type's own description."""
    type_address = id(type(tell_layout.__code__))
    word = lambda address: ctypes.c_ssize_t.from_address(address).value
    print("layout", "basicsize", word(type_address + 32))
    member = word(type_address + 240)
    while word(member):
        print("layout", ctypes.string_at(word(member)).decode(), word(member + 16))
        member += 40


def tell():
    """Each code object: its version, first line and table, and the line of each instruction, 0 for none."""
    tell_layout()
    line_of = ctypes.pythonapi.PyCode_Addr2Line
    line_of.argtypes = [ctypes.py_object, ctypes.c_int]
    library = os.path.dirname(os.__file__)
    sources = [ODD]
    for pattern in FILES:
        for name in sorted(glob.glob(os.path.join(library, pattern))):
            with open(name, encoding="utf-8") as file:
                sources.append(file.read())
    for source in sources:
        for code in codes_in(compile(source, "x.py", "exec")):
            table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
            lines = [max(0, line_of(code, 2 * i)) for i in range(len(code.co_code) // 2)]
            print("code", sys.version_info[0] * 256 + sys.version_info[1], code.co_firstlineno, len(lines),
                  table.hex() or "-", *lines)


def interpreters():
    found = {}
    home = os.path.expanduser("~")
    candidates = [sys.executable, *sorted(glob.glob("/usr/bin/python3.[0-9]*")),
                  *sorted(glob.glob(os.path.join(home, ".pyenv/versions/*/bin/python")))]
    for path in candidates:
        told = subprocess.run([path, "-S", "-c", "import sys; print(*sys.version_info[:2], sys.implementation.name)"],
                              capture_output=True, text=True, check=False)
        words = told.stdout.split()
        if told.returncode != 0 or len(words) != 3 or words[2] != "cpython":
            continue
        version = (int(words[0]), int(words[1]))
        if FIRST <= version <= LAST:
            found[os.path.realpath(path)] = version
    return found


def check(path, program):
    """The number of code objects that were compared; a text if one differs."""
    told = subprocess.run([path, "-S", os.path.abspath(__file__), "--tell"], capture_output=True, text=True, check=True)
    checked = subprocess.run([program], input=told.stdout, capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        sys.exit(f"{path}: {checked.stdout}{checked.stderr}")
    return checked.stdout.strip()


def main():
    if sys.argv[1:] == ["--tell"]:
        return tell()
    found = interpreters()
    for path, version in found.items():
        print(f"{version[0]}.{version[1]}: {check(path, sys.argv[1])}")
    return 0 if found else 77


if __name__ == "__main__":
    sys.exit(main())
