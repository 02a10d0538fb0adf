#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The collector is killed under load, or its answers are lost: nothing is missing afterwards, nothing is twice.

With --long the collector is away for 30 s, else for 6.
"""

import os
import signal
import time

from support.wire import Relay
from support.world import WorldTest, kOptions, main, wait_for


class CollectorDeathTest(WorldTest):
    def assert_complete(self, collector, facts: dict) -> None:
        """Stored CPU time is the app's own. A thread's unfinished last period has no sample."""
        self.assert_close("stored CPU (ns)", collector.cpu_ns(), facts["cpu_ns"][0], 0.03, slack=20e6)

    def test_after_a_collector_was_killed_its_totals_are_complete(self):
        away = 30 if kOptions["long"] else 6
        collector = self.world.collector()
        app = self.world.run_app(collector.url, self.world.load, 8 + 2 * away)
        wait_for("a stored profile", lambda: collector.metric("siprof_ingest_profiles_stored_total") > 0, 10)
        collector.kill()
        time.sleep(away)
        collector.start()
        facts = app.end(seconds=120)
        self.world.agents_gone()
        self.assert_complete(collector, facts)
        self.assertIn("profiles wait in", self.world.log())

    def test_profiles_whose_acknowledgements_were_lost_count_once(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 12)
        wait_for("a profile", relay.seen, 10)
        relay.keep_answers.set()
        stored = collector.metric("siprof_ingest_profiles_stored_total")
        wait_for("a profile stored whose answer is kept",
                 lambda: collector.metric("siprof_ingest_profiles_stored_total") > stored, 10)
        relay.cut()
        relay.keep_answers.clear()
        facts = app.end()
        self.world.agents_gone()
        self.assertGreater(collector.metric("siprof_ingest_profiles_duplicate_total"), 0, "nothing came twice")
        self.assert_complete(collector, facts)

    def test_an_agent_that_was_killed_before_its_acknowledgements_came_repeats_nothing(self):
        collector = self.world.collector()
        relay = Relay(self.world, collector.grpc_port)
        app = self.world.run_app(relay.url, self.world.load, 10)
        agent = self.world.agent()
        wait_for("a profile", relay.seen, 10)
        relay.keep_answers.set()
        stored = collector.metric("siprof_ingest_profiles_stored_total")
        wait_for("a profile stored whose answer is kept",
                 lambda: collector.metric("siprof_ingest_profiles_stored_total") > stored, 10)
        os.kill(agent, signal.SIGKILL)
        relay.cut()
        relay.keep_answers.clear()
        facts = app.end()
        self.world.agents_gone()
        sent = [(p.agent_id, p.sequence) for p in relay.all_seen()]
        self.assertGreater(len(sent), len(set(sent)), "no profile was sent twice")
        self.assertGreater(collector.metric("siprof_ingest_profiles_duplicate_total"), 0)
        once = {(p.agent_id, p.sequence): p.pprof.total("cpu") for p in relay.seen()}
        self.assertEqual(collector.cpu_ns(), sum(once.values()))
        self.assertLessEqual(collector.cpu_ns(), 1.03 * facts["cpu_ns"][0])


if __name__ == "__main__":
    main()
