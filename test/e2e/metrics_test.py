#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metrics of a service as they go over the wire: whole, once, and for each window, whatever happens to agents and collectors."""

import json
import os
import signal
import time

from support.wire import Relay
from support.world import WorldTest, main, wait_for

kWindow = 2.0  # seconds; of the World's environment
kUnits = {
    "process.cpu.time": "s",
    "process.cpu.utilization": "1",
    "process.memory.usage": "By",
    "process.memory.virtual": "By",
    "process.thread.count": "{thread}",
    "process.unix.file_descriptor.count": "{file_descriptor}",
    "process.paging.faults": "{fault}",
    "process.context_switches": "{context_switch}",
    "process.disk.io": "By",
    "siprof.io.calls": "{call}",
    "siprof.io.bytes": "By",
    "siprof.io.time": "s",
}


def once(points: list) -> list:
    """Without what was sent again."""
    seen: dict = {}
    for point in points:
        key = (point.agent_id, point.sequence, point.name, tuple(sorted(point.labels.items())))
        seen.setdefault(key, point)
    return list(seen.values())


def total(points: list) -> float:
    return sum(point.value for point in once(points))


class MetricsTest(WorldTest):
    def cpu_s(self, relay) -> float:
        return total(relay.metrics("process.cpu.time"))

    def assert_no_window_twice(self, relay) -> None:
        """A window of a process counts once, also where two agents were at work."""
        windows: set = set()
        for point in once(relay.metrics()):
            key = (point.name, tuple(sorted(point.labels.items())), point.start_ns)
            self.assertNotIn(key, windows)
            windows.add(key)

    def test_every_window_has_the_metrics_of_the_service(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 7, 3)
        facts = app.end()
        self.world.agents_gone()
        points = relay.metrics()
        names = {point.name for point in points if not point.name.startswith("container.")}
        self.assertEqual(names, set(kUnits))
        pid = str(facts["pid"][0])
        attributes = relay.seen()[0].attributes
        for point in points:
            self.assertEqual(point.attributes, attributes)
            self.assertLess(point.start_ns, point.time_ns)
            if point.name in kUnits:
                self.assertEqual(point.unit, kUnits[point.name])
                self.assertEqual(point.labels["pid"], pid)
        # Windows are those of the profiles.
        self.assertEqual({p.start_ns for p in points}, {p.start_ns for p in relay.seen()})
        # The last moments of a process that its parent reaps at once may be missing.
        self.assertLessEqual(self.cpu_s(relay), 1.02 * facts["cpu_ns"][0] / 1e9 + 0.02)
        self.assertGreaterEqual(self.cpu_s(relay), facts["cpu_ns"][0] / 1e9 * (7 - 2.2) / 7)
        self.assertEqual({p.value for p in relay.metrics("process.thread.count")[:-1]}, {3})
        calls = total(relay.metrics("siprof.io.calls", call="nanosleep"))
        self.assert_close("calls of nanosleep", calls, facts["requests"][0], 0.01, slack=100)
        # Each of them is a switch that the thread asked for.
        switches = sum(p.value for p in once(relay.metrics("process.context_switches"))
                       if p.labels["process.context_switch.type"] == "voluntary")
        self.assertGreater(switches, facts["requests"][0] * (7 - 2.5) / 7)
        self.assertLess(switches, 1.2 * facts["requests"][0] + 200)

    def test_while_the_collector_is_away_metrics_wait(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 14)
        wait_for("metrics", relay.metrics, 10)
        collector.kill()
        time.sleep(5)
        collector.start()
        facts = app.end()
        self.world.agents_gone()
        self.assert_no_window_twice(relay)
        cpu_s = facts["cpu_ns"][0] / 1e9
        self.assertLessEqual(self.cpu_s(relay), 1.02 * cpu_s + 0.02)
        self.assertGreaterEqual(self.cpu_s(relay), cpu_s * (14 - 2.2) / 14)
        windows = sorted({(p.start_ns, p.time_ns) for p in once(relay.metrics("process.thread.count"))})
        self.assertGreaterEqual(len(windows), 6)
        for before, after in zip(windows, windows[1:]):
            self.assertLess(abs(after[0] - before[1]), 50e6, "a window is missing")

    def test_an_agent_that_was_killed_leaves_its_metrics_to_the_next_one(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 14)
        agent = self.world.agent()
        wait_for("metrics", relay.metrics, 10)
        relay.keep_answers.set()
        sent = len(relay.metrics())
        wait_for("metrics whose answer is kept", lambda: len(relay.metrics()) > sent, 10)
        killed_ns = time.time_ns()
        os.kill(agent, signal.SIGKILL)
        relay.cut()
        relay.keep_answers.clear()
        facts = app.end()
        self.world.agents_gone()
        points = relay.metrics("process.thread.count")
        # Of the whole rest of its life but for the seconds until it has another agent.
        windows = {p.start_ns for p in points if p.start_ns > killed_ns}
        self.assertGreaterEqual(len(windows), 3)
        self.assertGreater(len(points), len(once(points)), "nothing was sent again")
        # The second agent counts from its start on, not from the process's.
        cpu_s = facts["cpu_ns"][0] / 1e9
        self.assertLessEqual(self.cpu_s(relay), 1.02 * cpu_s + 0.02)
        self.assertGreater(self.cpu_s(relay), 0.4 * cpu_s)

    def test_the_collectors_configuration_switches_metrics_off_and_on(self):
        file = self.world.folder / "config.json"

        def write(**rule) -> None:
            new = file.with_suffix(".new")
            new.write_text(json.dumps({"services": [{"service": "load", **rule}]}), encoding="utf-8")
            os.replace(new, file)

        def change(**rule) -> float:
            before = collector.metric("siprof_ingest_reloads_total")
            write(**rule)
            wait_for("rereading", lambda: collector.metric("siprof_ingest_reloads_total") > before, 10, every=0.05)
            return time.time_ns()

        write(kinds="cpu,metrics")
        collector = self.world.collector("--config", file)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 60)
        wait_for("metrics", relay.metrics, 10)
        off = change(kinds="cpu")
        time.sleep(4 * kWindow)
        late = [p for p in relay.metrics() if p.start_ns >= off + 2 * kWindow * 1e9]
        self.assertEqual(late, [])
        self.assertGreater(len([p for p in relay.seen() if p.start_ns >= off]), 0)
        on = change(kinds="cpu,metrics")
        back = wait_for("metrics again", lambda: [
            p for p in relay.metrics("process.cpu.time", pid=str(app.facts()["pid"][0])) if p.start_ns >= on + kWindow * 1e9], 12)
        # What it used meanwhile isn't in them: no more than a window's.
        self.assertLessEqual(max(p.value for p in back), 1.1 * kWindow)
        app.end(stop=True)

    def test_metrics_alone_need_no_samples(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 6, env={"SIPROF_KINDS": "metrics"})
        facts = app.end()
        self.world.agents_gone()
        self.assertGreaterEqual(self.cpu_s(relay), facts["cpu_ns"][0] / 1e9 * (6 - 2.2) / 6)
        self.assertEqual(sum(p.pprof.total("samples") for p in relay.seen()), 0)


if __name__ == "__main__":
    main()
