# SPDX-License-Identifier: Apache-2.0
"""Reads a pprof file with nothing but Python's standard library.

Used by the preload cases, the benchmarks and the Python tests. It is strict where a wrong file would make
a test pass by accident: unknown wire types, references to missing ids and ids other than 1..N are errors.
Field numbers are those of proto/pprof/profile.proto.
"""

import gzip
from collections import Counter
from typing import Iterator, NamedTuple


# Counters that aren't sums: of several profiles the last one's stands (proto/siprof/counters.h).
kLevels = ("_hz", "_interval_bytes", "_interval_ns", "_permille", "_rss_bytes", "error_interval")


class Frame(NamedTuple):
    name: str  # demangled; "" when the symbolizer found none
    system_name: str
    mapping: str  # file the address is in; "" for none
    address: int
    file: str = ""  # of the source
    line: int = 0


class Sample(NamedTuple):
    frames: list  # Frame, leaf first, inlined calls expanded
    values: list
    labels: dict  # key -> str or int


class Profile:
    """One decoded profile; `merge` adds the samples of another one of the same kind."""

    def __init__(self) -> None:
        self.sample_types: list = []  # (type, unit)
        self.samples: list = []
        self.counters: dict = {}  # comments "siprof.NAME=VALUE" without the prefix
        self.period = 0

    def column(self, name: str) -> int:
        return [kind for kind, _ in self.sample_types].index(name)

    def total(self, name: str = "cpu") -> int:
        return self.sum(name)

    def sum(self, name: str = "cpu", where=lambda sample: True) -> int:
        if not self.samples:
            return 0
        at = self.column(name)
        return sum(sample.values[at] for sample in self.samples if where(sample))

    def pids(self) -> set:
        return {int(sample.labels["pid"]) for sample in self.samples}

    def self_times(self, name: str = "cpu") -> Counter:
        """Value by the leaf function."""
        at, times = (self.column(name) if self.samples else 0), Counter()
        for sample in self.samples:
            times[sample.frames[0].name if sample.frames else ""] += sample.values[at]
        return times

    def merge(self, other: "Profile") -> None:
        self.sample_types = self.sample_types or other.sample_types
        self.samples += other.samples
        self.period = self.period or other.period
        for key, value in other.counters.items():
            sums = not key.endswith(kLevels)
            if sums and key in self.counters and value.isdigit() and self.counters[key].isdigit():
                value = str(int(self.counters[key]) + int(value))
            self.counters[key] = value


def fields(data: bytes) -> Iterator[tuple]:
    """Yields (field number, value): an int for varints, bytes for length-delimited ones."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            if at + size > len(data):
                raise ValueError("a field reaches beyond the end of its message")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {key & 7} has no place in a profile")


def _numbers(values: list) -> list:
    """Repeated integers, packed or not."""
    numbers = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
        else:
            numbers += [number for _, number in fields(b"".join(b"\x08" + item for item in _split(value)))]
    return numbers


def _split(packed: bytes) -> Iterator[bytes]:
    start = 0
    for at, byte in enumerate(packed):
        if byte < 0x80:
            yield packed[start : at + 1]
            start = at + 1


def _message(data: bytes) -> dict:
    message: dict = {}
    for number, value in fields(data):
        message.setdefault(number, []).append(value)
    return message


def _one(message: dict, number: int) -> int:
    return message.get(number, [0])[-1]


def _by_id(messages: list, what: str) -> dict:
    table = {_one(message, 1): message for message in messages}
    if sorted(table) != list(range(1, len(messages) + 1)):
        raise ValueError(f"{what} ids are not 1..{len(messages)}")
    return table


def decode(data: bytes) -> Profile:
    raw = _message(data)
    strings = [text.decode("utf-8") for text in raw.get(6, [])]
    if not strings or strings[0]:
        raise ValueError("string_table[0] is not empty")
    mappings = _by_id([_message(item) for item in raw.get(3, [])], "mapping")
    functions = _by_id([_message(item) for item in raw.get(5, [])], "function")
    locations = _by_id([_message(item) for item in raw.get(4, [])], "location")

    def frames_of(location: dict) -> list:
        mapping = strings[_one(mappings[_one(location, 2)], 5)] if _one(location, 2) else ""
        lines = [_message(line) for line in location.get(4, [])]
        if not lines:
            return [Frame("", "", mapping, _one(location, 3))]
        called = [(functions[_one(line, 1)], _one(line, 2)) for line in lines]
        return [Frame(strings[_one(f, 2)], strings[_one(f, 3)], mapping, _one(location, 3), strings[_one(f, 4)], line)
                for f, line in called]

    frames = {number: frames_of(location) for number, location in locations.items()}
    profile = Profile()
    profile.period = _one(raw, 12)
    profile.sample_types = [tuple(strings[_one(_message(t), n)] for n in (1, 2)) for t in raw.get(1, [])]
    for comment in (strings[at] for at in _numbers(raw.get(13, []))):
        if comment.startswith("siprof.") and "=" in comment:
            key, value = comment[len("siprof.") :].split("=", 1)
            profile.counters[key] = value
    for item in raw.get(2, []):
        sample = _message(item)
        values = _numbers(sample.get(2, []))
        if len(values) != len(profile.sample_types):
            raise ValueError("a sample has another number of values than the profile has types")
        labels = {}
        for label in map(_message, sample.get(3, [])):
            labels[strings[_one(label, 1)]] = strings[_one(label, 2)] if 2 in label else _one(label, 3)
        stack = [frame for number in _numbers(sample.get(1, [])) for frame in frames[number]]
        profile.samples.append(Sample(stack, values, labels))
    return profile


def load(path) -> Profile:
    with gzip.open(path, "rb") as file:
        return decode(file.read())
