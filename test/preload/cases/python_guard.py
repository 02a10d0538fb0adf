# SPDX-License-Identifier: Apache-2.0
"""SIGSEGV and SIGBUS are the app's while siprof stands in front of both: what the victim shows is taken for an
interpreter, and every sample meets a fault of siprof's own."""

from harness.checks import check, same
from harness.registry import add


def met_faults(session, mode, walks):
    result = same(session, session.victim("fault_contract", mode), fixed_work=False)
    seen = result.facts.get("walks", [0])[0]
    check(seen >= walks, f"only {seen} samples met a fault: nothing was tested")


# Those that end by the fault, or by exec, tell by themselves that walks had begun: they wait for three.
for mode, least in {"barrier": 50, "jumps": 50, "ways_to_set": 3, "raw_takeover": 0, "blocked": 100, "stack_overflow": 0,
                    "small_alternate_stack": 3, "storm": 100, "exec_ignored": 0, "by_default": 0, "by_default_sent": 0,
                    "ignored_fault": 0}.items():
    add(f"a_fault_is_the_apps_{mode}", [0], lambda session, mode=mode, least=least: met_faults(session, mode, least))
