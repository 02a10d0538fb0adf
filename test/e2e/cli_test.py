#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""siprof's own commands around real programs: run, ps, doctor, services, top, get, and jobs that are short."""

import os
import shutil
import signal

from support.wire import Relay
from support.world import WorldTest, main, pprof, wait_for


class CommandsTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.collector = self.world.collector()

    def test_run_becomes_the_command_with_its_pid_output_and_status(self):
        env = self.world.environment()
        process = self.world.start([self.world.siprof, "run", "--collector", self.collector.url, "--", "sh", "-c",
                                    "echo $$; echo oops >&2; exit 7"], env)
        out, err = process.communicate(timeout=20)
        self.assertEqual((out, err, process.returncode), (f"{process.pid}\n", "oops\n", 7))

    def test_a_signal_reaches_the_command_and_is_its_status(self):
        process = self.world.start([self.world.siprof, "run", "--collector", self.collector.url, "--", "sleep", "60"],
                                   self.world.environment())
        wait_for("exec", lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"), 5)
        process.terminate()
        self.assertEqual(process.wait(timeout=10), -signal.SIGTERM)

    def test_ps_lists_a_running_process(self):
        app = self.world.run_app(self.collector.url, self.world.load, 30)
        row = wait_for("a row in ps", lambda: [line.split() for line in self.world.ask("ps").stdout.splitlines()
                                               if line.split()[0] == str(app.pid) and int(line.split()[3]) > 0], 15)[0]
        self.assertEqual(row[:3] + row[7:], [str(app.pid), str(self.world.agent()), "100", "load", str(self.world.load)])
        app.end(stop=True)
        self.world.agents_gone()
        # Other agents of this user may be there: ps asks them all.
        self.assertNotIn(str(app.pid), [line.split()[0] for line in self.world.ask("ps").stdout.splitlines()])

    def test_doctor_names_what_is_in_the_way(self):
        def doctor(program) -> tuple:
            run = self.world.ask("doctor", "--", program)
            return run.returncode, run.stdout

        status, text = doctor(self.world.victims / "burn_static")
        self.assertEqual(status, 1)
        self.assertIn("static", text)
        setuid = shutil.copy(self.world.load, self.world.folder / "setuid")
        if os.geteuid() == 0:
            os.chown(setuid, 65534, 65534)
            os.chmod(setuid, 0o4755)
            status, text = doctor(setuid)
            self.assertEqual(status, 1)
            self.assertIn("setuid", text)
        status, text = doctor("/no/such/program")
        self.assertEqual(status, 1)
        self.assertIn("not found", text)
        status, text = doctor(self.world.load)
        self.assertEqual((status, text.splitlines()[-1]), (0, f"yes: {self.world.load} will be profiled"))

    def test_services_top_and_get_show_what_was_profiled(self):
        facts = self.world.run_app(self.collector.url, self.world.load, 4, service="shop",
                                   env={"SIPROF_VERSION": "1.2"}).end()
        self.world.agents_gone()
        services = self.world.ask("services", "--server", self.collector.server)
        self.assertEqual(services.returncode, 0, services.stderr)
        self.assertIn("shop", services.stdout)
        top = self.world.ask("top", "--server", self.collector.server, "--service", "shop")
        self.assertEqual(top.returncode, 0, top.stderr)
        self.assertIn("answer_request", top.stdout)
        file = self.world.folder / "shop.pb.gz"
        got = self.world.ask("get", "--server", self.collector.server, "--service", "shop", "--label",
                             "service.version=1.2", "-o", file)
        self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "", ""))
        self.assert_close("CPU in the file (ns)", pprof.load(file).total("cpu"), facts["cpu_ns"][0], 0.03, slack=20e6)
        none = self.world.ask("get", "--server", self.collector.server, "--service", "nobody", "-o", file)
        self.assertEqual(none.returncode, 1)
        self.assertEqual(none.stderr.count("\n"), 1, none.stderr)

    def test_a_chain_of_execs_is_one_process_with_all_its_samples(self):
        # 1 000 Hz: each of the programs lives for some milliseconds only.
        process = self.world.start([self.world.siprof, "run", "--collector", self.collector.url, "--service", "chain",
                                    "--hz", "1000", "--", self.world.victims / "exec_chain", "20"],
                                   self.world.environment())
        out, err = process.communicate(timeout=40)
        self.assertEqual((out, err, process.returncode), ("the last one\n", "", 0))
        self.world.agents_gone()
        profile = self.collector.profile("chain")
        # 20 links burn 6 ms in the main thread, a second thread as much beside it. The kernel looks at CPU timers at
        # its own ticks only, 4 ms apart, so that each link may lose its last ones.
        self.assertGreater(profile.total("cpu"), 20 * 6e6 * 0.7)

    def test_threads_that_start_together_lose_no_time_to_the_attachment(self):
        """Two first ticks at once: one thread attaches, the other is attached with it."""
        relay = Relay(self.world, self.collector.grpc_port)
        apps = [self.world.run_app(relay.url, self.world.load, 3, 4, service=f"app-{i}") for i in range(4)]
        facts = [app.end() for app in apps]
        self.world.agents_gone()
        for i, fact in enumerate(facts):
            # Four threads' unfinished last periods, and a tick or two of each until there is an agent.
            self.assert_close(f"stored CPU of app-{i} (ns)", self.collector.cpu_ns(f"app-{i}"), fact["cpu_ns"][0], 0.03,
                              slack=80e6)
            lost = sum(p.counters.get("lost_unattached", 0) for p in relay.seen() if p.service == f"app-{i}")
            self.assertLessEqual(lost, 8)

    def test_what_could_not_be_named_is_in_the_counters(self):
        """A program whose file is gone before its first sample."""
        relay = Relay(self.world, self.collector.grpc_port)
        copy = shutil.copy(self.world.load, self.world.folder / "gone")
        app = self.world.run_app(relay.url, "sh", "-c", f"exec 9<{copy}; rm {copy}; exec /proc/self/fd/9 3", service="gone")
        app.end()
        whole = self.world.run_app(relay.url, self.world.load, 2, service="whole")
        whole.end()
        self.world.agents_gone()

        def total(service: str, name: str) -> int:
            return sum(p.counters.get(name, 0) for p in relay.seen() if p.service == service)

        self.assertGreaterEqual(total("gone", "modules_unopened"), 1)
        self.assertGreaterEqual(total("gone", "unsymbolized"), 1)
        self.assertGreaterEqual(sum(total(s, "symbolizer_worker_starts") for s in ("gone", "whole")), 1)
        for name in ("modules_unopened", "modules_replaced", "modules_unreadable", "symbolizer_worker_failures"):
            self.assertEqual(total("whole", name), 0, name)

    def test_short_jobs_arrive(self):
        jobs = [self.world.run_app(self.collector.url, self.world.victims / "burn", 60, service="job") for _ in range(20)]
        cpu = 0
        for job in jobs:
            out, err = job.process.communicate(timeout=40)
            self.assertEqual((out, err, job.process.returncode), ("done\n", "", 0))
            cpu += job.facts()["cpu_ns"][0]
        self.world.agents_gone()
        # Each of them loses its unfinished last period of 10 ms at most, half of one on average.
        self.assert_close("stored CPU (ns)", self.collector.cpu_ns("job"), cpu, 0.03, slack=20 * 5e6)


if __name__ == "__main__":
    main()
