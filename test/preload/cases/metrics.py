# SPDX-License-Identifier: Apache-2.0
"""Metrics of `siprof record` against what programs and the kernel know of them."""

import json
from pathlib import Path

from harness.checks import about, check
from harness.registry import Skip, add, case, need_root

kMib = 64
kDescriptors = 20
kThreads = 7


class Metrics:
    """metrics.json of the session's last run, of one process."""

    def __init__(self, session, pid: int) -> None:
        folder = session.folder / f"record.{session.runs - 1}"
        self.metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
        self.pid = str(pid)

    def values(self, name: str, **labels) -> list:
        """By window."""
        points = [p for m in self.metrics if m["name"] == name for p in m["points"]]
        return [p["value"] for p in points if p["labels"].get("pid") == self.pid
                and all(label in p["labels"].values() for label in labels.values())]

    def group_values(self, name: str, group: str) -> list:
        """Of a control group, by window."""
        return [p["value"] for m in self.metrics if m["name"] == name for p in m["points"]
                if p["labels"] == {"process.linux.cgroup": group}]

    def total(self, name: str, **labels) -> float:
        values = self.values(name, **labels)
        check(bool(values), f"there is no {name} {labels}")
        return sum(values)


def truth(session, window: str) -> str:
    command = session.victim("metrics_truth", kMib, kDescriptors, kThreads, 2600)
    plain = session.plain(command)
    result = session.recorded(command, env={"SIPROF_WINDOW": window})
    check((plain.status, plain.stdout) == (result.status, result.stdout), f"the output differs: {result.stdout!r}")
    if session.baseline_only:
        return ""
    facts = {key: values[0] for key, values in result.facts.items()}
    metrics = Metrics(session, facts["pid"])
    # The kernel tells CPU time in ticks of 10 ms.
    about("user CPU time (s)", metrics.total("process.cpu.time", mode="user"), facts["user_us"] / 1e6, 0.01, slack=0.03)
    about("system CPU time (s)", metrics.total("process.cpu.time", mode="system"), facts["system_us"] / 1e6, 0.01, slack=0.03)
    about("minor faults", metrics.total("process.paging.faults", type="minor"), facts["minor"], 0, slack=100)
    about("major faults", metrics.total("process.paging.faults", type="major"), facts["major"], 0, slack=5)
    check(facts["minor"] > kMib * 256, f"the victim itself had {facts['minor']} faults")
    about("bytes written to disk", metrics.total("process.disk.io", direction="write"), facts["written"], 0, slack=65536)
    # What its threads did since they were looked at last isn't seen when they are gone: nothing here, they wait.
    about("voluntary switches", metrics.total("process.context_switches", type="voluntary"), facts["voluntary"], 0.05, slack=20)
    # The kernel keeps it by CPU and adds up now and then.
    about("resident bytes", metrics.values("process.memory.usage")[-1], facts["rss"], 0.01, slack=1 << 20)
    about("virtual bytes", metrics.values("process.memory.virtual")[-1], facts["virtual"], 0, slack=1 << 20)
    check(metrics.values("process.thread.count")[-1] == 1 + kThreads, f"threads: {metrics.values('process.thread.count')}")
    counts = metrics.values("process.unix.file_descriptor.count")
    check(counts[-1] == 3 + kDescriptors, f"descriptors: {counts}")
    calls = metrics.total("siprof.io.calls", call="nanosleep")
    about("naps", calls, 7 * 200, 0.02)
    windows = len(metrics.values("process.thread.count"))
    check((windows >= 3) == (window == "1s"), f"{windows} windows of {window}")
    return f"{windows} windows"


add("metrics_of_a_run_of_several_windows", [0], lambda session: truth(session, "1s"))
add("metrics_of_a_run_shorter_than_a_window", [0], lambda session: truth(session, "10s"))


def limited_groups(session) -> dict:
    """New control groups (version 1 or 2) of half a CPU and 64 MiB, by controller."""
    ways = ({"cpu": ("/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
             "memory": ("/sys/fs/cgroup/memory", {"memory.limit_in_bytes": str(64 << 20)})},
            {"both": ("/sys/fs/cgroup", {"cpu.max": "50000 100000", "memory.max": str(64 << 20)})})
    for way in ways:
        made: dict = {}
        try:
            for name, (root, limits) in way.items():
                made[name] = Path(root) / session.folder.name
                made[name].mkdir()
                for file, text in limits.items():
                    (made[name] / file).write_text(text)
            return made
        except OSError:
            for group in made.values():
                if group.exists():
                    group.rmdir()
    raise Skip("needs control groups that may be written to (root)")


@case("metrics_of_limits_and_throttling")
def limits(session):
    need_root()
    groups = limited_groups(session)
    try:
        join = "".join(f"echo $$ > {group}/cgroup.procs && " for group in groups.values())
        result = session.recorded(["sh", "-c", f'{join} exec "$0" 1500 2', *session.victim("burn")], env={"SIPROF_WINDOW": "1s"})
        check(result.status == 0, f"it ended with {result.status}: {result.stderr!r}")
        if session.baseline_only:
            return
        metrics = Metrics(session, 0)
        path = "/" + session.folder.name
        limit, memory = (metrics.group_values(name, path) for name in ("container.cpu.limit", "container.memory.limit"))
        check(set(limit) == {0.5}, f"limits of CPU: {limit}")
        check(set(memory) == {64 << 20}, f"limits of memory: {memory}")
        check(all(0 < used <= 64 << 20 for used in metrics.group_values("container.memory.usage", path)), "memory in use")
        group = groups.get("cpu", groups.get("both"))
        stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        lost = sum(metrics.group_values("container.cpu.throttled.periods", path))
        about("throttled periods", lost, int(stat["nr_throttled"]), 0, slack=3)
        about("periods", sum(metrics.group_values("container.cpu.periods", path)), int(stat["nr_periods"]), 0, slack=3)
        seconds = int(stat["throttled_time"]) / 1e9 if "throttled_time" in stat else int(stat["throttled_usec"]) / 1e6
        check(seconds > 0.5, f"the victim itself was throttled for {seconds} s")
        about("throttled time (s)", sum(metrics.group_values("container.cpu.throttled.time", path)), seconds, 0.05, slack=0.25)
    finally:
        for group in groups.values():
            group.rmdir()
