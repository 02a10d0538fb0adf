#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything at once (programs/mix.py) for ten minutes on each interpreter that is here: output and status have to be as
without siprof. `scripts/soak python` runs it.

    test/python/soak.py [--build build] [--only 3.8,3.12]
"""

import argparse
import subprocess
import sys
from pathlib import Path

kRoot = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(kRoot / "test" / "preload"))

from harness import interpreters  # noqa: E402  (needs the path above)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=kRoot / "build")
    parser.add_argument("--only", default="", help="versions, comma-separated")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [one.name for one in interpreters.present()]
    failed = []
    for name in names:
        case = f"python_everything_at_once_on_{interpreters.label(name)}"
        command = [sys.executable, kRoot / "test" / "preload" / "run_case.py", "--build", options.build, "--long", case]
        if subprocess.run(list(map(str, command)), check=False).returncode != 0:
            failed.append(name)
    print(f"{len(names)} interpreters, not the same on {failed or 'none'}")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
