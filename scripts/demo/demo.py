#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled demo: a small web service with a Python front and a C++ part, under load.

Each connection has a thread of its own.  /thumbnail works in C++ (service.cpp), /report in Python; /search goes from
Python to C++, which calls back into Python.  The load comes from a second process that isn't profiled.
Ends at SIGTERM, SIGINT or after --seconds, with status 0.
"""

import argparse
import ctypes
import html
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
SCORE = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_uint32)


def load_service(path):
    service = ctypes.CDLL(str(path))
    service.demo_search.argtypes = [ctypes.c_char_p, SCORE]
    service.demo_search.restype = ctypes.c_uint32
    service.demo_thumbnail.argtypes = [ctypes.c_uint32, ctypes.c_uint32]
    service.demo_thumbnail.restype = ctypes.c_uint32
    return service


def freshness(document):
    """What people read lately; the library asks for each match."""
    return sum(1 / (1 + age) for age in range(document % 29)) / (1 + document % 7)


SCORE_OF_A_MATCH = SCORE(freshness)


def tally(rows):
    """Sums orders by customer, the way a first version of a report does it."""
    totals = {}
    for row in rows:
        totals[row["customer"]] = totals.get(row["customer"], 0) + row["amount"]
    return totals


def load_orders(seed):
    """As a store would answer."""
    rows = [{"customer": (seed * i) % 17, "amount": i % 97, "note": f"order <{i}>"} for i in range(1500)]
    return json.loads(json.dumps(rows))


def render_rows(rows):
    for row in rows:
        yield f"<tr><td>{row['customer']}<td>{row['amount']:.2f}<td>{html.escape(row['note'])}</tr>"


def render_page(title, rows, totals):
    head = f"<title>{html.escape(title)}</title>"
    sums = ", ".join(f"{customer}: {amount}" for customer, amount in sorted(totals.items(), key=lambda item: -item[1]))
    return f"<!doctype html>{head}<p>{sums}</p><table>{''.join(render_rows(rows))}</table>"


class Routes:
    def __init__(self, service):
        self.service = service

    def search(self, query):
        return str(self.service.demo_search(query["q"].encode(), SCORE_OF_A_MATCH))

    def thumbnail(self, query):
        size = min(max(int(query["size"]), 1), 360)
        return str(self.service.demo_thumbnail(size, int(query["seed"])))

    def report(self, query):
        seed = int(query["seed"])
        rows = load_orders(seed)
        return render_page(f"Orders of {seed}", rows, tally(rows))

    def find(self, path):
        return {"/search": self.search, "/thumbnail": self.thumbnail, "/report": self.report}.get(path)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 2  # seconds, of an idle connection: the service's end waits for it

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        route = self.server.routes.find(url.path)
        if route is None:
            self.send_error(404)
            return
        try:
            body = route(query).encode() + b"\n"
        except (KeyError, ValueError) as error:
            self.send_error(400, explain=str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass  # a line per request would hide what quickstart prints


class Front(http.server.ThreadingHTTPServer):
    daemon_threads = False  # one that is in the library when the interpreter ends would come back to nothing

    def __init__(self, service):
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes = Routes(service)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=pathlib.Path, required=True, help="libdemo_service.so")
    parser.add_argument("--seconds", type=float, help="end after this time; default: at a signal")
    options = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = load_service(options.library)
    front = Front(service)
    service.demo_start()
    threading.Thread(target=front.serve_forever, name="front", daemon=True).start()
    print(f"demo: serving http://127.0.0.1:{front.server_port}/search?q=river", flush=True)

    # A session of its own, so that Ctrl-C ends the service first and the load after it.
    load = subprocess.Popen([sys.executable, HERE / "load.py", str(front.server_port)],
                            stdin=subprocess.PIPE, env={**os.environ, "SIPROF_DISABLED": "1"},
                            start_new_session=True)
    stop.wait(options.seconds)
    load.stdin.close()
    load.wait()
    front.shutdown()
    front.server_close()
    service.demo_stop()


if __name__ == "__main__":
    main()
