# SPDX-License-Identifier: Apache-2.0
"""What the self-tests of the lints share: a scratch folder, files planted in it, a lint run over it."""

import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts"
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


class LintTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)

    def plant(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def compile(self, name, source, *flags):
        file = self.plant(f"{name}.cpp", source)
        out = self.root / name
        subprocess.run(["c++", "-std=c++20", "-O2", "-w", *flags, "-o", out, file], check=True)
        return out

    def lint(self, script, *arguments):
        run = subprocess.run([SCRIPTS / script, *arguments], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    def assert_passes(self, script, *arguments):
        status, output = self.lint(script, *arguments)
        self.assertEqual((status, output), (0, ""))

    def assert_finds(self, text, script, *arguments):
        status, output = self.lint(script, *arguments)
        self.assertIn(text, output)
        self.assertEqual(status, 1)
