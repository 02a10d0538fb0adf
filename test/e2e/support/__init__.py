# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share. The pprof decoder and the finder of agents are those of test/preload."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "preload"))
