#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's load: three clients with one connection each, until standard input ends.  load.py PORT"""

import http.client
import random
import sys
import threading
import time

WORDS = ("river", "mountain", "engine", "signal", "profile", "window", "garden")


def next_path(dice):
    kind = dice.random()
    if kind < 0.35:
        return f"/thumbnail?size={dice.choice((120, 160, 200))}&seed={dice.randrange(1000)}"
    if kind < 0.8:
        return "/search?q=" + "+".join(dice.sample(WORDS, 3))
    return f"/report?seed={dice.randrange(1, 1000)}"


def send_requests(port, seed):
    dice = random.Random(seed)
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            while True:
                connection.request("GET", next_path(dice))
                connection.getresponse().read()
                time.sleep(dice.uniform(0, 0.006))
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)  # the service is starting, ending or slow: connect again


def main():
    port = int(sys.argv[1])
    for seed in range(3):
        threading.Thread(target=send_requests, args=(port, seed), daemon=True).start()
    sys.stdin.read()  # ends with the service, however that ends


if __name__ == "__main__":
    main()
