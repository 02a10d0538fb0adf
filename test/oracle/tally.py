# SPDX-License-Identifier: Apache-2.0
"""Adds up what stack_oracle wrote about each program, and judges it."""

import collections

COLUMNS = ["equal", "both stop", "further", "unknown", "other", "bounds", "deep", "wrong"]
ENOUGH_STEPS = 5000  # of a module, to count as one


class Tally:
    def __init__(self):
        self.modules = collections.defaultdict(collections.Counter)  # by path
        self.places = collections.Counter()  # by (column, place)
        self.details = {}
        self.libunwind = [0, 0, 0]  # steps; answered by what it had answered; of those, wrongly
        self.programs = 0
        self.by_program = collections.defaultdict(collections.Counter)

    def add(self, program, report):
        self.programs += 1
        for line in report.splitlines():
            kind, *fields = line.split("\t")
            if kind == "module":
                counts = dict(zip(COLUMNS, map(int, fields[1:])))
                self.modules[fields[0]].update(counts)
                self.by_program[program].update(counts)
            elif kind == "place":
                column, place, count, detail = fields
                self.places[column, place] += int(count)
                self.details.setdefault((column, place), f"{detail} (in {program})")
            elif kind == "libunwind":
                self.libunwind = [sum(pair) for pair in zip(self.libunwind, map(int, fields))]

    def total(self):
        return sum(self.modules.values(), collections.Counter())

    def print(self, own_folder):
        print(f"{'module':44} {'steps':>9} {'equal %':>8}", *(f"{name:>9}" for name in COLUMNS))
        rows = [(path.removeprefix(str(own_folder) + "/"), counts) for path, counts in self.modules.items()]
        enough = [row for row in rows if row[1].total() >= ENOUGH_STEPS]
        rest = sum((counts for _, counts in rows if counts.total() < ENOUGH_STEPS), collections.Counter())
        for name, counts in [*sorted(enough), (f"{len(rows) - len(enough)} modules with fewer", rest),
                             (f"all, {self.programs} programs", self.total())]:
            if counts.total() != 0:
                print(f"{name[-44:]:44} {counts.total():9} {100 * equal_share(counts):8.3f}",
                      *(f"{counts[column]:9}" for column in COLUMNS))
        print(f"\nlibunwind: {self.libunwind[0]} steps, {self.libunwind[1]} of them by an answer that was kept")
        worst = sorted(self.by_program, key=lambda name: equal_share(self.by_program[name]))[:10]
        print("programs, equal %:", ", ".join(f"{name} {100 * equal_share(self.by_program[name]):.2f}" for name in worst))
        print("what decided, where it wasn't equal (count, place, rule):")
        for column in COLUMNS[1:]:
            found = [(count, place) for (kind, place), count in self.places.items() if kind == column]
            for count, place in sorted(found, reverse=True)[:8]:
                print(f"  {column:10} {count:9} {place}: {self.details[column, place]}")

    def failures(self, least_equal):
        total = self.total()
        found = []
        if total["wrong"]:
            found.append(f"{total['wrong']} walks have a wrong frame")
        if self.libunwind[2]:
            found.append(f"{self.libunwind[2]} of libunwind's answers were kept too long")
        if total.total() == 0 or equal_share(total) < least_equal:
            found.append(f"only {100 * equal_share(total):.3f} % are equal, {100 * least_equal} % have to be")
        return found

    def too_small(self, least_steps, least_modules):
        enough = [path for path, counts in self.modules.items() if counts.total() >= ENOUGH_STEPS]
        debian = [path for path in enough if path.startswith(("/usr/", "/lib"))]
        found = []
        if self.total().total() < least_steps:
            found.append(f"{self.total().total()} instructions are too few, {least_steps} have to be")
        if len(enough) < least_modules or 2 * len(debian) < least_modules:
            found.append(f"{len(enough)} modules, {len(debian)} of them Debian's, are too few: {least_modules} have to be")
        return found


def equal_share(counts):
    """Frames of which libunwind had no more than ours, and both stopped, are equal too."""
    return (counts["equal"] + counts["both stop"]) / counts.total() if counts.total() else 0.0
