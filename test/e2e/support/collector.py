# SPDX-License-Identifier: Apache-2.0
"""A real siprof-collector on ports that the kernel picks, and what its HTTP API says."""

import http.client
import json
import re
import signal
import ssl
import subprocess
import time
from urllib.parse import urlencode

from harness import pprof


class Collector:
    def __init__(self, world, options=(), store=None, token: str = "", ca=None) -> None:
        self.world, self.options, self.token, self.ca = world, list(map(str, options)), token, ca
        self.store = store or world.folder / "store"
        self.grpc_port = self.http_port = 0
        self.starts = 0
        self.start()

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.grpc_port}"

    @property
    def server(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Also again, on the same ports and store."""
        self.starts += 1
        path = self.world.folder / f"collector.{self.starts}.log"
        command = [self.world.build / "collector" / "siprof-collector", "--grpc", f"127.0.0.1:{self.grpc_port}",
                   "--http", f"127.0.0.1:{self.http_port}", "--store", self.store, *self.options]
        with open(path, "w", encoding="utf-8") as log:
            self.process = self.world.start(command, self.world.environment(), stdout=subprocess.DEVNULL, stderr=log)
        self.log_path = path
        deadline = time.monotonic() + 20
        while not (found := re.search(r"dashboard \w+://\S+:(\d+)\n.*grpc \S+:(\d+)\n", path.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the collector does not start: {path.read_text()}")
            time.sleep(0.05)
        self.http_port, self.grpc_port = map(int, found.groups())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def log(self) -> str:
        return self.log_path.read_text()

    def request(self, path: str, method: str = "GET", body=None, headers=None) -> tuple:
        """(status, body); `path` goes out as it is."""
        if self.ca:
            context = ssl.create_default_context(cafile=self.ca)
            connection = http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=20, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        with_token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body=body, headers={**with_token, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **parameters):
        query = f"?{urlencode(parameters)}" if parameters else ""
        status, body = self.request(f"/api/v1/{path}{query}")
        if status != 200:
            raise AssertionError(f"GET /api/v1/{path}{query} answers {status}: {body!r}")
        return json.loads(body)

    def services(self) -> list:
        return [service["service"] for service in self.get("services")["services"]]

    def profile(self, service: str = "load", match=()) -> pprof.Profile:
        """All that is stored of a service; an empty profile where there is nothing."""
        now = time.time()
        query = urlencode([("service", service), ("from", now - 3600), ("to", now + 3600), *(("match", m) for m in match)])
        status, body = self.request(f"/api/v1/profile?{query}")
        if status == 404:
            return pprof.Profile()
        if status != 200:
            raise AssertionError(f"the profile of {service} answers {status}: {body!r}")
        return pprof.decode(pprof.gzip.decompress(body))

    def cpu_ns(self, service: str = "load") -> int:
        return self.profile(service).total("cpu")

    def metric(self, name: str) -> float:
        """A Prometheus counter or gauge, summed over its labels."""
        status, body = self.request("/metrics")
        if status != 200:
            raise AssertionError(f"/metrics answers {status}")
        lines = [line for line in body.decode().splitlines() if re.match(rf"{name}[{{ ]", line)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
