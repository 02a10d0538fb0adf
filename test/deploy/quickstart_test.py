# SPDX-License-Identifier: Apache-2.0
"""Runs the quick-start block of README.md and scripts/quickstart with commands of known ends.

quickstart_test.py SOURCE_ROOT.  Each run has a TMPDIR and an environment mark of its own, by which
files and processes that it leaves are found.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
QUICKSTART = ROOT / "scripts/quickstart"
ADDRESS = re.compile(r"^quickstart: dashboard at (http://127\.0\.0\.1:\d+/)$")


def readme_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Quick start$.*?^```sh\n(.*?)^```$", text, re.M | re.S)[1]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [command for command in commands if command and command[0] == "scripts/quickstart"]


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        # The agent is started with SIPROF_ variables alone, hence the name.
        self.mark = f"SIPROF_QUICKSTART_TEST={holder.name}"

    def start(self, *arguments):
        environment = {**os.environ, "TMPDIR": str(self.folder), **dict([self.mark.split("=")])}
        return subprocess.Popen([QUICKSTART, *arguments], cwd=ROOT, env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)

    def left_processes(self):
        left = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    left.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # ended meanwhile, or not ours to read
        return left

    def assert_nothing_left(self):
        self.assertEqual(self.left_processes(), [])
        self.assertEqual([entry.name for entry in self.folder.iterdir()], [])

    def finish(self, process):
        output, _ = process.communicate(timeout=50)
        self.assert_nothing_left()
        return output, process.returncode

    def test_the_block_in_the_readme_shows_a_dashboard_and_the_demos_functions(self):
        commands = readme_commands()
        self.assertEqual(len(commands), 2, "README.md, Quick start: two commands of scripts/quickstart")
        self.assertEqual(commands[1][1], "--")
        process = self.start("--seconds", "6", *commands[0][1:])
        address = ADDRESS.match(process.stdout.readline().rstrip())
        self.assertIsNotNone(address)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address[1], timeout=10) as page:
            self.assertIn(b"<html", page.read().lower())
        output, status = self.finish(process)
        self.assertEqual(status, 0)
        top = output.partition("quickstart: hottest functions of demo\n")[2]
        self.assertIn("demo::", top)
        self.assertRegex(top, r"\bdemo\.\w+", "no function of the demo's Python part is among them")

    def test_a_command_keeps_its_output_and_its_status(self):
        output, status = self.finish(self.start("--", "sh", "-c", "echo mine; exit 9"))
        self.assertIn("\nmine\n", output)
        self.assertEqual(status, 9)

    def test_a_command_that_is_killed_gives_128_and_the_signal(self):
        self.assertEqual(self.finish(self.start("--", "sh", "-c", "kill -KILL $$"))[1], 137)

    def test_ctrl_c_ends_the_command_and_everything_else(self):
        process = self.start("--", "sleep", "100")
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process)[1], 130)

    def test_two_at_once_do_not_disturb_each_other(self):
        # Long enough that they do run at once.
        both = [self.start("--", "sh", "-c", f"sleep 6; exit {status}") for status in (3, 4)]
        outputs = [process.communicate(timeout=50)[0] for process in both]
        self.assert_nothing_left()
        self.assertEqual([process.returncode for process in both], [3, 4])
        self.assertNotEqual(outputs[0].splitlines()[0], outputs[1].splitlines()[0])


if __name__ == "__main__":
    unittest.main()
