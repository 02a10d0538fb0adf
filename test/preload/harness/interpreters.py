# SPDX-License-Identifier: Apache-2.0
"""The Python interpreters that the cases run on: those that this machine has.

Minor versions are looked for as pyenv keeps them (`~/.pyenv/versions/3.12.1/bin/python3.12`, also below
$PYENV_ROOT), which are built with a shared libpython. "3.11 static" is Debian's /usr/bin/python3.11: static, stripped,
optimised as a whole. A case for one that isn't there is skipped.
"""

import functools
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from harness.registry import Skip

kVersions = ("3.8", "3.9", "3.10", "3.11", "3.11 static", "3.12", "3.13")
# The oldest, the one that has neither a library nor names, the newest: for cases that take some ten seconds on each. The
# others are run by scripts/soak pythons.
kSome = kVersions if os.environ.get("SIPROF_TEST_PYTHONS") == "all" else ("3.8", "3.11 static", "3.13")
kStatic = "/usr/bin/python3.11"


class Interpreter(NamedTuple):
    name: str  # of kVersions
    path: str

    @property
    def version(self) -> tuple:
        return tuple(map(int, self.name.split()[0].split(".")))

    @property
    def has_qualified_names(self) -> bool:
        return self.version >= (3, 11)

    @property
    def prefix(self) -> Path:
        return Path(self.path).resolve().parent.parent

    @property
    def library(self) -> Path:
        """The shared libpython; Debian's lies beside the interpreter that doesn't use it."""
        file = f"libpython{self.name.split()[0]}.so.1.0"
        folder = Path("/usr/lib/x86_64-linux-gnu") if self.name.endswith("static") else self.prefix / "lib"
        if not (folder / file).exists():
            raise Skip(f"needs {folder / file}")
        return folder / file

    def has(self, module: str) -> bool:
        return subprocess.run([self.path, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0

    def need(self, module: str, package: str) -> None:
        if not self.has(module):
            raise Skip(f"needs the Python module {module} (Debian package {package})")


def label(name: str) -> str:
    """As it stands in the names of cases: 3_11_static."""
    return name.replace(".", "_").replace(" ", "_")


def _versions_folder() -> Path:
    return Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


@functools.lru_cache(maxsize=None)
def find(name: str) -> Interpreter:
    """Raises Skip where there is none."""
    if name.endswith("static"):
        if not os.path.exists(kStatic):
            raise Skip(f"needs {kStatic} (Debian package python3.11)")
        return Interpreter(name, kStatic)
    found = sorted(_versions_folder().glob(f"{name}.*/bin/python{name}"))
    if not found:
        raise Skip(f"needs CPython {name} in {_versions_folder()}")
    return Interpreter(name, str(found[-1]))


def present() -> list:
    """All that this machine has."""
    found = []
    for name in kVersions:
        try:
            found.append(find(name))
        except Skip:
            continue
    return found
