# SPDX-License-Identifier: Apache-2.0
"""Runs scripts/siprof-entrypoint and siprof-sysv with a stand-in library that tells who loaded it.

What is held: the command becomes the same process, its output and status are its own, the library is
added to LD_PRELOAD and never replaces it, and whatever is wrong the command still runs.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts"
STAND_IN = """
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void tell(void) {
  const char* path = getenv("LOADED_BY");
  int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (fd >= 0) { dprintf(fd, "%d\\n", (int)getpid()); close(fd); }
}
"""


class EntrypointTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.prefix = pathlib.Path(holder.name) / "pre fix"
        for folder in ("bin", "lib/siprof", "share/siprof"):
            (cls.prefix / folder).mkdir(parents=True)
        # LD_PRELOAD can't hold spaces; the tests that load use this link.
        cls.plain = pathlib.Path(holder.name) / "plain"
        source = cls.prefix / "stand_in.c"
        source.write_text(STAND_IN, encoding="utf-8")
        cls.library = cls.prefix / "lib/siprof/libsiprof.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", cls.library, source], check=True)
        shutil.copy(SCRIPTS / "siprof-entrypoint", cls.prefix / "bin")
        shutil.copy(SCRIPTS / "deploy/siprof-sysv", cls.prefix / "share/siprof")
        shutil.copytree(cls.prefix, cls.plain)
        cls.library = cls.plain / "lib/siprof/libsiprof.so"
        cls.loaded = pathlib.Path(holder.name) / "loaded"

    def setUp(self):
        self.loaded.unlink(missing_ok=True)
        shutil.rmtree(self.plain / "var", ignore_errors=True)

    def run_entrypoint(self, *command, program="bin/siprof-entrypoint", prefix=None, **variables):
        environment = {"PATH": os.environ["PATH"], "LOADED_BY": str(self.loaded), **variables}
        process = subprocess.Popen([(prefix or self.plain) / program, *command], env=environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=30)
        return process, out, err

    def pids_that_loaded(self):
        return set(self.loaded.read_text(encoding="utf-8").split()) if self.loaded.exists() else set()

    def test_the_command_is_the_same_process_and_preloaded(self):
        process, out, err = self.run_entrypoint("sh", "-c", "echo $$")
        self.assertEqual((out, err, process.returncode), (f"{process.pid}\n", "", 0))
        self.assertIn(str(process.pid), self.pids_that_loaded())

    def test_arguments_and_status_are_kept(self):
        process, out, _ = self.run_entrypoint("sh", "-c", 'printf "<%s>" "$@"; exit 7', "sh", "a b", "", "$x*")
        self.assertEqual((out, process.returncode), ("<a b><><$x*>", 7))

    def test_the_status_for_a_missing_command_is_the_shells(self):
        process, out, _ = self.run_entrypoint("/no/such/command")
        self.assertEqual((out, process.returncode), ("", 127))

    def test_a_signal_ends_the_command_itself(self):
        process, _, _ = self.run_entrypoint("sh", "-c", "kill -TERM $$")
        self.assertEqual(process.returncode, -15)

    def test_a_preload_of_the_user_stays_first(self):
        _, out, _ = self.run_entrypoint("sh", "-c", "echo $LD_PRELOAD", LD_PRELOAD="libm.so.6")
        self.assertEqual(out, f"libm.so.6:{self.library}\n")

    def test_the_library_is_added_once(self):
        _, out, _ = self.run_entrypoint("bin/../bin/true", LD_PRELOAD=str(self.library))
        self.assertEqual(out, "")
        _, out, _ = self.run_entrypoint("sh", "-c", "echo $LD_PRELOAD", LD_PRELOAD=str(self.library))
        self.assertEqual(out, f"{self.library}\n")

    def test_it_is_found_through_a_link_and_on_the_path(self):
        link = self.plain / "link"
        link.symlink_to("bin/siprof-entrypoint")
        self.addCleanup(link.unlink)
        _, out, _ = self.run_entrypoint("sh", "-c", "echo $LD_PRELOAD", program="link")
        self.assertEqual(out, f"{self.library}\n")
        environment = {"PATH": f"{self.plain}/bin:{os.environ['PATH']}"}
        run = subprocess.run(["siprof-entrypoint", "sh", "-c", "echo $LD_PRELOAD"], env=environment,
                             capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, f"{self.library}\n")

    def assert_unprofiled(self, reason, *command, **arguments):
        process, out, err = self.run_entrypoint(*command, **arguments)
        self.assertEqual((out, err, process.returncode), ("fine\n", "", 0))
        _, out, err = self.run_entrypoint(*command, SIPROF_LOG="warn", **arguments)
        self.assertEqual(out, "fine\n")
        self.assertRegex(err, f"^siprof-entrypoint: .*{reason}.*; running unprofiled\n$")
        self.assertEqual(self.pids_that_loaded(), set())

    def test_without_the_library_the_command_runs_unprofiled(self):
        self.assert_unprofiled("cannot be read", "echo", "fine", SIPROF_LIBRARY="/no/such/libsiprof.so")

    def test_in_a_folder_with_a_space_the_command_runs_unprofiled(self):
        self.assert_unprofiled("LD_PRELOAD cannot hold", "echo", "fine", prefix=self.prefix)

    def test_a_program_of_another_kind_runs_unprofiled(self):
        source = self.plain / "small.c"
        source.write_text('#include <stdio.h>\nint main(void) { return puts("fine") < 0; }\n', encoding="utf-8")
        small = self.plain / "small"
        if subprocess.run(["cc", "-m32", "-o", small, source], capture_output=True, check=False).returncode:
            self.skipTest("needs gcc-multilib to build a 32-bit program")
        self.assert_unprofiled("isn't a program for x86-64", small)

    def musl_program(self):
        """A program that names musl's loader, and prints fine.  Without musl the loader of that name is glibc's."""
        source = self.plain / "small.c"
        source.write_text('#include <stdio.h>\nint main(void) { return puts("fine") < 0; }\n', encoding="utf-8")
        program = self.plain / "for_musl"
        compiler = ["musl-gcc"]
        if shutil.which("musl-gcc") is None or not pathlib.Path("/lib/ld-musl-x86_64.so.1").exists():
            loader = self.plain / "ld-musl-x86_64.so.1"
            loader.unlink(missing_ok=True)
            loader.symlink_to("/lib64/ld-linux-x86-64.so.2")
            compiler = ["cc", f"-Wl,--dynamic-linker={loader}"]
        subprocess.run([*compiler, "-o", program, source], check=True)
        return program

    def script(self, name, text):
        script = self.plain / name
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)
        return script

    def test_a_program_for_musl_runs_unprofiled(self):
        program = self.musl_program()
        self.assert_unprofiled("for_musl is built for the C library musl", program)
        self.assert_unprofiled("for_musl is built for the C library musl", program.name,
                               PATH=f"/no/such:{self.plain}:{os.environ['PATH']}")

    def test_a_script_for_a_program_of_musl_runs_unprofiled(self):
        program = self.musl_program()
        direct = self.script("direct", f"#! {program} -x\n")
        self.assert_unprofiled("for_musl is built for the C library musl", direct)
        through_env = self.script("through_env", f"#!/usr/bin/env -S X=1 {program.name} -x")
        self.assert_unprofiled("for_musl is built for the C library musl", through_env,
                               PATH=f"{self.plain}:{os.environ['PATH']}")

    def test_a_script_that_speaks_of_musl_is_preloaded(self):
        script = self.script("speaks", "#!/bin/sh\n# not for ld-musl or so\necho fine\n")
        process, out, err = self.run_entrypoint(script, SIPROF_LOG="warn")
        self.assertEqual((out, err, process.returncode), ("fine\n", "", 0))
        self.assertIn(str(process.pid), self.pids_that_loaded())

    def test_a_loader_that_is_not_glibcs_own_means_unprofiled(self):
        """gcompat on Alpine puts a file of that name there; a grep that finds nothing stands for it."""
        folder = self.plain / "no_glibc"
        folder.mkdir()
        (folder / "grep").symlink_to(shutil.which("false"))
        self.assert_unprofiled("with the GNU C library", "echo", "fine", PATH=f"{folder}:{os.environ['PATH']}")

    def test_without_a_command_it_says_how_it_is_used(self):
        process, out, err = self.run_entrypoint()
        self.assertEqual((out, process.returncode), ("", 2))
        self.assertIn("usage: siprof-entrypoint", err)

    def test_as_pid_1_of_a_namespace_the_command_is_pid_1(self):
        unshare = ["unshare", "-Urpf", "--kill-child"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
            self.skipTest("needs user and pid namespaces (unshare -Urpf)")
        run = subprocess.run([*unshare, self.plain / "bin/siprof-entrypoint", "sh", "-c", "echo $$; exit 3"],
                             env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        self.assertEqual((run.stdout, run.returncode), ("1\n", 3))

    def sysv(self, default, action="start", **variables):
        """Runs the wrapper with another /etc/default and /var/lib; what the init script saw."""
        wrapper = self.plain / "share/siprof/siprof-sysv"
        text = (SCRIPTS / "deploy/siprof-sysv").read_text(encoding="utf-8")
        for folder in ("/etc/default", "/var/lib"):
            (self.plain / folder[1:]).mkdir(parents=True, exist_ok=True)
            self.assertIn(folder, text)
            text = text.replace(folder, f"{self.plain}{folder}")
        wrapper.write_text(text, encoding="utf-8")
        (self.plain / "etc/default/siprof-webapp").write_text(default, encoding="utf-8")
        script = self.script("webapp", '#!/bin/sh\necho "$1 $SIPROF_SERVICE ${LD_PRELOAD##*/} $XDG_STATE_HOME $SIPROF_USER"\n')
        process, out, err = self.run_entrypoint(script, action, program="share/siprof/siprof-sysv", **variables)
        return out, err, process.returncode

    def test_a_sysv_service_is_preloaded_at_start_alone(self):
        self.assertRegex(self.sysv("")[0], r"^start webapp libsiprof\.so ")
        self.assertEqual(self.sysv("", "stop"), ("stop    \n", "", 0))

    def test_a_sysv_service_has_a_state_folder_of_its_own_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to make a folder for another user")
        folder = self.plain / "var/lib/siprof/webapp"
        self.assertEqual(self.sysv("SIPROF_USER=nobody\n"), (f"start webapp libsiprof.so {folder} \n", "", 0))
        for path in (folder, folder / "siprof"):
            self.assertEqual((path.owner(), path.stat().st_mode & 0o777), ("nobody", 0o700))
        # At the next start root follows no link that the service may have put there.
        (folder / "siprof").rmdir()
        (folder / "siprof").symlink_to(self.plain / "etc")
        self.assertEqual(self.sysv("SIPROF_USER=nobody\n")[2], 0)
        self.assertEqual((self.plain / "etc").owner(), "root")

    def test_a_sysv_service_without_a_state_folder_starts_and_says_so(self):
        out, err, status = self.sysv("SIPROF_USER=no-such-user\n") if os.geteuid() == 0 else self.sysv("SIPROF_USER=root\n")
        self.assertEqual((out, status), ("start webapp libsiprof.so  \n", 0))
        self.assertRegex(err, "siprof-sysv: .*webapp can't be made for")
        self.assertFalse((self.plain / "var/lib/siprof/webapp").exists())
        out, err, status = self.sysv("XDG_STATE_HOME=/srv/state\n")
        self.assertEqual((out, err, status), ("start webapp libsiprof.so /srv/state \n", "", 0))


if __name__ == "__main__":
    unittest.main()
