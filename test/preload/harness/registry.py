# SPDX-License-Identifier: Apache-2.0
"""The table of preload cases: `@case("name", hazards=…)` puts a function into it, run_case.py runs one.

Hazard numbers are those of the hazard catalogue that the victims were written from; 0 stands for findings
of our own probes, "P1" and so on for what is Python's own.
"""

import os
import shutil
from typing import Callable, NamedTuple


class Skip(Exception):
    """The machine lacks what the case needs; the text names it."""


class BaselineOnly(Exception):
    """Raised where a check needs a profile, when only the victims themselves are tried."""


class Case(NamedTuple):
    name: str
    hazards: tuple
    run: Callable
    suite: str = "preload"  # of meson's


CASES: dict = {}


def add(name: str, hazards, run: Callable, suite: str = "preload") -> None:
    if name in CASES:
        raise ValueError(f"two cases are called {name}")
    CASES[name] = Case(name, tuple(hazards), run, suite)


def case(name: str, hazards=(0,)):
    def register(run: Callable) -> Callable:
        add(name, hazards, run)
        return run

    return register


def need_root() -> None:
    if os.geteuid() != 0:
        raise Skip("needs root")


def need_program(name: str, package: str = "") -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip(f"needs the program {name}" + (f" (Debian package {package})" if package else ""))
    return path


def need_file(path, what: str):
    if not os.path.exists(path):
        raise Skip(f"needs {what} (no {path})")
    return path
