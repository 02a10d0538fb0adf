# SPDX-License-Identifier: Apache-2.0
"""Functions and files with names that aren't ASCII, very long, or hold what no name should.  names.py MILLISECONDS

Each name that is sampled is noted by the number that its function's file has.
"""

import sys
import types

from facts import note, thread_ns

NAMES = {
    "latin": "caf\u00e9_\u00fcber",
    "greek": "\u03b1\u03b2\u03b3_\u043f\u0440\u0438\u0432\u0435\u0442",
    "wide": "\U0001d4d0\U0001d4d1_\U0001f40d",
    "long": "n" * 10000,
    "long_wide": "\U0001f40d" * 3000,
    "nul": "before\x00after",
    "surrogate": "low\udc80high",
    "empty": "",
    "blank": "two words\nand a line",
    "dotted": "a.b.<c>",
}
FILES = {
    "latin": "/tmp/caf\u00e9/fichier.py",
    "greek": "/tmp/\u043f\u0430\u043f\u043a\u0430/\u03b1.py",
    "wide": "/tmp/\U0001f40d/python.py",
    "long": "/" + "folder/" * 2000 + "file.py",
    "nul": "/tmp/be\x00fore.py",
    "surrogate": "/tmp/\udcff.py",
    "empty": "",
}


def template(until):
    total = 0
    while thread_ns() < until:
        total += sum(range(100))
    return total


def renamed(code, **changes):
    if "co_name" in changes and sys.version_info >= (3, 11):
        changes["co_qualname"] = changes["co_name"]
    return types.FunctionType(code.replace(**changes), globals())


def main():
    milliseconds = int(sys.argv[1])
    done = []
    for kind, name in NAMES.items():
        function = renamed(template.__code__, co_name=name, co_filename="/names/{}.py".format(kind))
        begin = thread_ns()
        function(begin + milliseconds * 1000000)
        note("name:" + kind, thread_ns() - begin)
        done.append(len(name))
    for kind, file in FILES.items():
        function = renamed(template.__code__, co_name="in_file_" + kind, co_filename=file)
        begin = thread_ns()
        function(begin + milliseconds * 1000000)
        note("file:" + kind, thread_ns() - begin)
        done.append(len(file))
    print("done", done)


main()
