# SPDX-License-Identifier: Apache-2.0
"""Makes the tarball, unpacks it in a folder of its own and runs what is in it from there.

package_test.py SOURCE_ROOT BUILD_FOLDER.  LD_LIBRARY_PATH and the build tree must not matter.
"""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv.pop(2)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
OF_THE_SYSTEM = re.compile(r"(linux-vdso|ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libresolv)\.so")


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        folder = pathlib.Path(holder.name)
        run = subprocess.run([ROOT / "scripts/package", "--build", BUILD, "--output", folder / "dist"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
        cls.tarball = pathlib.Path(run.stdout.splitlines()[-1])
        with tarfile.open(cls.tarball) as archive:
            archive.extractall(folder / "elsewhere")
        cls.top = folder / "elsewhere" / cls.tarball.name.removesuffix(".tar.gz")

    def run_bare(self, *command, **variables):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.top), **variables}
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=30, check=False)

    def test_the_name_tells_version_and_machine(self):
        self.assertRegex(self.tarball.name, r"^siprof-\d+\.\d+\.\d+-linux-x86_64\.tar\.gz$")

    def test_both_programs_run_from_there(self):
        version = self.tarball.name.split("-")[1]
        for program, argument in (("siprof", "--version"), ("siprof-collector", "--version")):
            with self.subTest(program):
                run = self.run_bare(self.top / "bin" / program, argument)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertIn(version, run.stdout)

    def test_the_collector_loads_only_its_own_libraries_and_the_c_library(self):
        listing = self.run_bare("ldd", self.top / "bin/siprof-collector").stdout
        self.assertNotIn("not found", listing)
        for name, path in re.findall(r"^\s*(\S+) => (\S+)", listing, re.M):
            if not OF_THE_SYSTEM.match(name):
                # The loader shows the folder as it was asked for, bin/../lib/….
                self.assertEqual(pathlib.Path(os.path.realpath(path)).parent, self.top.resolve() / "lib/siprof/collector")

    def test_the_agent_is_static_and_the_shim_needs_the_c_library_alone(self):
        agent = self.run_bare("readelf", "--dynamic", "--program-headers", self.top / "bin/siprof").stdout
        self.assertNotIn("INTERP", agent)
        self.assertNotIn("NEEDED", agent)
        shim = self.run_bare("readelf", "--dynamic", self.top / "lib/siprof/libsiprof.so").stdout
        self.assertEqual(re.findall(r"\(NEEDED\).*\[(.*)\]", shim), ["libc.so.6"])

    def test_programs_are_stripped(self):
        for file in ("bin/siprof", "bin/siprof-collector", "lib/siprof/libsiprof.so"):
            with self.subTest(file):
                sections = self.run_bare("readelf", "--sections", "--wide", self.top / file).stdout
                self.assertNotIn(".symtab", sections)
                self.assertNotIn(".debug_info", sections)

    def test_the_entrypoint_preloads_the_shim_of_the_same_folder(self):
        run = self.run_bare(self.top / "bin/siprof-entrypoint", "sh", "-c", "echo $LD_PRELOAD", SIPROF_DISABLED="1")
        self.assertEqual((run.stdout, run.stderr), (f"{self.top.resolve()}/lib/siprof/libsiprof.so\n", ""))

    def test_licences_and_documents_are_in_it(self):
        documents = self.top / "share/doc/siprof"
        for name in ("README.md", "LICENSE", "deploy.md", "licenses/libgrpc++-dev"):
            self.assertTrue((documents / name).is_file(), name)


if __name__ == "__main__":
    unittest.main()
