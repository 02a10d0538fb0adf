# SPDX-License-Identifier: Apache-2.0
"""Plants includes that break the floors and expects scripts/check-includes to name them."""

import unittest

from planted import LintTest


class IncludesTest(LintTest):
    def assert_allowed(self, path, include):
        self.plant(path, f"#include {include}\n")
        self.assert_passes("check-includes", "--root", self.root)

    def assert_forbidden(self, path, include, reason):
        self.plant(path, f"\n#  include {include}\n")
        self.assert_finds(f"{path}:2: {reason}", "check-includes", "--root", self.root)

    def test_going_down_is_allowed(self):
        self.assert_allowed("shim/core/timer.cpp", '"shim/base/sys.h"')
        self.assert_allowed("shim/probe/cpu.cpp", '"shim/core/timer.h"')
        self.assert_allowed("shim/entry.cpp", '"shim/probe/cpu.h"')
        self.assert_allowed("collector/store/store.cpp", '"absl/status/status.h"')
        self.assert_allowed("collector-client/cli/top.cpp", '"collector-client/base/log.h"')
        self.assert_allowed("test/unit/ring_test.cpp", '"shim/core/ring_writer.h"')

    def test_going_up_is_not(self):
        self.assert_forbidden("shim/base/sys.h", '"shim/core/timer.h"', '"shim/core/timer.h": shim/base may include only')

    def test_one_probe_does_not_know_another_floor(self):
        self.assert_forbidden("shim/probe/cpu.cpp", '"shim/interpose.h"', '"shim/interpose.h": shim/probe may')

    def test_the_programs_do_not_include_the_shim(self):
        self.assert_forbidden("collector-client/drain/ring.cpp", '"shim/core/ring.h"', '"shim/core/ring.h": collector-client')

    def test_the_shim_does_not_include_the_programs(self):
        self.assert_forbidden("shim/entry.cpp", '"collector-client/base/log.h"', '"collector-client/base/log.h": shim may')

    def test_the_collector_does_not_include_the_agent(self):
        self.assert_forbidden("collector/main.cpp", '"collector-client/base/log.h"', '"collector-client/base/log.h": collector')

    def test_the_base_of_the_agent_includes_none_of_its_steps(self):
        self.assert_forbidden("collector-client/base/log.cpp", '"collector-client/cli/top.h"', '"collector-client/cli/top.h"')

    def test_contracts_include_nothing_of_siprof(self):
        self.assert_forbidden("proto/siprof/ring.h", '"shim/base/sys.h"', '"shim/base/sys.h": proto may include only proto')

    def test_nothing_includes_the_tests(self):
        self.assert_forbidden("collector/main.cpp", '"test/unit/fake.h"', '"test/unit/fake.h"')

    def test_library_headers_stay_out_of_the_shim(self):
        for header in ("string", "vector", "mutex", "thread", "chrono", "libunwind.h", "absl/time/time.h", "sqlite3.h"):
            with self.subTest(header):
                self.assert_forbidden("shim/core/timer.cpp", f"<{header}>", f"<{header}>: not on the list")

    def test_quoting_a_library_header_does_not_let_it_into_the_shim(self):
        self.assert_forbidden("shim/core/timer.cpp", '"absl/time/time.h"', "<absl/time/time.h>: not on the list")

    def test_protobuf_stays_out_of_the_shim(self):
        self.assert_forbidden("shim/entry.cpp", '"profile.pb.h"', "profile.pb.h: protobuf")

    def test_an_include_names_the_full_path(self):
        self.assert_forbidden("collector/store/store.cpp", '"store.h"', '"store.h": write the full path')
        self.assert_forbidden("collector/store/store.cpp", "<collector/store/store.h>", "<collector/store/store.h>: our own")

    def test_looking_at_nothing_is_not_a_pass(self):
        self.assertEqual(self.lint("check-includes", "--root", self.root)[0], 2)


if __name__ == "__main__":
    unittest.main()
