# SPDX-License-Identifier: Apache-2.0
"""Plants files of bad form and expects scripts/check-tree, check-shell and summarize-tests to refuse them."""

import json
import unittest

from planted import LICENCE, LintTest

HEADER = LICENCE + "#pragma once\n"


class TreeTest(LintTest):
    def assert_rejected(self, reason, path, text):
        self.plant(path, text)
        self.assert_finds(reason, "check-tree", "--root", self.root)

    def test_good_files_pass(self):
        self.plant("proto/ring.h", HEADER + "// state in ~/.local/state and $HOME/work, see docs/root/work.md\n")
        self.plant("README.md", "nothing\n")
        self.assert_passes("check-tree", "--root", self.root)

    def test_a_missing_licence_line_is_found(self):
        self.assert_rejected("a.cpp:1: the licence line", "a.cpp", "int a;\n")
        self.assert_rejected("run:1: the licence line", "run", "#!/bin/sh\nexit 0\n")

    def test_a_header_without_pragma_once_is_found(self):
        self.assert_rejected("a.h:1: #pragma once is missing", "a.h", LICENCE + "int a;\n")

    def test_a_long_file_is_found(self):
        self.assert_rejected("a.cpp: 500 lines", "a.cpp", LICENCE + "int a;\n" * 499)

    def test_a_path_of_one_machine_is_found(self):
        for path in ("/ro" "ot/x", "/wo" "rk/main", "cd /ho" "me/ada", '"/ro' 'ot"'):
            with self.subTest(path):
                self.assert_rejected("a.md:1: a path of one machine", "a.md", f"see {path}\n")

    def test_spaces_and_missing_newlines_are_found(self):
        self.assert_rejected("a.cpp:2: space at the end", "a.cpp", LICENCE + "int a; \n")
        self.assert_rejected("a.cpp: no newline", "a.cpp", LICENCE + "int a;")

    def test_a_dead_link_is_found(self):
        self.plant("docs/there.md", "see [here](../README.md#top) and [web](https://example.org/x)\n")
        self.assert_rejected("README.md: the link to docs/gone.md", "README.md", "[a](docs/there.md) [b](docs/gone.md)\n")

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertEqual(self.lint("check-tree", "--root", self.root)[0], 2)


class ShellTest(LintTest):
    def test_good_scripts_pass_and_bad_ones_are_found(self):
        self.plant("scripts/good", '#!/bin/sh\necho "$1"\n')
        self.assert_passes("check-shell", self.root)
        self.plant("scripts/bad", "#!/bin/bash\nrm -rf $1/*\n")
        self.assert_finds("SC2086", "check-shell", self.root)


class SummaryTest(LintTest):
    def summarize(self, results, *arguments):
        lines = [json.dumps({"name": f"test {i}", "result": result}) for i, result in enumerate(results)]
        log = self.plant("build/meson-logs/testlog.json", "".join(line + "\n" for line in lines))
        status, output = self.lint("summarize-tests", *arguments, log)
        return status, output.splitlines()[-1]

    def test_counts_are_the_last_line(self):
        self.assertEqual(self.summarize(["OK", "OK", "SKIP"]), (0, "2 passed, 0 failed, 1 skipped"))

    def test_every_kind_of_failure_counts(self):
        bad = ["FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"]
        self.assertEqual(self.summarize(["OK", *bad]), (1, "1 passed, 5 failed, 0 skipped"))

    def test_a_build_that_failed_counts(self):
        self.assertEqual(self.summarize(["OK"], "--failed-builds", "1"), (1, "1 passed, 1 failed, 0 skipped"))

    def test_running_nothing_is_a_failure(self):
        self.assertEqual(self.summarize([]), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
