#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The decoder against bytes written by hand from the schema, and against damaged ones."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import pprof  # noqa: E402  (needs the path above)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


STRINGS = ["", "samples", "count", "cpu", "nanoseconds", "leaf()", "main", "/bin/app", "pid", "thread", "worker",
           "siprof.dropped=7", "free text", "leaf.cpp"]


def profile(strings=STRINGS, location_id=1, values=(2, 20_000_000)) -> bytes:
    types = [number(1, 1) + number(2, 2), number(1, 3) + number(2, 4)]
    labels = block(3, number(1, 8) + number(3, 300)) + block(3, number(1, 9) + number(2, 10))
    sample = block(1, varint(1) + varint(2)) + block(2, b"".join(map(varint, values))) + labels
    inlined = block(4, number(1, 1) + number(2, 41)) + block(4, number(1, 2))
    locations = [number(1, location_id) + number(2, 1) + number(3, 0x1234) + inlined,
                 number(1, 2) + number(2, 1) + number(3, 0x99) + block(4, number(1, 2))]
    functions = [number(1, 1) + number(2, 5) + number(4, 13), number(1, 2) + number(2, 6)]
    parts = [block(1, t) for t in types] + [block(2, sample), block(3, number(1, 1) + number(5, 7))]
    parts += [block(4, at) for at in locations] + [block(5, f) for f in functions]
    parts += [block(6, s.encode()) for s in strings] + [number(12, 10_000_000), number(13, 11), number(13, 12)]
    return b"".join(parts)


class Decoder(unittest.TestCase):
    def test_reads_what_was_written(self):
        read = pprof.decode(profile())
        self.assertEqual(read.sample_types, [("samples", "count"), ("cpu", "nanoseconds")])
        self.assertEqual([frame.name for frame in read.samples[0].frames], ["leaf()", "main", "main"])
        self.assertEqual(read.samples[0].labels, {"pid": 300, "thread": "worker"})
        self.assertEqual(read.total("cpu"), 20_000_000)
        self.assertEqual(read.counters, {"dropped": "7"})
        self.assertEqual(read.period, 10_000_000)
        self.assertEqual(read.samples[0].frames[0].mapping, "/bin/app")
        self.assertEqual([(frame.file, frame.line) for frame in read.samples[0].frames], [("leaf.cpp", 41), ("", 0), ("", 0)])

    def test_merges(self):
        read = pprof.decode(profile())
        read.merge(pprof.decode(profile()))
        self.assertEqual(read.total("samples"), 4)
        self.assertEqual(read.counters["dropped"], "14")

    def test_refuses_damage(self):
        whole = profile()
        with self.assertRaises((ValueError, IndexError)):
            pprof.decode(whole[:-30])
        for broken in (profile(strings=["x", *STRINGS[1:]]), profile(location_id=9), profile(values=(1,))):
            with self.assertRaises(ValueError):
                pprof.decode(broken)


if __name__ == "__main__":
    unittest.main()
