# SPDX-License-Identifier: Apache-2.0
"""Code comes and goes, exceptions fly, memory is allocated, all under 1 000 samples a second.

The victim's threads each have plugins and functions of their own, so that a stack shows by itself whether it
can have been: names or unwinding rules of code that took another's place make one that can't.
"""

import math
import os
import re
from collections import Counter

from harness import checks
from harness.checks import check
from harness.registry import case

kPlugins = 8
kThreads = 8
kNamedInCalm = 0.5  # of two seconds
kRoles = ["burn", "middle", "call"]  # leaf first
kOfPlugin = re.compile(r"^(burn|middle|call|shift)_of_plugin_(\d+)(\.cold)?$")
kOwnFunction = re.compile(r"\b(run_plugin|call_once|storm_thread|throw_thread|malloc_thread)<(\d+)>")
kPluginFile = re.compile(r"^storm_plugin_(\d+)\.so$")


def file_number(frame):
    found = kPluginFile.match(os.path.basename(frame.mapping).removesuffix(" (deleted)"))
    return int(found[1]) if found else None


def shown(sample) -> str:
    return " < ".join(frame.name or f"{os.path.basename(frame.mapping)}+{frame.address:#x}" for frame in sample.frames)


class Stack:
    """What the frames of one sample say: plugin functions and files, and the victim's own functions."""

    def __init__(self, sample):
        names = [(frame, kOfPlugin.match(frame.name)) for frame in sample.frames]
        self.roles = [name[1] for _, name in names if name]
        self.strangers = [frame for frame, name in names if name and file_number(frame) != int(name[2])]
        self.numbers = {int(name[2]) for _, name in names if name}
        self.numbers |= {number for frame in sample.frames if (number := file_number(frame)) is not None}
        self.has_plugin = bool(self.numbers)
        self.unknown = any(not f.name and (not f.mapping or file_number(f) is not None) for f in sample.frames)
        self.own = [(name[1], int(name[2])) for frame in sample.frames if (name := kOwnFunction.search(frame.name))]
        self.numbers |= {number for name, number in self.own if name in ("run_plugin", "call_once")}
        self.is_whole = checks.whole(sample)

    def wrong(self, thread) -> str:
        """Why this can't have been, "" when it can; `thread` is the storm thread it was taken in, None elsewhere."""
        if self.strangers:
            return f"{self.strangers[0].name} in another file"
        if len(self.numbers) > 1:
            return "functions of several plugins"
        if not self.numbers:
            return ""
        number = min(self.numbers)
        if thread != number // 2:
            return "a plugin of another thread"
        if not self.has_plugin:
            return ""
        if self.roles != kRoles[len(kRoles) - len(self.roles):]:
            return "a plugin's functions out of order or without their callers"
        below = [(name, at) for name, at in self.own if name != "call_once"]
        whole = [("run_plugin", number), ("storm_thread", thread)]
        # A copy that found no more room ends early.
        if self.roles and below != (whole if self.is_whole else whole[:len(below)]):
            return "a plugin's function that isn't called by run_plugin"
        return ""


class Verdict:
    def __init__(self, profile, facts):
        self.wrong: Counter = Counter()
        self.example: dict = {}
        self.unknown_ns, self.by_plugin_ns = 0, [0] * kPlugins
        threads = {facts[f"tid_{number}"][0]: number for number in range(kPlugins // 2)}
        at, count = profile.column("cpu"), profile.column("samples")
        for sample in profile.samples:
            thread = threads.get(int(sample.labels["thread_id"]))
            stack = Stack(sample)
            reason = stack.wrong(thread)
            if reason:
                self.wrong[reason] += sample.values[count]
                self.example.setdefault(reason, shown(sample))
            elif "call" in stack.roles:
                self.by_plugin_ns[min(stack.numbers)] += sample.values[at]
            elif thread is not None and (stack.unknown or ("storm_thread", thread) not in stack.own):
                self.unknown_ns += sample.values[at]

    def __str__(self):
        return "; ".join(f"{count} × {reason}, such as {self.example[reason]}" for reason, count in self.wrong.items())


def times_match(found_ns, facts, tick_ns) -> None:
    """No plugin has more time than it used. What ran while nothing was unmapped has names, but for the time until
    the agent has looked."""
    for number, (found, storm, calm) in enumerate(zip(found_ns, facts["storm_ns"], facts["calm_ns"])):
        room = 4 * math.sqrt(tick_ns * (storm + calm)) + tick_ns
        line = f"plugin {number} has {found / 1e6:.0f} ms, it used {calm / 1e6:.0f} in calm and {storm / 1e6:.0f} in storm"
        check(kNamedInCalm * calm - room <= found <= storm + calm + room, f"{line} (room {room / 1e6:.0f} ms)")


@case("plugins_come_and_go_in_a_storm", hazards=[62, 63])
def storm(session):
    seconds = 60 if session.long else 20
    session.timeout_seconds = seconds + 30
    plain = session.plain(session.victim("storm", 3, session.victims))
    profiled = session.preloaded(session.victim("storm", seconds, session.victims), hz=1000,
                                 env={"SIPROF_HEAP_INTERVAL": "1"})
    check((plain.status, plain.stdout, plain.stderr) == (profiled.status, profiled.stdout, profiled.stderr),
          f"it ended with {profiled.status}, {profiled.stdout!r}, {profiled.stderr!r}; "
          f"without siprof {plain.status}, {plain.stdout!r}, {plain.stderr!r}")
    check(profiled.seconds < seconds + 10, f"it took {profiled.seconds:.0f} s")
    facts, profile = profiled.facts, profiled.profile
    visits, changes = facts["visits"][0], facts["place_changes"][0]
    check(changes > 5 * seconds, f"in {visits} visits a plugin lay where another had been {changes} times only")
    checks.has_samples(profile)
    # Each allocation is an event: more than the agent can take, and ticks that find no room are counted.
    lost_ns = int(profile.counters.get("lost_pool_full", 0)) * profile.period
    checks.total_matches(profile, facts["cpu_ns"][0] - lost_ns, kThreads)
    verdict = Verdict(profile, facts)
    samples, storm_ns, calm_ns = int(profile.counters["samples"]), sum(facts["storm_ns"]), sum(facts["calm_ns"])
    print(f"{samples} samples of {visits} visits, {changes} of them where another plugin had been; without names "
          f"{verdict.unknown_ns / 1e9:.2f} s of {storm_ns / 1e9:.2f} s in storm and {calm_ns / 1e9:.2f} s in calm")
    check(not verdict.wrong, f"{sum(verdict.wrong.values())} stacks of {samples} can't have been: {verdict}")
    times_match(verdict.by_plugin_ns, facts, profile.total() / samples)
