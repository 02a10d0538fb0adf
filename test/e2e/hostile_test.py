#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Garbage, HTTP/1 and too much on the gRPC port; odd paths and sizes on the HTTP port. The collector answers or hangs up, and goes on."""

import os
import socket
import time

from support.world import WorldTest, main


class HostileTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.collector = self.world.collector()

    def tearDown(self) -> None:
        """Unharmed: the same process takes a profile and shows it."""
        facts = self.world.run_app(self.collector.url, self.world.load, 2, service="honest").end()
        self.world.agents_gone()
        self.assertIsNone(self.collector.process.poll())
        self.assert_close("stored CPU (ns)", self.collector.cpu_ns("honest"), facts["cpu_ns"][0], 0.03, slack=30e6)
        self.assertEqual(self.collector.services(), ["honest"])

    def exchange(self, port: int, data: bytes, most: int = 1 << 20) -> bytes:
        """What comes back until the other side closes, or 3 s pass."""
        answer = b""
        with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
            try:
                connection.sendall(data)
                while len(answer) < most and (got := connection.recv(65536)):
                    answer += got
            except (socket.timeout, ConnectionError):
                pass  # both are an answer to garbage
        return answer

    def test_garbage_on_the_grpc_port(self):
        for data in (b"", b"\0" * 100_000, os.urandom(200_000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(100_000),
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(600)):
            self.exchange(self.collector.grpc_port, data)

    def test_http_1_on_the_grpc_port(self):
        answer = self.exchange(self.collector.grpc_port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertNotIn(b"200 OK", answer)

    def test_many_connections_that_say_nothing(self):
        """The honest agent is served beside them (tearDown), and the dashboard."""
        silent = [socket.create_connection(("127.0.0.1", self.collector.grpc_port)) for _ in range(200)]
        silent += [socket.create_connection(("127.0.0.1", self.collector.http_port)) for _ in range(200)]
        self.addCleanup(lambda: [one.close() for one in silent])
        for path in ("/healthz", "/", "/api/v1/services"):
            start = time.monotonic()
            self.assertEqual(self.collector.request(path)[0], 200)
            self.assertLess(time.monotonic() - start, 1, path)

    def test_garbage_on_the_http_port(self):
        port = self.collector.http_port
        for data in (b"\0" * 10_000, os.urandom(100_000), b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"):
            self.assertNotIn(b"200 OK", self.exchange(port, data)[:15])

    def test_oversized_requests_get_a_4xx(self):
        collector = self.collector
        for path, method, body, headers in (
                ("/api/v1/services?" + "a" * 100_000, "GET", None, {}),
                ("/api/v1/services", "GET", None, {"X-Long": "a" * 100_000}),
                ("/login", "POST", b"token=" + b"a" * (20 << 20), {"Content-Type": "application/x-www-form-urlencoded"})):
            try:
                status, answer = collector.request(path, method, body, headers)
            except ConnectionError:
                continue  # hung up in the middle of the sending, as good
            self.assertIn(status // 100, (4,), f"{method} {path[:40]} answers {status}: {answer[:200]!r}")

    def test_paths_do_not_lead_out(self):
        (self.world.folder / "secret").write_text("do-not-show", encoding="utf-8")
        for path in ("/../secret", "/..%2fsecret", "/%2e%2e/secret", "/assets/../../secret", "/assets/..%5c..%5csecret",
                     "//etc/passwd", "/etc/passwd", "/.", "/%00", "/api/v1/labels/..%2f..%2fsecret", "/store/catalog.db",
                     "/api/v1/../../etc/passwd", "/index.html%00.js", "file:///etc/passwd"):
            status, body = self.collector.request(path)
            self.assertNotIn(b"do-not-show", body, path)
            self.assertNotIn(b"root:", body, path)
            if not path.startswith("/api/v1/labels/"):
                self.assertIn(status, (400, 404), f"{path} answers {status}: {body[:200]!r}")

    def test_other_methods_are_refused(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            status, _ = self.collector.request("/api/v1/services", method)
            self.assertIn(status, (400, 404, 405), method)

    def test_bad_parameters_get_a_message(self):
        for query in ("services?x=1", "top", "top?service=x&from=yesterday", "series?service=x&step=-1",
                      "flame?service=x&nodes=99999999999", "flame?service=x&kind=nothing", "top?service=%ff%fe&limit=0",
                      "series?service=x&from=0&to=99999999999&step=1", "top?service=x&match=novalue"):
            status, body = self.collector.request(f"/api/v1/{query}")
            self.assertEqual(status, 400, f"{query} answers {status}: {body[:200]!r}")
            self.assertIn(b'"message"', body)


if __name__ == "__main__":
    main()
