# SPDX-License-Identifier: Apache-2.0
"""A small Flask application for gunicorn and uWSGI (`web_app:app`)."""

import hashlib
import json
import os

from flask import Flask, request

app = Flask(__name__)


def tally(rows):
    totals = {}
    for row in rows:
        totals[row["customer"]] = totals.get(row["customer"], 0) + row["amount"]
    return totals


def render_report(seed):
    rows = [{"customer": (seed * i) % 17, "amount": i % 97} for i in range(600)]
    return json.dumps(sorted(tally(json.loads(json.dumps(rows))).items()))


def checksum(text):
    return hashlib.sha256((text * 300).encode()).hexdigest()


@app.route("/report")
def report():
    body = render_report(int(request.args.get("seed", 3)))
    return body + "\n" + checksum(body) + "\n"


@app.after_request
def name_worker(answer):
    answer.headers["X-Worker"] = str(os.getpid())
    return answer
