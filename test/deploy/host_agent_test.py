# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/deploy.md for one agent of a whole machine, and what systemd says of the shipped units.

host_agent_test.py SOURCE_ROOT BUILD_FOLDER.  The page's commands run as written, in another folder than /run.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(sys.argv.pop(2)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
DEPLOY = ROOT / "scripts/deploy"
NOBODY = 65534


def until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


class HostAgentTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.folder.chmod(0o755)  # reachable for every user, as /run is
        self.environment = {"PATH": f"{BUILD}/collector-client:{os.environ['PATH']}", "HOME": str(self.folder),
                            "XDG_STATE_HOME": str(self.folder / "state")}

    def page(self):
        """The block of the page: commands before the agent, the agent's, and the variable that containers get."""
        text = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
        block = re.search(r"```sh\n((?:(?!```).)*siprof agent .*?)```", text, re.S)[1].replace("/run", str(self.folder / "run"))
        before, agent = re.fullmatch(r"(.*?)(siprof agent [^\n]*)\n.*", block, re.S).groups()
        return before, agent, re.search(r"-e SIPROF_AGENT_SOCKET=(\S+)", block)[1]

    def stop(self, process):
        process.terminate()
        process.communicate(timeout=20)

    def test_processes_of_other_users_join_the_agent_of_the_page(self):
        before, command, socket = self.page()
        (self.folder / "run").mkdir()
        subprocess.run(["sh", "-ec", before], env=self.environment, check=True)
        agent = subprocess.Popen(["sh", "-c", f"exec {command}"], env=self.environment, text=True,
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, agent)
        self.assertTrue(until(lambda: pathlib.Path(socket).exists() or agent.poll() is not None))
        self.assertIsNone(agent.poll(), agent.stderr.read() if agent.poll() is not None else "")
        shim = shutil.copy(BUILD / "shim/libsiprof.so", self.folder)
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        app = subprocess.Popen([*drop, "env", f"LD_PRELOAD={shim}", "sh", "-c", "while :; do :; done"],
                               env={"PATH": os.environ["PATH"], "SIPROF_AGENT_SOCKET": socket}, stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop, app)
        self.assertTrue(until(lambda: self.samples(socket, app.pid) > 0), "the process never joined")

    def samples(self, socket, pid):
        listing = subprocess.run(["siprof", "ps", "--agent-socket", socket], env=self.environment, text=True,
                                 capture_output=True, check=False).stdout
        row = re.search(rf"^\s*{pid}\s+\d+\s+\d+\s+(\d+)", listing, re.M)
        return int(row[1]) if row else 0

    def verify(self, *units):
        """What systemd-analyze has to say of units in self.folder; the programs are those of the build."""
        if shutil.which("systemd-analyze") is None:
            self.skipTest("needs systemd-analyze (package systemd)")
        run = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False,
                             env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{self.folder}:"})
        return run.stdout + run.stderr

    def test_systemd_has_nothing_to_say_against_the_shipped_units(self):
        for unit in DEPLOY.glob("*.service"):
            text = unit.read_text(encoding="utf-8")
            for installed, built in (("/usr/local/bin/siprof ", "collector-client/siprof "),
                                     ("/usr/local/bin/siprof-collector ", "collector/siprof-collector ")):
                text = text.replace(installed, f"{BUILD}/{built}")
            path = self.folder / unit.name
            path.write_text(text, encoding="utf-8")
            with self.subTest(unit.name):
                self.assertEqual(self.verify(path), "")

    def test_the_drop_in_fits_a_service_and_its_state_folder_is_the_one_that_systemd_makes(self):
        drop_in = (DEPLOY / "siprof.conf").read_text(encoding="utf-8")
        (self.folder / "shop.service.d").mkdir()
        (self.folder / "shop.service.d/siprof.conf").write_text(drop_in, encoding="utf-8")
        service = self.folder / "shop.service"
        service.write_text("[Service]\nUser=nobody\nExecStart=/bin/true\n", encoding="utf-8")
        # nobody is the one user that is everywhere; systemd has an opinion on that, and only on that.
        self.assertNotIn("siprof.conf", self.verify(service))
        made = re.search(r"^StateDirectory=(.*)$", drop_in, re.M)[1]
        self.assertEqual(re.findall(r"^Environment=XDG_STATE_HOME=%S/(.*)$", drop_in, re.M), [made])

    def test_the_unit_of_the_agent_and_the_page_speak_of_one_command(self):
        unit = (DEPLOY / "siprof-agent.service").read_text(encoding="utf-8")
        start = re.search(r"^ExecStart=/usr/local/bin/(.*)$", unit, re.M)[1]
        collector = re.search(r"^Environment=SIPROF_COLLECTOR=(.*)$", unit, re.M)[1]
        self.assertIn(f"\n{start} --collector {collector}\n", (ROOT / "docs/deploy.md").read_text(encoding="utf-8"))
        self.assertIn("\nRuntimeDirectory=siprof\n", unit)


if __name__ == "__main__":
    unittest.main()
