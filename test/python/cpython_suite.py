#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests with siprof preloaded: the same ones have to pass as without it.

Each module of the suite runs without siprof and preloaded at 1 000 Hz, one after the other; tests that end differently
run twice more both ways, and count only if they never end the same: some of them depend on the machine's load. Takes
about half an hour for each interpreter, so that it is no part of `meson test`.

    test/python/cpython_suite.py [--build build] [--only 3.11,3.13] [--kinds LIST] [MODULE…]

Needs interpreters with their tests (pyenv's have them). Ends with 0 only if nothing differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(kRoot / "test" / "preload"))

from harness import agents, interpreters  # noqa: E402  (needs the path above)

kModules = ["test_signal", "test_threadsignals", "test_subprocess", "test_threading", "test_threading_local", "test_thread",
            "test_os", "test_posix", "test_socket", "test_select", "test_selectors", "test_poll",
            "test_epoll", "test_asyncio", "test_multiprocessing_fork", "test_multiprocessing_spawn",
            "test_multiprocessing_forkserver", "test_concurrent_futures", "test_faulthandler", "test_ctypes", "test_gc",
            "test_eintr", "test_fork1", "test_wait3", "test_wait4", "test_generators", "test_coroutines", "test_asyncgen",
            "test_exceptions", "test_sys", "test_sys_settrace", "test_sys_setprofile", "test_frame", "test_code", "test_embed",
            "test_atexit", "test_io", "test_mmap", "test_resource", "test_capi", "test_import", "test_queue", "test_time",
            "test__xxsubinterpreters", "test_weakref"]
kMostSeconds = 900  # of one module


class Outcome(dict):
    """How each test of a module ended, by name."""

    def __init__(self, status: int, report: Path):
        super().__init__()
        self["(all of it)"] = "passed" if status == 0 else "failed"
        if not report.exists():
            return
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            self[case.get("name")] = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"


def run(interpreter, module: str, added: dict, folder: Path) -> Outcome:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    plain = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("SIPROF_")}
    command = [interpreter.path, "-m", "test", "--junit-xml", report, "--tempdir", work, module]  # no resources: nothing leaves the machine
    with open(folder / "output", "wb") as output:
        try:
            status = subprocess.run(list(map(str, command)), env={**plain, **added}, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, timeout=kMostSeconds, cwd=folder).returncode
        except subprocess.TimeoutExpired:
            status = -1
    return Outcome(status, report)


def exists(interpreter, module: str) -> bool:
    return subprocess.run([interpreter.path, "-c", f"import importlib.util as u, sys; sys.exit(not u.find_spec('test.{module}'))"],
                          capture_output=True, check=False).returncode == 0


def differences(without: Outcome, profiled: Outcome) -> dict:
    return {name: (without.get(name), profiled.get(name)) for name in {*without, *profiled} if without.get(name) != profiled.get(name)}


def compare(interpreter, module: str, added: dict, folder: Path) -> tuple:
    """(tests that passed without, what differs each time)"""
    without, profiled = run(interpreter, module, {}, folder), run(interpreter, module, added, folder)
    differ = differences(without, profiled)
    for _ in range(2):
        if not differ:
            break
        again = differences(run(interpreter, module, {}, folder), run(interpreter, module, added, folder))
        differ = {name: how for name, how in differ.items() if name in again}
    return sum(how == "passed" for how in without.values()), differ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--only", default="3.11,3.13", help="versions, comma-separated")
    parser.add_argument("--kinds", default="cpu,heap,lock,io,errors")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    options = parser.parse_args()
    build, worse = options.build.resolve(), 0
    for name in options.only.split(","):
        interpreter = interpreters.find(name)
        with tempfile.TemporaryDirectory(prefix="siprof-cpython-") as temporary:
            folder = Path(temporary)
            agent = build / "collector-client" / "siprof"
            added = {"LD_PRELOAD": str(build / "shim" / "libsiprof.so"), "SIPROF_AGENT_PROGRAM": str(agent), "SIPROF_HZ": "1000",
                     "SIPROF_OUTPUT": str(folder / "out"), "XDG_STATE_HOME": str(folder / "state"), "SIPROF_WINDOW": "2s",
                     "SIPROF_BUDGET": "off", "SIPROF_KINDS": options.kinds}
            try:
                for module in options.modules or kModules:
                    if not exists(interpreter, module):
                        continue
                    passed, differ = compare(interpreter, module, added, folder)
                    print(f"{name} {module}: {passed} passed without siprof, {len(differ)} end differently", flush=True)
                    for test, (was, became) in sorted(differ.items()):
                        print(f"  {test}: {was} without, {became} preloaded")
                    worse += len(differ)
            finally:
                agents.stop(agent, folder)
    print(f"{worse} tests end differently")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
