# SPDX-License-Identifier: Apache-2.0
"""The second half of scripts/quickstart, once everything is built: starts a collector, runs the
command preloaded and in front, waits for the drain, prints the hottest functions, stops it all.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 15
STOP_SECONDS = 10
DRAIN_SECONDS = 30


def note(text):
    print(f"quickstart: {text}", file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart", usage="%(prog)s [--seconds N] [-- CMD ARG…]", add_help=False, allow_abbrev=False)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.command[:1] == ["--"]:
        del options.command[0]
    if options.seconds is not None and options.seconds <= 0:
        parser.error("--seconds takes a number above 0")
    options.service = os.environ.get("SIPROF_SERVICE")
    if options.command:
        options.service = options.service or pathlib.Path(options.command[0]).name
    else:
        options.service = options.service or "demo"
        library = options.build / "scripts/demo/libdemo_service.so"
        options.command = [sys.executable, str(HERE / "demo/demo.py"), "--library", str(library)]
    return options


def stop(process):
    """TERM, and KILL for what is still there some seconds later."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Collector:
    """A siprof-collector with its store in `folder`, on ports that nobody else listens on."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.log = folder / "collector.log"
        self.process = None
        # The usual ports, then random ones below the range that the kernel gives to clients.
        for grpc in [9460] + [random.randrange(20000, 32000, 2) for _ in range(20)]:
            self.grpc, self.http = grpc, grpc + 1
            if self.ports_are_free() and self.start():
                return
        raise SystemExit(f"quickstart: the collector doesn't start; it says:\n{self.log.read_text()}")

    def ports_are_free(self):
        for port in (self.grpc, self.http):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return False
        return True

    def start(self):
        command = [self.program, "--grpc", f"127.0.0.1:{self.grpc}", "--http", f"127.0.0.1:{self.http}",
                   "--store", self.folder / "store"]
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C is for the command, the collector is needed until the end.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and self.process.poll() is None:
                if self.is_ready():
                    return True
                time.sleep(0.05)
        except BaseException:  # Ctrl-C: nobody else knows the process yet
            stop(self.process)
            raise
        stop(self.process)
        return False

    def is_ready(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/readyz", timeout=5) as answer:
                # Still ours, and not one that took the port a moment before.
                return answer.status == 200 and self.process.poll() is None
        except (OSError, urllib.error.URLError):
            return False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http}"


class Command:
    """The profiled command, in front: same terminal, same process group, its own status."""

    def __init__(self, arguments):
        self.signals_seen = []
        self.process = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.pass_on)
        self.process = subprocess.Popen(arguments)
        for number in self.signals_seen:
            self.process.send_signal(number)

    def pass_on(self, number, _frame):
        self.signals_seen.append(number)
        # At Ctrl-C the terminal has told the command already.
        if self.process and not (number == signal.SIGINT and in_front_of_a_terminal()):
            self.process.send_signal(number)

    def wait(self, seconds):
        """The status a shell would show; after `seconds` the command is told to end."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            stop(self.process)
            status = self.process.returncode
        return 128 - status if status < 0 else status


def in_front_of_a_terminal():
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def agents(siprof, spool):
    """The agents that were started for this run: they carry its spool in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.path.samefile(entry / "exe", siprof):
                variables = (entry / "environ").read_bytes().split(b"\0")
                if b"SIPROF_SPOOL=" + os.fsencode(spool) in variables:
                    found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def wait_for_drain(siprof, spool):
    """An agent ends by itself when its last process is gone and everything is sent."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while agents(siprof, spool):
        if time.monotonic() > deadline:
            note(f"the agent isn't done after {DRAIN_SECONDS} s; the functions below may be incomplete")
            return
        time.sleep(0.1)


def leave(number, _frame):
    raise SystemExit(128 + number)


def leave_at_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def run(options, folder):
    siprof = options.build / "collector-client/siprof"
    spool = folder / "spool"
    collector = Collector(options.build / "collector/siprof-collector", folder)
    try:
        print(f"quickstart: dashboard at {collector.url}/", flush=True)
        command = Command([siprof, "run", "--collector", f"http://127.0.0.1:{collector.grpc}", "--service",
                           options.service, "--spool", spool, "--", *options.command])
        status = command.wait(options.seconds)
        leave_at_signals()
        wait_for_drain(siprof, spool)
        print(f"quickstart: hottest functions of {options.service}", flush=True)
        top = subprocess.run([siprof, "top", "--server", collector.url, "--service", options.service], check=False)
        if top.returncode != 0:
            note(f"no profile: {options.command[0]} used less CPU time than one sample stands for (10 ms), "
                 f"or can't be profiled; '{siprof} doctor -- CMD' tells")
        return status
    finally:
        for pid in agents(siprof, spool):
            os.kill(pid, signal.SIGKILL)
        stop(collector.process)


def main():
    leave_at_signals()
    options = parse_arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="siprof-quickstart."))
    try:
        return run(options, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
