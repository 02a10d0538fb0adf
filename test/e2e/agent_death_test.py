#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent is killed, or stopped, under load: the app does not notice, profiling goes on, losses are counted."""

import os
import signal
import time

from support.wire import Relay
from support.world import WorldTest, main, wait_for

kHeldUp = 3_000_000  # ns; scheduling noise of one request on a loaded machine


class AgentDeathTest(WorldTest):
    def assert_latency_unchanged(self, plain: dict, profiled: dict) -> None:
        """The 99.9th percentile; what single requests waited at most is held to what nobody sees."""
        limit = 2 * plain["held_up_p999_ns"][0] + kHeldUp
        self.assertLessEqual(profiled["held_up_p999_ns"][0], limit, f"without siprof: {plain}, with: {profiled}")
        self.assertLessEqual(profiled["held_up_most_ns"][0], 250_000_000, f"without siprof: {plain}, with: {profiled}")

    def test_a_killed_agent_is_replaced_within_5_s_and_the_app_goes_on(self):
        collector = self.world.collector()
        plain = self.world.plain_app(self.world.load, 14, 2)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 14, 2)
        first = self.world.agent()
        wait_for("a profile", relay.seen, 10)
        # In mid-window: the agent notes what is safe with its heartbeat, every 0.5 s.
        time.sleep(0.8)
        os.kill(first, signal.SIGKILL)
        killed = time.time()
        wait_for("another agent", lambda: [pid for pid in self.world.agents() if pid != first], 5)
        # A window that lies wholly after the new agent's start has samples.
        ends = lambda: [round((p.start_ns + p.duration_ns) / 1e9 - killed, 1) for p in relay.seen()]  # noqa: E731
        try:
            after = wait_for("a profile of the time after",
                             lambda: [p for p in relay.seen() if p.start_ns + p.duration_ns > (killed + 5) * 1e9], 12)
        except AssertionError as late:
            raise AssertionError(f"{late}; ends of windows, in seconds after the kill: {ends()}") from late
        self.assertLess(after[0].start_ns, (killed + 5) * 1e9, "nothing was sampled within 5 s")
        self.assertGreater(after[0].pprof.total("samples"), 0)
        facts = app.end()
        self.assert_latency_unchanged(plain.end(), facts)
        self.world.agents_gone()
        self.assertGreater(self.lost_ns(relay, "lost_agent_gone"), 0, "it was killed in mid-window")
        self.assert_every_thread_goes_on([p for p in relay.seen() if p.start_ns > killed * 1e9])
        self.assert_nothing_vanished(collector, relay, facts)

    def assert_every_thread_goes_on(self, after: list) -> None:
        """Samples come in the window they were taken in. First and last of the windows are incomplete."""
        for sent in after[1:-1]:
            sampled, used = sent.counters["cpu_sampled_ns"], sent.counters["cpu_proc_ns"]
            self.assert_close("sampled CPU of a window (ns)", sampled, used, 0.2, slack=60e6)

    def lost_ns(self, relay: Relay, prefix: str) -> int:
        """CPU time, at the default 100 Hz, by the counters that the profiles carry."""
        once = {(profile.agent_id, profile.sequence): profile.counters for profile in relay.seen()}
        return 10_000_000 * sum(value for counters in once.values() for name, value in counters.items()
                                if name.startswith(prefix) and not name.startswith("lost_events_"))

    def assert_nothing_vanished(self, collector, relay: Relay, facts: dict) -> None:
        """What isn't stored is counted. Two threads' unfinished last periods are neither."""
        self.assert_close("CPU stored and counted as lost (ns)", collector.cpu_ns() + self.lost_ns(relay, "lost_"),
                          facts["cpu_ns"][0], 0.03, slack=40e6)

    def test_a_stopped_agent_holds_nothing_up_and_goes_on_where_it_was(self):
        collector = self.world.collector()
        plain = self.world.plain_app(self.world.load, 16)
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 16)
        agent = self.world.agent()
        time.sleep(2)
        os.kill(agent, signal.SIGSTOP)
        time.sleep(10)
        self.assertIsNone(app.process.poll())
        os.kill(agent, signal.SIGCONT)
        facts = app.end()
        self.assert_latency_unchanged(plain.end(), facts)
        self.world.agents_gone()
        self.assertEqual(self.lost_ns(relay, "lost_agent_gone"), 0, "it was there all the time")
        self.assert_nothing_vanished(collector, relay, facts)


if __name__ == "__main__":
    main()
