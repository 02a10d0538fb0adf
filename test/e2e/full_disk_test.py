#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disks without room: the collector's and the spool's. A counter, a line in the log, no crash, and on afterwards."""

import json
import socket
import subprocess
import unittest

from support.wire import Relay
from support.world import Skip, WorldTest, main, need_root, wait_for


class FullDiskTest(WorldTest):
    def small_disk(self, name: str, size: str):
        """A file system of its own; skips where that can't be had."""
        try:
            need_root()
        except Skip as why:
            raise unittest.SkipTest(f"{why} to mount a small tmpfs") from why
        folder = self.world.folder / name
        folder.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "none", folder], capture_output=True,
                               text=True, check=False)
        if mount.returncode != 0:
            raise unittest.SkipTest(f"needs to mount a small tmpfs: {mount.stderr.strip()}")
        self.world.cleanups.append(lambda: subprocess.run(["umount", "-l", folder], check=True))
        return folder

    def fill(self, folder):
        """Takes what room there is, also again; what is given back makes it free."""
        path = folder / "ballast"
        with open(path, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass  # full: that is what was wanted
        return path

    def test_a_collector_whose_disk_is_full_goes_on_when_there_is_room(self):
        disk = self.small_disk("disk", "16m")
        collector = self.world.collector(store=disk / "store")
        app = self.world.run_app(collector.url, self.world.load, 24)
        wait_for("a stored profile", lambda: collector.metric("siprof_ingest_profiles_stored_total") > 0, 10)
        ballast = self.fill(disk)
        wait_for("a counted failure", lambda: collector.metric("siprof_ingest_store_failures_total") > 0, 15)
        self.assertIn("the store takes no profiles now", collector.log())
        status, body = collector.request("/readyz")
        self.assertEqual(status, 503, body)
        self.assertEqual(collector.request("/healthz")[0], 200)
        self.assertGreater(collector.cpu_ns(), 0)  # what is stored can still be read
        ballast.unlink()
        wait_for("readiness", lambda: collector.request("/readyz")[0] == 200, 10)
        facts = app.end()
        self.world.agents_gone()
        self.assertIsNone(collector.process.poll())
        self.assert_close("stored CPU (ns)", collector.cpu_ns(), facts["cpu_ns"][0], 0.03, slack=20e6)

    def nowhere(self) -> str:
        """A collector's address that nobody answers at."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{taken.getsockname()[1]}"

    def exporter_counters(self, app) -> dict:
        """What the agent says of its exporter, over its status socket (as `siprof ps` asks it)."""
        # The agent's process is there a moment before its socket.
        path = wait_for("the agent's socket", lambda: list((self.world.state / "siprof").glob("agent-*.sock")), 10)[0]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.settimeout(5)
            asking.connect(str(path))
            asking.send((0x73727073).to_bytes(4, "little") + (1).to_bytes(4, "little"))
            text = b""
            while part := asking.recv(1 << 16):
                text += part
        status = json.loads(text)
        self.assertEqual([process["pid"] for process in status["processes"]], [app.pid])
        return status["exporter"]

    def test_a_spool_at_its_bound_drops_the_oldest_and_counts_them(self):
        app = self.world.run_app(self.nowhere(), self.world.load, 40, 2,
                                 env={"SIPROF_SPOOL_BYTES": 65536, "SIPROF_WINDOW": "100ms"})
        self.world.agent()
        counters = wait_for("dropped profiles",
                            lambda: (now := self.exporter_counters(app)).get("spool_dropped_full", 0) > 0 and now, 35)
        self.assertLessEqual(counters["spool_waiting_bytes"], 65536)
        self.assertIn("has reached 65536 bytes: the oldest profiles go (--spool-bytes)", self.world.log())
        app.end(stop=True)

    def test_a_spool_on_a_full_disk_keeps_profiles_in_memory_and_loses_nothing(self):
        disk = self.small_disk("disk", "1m")
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 16, env={"SIPROF_SPOOL": disk / "spool"})
        wait_for("a stored profile", lambda: collector.metric("siprof_ingest_profiles_stored_total") > 0, 10)

        def refused():
            self.fill(disk)  # each time: a profile that was acknowledged has left room for the next
            return self.exporter_counters(app).get("spool_disk_errors", 0) > 0

        wait_for("a counted error", refused, 10)
        wait_for("a line in the log", lambda: "profiles wait in memory" in self.world.log(), 5)
        facts = app.end()
        self.world.agents_gone()
        self.assert_close("stored CPU (ns)", collector.cpu_ns(), facts["cpu_ns"][0], 0.03, slack=20e6)

    def test_a_spool_folder_that_cannot_be_made_is_a_line_and_the_app_runs(self):
        (self.world.folder / "file").write_text("in the way", encoding="utf-8")
        collector = self.world.collector()
        app = self.world.run_app(collector.url, self.world.load, 4,
                                 env={"SIPROF_SPOOL": self.world.folder / "file" / "spool"})
        app.end()
        self.world.agents_gone()
        self.assertIn(str(self.world.folder / "file"), self.world.log())


if __name__ == "__main__":
    main()
