# SPDX-License-Identifier: Apache-2.0
"""Debian's own programs at work that keeps them busy. {w} is a folder with the files that make_files() makes."""

import os
import pathlib
import shutil
import subprocess

SOURCES = pathlib.Path(__file__).parent / "programs"
SQL = "with recursive c(x) as (select 1 union all select x + 1 from c limit 9000000) select sum(x % 7), max(hex(x)) from c"
# Name: the command. Programs whose first word isn't there are skipped.
PROGRAMS = {
    "bash": ["bash", "-c", 'for ((i=0;;i++)); do x=$((i*2)); y=${x/1/2}; case $y in *9) z=$(printf %s "$y");; esac; done'],
    "dash": ["dash", "-c", 'i=0; while :; do i=$((i+1)); case $i in *7) x=${i#1};; esac; done'],
    "perl": ["perl", "-e", 'while (1) { $x{$i++ % 999} = "a" x 10; "abcabcabd$i" =~ /b+c.*d(\\d+)/; @y = sort map { $_ * 3 } 1..20 }'],
    "perl digest": ["perl", "-MDigest::SHA=sha256_hex", "-MList::Util=sum,shuffle", "-MPOSIX=floor",
                    "-e", 'while (1) { sha256_hex("x" x 99); sum(shuffle(1..99)); floor(rand(9)) }'],
    **{f"python {name}": ["/usr/bin/python3", "-S", "{programs}/python_work.py", name]
       for name in ("json", "re", "sqlite", "ssl", "ctypes", "pack", "xml", "throw")},
    "node": ["node", "-e", "const z = require('zlib'); for (;;) { const x = []; for (let i = 0; i < 999; i++) "
             "x.push(JSON.stringify({a: [i]})); z.gzipSync(x.join()); x.join().match(/[0-9]+/g); }"],
    "tclsh": ["tclsh8.6", "{w}/loop.tcl"],
    "awk": ["awk", "BEGIN { for (;;) { n++; a[n % 99] = substr(\"abcdefgh\" n, 3) \"x\"; gsub(/c+d/, \"y\", a[n % 99]); s += sin(n) } }"],
    "sed": ["sed", "-n", "-E", "s/([a-z]+) ([0-9]+)/\\2 \\1/g; /9{2}/p", "{w}/text", "{w}/text", "{w}/text"],
    "grep": ["grep", "-E", "-c", "(foo|ba+r|[0-9]{3}x).*(s|t)+$", "{w}/text", "{w}/text", "{w}/text", "{w}/text"],
    "sort": ["sort", "--parallel=1", "-k2,2n", "-k1,1", "-o", "/dev/null", "{w}/text"],
    "wc": ["wc", "-w", "{w}/text", "{w}/text", "{w}/text"],
    "find": ["find", "/usr", "-name", "*.so.*[0-9]", "-size", "+1k", "-printf", "%p %s %t\\n"],
    "diff": ["diff", "{w}/text", "{w}/text2"],
    "tar": ["tar", "-cf", "{w}/out.tar", "-C", "/usr/share", "doc"],
    "xz": ["xz", "-k", "-9", "-T1", "-c", "{w}/text"],
    "gzip": ["gzip", "-9", "-c", "{w}/text"],
    "bzip2": ["bzip2", "-c", "{w}/text"],
    "zstd": ["zstd", "-19", "-q", "-c", "{w}/text"],
    "openssl rsa": ["openssl", "speed", "-seconds", "60", "rsa2048"],
    "openssl ec": ["openssl", "speed", "-seconds", "30", "ecdsap256", "ed25519"],
    "openssl aes": ["openssl", "speed", "-seconds", "20", "-evp", "aes-256-gcm"],
    "ssh-keygen": ["ssh-keygen", "-q", "-t", "rsa", "-b", "8192", "-N", "", "-f", "{w}/key"],
    "gpg": ["gpg", "--homedir", "{w}", "--batch", "--print-mds", "{w}/text"],
    "git log": ["git", "-C", "{w}/repository", "log", "-p", "--stat"],
    "git add": ["git", "-C", "{w}/repository", "hash-object", "{w}/text", "{w}/text2", "{w}/text"],
    "gdb": ["gdb", "-nx", "-batch", "-ex", "python\nfor i in range(10 ** 9): x = gdb.parse_and_eval('%d * 3' % i)\nend"],
    "gdb symbols": ["gdb", "-nx", "-batch", "-ex", "info functions malloc", "/usr/bin/gdb"],
    "curl": ["curl", "-s", "-o", "/dev/null", "file://{w}/text", "-o", "/dev/null", "file://{w}/text2"],
    "sqlite3": ["sqlite3", ":memory:", SQL],
    "jq": ["jq", "-c", "map(.a + (.b | length)) | add", "{w}/list.json"],
    "xmllint": ["xmllint", "--noout", "--xpath", "count(//b[@c > 3])", "{w}/list.xml"],
    "bc": ["bc", "-l", "{w}/pi.bc"],
    "vim": ["vim", "-u", "NONE", "-es", "-c", "%s/[0-9]\\+/x/g", "-c", "sort", "-c", "qa!", "{w}/text"],
    "make": ["make", "-f", "{w}/makefile", "-n"],
    "file": ["file", "-f", "{w}/names"],
    "dpkg": ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Depends}\\n"],
    "apt-cache": ["apt-cache", "dumpavail"],
    "cc1": ["{cc1}", "-quiet", "-O2", "{w}/frames.c", "-o", "/dev/null"],
    "cc1plus": ["{cc1plus}", "-quiet", "-O2", "-std=c++17", "-D_GNU_SOURCE", "{w}/exceptions.cpp", "-o", "/dev/null"],
    "as": ["as", "-o", "/dev/null", "{w}/exceptions.s"],
    "ld": ["ld", "-r", "-o", "/dev/null", "--whole-archive", "{libstdcxx}"],
    "objdump": ["objdump", "-d", "-C", "{libc}"],
    "readelf": ["readelf", "--debug-dump=frames", "{libc}"],
    "clang": ["clang++", "-O2", "-std=c++17", "-S", "-o", "/dev/null", "{w}/exceptions.cpp"],
    "lld": ["ld.lld", "-r", "-o", "/dev/null", "--whole-archive", "{libstdcxx}"],
    "groff": ["troff", "-ms", "{w}/text"],
    "protoc": ["protoc", "--proto_path=/usr/include", "--cpp_out={w}", "google/protobuf/descriptor.proto"],
    "redis": ["redis-server", "--save", "", "--unixsocket", "{w}/redis.socket", "--port", "0", "--dir", "{w}"],
    "nginx": ["nginx", "-p", "{w}", "-c", "{w}/nginx.conf", "-e", "{w}/nginx.log"],
    "postgres": ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "{postgres}", "--single", "-D", "{w}/pg", "postgres"],
}
# As input: a file of {w}.
STDIN = {"postgres": "queries.sql"}
# Beside it, again and again: what keeps a server busy.
CLIENTS = {
    "redis": "while :; do redis-benchmark -s {w}/redis.socket -q -n 20000 -c 4 -t set,get,lrange_100,zadd; sleep 0.1; done",
    "nginx": "while :; do curl -s --compressed --unix-socket {w}/nginx.socket http://localhost/text?[1-50] || sleep 0.1; done",
}
# Without OpenSSL: a window may fall into its hand-written code, whose rules (marked, copied) would then be most of what was seen.
SHORT = ["bash", "python json", "perl", "sqlite3"]


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def make_files(folder):
    for name in ("frames.c", "exceptions.cpp"):
        shutil.copy(SOURCES / name, folder)
    lines = [f"{'foobar' * (i % 3)}word{i * 7919 % 10007} {i * 104729 % 99991} bits\n" for i in range(60000)]
    (folder / "text").write_text("".join(lines))
    (folder / "text2").write_text("".join(line for i, line in enumerate(lines) if i % 9))
    (folder / "list.json").write_text("[" + ",".join(f'{{"a": {i}, "b": "x{i}"}}' for i in range(50000)) + "]")
    (folder / "list.xml").write_text("<a>" + "".join(f"<b c='{i}'>text</b>" for i in range(50000)) + "</a>")
    (folder / "loop.tcl").write_text('while 1 { incr i; set x [lsort [split "c b a $i" " "]]; regsub -all {a+} $x b y; catch {error $y} }\n')
    (folder / "pi.bc").write_text("scale=2000\na(1)*4\n")
    (folder / "makefile").write_text("all: " + " ".join(f"t{i}" for i in range(9999)) + "\nt%:\n\techo $(patsubst t%,%.o,$@) $(sort c b a $*)\n")
    (folder / "names").write_text("".join(f"/usr/bin/{name}\n" for name in sorted(os.listdir("/usr/bin"))))
    (folder / "queries.sql").write_text("select count(*), max(md5(a::text)), sum(sqrt(a)) from generate_series(1, 300000) a group by a % 97 order by 1;\n" * 50)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; events {{}}\nhttp {{ access_log {folder}/access.log; gzip on; gzip_types *; gzip_proxied any;\n"
        f"server {{ listen unix:{folder}/nginx.socket; root {folder}; location ~ ^/(te.t)$ {{ }} }} }}\n")
    subprocess.run(["g++", "-std=c++17", "-O1", "-S", "-o", folder / "exceptions.s", folder / "exceptions.cpp"], check=False)


def make_repository(folder):
    where = folder / "repository"
    where.mkdir()
    git = ["git", "-C", where, "-c", "user.name=corpus", "-c", "user.email=corpus@localhost"]
    subprocess.run([*git, "init", "-q"], check=False)
    for step in range(4):
        lines = (folder / "text").read_text().splitlines()[step * 100 : 20000 - step * 100]
        (where / "text").write_text("\n".join(lines))
        subprocess.run([*git, "add", "text"], check=False)
        subprocess.run([*git, "commit", "-q", "-m", f"step {step}"], check=False)


def make_database(folder, postgres):
    where = folder / "pg"
    where.mkdir(mode=0o700)
    shutil.chown(where, "postgres", "postgres")
    folder.chmod(0o755)
    initdb = pathlib.Path(postgres).parent / "initdb"
    subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", initdb, "-D", where, "--no-sync"],
                   cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def commands(names, folder):
    """Yields name, command or None, reason."""
    postgres = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None)
    values = {
        "w": folder,
        "programs": SOURCES,
        "cc1": output_of("gcc", "-print-prog-name=cc1"),
        "cc1plus": output_of("g++", "-print-prog-name=cc1plus"),
        "libc": output_of("gcc", "-print-file-name=libc.so.6"),
        "libstdcxx": output_of("g++", "-print-file-name=libstdc++.a"),
        "postgres": postgres or "no postgres",
    }
    make_files(folder)
    for name in names:
        words = PROGRAMS[name]
        # Braces of shells and scripts are theirs.
        for key, value in values.items():
            words = [word.replace("{" + key + "}", str(value)) for word in words]
        program = words[4] if name == "postgres" else words[0]
        if shutil.which(program) is None:
            yield name, None, f"no {program}"
            continue
        if name == "postgres" and os.geteuid() != 0:
            yield name, None, "only root may become postgres"
            continue
        if name == "postgres":
            make_database(folder, postgres)
        if name == "git log":
            make_repository(folder)
        yield name, words, None
