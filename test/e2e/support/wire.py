# SPDX-License-Identifier: Apache-2.0
"""A TCP relay between agents and a collector that reads along, and can keep the collector's answers.

It understands as much of HTTP/2 and gRPC as it takes to see the AgentMessages of a plaintext stream: that is
how tests see counters and comments, and what was sent more than once. Field numbers are those of
proto/siprof/v1/collector.proto.
"""

import gzip
import socket
import struct
import threading
from typing import NamedTuple

from harness import pprof

kPreface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
kData = 0


class SentProfile(NamedTuple):
    agent_id: str
    sequence: int
    kind: str
    service: str
    start_ns: int
    duration_ns: int
    counters: dict
    pprof: pprof.Profile
    attributes: dict = {}


class SentPoint(NamedTuple):
    agent_id: str
    sequence: int  # of the message
    attributes: dict
    name: str
    unit: str
    labels: dict
    start_ns: int
    time_ns: int
    is_counter: bool
    value: float


def _text_map(entries: list) -> dict:
    out = {}
    for entry in entries:
        parts = dict(pprof.fields(entry))
        value = parts.get(2, b"")
        out[parts.get(1, b"").decode()] = value.decode() if isinstance(value, bytes) else value
    return out


def _counter_map(entries: list) -> dict:
    return {parts.get(1, b"").decode(): parts.get(2, 0) for parts in (dict(pprof.fields(entry)) for entry in entries)}


def _point(body: bytes) -> dict:
    """A MetricPoint's fields. Its value is a double, the last field, and left out where it is 0."""
    value = 0.0
    if len(body) >= 9 and body[-9] == 7 << 3 | 1:
        value, body = struct.unpack("<d", body[-8:])[0], body[:-9]
    parts: dict = {"labels": [], "value": value}
    for field, content in pprof.fields(body):
        if field == 3:
            parts["labels"].append(content)
        else:
            parts[field] = content
    return parts


class _Reader:
    """What one connection's client sends."""

    def __init__(self, relay) -> None:
        self.relay, self.frames, self.messages, self.agent_id = relay, b"", {}, ""
        self.preface_left = len(kPreface)

    def feed(self, data: bytes) -> None:
        skipped = data[: self.preface_left]
        self.preface_left -= len(skipped)
        self.frames += data[len(skipped) :]
        while len(self.frames) >= 9:
            size = int.from_bytes(self.frames[:3], "big")
            if len(self.frames) < 9 + size:
                return
            kind, stream = self.frames[3], int.from_bytes(self.frames[5:9], "big") & 0x7FFFFFFF
            if kind == kData:
                self.feed_grpc(stream, self.frames[9 : 9 + size])
            self.frames = self.frames[9 + size :]

    def feed_grpc(self, stream: int, data: bytes) -> None:
        pending = self.messages.get(stream, b"") + data
        while len(pending) >= 5 and len(pending) >= 5 + int.from_bytes(pending[1:5], "big"):
            size = int.from_bytes(pending[1:5], "big")
            if pending[0] != 0:
                raise ValueError("a compressed gRPC message")
            self.take(pending[5 : 5 + size])
            pending = pending[5 + size :]
        self.messages[stream] = pending

    def take(self, message: bytes) -> None:
        for number, body in pprof.fields(message):
            parts: dict = {}
            for field, value in pprof.fields(body):
                parts.setdefault(field, []).append(value)
            if number == 1:
                self.agent_id = parts[2][0].decode()
            elif number == 2:
                attributes = _text_map(parts.get(5, []))
                self.relay.add(SentProfile(
                    self.agent_id, parts[1][0], parts[2][0].decode(), attributes.get("service.name", ""), parts[3][0], parts[4][0],
                    _counter_map(parts.get(7, [])), pprof.decode(gzip.decompress(parts[6][0])), attributes))
            elif number == 3:
                attributes = _text_map(parts.get(2, []))
                for point in map(_point, parts.get(3, [])):
                    self.relay.add_point(SentPoint(
                        self.agent_id, parts[1][0], attributes, point[1].decode(), point[2].decode(), _text_map(point["labels"]),
                        point[6], point[4], {1: False, 2: True}[point[5]], point["value"]))


class Relay:
    """Listens on `url`; `profiles` and `points` (of metrics) are everything sent, in order."""

    def __init__(self, world, target_port: int) -> None:
        self.target_port = target_port
        self.profiles: list = []
        self.points: list = []
        self.errors: list = []
        self.keep_answers = threading.Event()
        self.lock = threading.Lock()
        self.connections: list = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()
        world.cleanups.append(self.close)

    def add(self, profile: SentProfile) -> None:
        with self.lock:
            self.profiles.append(profile)

    def add_point(self, point: SentPoint) -> None:
        with self.lock:
            self.points.append(point)

    def metrics(self, name: str = "", **labels) -> list:
        """Points of one metric, or of all, with these labels, repeats of a message included."""
        if self.errors:
            raise AssertionError(f"the relay could not read along: {self.errors}")
        with self.lock:
            return [point for point in self.points
                    if name in ("", point.name) and all(point.labels.get(key) == value for key, value in labels.items())]

    def seen(self, kind: str = "cpu") -> list:
        return [profile for profile in self.all_seen() if profile.kind == kind]

    def all_seen(self) -> list:
        if self.errors:
            raise AssertionError(f"the relay could not read along: {self.errors}")
        with self.lock:
            return list(self.profiles)

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:  # the collector is away
                client.close()
                continue
            self.connections += [client, server]
            threading.Thread(target=self.pass_on, args=(client, server, _Reader(self)), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, None), daemon=True).start()

    def pass_on(self, source, sink, reader) -> None:
        try:
            while data := source.recv(65536):
                if reader:
                    reader.feed(data)
                elif self.keep_answers.is_set():
                    continue
                sink.sendall(data)
        except OSError:
            pass  # one side went away, which is the point of some tests
        except (ValueError, KeyError, IndexError) as error:
            self.errors.append(repr(error))
        self.hang_up(source, sink)

    @staticmethod
    def hang_up(*sockets) -> None:
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # already

    def cut(self) -> None:
        """Ends the connections that there are; new ones are taken."""
        self.hang_up(*self.connections)

    def close(self) -> None:
        self.hang_up(self.listener)
        self.listener.close()
        self.cut()
        for one in self.connections:
            one.close()
