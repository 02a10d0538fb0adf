# SPDX-License-Identifier: Apache-2.0
"""Keeps Debian's interpreter and its C extensions busy: python_work.py NAME."""

import sys


def json_work():
    import json

    rows = [{"a": i, "b": str(i)} for i in range(99)]
    while True:
        json.loads(json.dumps(rows, indent=1))


def re_work():
    import re

    while True:
        re.sub(r"(a+)(b|c)*d", r"\1", "aabbcd" * 50)
        re.findall(r"\w+\s", "ab cd " * 50)


def sqlite_work():
    import sqlite3

    base = sqlite3.connect(":memory:")
    base.execute("create table t(a, b)")
    while True:
        base.executemany("insert into t values(?, ?)", [(i, str(i)) for i in range(50)])
        base.execute("select b, count(*) from t group by b").fetchall()
        base.execute("delete from t")


def ssl_work():
    import hashlib
    import ssl

    while True:
        hashlib.sha512(b"x" * 4096).digest()
        hashlib.pbkdf2_hmac("sha1", b"a", b"b", 50)
        ssl.create_default_context()


def ctypes_work():
    """libc calls back into the interpreter."""
    import ctypes

    libc = ctypes.CDLL(None)
    number = ctypes.POINTER(ctypes.c_int)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, number, number)(lambda a, b: a[0] - b[0])
    while True:
        libc.qsort((ctypes.c_int * 20)(*range(20, 0, -1)), 20, 4, compare)


def pack_work():
    import bz2
    import datetime
    import decimal
    import struct
    import zlib

    while True:
        decimal.Decimal(2).sqrt() ** 9
        zlib.decompress(zlib.compress(b"ab" * 999))
        bz2.compress(b"ab" * 999)
        struct.pack("<IQd", 1, 2, 3.0)
        datetime.datetime.now().isoformat()


def xml_work():
    import xml.etree.ElementTree as tree

    text = "<a>" + '<b c="d">text</b>' * 50 + "</a>"
    while True:
        tree.tostring(tree.fromstring(text))


def throw_work():
    import asyncio

    async def fail(number):
        await asyncio.sleep(0)
        raise KeyError(number)

    async def forever():
        while True:
            await asyncio.gather(*(fail(i) for i in range(9)), return_exceptions=True)

    asyncio.run(forever())


globals()[sys.argv[1] + "_work"]()
