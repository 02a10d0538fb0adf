#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the collector's configuration file says is in force within two windows, the app running on."""

import json
import os
import time

from support.wire import Relay
from support.world import WorldTest, main, wait_for

kWindow = 2.0  # seconds; of the World's environment
# The collector looks at the file every few seconds; what is held to two windows begins when it has read it.
kReread = 10


class ConfigurationTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.world.folder / "config.json"

    def write(self, *services: dict) -> None:
        """As an operator's tool does it: the file is there whole or not at all."""
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"services": list(services)}), encoding="utf-8")
        os.replace(new, self.file)

    def in_force_since(self, collector, before: float) -> float:
        """When the collector had read the file again."""
        wait_for("rereading the configuration",
                 lambda: collector.metric("siprof_ingest_reloads_total") > before, kReread, every=0.05)
        return time.time()

    def change(self, collector, *services: dict) -> float:
        before = collector.metric("siprof_ingest_reloads_total")
        self.write(*services)
        return self.in_force_since(collector, before)

    def windows_after(self, relay, when: float, count: int = 1) -> list:
        """Profiles of windows that began two windows or more after `when`."""
        return wait_for("a window two windows later", lambda: (later := [
            p for p in relay.seen() if p.start_ns >= (when + 2 * kWindow - 0.2) * 1e9]) and len(later) >= count and later,
            5 * kWindow + 5)

    def test_a_rate_that_is_changed_is_in_force_within_two_windows(self):
        self.write({"service": "other", "hz": 7}, {"service": "load", "hz": 50})
        collector = self.world.collector("--config", self.file)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 60, env={"SIPROF_HZ": 100})
        started = time.time()
        self.assert_rate(self.windows_after(relay, started), 50)
        changed = self.change(collector, {"service": "*", "hz": 500})
        self.assert_rate(self.windows_after(relay, changed), 500)
        self.assertIsNone(app.process.poll())
        app.end(stop=True)
        self.world.agents_gone()
        self.assert_merged_counters(collector, relay, 500)

    def assert_merged_counters(self, collector, relay, last_hz: int) -> None:
        """The collector's one profile of all windows: counts add up, of the rate the last one stands."""
        once = {(p.agent_id, p.sequence): p.counters for p in relay.seen()}
        merged = collector.profile().counters
        self.assertEqual(merged["sampling_hz"], str(last_hz))
        self.assertEqual(int(merged["samples"]), sum(counters.get("samples", 0) for counters in once.values()))

    def assert_rate(self, profiles: list, hz: int) -> None:
        for sent in profiles:
            self.assertEqual(sent.counters["sampling_hz"], hz)
            self.assertEqual(sent.pprof.counters["sampling_hz"], str(hz))
            # Every sample stands for its period, so the ratio tells at what rate it was taken.
            self.assert_close("CPU per sample (ns)", sent.pprof.total("cpu") / sent.pprof.total("samples"), 1e9 / hz, 0.01)

    def test_a_kind_that_is_switched_off_stops_and_comes_back(self):
        self.write()
        collector = self.world.collector("--config", self.file)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 60)
        wait_for("a profile", relay.seen, 10)
        off = self.change(collector, {"service": "load", "kinds": "none"})
        time.sleep(4 * kWindow)
        late = [p for p in relay.seen() if p.start_ns >= (off + 2 * kWindow - 0.2) * 1e9]
        self.assertEqual(sum(p.pprof.total("samples") for p in late), 0, "samples of a kind that is off")
        self.assertIsNone(app.process.poll())
        on = self.change(collector, {"service": "load", "kinds": "cpu"})
        back = self.windows_after(relay, on)
        self.assertGreater(sum(p.pprof.total("samples") for p in back), 0)
        app.end(stop=True)

    def test_a_broken_file_is_refused_and_the_old_one_stays_in_force(self):
        self.write({"service": "load", "hz": 50})
        collector = self.world.collector("--config", self.file)
        self.file.write_text('{"services": [{"service": "load", "hz": 5000}]}', encoding="utf-8")
        wait_for("a refusal", lambda: collector.metric("siprof_ingest_reload_failures_total") > 0, kReread)
        wait_for("a line in the log", lambda: "services[0].hz: write a whole number from 1 to 1000" in collector.log(), 5)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 60)
        self.assert_rate(self.windows_after(relay, time.time()), 50)
        app.end(stop=True)


if __name__ == "__main__":
    main()
