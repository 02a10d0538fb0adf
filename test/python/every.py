#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases that take long on the interpreters that scripts/test leaves out (interpreters.kSome). `scripts/soak pythons`
runs them.

    test/python/every.py [--build build]
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
kRunCase = kRoot / "test" / "preload" / "run_case.py"
kSkipStatus = 77


def cases(which: str) -> list:
    environment = {**os.environ, "SIPROF_TEST_PYTHONS": which}
    listed = subprocess.run([sys.executable, kRunCase, "--list", "python"], env=environment, check=True, capture_output=True)
    return listed.stdout.decode().split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    options = parser.parse_args()
    usual = set(cases("some"))
    others = [name for name in cases("all") if name not in usual]
    environment = {**os.environ, "SIPROF_TEST_PYTHONS": "all"}
    failed, skipped = [], 0
    for name in others:
        command = [sys.executable, str(kRunCase), "--build", str(options.build), name]
        status = subprocess.run(command, env=environment, check=False).returncode
        skipped += status == kSkipStatus
        if status not in (0, kSkipStatus):
            failed.append(name)
    print(f"{len(others)} cases, {skipped} skipped, failed: {failed or 'none'}")
    return 1 if failed or skipped == len(others) else 0


if __name__ == "__main__":
    sys.exit(main())
