# SPDX-License-Identifier: Apache-2.0
"""Certificates made by openssl for one test."""

import shutil
import subprocess
import unittest
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    cert: Path
    key: Path


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        if not shutil.which("openssl"):
            raise unittest.SkipTest("needs the program openssl (Debian package openssl)")
        self.folder, self.name = folder, name
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    @staticmethod
    def openssl(*arguments) -> None:
        run = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise AssertionError(f"openssl {arguments}: {run.stderr}")

    def issue(self, name: str, address: str = "127.0.0.1") -> Identity:
        made = Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=IP:{address},DNS:localhost\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", made.key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                     "-extfile", extensions, "-out", made.cert)
        return made
