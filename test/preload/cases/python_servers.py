# SPDX-License-Identifier: Apache-2.0
"""Libraries and servers that switch stacks or fork workers, on Debian's Python: greenlet, gevent, gunicorn, uWSGI."""

import collections
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from harness import checks, interpreters
from harness.checks import check, same
from harness.python import calls, kPrograms, last_part, nothing_broken, program, python_frames, share_of_python, shown
from harness.registry import add, need_file, need_program

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from workloads import free_port, wait_for_port  # noqa: E402  (needs the path above)

kSeconds = 4
kAnswers = 60  # of each worker, at least


def debian(module: str, package: str):
    interpreter = interpreters.find("3.11 static")
    interpreter.need(module, package)
    return interpreter


def switching(session, how: str) -> None:
    """No stack has functions of two greenlets, and each has all of its own, in order."""
    interpreter = debian(how, f"python3-{how}")
    result = same(session, program(interpreter, "switching.py", how, 2.5), hz=1000, env={"SIPROF_KINDS": "cpu"}, fixed_work=False)
    profile, seen = result.profile, set()
    for sample in profile.samples:
        own = [match for frame in python_frames(sample) if (match := re.fullmatch(r"(burn|inner|outer)_(\d)", last_part(frame)))]
        numbers = {match[2] for match in own}
        check(len(numbers) <= 1, f"greenlets are mixed: {shown(sample)}")
        seen |= numbers
        if own and own[0][1] == "burn":
            number = int(own[0][2])
            roles = [match[1] for match in own]
            check(roles == ["burn"] + ["inner"] * (number * 3 + 1) + ["outer"], f"greenlet {number} has {roles}")
    check(len(seen) == 8, f"only greenlets {seen} were sampled")
    nothing_broken(profile, share=0.02)
    check(share_of_python(profile) > 0.8, f"Python is in {100 * share_of_python(profile):.0f} % only")


for how in ("greenlet", "gevent"):
    add(f"python_stacks_that_{how}_switches", ["P15"], lambda session, how=how: switching(session, how), suite="python")


def wait_for_answers(opener, port: int) -> None:
    wait_for_port(port)
    deadline = time.monotonic() + 20
    while True:
        try:
            opener.open(f"http://127.0.0.1:{port}/report?seed=1", timeout=5).read()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def serve(session, command: list, port: int, workers: int, service: str, env=None) -> None:
    """Under load: each worker is in the profile of the service, with the application's functions; what clients see is
    right."""
    wrk = need_program("wrk", "wrk")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    bodies, answers = set(), collections.Counter()  # by pid

    def drive(process):
        try:
            wait_for_answers(opener, port)
            subprocess.run([wrk, "-t1", f"-c{4 * workers}", f"-d{kSeconds}s", f"http://127.0.0.1:{port}/report?seed=5"],
                           check=True, stdout=subprocess.DEVNULL, timeout=30)
            # Each of these is a connection of its own: wrk keeps its own ones, and one worker may have them all.
            deadline = time.monotonic() + 20
            while (len(answers) < workers or min(answers.values()) < kAnswers) and time.monotonic() < deadline:
                with opener.open(f"http://127.0.0.1:{port}/report?seed=5", timeout=10) as answer:
                    bodies.add(answer.read())
                    answers[int(answer.headers["X-Worker"])] += 1
        finally:
            process.send_signal(signal.SIGTERM)

    settings = {"SIPROF_KINDS": "cpu", "PYTHONPATH": str(kPrograms), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    result = session.preloaded(command, hz=250, env=settings, beside=drive, cwd=session.folder)
    check(result.status == 0, f"it ended with {result.status}: {result.stderr[-3000:].decode()}")
    check(len(bodies) == 1 and b"[[" in next(iter(bodies)), f"clients saw {bodies}")
    profile = result.profile
    checks.has_samples(profile)
    services = {path.parent.name for path in (session.folder / "out").glob("*/cpu*.pb.gz")}
    check(services == {service}, f"the profiles are of {services}")
    with_app = {int(s.labels["pid"]) for s in profile.samples if calls("render_report")(s)}
    check(len(answers) >= workers, f"only workers {answers} answered")
    # With so many answers it has some dozens of samples.
    busy = {pid for pid, count in answers.items() if count >= kAnswers}
    check(len(with_app) >= workers and busy <= with_app, f"workers {answers} answered, {with_app} are in the profile with the application")
    inside = profile.sum("cpu", calls("report")) / profile.total()
    print(f"{len(with_app)} workers, report() has {100 * inside:.1f} %, Python {100 * share_of_python(profile):.1f} %")
    check(inside > 0.3, f"report() has {100 * inside:.1f} %")
    check(share_of_python(profile) > 0.7, f"Python is in {100 * share_of_python(profile):.0f} % only")
    named = next(f for s in profile.samples for f in python_frames(s) if last_part(f) == "render_report")
    check(named.name == "web_app.render_report" and named.file.endswith("/web_app.py"), f"{named}")


def gunicorn(session, worker_class: str, workers: int) -> None:
    interpreter = debian("gunicorn", "gunicorn")
    interpreter.need("flask", "python3-flask")
    if worker_class == "gevent":
        interpreter.need("gevent", "python3-gevent")
    port = free_port()
    command = [interpreter.path, "-m", "gunicorn", "-w", workers, "-k", worker_class, "-b", f"127.0.0.1:{port}",
               "--preload", "--log-level", "warning", "web_app:app"]
    serve(session, command, port, workers, "gunicorn")


for worker_class, workers in (("sync", 2), ("gthread", 3), ("gevent", 2)):
    add(f"python_gunicorn_with_{worker_class}_workers", ["P15"],
        lambda session, k=worker_class, w=workers: gunicorn(session, k, w), suite="python")


def uwsgi(session, *more) -> None:
    debian("flask", "python3-flask")
    program_path = need_program("uwsgi", "uwsgi-core")
    need_file("/usr/lib/uwsgi/plugins/python3_plugin.so", "Debian package uwsgi-plugin-python3")
    port = free_port()
    command = [program_path, "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", "--module", "web_app:app", "--master",
               "--processes", 2, "--die-on-term", "--disable-logging", *more]
    serve(session, command, port, 2, Path(program_path).resolve().name)


add("python_uwsgi_with_processes", ["P15", "P11"], uwsgi, suite="python")
add("python_uwsgi_with_threads", ["P15", "P11"], lambda session: uwsgi(session, "--enable-threads", "--threads", 2), suite="python")
