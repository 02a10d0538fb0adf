# SPDX-License-Identifier: Apache-2.0
"""Compiles handlers that call what they must not and expects scripts/check-signal-safe to find each call."""

import unittest

from planted import LintTest

HEAD = """
#define SAFE __attribute__((section(".text.sigsafe"), noinline))
extern "C" int open_log(int);
extern int foreign(int);
namespace { volatile int seen; }
"""


class SignalSafeTest(LintTest):
    def setUp(self):
        super().setUp()
        self.allow = self.plant("allow.txt", "memcpy  # touches its arguments only\n")

    def build(self, source, *flags):
        return self.compile("handler.o", HEAD + source, "-c", "-fPIC", "-fno-exceptions", *flags)

    def arguments(self, *objects):
        return "--allow", self.allow, *objects

    def assert_found(self, call, source, *flags):
        self.assert_finds(call, "check-signal-safe", *self.arguments(self.build(source, *flags)))

    def test_calls_inside_the_section_pass(self):
        built = self.build("SAFE int leaf(int a) { return seen = a; } SAFE int on_tick(int a) { return leaf(a) + 1; }")
        self.assert_passes("check-signal-safe", *self.arguments(built))

    def test_calls_into_the_section_of_another_object_pass(self):
        one = self.compile("one.o", HEAD + "SAFE int foreign(int a) { return seen = a; }", "-c", "-fPIC")
        two = self.compile("two.o", HEAD + "SAFE int on_tick(int a) { return foreign(a) + 1; }", "-c", "-fPIC")
        self.assert_passes("check-signal-safe", *self.arguments(one, two))
        self.assert_passes("check-signal-safe", *self.arguments(self.root))
        self.assert_finds("on_tick", "check-signal-safe", *self.arguments(two))

    def test_allowed_calls_pass(self):
        built = self.build('extern "C" void* memcpy(void*, const void*, unsigned long);'
                           "SAFE void on_tick(char* a, const char* b, unsigned long n) { memcpy(a, b, n); ++seen; }")
        self.assert_passes("check-signal-safe", *self.arguments(built))

    def test_a_foreign_call_is_found(self):
        for flags in ((), ("-fno-plt",), ("-O0",)):
            with self.subTest(flags):
                self.assert_found("calls open_log", "SAFE int on_tick(int a) { return open_log(a) + 1; }", *flags)

    def test_a_tail_call_is_found(self):
        self.assert_found("calls open_log", "SAFE int on_tick(int a) { return open_log(a); }")

    def test_a_conditional_call_is_found(self):
        self.assert_found("calls open_log", "SAFE int on_tick(int a) { if (a) return open_log(a); return seen; }")

    def test_a_local_unsafe_function_is_found(self):
        self.assert_found("isn't signal-safe", "static __attribute__((noinline)) int helper(int a) { return ++seen + a; }"
                          "SAFE int on_tick(int a) { return helper(a) * 3; }")

    def test_dynamic_thread_storage_is_found(self):
        self.assert_found("calls __tls_get_addr", "extern thread_local int slot; SAFE int on_tick(int) { return slot; }")

    def test_a_call_through_a_pointer_is_found_unless_allowed(self):
        built = self.build("extern \"C\" SAFE int on_tick(int (*run)(int), int a) { return run(a) + 1; }")
        self.assert_finds("on_tick calls through a pointer", "check-signal-safe", *self.arguments(built))
        self.allow = self.plant("allow.txt", "indirect:on_tick  # the caller gives a safe one\n")
        self.assert_passes("check-signal-safe", *self.arguments(built))

    def test_an_allowed_name_needs_a_reason(self):
        self.allow = self.plant("allow.txt", "open_log\n")
        self.assert_found("open_log has no reason", "SAFE int on_tick(int a) { return open_log(a) + 1; }")

    def test_objects_without_the_section_are_not_a_pass(self):
        built = self.build("int plain(int a) { return open_log(a); }")
        self.assertEqual(self.lint("check-signal-safe", *self.arguments(built))[0], 2)


if __name__ == "__main__":
    unittest.main()
