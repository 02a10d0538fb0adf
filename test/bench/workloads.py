# SPDX-License-Identifier: Apache-2.0
"""The real programs that real_programs.py runs, each with its load. A workload has

  command   what is profiled
  drive()   puts the load on it and ends it; gives back what a client saw, to be compared
  output()  what the program itself made, to be compared; None where stdout is what counts
"""

import encodings.idna  # noqa: F401  (socket needs it, and can't load it once it runs as another user)
import hashlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for_port(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port} after {seconds} s")


def find_postgres(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else name


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Workload:
    programs: list = []  # what has to be installed
    command: list = []

    def __init__(self, folder: Path, seconds: int):
        self.folder, self.seconds, self.port = folder, seconds, free_port()

    def missing(self) -> list:
        return [name for name in self.programs if not (os.path.exists(name) or shutil.which(name, path=search_path()))]

    def run(self, *command) -> str:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              env={**os.environ, "PATH": search_path()})
        if done.returncode != 0:
            raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def drive(self) -> str:
        return ""

    def output(self):
        return None


def search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Redis(Workload):
    programs = ["redis-server", "redis-cli", "redis-benchmark"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        self.command = [shutil.which("redis-server"), "--port", self.port, "--save", "", "--dir", folder, "--logfile",
                        folder / "redis.log"]

    def drive(self):
        wait_for_port(self.port)
        end, seen = time.monotonic() + self.seconds, ""
        while time.monotonic() < end:
            self.run("redis-benchmark", "-p", self.port, "-q", "-n", 60000, "-P", 8, "-r", 10000, "-t",
                     "set,get,lpush,lrange_100,sadd,zadd,incr")
        self.run("redis-cli", "-p", self.port, "flushall")
        for i in range(50):
            seen += self.run("redis-cli", "-p", self.port, "incrby", "counter", i)
        subprocess.run(["redis-cli", "-p", str(self.port), "shutdown", "nosave"], check=False)
        return seen


class Nginx(Workload):
    programs = ["nginx", "wrk"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        (folder / "www").mkdir(exist_ok=True)
        (folder / "www" / "page.html").write_text("<p>siprof</p>\n" * 2000)
        self.config = folder / "nginx.conf"
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.config.write_text(f"""
            worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 256; }}
            http {{ access_log {folder}/access.log; gzip on; gzip_types text/html; {temporary}
                    server {{ listen 127.0.0.1:{self.port}; root {folder}/www; }} }}""")
        self.command = [shutil.which("nginx", path=search_path()), "-p", folder, "-e", folder / "start.log", "-c", self.config]

    def drive(self):
        wait_for_port(self.port)
        url = f"http://127.0.0.1:{self.port}/page.html"
        self.run("wrk", "-t1", "-c20", f"-d{self.seconds}s", "-H", "Accept-Encoding: gzip", url)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        seen = hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).hexdigest()
        os.kill(int((self.folder / "nginx.pid").read_text()), 3)  # SIGQUIT: finish, then end
        return seen


class Postgres(Workload):
    programs = [find_postgres("postgres"), "pgbench", "psql"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        self.data = folder / "data"
        if not self.data.exists():
            self.run(find_postgres("initdb"), "-D", self.data, "-U", "bench", "--no-sync")
        self.command = [find_postgres("postgres"), "-D", self.data, "-p", self.port, "-k", folder, "-c", "fsync=off"]

    def drive(self):
        deadline, at = time.monotonic() + 30, ["-h", self.folder, "-p", self.port, "-U", "bench"]
        while subprocess.run([find_postgres("pg_isready"), *map(str, at)], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise SystemExit("PostgreSQL does not answer after 30 s")
            time.sleep(0.1)
        self.run("pgbench", *at, "-i", "-q", "-s", 3, "postgres")
        self.run("pgbench", *at, "-c", 2, "-T", self.seconds, "-S", "postgres")
        seen = self.run("psql", *at, "-Atc", "select count(*), sum(aid) from pgbench_accounts", "postgres")
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), 2)  # SIGINT: fast shutdown
        return seen


def large_c_file(path: Path, functions: int) -> None:
    lines = ["#include <stdlib.h>", "#include <string.h>"]
    for i in range(functions):
        lines.append(f"int f{i}(int *a, int n) {{ int s = {i}; for (int k = 0; k < n; k++) {{ if (a[k] % {i % 13 + 2} == 0) "
                     f"s += a[k] * {i % 7 + 1}; else s ^= a[(k + {i}) % n] << {i % 5}; }} switch (s & 7) {{ "
                     f"case 1: return s + n; case 3: return s * {i + 3}; case 5: a[0] = s; default: break; }} return s; }}")
    path.write_text("\n".join(lines) + "\n")


class Gcc(Workload):
    programs = ["gcc"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        large_c_file(folder / "large.c", 250 * seconds)
        self.command = [shutil.which("gcc"), "-O2", "-c", folder / "large.c", "-o", folder / "large.o"]

    def output(self):
        return digest(self.folder / "large.o")


class Make(Workload):
    programs = ["make", "gcc"]

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        for i in range(16):
            large_c_file(folder / f"unit{i}.c", 20 * seconds)
        (folder / "Makefile").write_text(
            "all: $(patsubst %.c,%.o,$(sort $(wildcard unit*.c)))\n%.o: %.c\n\t@gcc -O1 -c -o $@ $<\n")
        self.command = ["/bin/sh", "-c", f"cd {folder} && rm -f *.o && make -s -j2"]

    def output(self):
        return "".join(digest(path) for path in sorted(self.folder.glob("*.o")))


class Python(Workload):
    programs = ["/usr/bin/python3"]
    script = """
import json, re, hashlib, random
random.seed(1)
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
def words(n):
    return [''.join(random.choice('abcdefg') for _ in range(6)) for _ in range(n)]
total = 0
for i in range(ROUNDS):
    total += max(collatz(k) for k in range(1, 9000))
    text = ' '.join(words(9000))
    total += len(re.findall(r'a[bcd]+e?f', text))
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    total += len(json.loads(json.dumps(counts)))
    total += sorted(counts.items(), key=lambda item: (item[1], item[0]))[5][1]
    total += int(hashlib.sha256(text.encode()).hexdigest()[:4], 16)
print(total)
"""

    def __init__(self, folder, seconds):
        super().__init__(folder, seconds)
        (folder / "bench.py").write_text(self.script.replace("ROUNDS", str(seconds * 6)))
        self.command = ["/usr/bin/python3", folder / "bench.py"]


WORKLOADS = {"redis-server": Redis, "nginx": Nginx, "PostgreSQL": Postgres, "gcc": Gcc, "make -j2": Make, "python3": Python}
