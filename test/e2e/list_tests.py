#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints `FILE Class.test_…`, a line for each end-to-end test, for meson.build to make a test of each.

Read from the source, not imported: nothing of the tests has to be there when the build is set up.
"""

import ast
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("*_test.py")):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name.startswith("test_"):
                    print(f"{path.name} {node.name}.{member.name}")
