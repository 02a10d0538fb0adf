# SPDX-License-Identifier: Apache-2.0
"""The walk of Python frames at points that are known, without a profiler: test/python/walk/points.py says what is held
against what.
"""

from harness.checks import check
from harness.python import kPrograms, on_each, program
from harness.registry import need_file


@on_each("walk_at_known_points", hazards=["P10", "P13", "P4", "P5"])
def walk(session, interpreter):
    library = need_file(session.build / "test" / "python" / "walk" / "siprof_python_walk.so", "the library of test/python/walk")
    result = session.plain(program(interpreter, kPrograms.parent / "walk" / "points.py", library))
    print(result.stdout.decode()[-4000:], end="")
    check(result.status == 0, f"it ended with {result.status}: {result.stdout[-4000:].decode()}{result.stderr[-2000:].decode()}")
