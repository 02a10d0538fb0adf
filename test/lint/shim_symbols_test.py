# SPDX-License-Identifier: Apache-2.0
"""Builds small libraries that break one rule each and expects scripts/check-shim-symbols to say which."""

import unittest

from planted import LintTest

CLEAN = """
extern "C" __attribute__((visibility("default"))) int close(int fd);
extern "C" int getppid();
extern "C" __attribute__((visibility("default"))) int close(int fd) { return fd + getppid(); }
"""
FLAGS = ["-shared", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
         "-nostdlib", "-Wl,-z,now", "-Wl,--as-needed"]
LIBC = ["-Wl,--push-state,--no-as-needed", "-lc", "-Wl,--pop-state"]


class ShimSymbolsTest(LintTest):
    def setUp(self):
        super().setUp()
        self.exports = self.plant("exports.txt", "close\n")
        self.imports = self.plant("imports.txt", "# what the library takes\ngetppid  # a system call\n")

    def build(self, source, *flags, without=()):
        base = [flag for flag in FLAGS if flag not in without]
        return self.compile("libplanted.so", source, *base, *flags, "-Wl,--start-group", *LIBC, "-Wl,--end-group")

    def arguments(self, library):
        return library, "--exports", self.exports, "--imports", self.imports

    def assert_rejected(self, reason, library):
        self.assert_finds(reason, "check-shim-symbols", *self.arguments(library))

    def test_a_clean_library_passes(self):
        self.assert_passes("check-shim-symbols", *self.arguments(self.build(CLEAN)))

    def test_another_library_is_rejected(self):
        library = self.build(CLEAN, "-Wl,--no-as-needed", "-lm")
        self.assert_rejected("needs libm.so.6, libc.so.6 instead of libc.so.6 alone", library)

    def test_an_unlisted_import_is_rejected(self):
        source = 'extern "C" int getpid();' + CLEAN.replace("fd + ", "fd + getpid() + ")
        self.assert_rejected("imports getpid, which imports.txt doesn't list", self.build(source))

    def test_an_import_without_a_reason_is_rejected(self):
        self.imports = self.plant("imports.txt", "getppid\n")
        self.assert_rejected("imports.txt:1: getppid has no reason", self.build(CLEAN))

    def test_an_unlisted_export_is_rejected(self):
        source = CLEAN + 'extern "C" __attribute__((visibility("default"))) int helper() { return 1; }'
        self.assert_rejected("exports helper, which exports.txt doesn't list", self.build(source))

    def test_a_missing_export_is_rejected(self):
        self.exports = self.plant("exports.txt", "close\nread\n")
        self.assert_rejected("doesn't export read", self.build(CLEAN))

    def test_a_new_libc_function_is_rejected(self):
        self.imports = self.plant("imports.txt", "getppid  # a\narc4random  # since 2.36\n")
        source = 'extern "C" unsigned arc4random();' + CLEAN.replace("fd + ", "fd + (int)arc4random() + ")
        self.assert_rejected("needs version GLIBC_2.36, newer than GLIBC_2.17", self.build(source))

    def test_dynamic_thread_storage_is_rejected(self):
        self.imports = self.plant("imports.txt", "getppid  # a\n__tls_get_addr  # no\n")
        source = CLEAN.replace("fd + ", "++counter + fd + ") + "\n"
        library = self.build("static thread_local int counter;" + source)
        self.assert_rejected("__tls_get_addr", library)
        self.assert_rejected("R_X86_64_DTPMOD64", library)

    def test_much_thread_storage_is_rejected(self):
        source = 'static __attribute__((tls_model("initial-exec"))) __thread int counters[100];'
        library = self.build(source + CLEAN.replace("fd + ", "++counters[fd] + fd + "))
        self.assert_rejected("takes 400 bytes of static TLS", library)

    def test_lazy_binding_is_rejected(self):
        library = self.build(CLEAN, "-Wl,-z,lazy", without=("-Wl,-z,now",))
        self.assert_rejected("isn't linked with -z now", library)

    def test_a_static_constructor_is_rejected(self):
        source = CLEAN.replace("fd + ", "start + fd + ")
        library = self.build('extern "C" int getppid(); static int start = getppid();' + source)
        self.assert_rejected("static constructor _GLOBAL__sub_I", library)

    def test_many_constructors_are_rejected(self):
        more = "".join(f"__attribute__((constructor)) static void start{i}() {{ getppid(); }}\n" for i in range(3))
        self.assert_rejected("has 3 constructors", self.build(CLEAN + more))

    def test_a_big_library_is_rejected(self):
        library = self.build(CLEAN.replace("fd + ", "table[fd] + fd + ").replace(
            'extern "C" int', 'static const int table[80000] = {1}; extern "C" int', 1))
        self.assert_rejected("bytes stripped, 300000 are allowed", library)

    def test_a_tail_call_of_dlsym_is_rejected(self):
        self.imports = self.plant("imports.txt", "getppid  # a\ndlsym  # no\n")
        source = 'extern "C" void* dlsym(void*, const char*);' + CLEAN + """
            __attribute__((visibility("default"), noinline)) void* next(const char* name) { return dlsym((void*)-1l, name); }
        """
        self.exports = self.plant("exports.txt", "close\n_Z4nextPKc\n")
        self.assert_rejected("tail-calls dlsym", self.build(source))


if __name__ == "__main__":
    unittest.main()
