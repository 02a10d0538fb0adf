#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens and mTLS from the app to the dashboard, and what is said and stored when one of them is wrong."""

import os
import re
import subprocess

from support.pki import Authority
from support.world import WorldTest, main, wait_for

kToken = "c0rrect-h0rse"


class SecurityTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        folder = self.world.folder
        self.authority = Authority(folder, "authority")
        self.server = self.authority.issue("collector")
        self.client = self.authority.issue("agent")
        self.tokens = self.secret("tokens", f"# agents\nanother\n{kToken}\n")

    def secret(self, name: str, text: str):
        path = self.world.folder / name
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def secured(self, *more):
        return self.world.collector(
            "--tokens", self.tokens, "--web-tokens", self.tokens, "--tls-cert", self.server.cert, "--tls-key",
            self.server.key, "--tls-client-ca", self.authority.cert, *more, token=kToken, ca=self.authority.cert)

    def agent_environment(self, **changes) -> dict:
        return {"SIPROF_TOKEN": kToken, "SIPROF_TLS_CA": self.authority.cert, "SIPROF_TLS_CERT": self.client.cert,
                "SIPROF_TLS_KEY": self.client.key, **changes}

    def test_a_profile_goes_through_mtls_and_token(self):
        collector = self.secured()
        token_file = self.secret("token", f"{kToken}\n")
        env = self.agent_environment(SIPROF_TOKEN=None, SIPROF_TOKEN_FILE=token_file)
        facts = self.world.run_app(collector.url, self.world.load, 4, env=env).end()
        self.world.agents_gone()
        self.assert_close("stored CPU (ns)", collector.cpu_ns(), facts["cpu_ns"][0], 0.03, slack=20e6)
        top = self.world.ask("top", "--server", collector.server, "--service", "load", SIPROF_TOKEN=kToken,
                             SIPROF_TLS_CA=self.authority.cert)
        self.assertEqual((top.returncode, top.stderr), (0, ""))
        self.assertIn("answer_request", top.stdout)

    def assert_refused(self, collector, line: str, url: str = "", **changes) -> None:
        """The agent's log says why, nothing is stored, the profile waits, the app does not notice."""
        app = self.world.run_app(url or collector.url, self.world.load, 30, env=self.agent_environment(**changes))
        try:
            wait_for(f"a line with {line!r}", lambda: line in self.world.log(), 20)
        except AssertionError as late:
            raise AssertionError(f"{late}; agent.log:\n{self.world.log()}") from late
        app.end(stop=True)
        self.world.agents_gone()
        self.assertEqual(collector.services(), [])
        self.assertTrue(list(self.world.state.glob("siprof/spool/*/*.msg")), "the profile does not wait in the spool")
        self.assertEqual(collector.request("/readyz")[0], 200)
        # Later, with the right ones, it arrives.
        self.world.run_app(collector.url, self.world.load, 2, service="later", env=self.agent_environment()).end()
        self.world.agents_gone()
        self.assertIn("later", collector.services())

    def test_a_wrong_token_is_refused_with_a_line(self):
        self.assert_refused(self.secured(), "doesn't know the agent's token", SIPROF_TOKEN="wrong")

    def test_no_token_is_refused_with_a_line(self):
        self.assert_refused(self.secured(), "a token is needed", SIPROF_TOKEN=None)

    def test_a_collector_of_another_authority_is_not_trusted(self):
        other = Authority(self.world.folder, "other")
        self.assert_refused(self.secured(), "certificate", SIPROF_TLS_CA=other.cert)

    def test_an_agent_without_a_certificate_is_refused(self):
        self.assert_refused(self.secured(), "ertificate", SIPROF_TLS_CERT=None, SIPROF_TLS_KEY=None)

    def test_an_agent_with_a_certificate_of_another_authority_is_refused(self):
        stranger = Authority(self.world.folder, "other").issue("stranger")
        self.assert_refused(self.secured(), "ertificate", SIPROF_TLS_CERT=stranger.cert, SIPROF_TLS_KEY=stranger.key)

    def test_an_agent_without_tls_at_a_tls_port_is_told_so(self):
        collector = self.secured()
        self.assert_refused(collector, "https://", url=f"http://127.0.0.1:{collector.grpc_port}", SIPROF_TLS_CA=None,
                            SIPROF_TLS_CERT=None, SIPROF_TLS_KEY=None)

    def test_an_agent_with_tls_at_a_plain_port_is_told_so(self):
        collector = self.world.collector()
        app = self.world.run_app(collector.url.replace("http:", "https:"), self.world.load, 20, env=self.agent_environment())
        wait_for("a line that names TLS", lambda: re.search(r"https://.*(TLS|SSL)", self.world.log()), 15)
        app.end(stop=True)
        self.world.agents_gone()
        self.assertEqual(collector.services(), [])

    def test_the_dashboard_wants_its_token(self):
        collector = self.secured()
        collector.token = ""
        self.assertEqual(collector.request("/api/v1/services")[0], 401)
        self.assertEqual(collector.request("/api/v1/services", headers={"Authorization": "Bearer wrong"})[0], 401)
        self.assertEqual(collector.request("/healthz")[0], 200)
        refused = self.world.ask("services", "--server", collector.server, SIPROF_TLS_CA=self.authority.cert)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "(?i)token")

    def test_a_token_file_that_everyone_can_read_is_refused(self):
        self.tokens.chmod(0o644)
        with self.assertRaisesRegex(AssertionError, "chmod o-rw"):
            self.secured()

    def refusal(self, *options) -> str:
        run = subprocess.run([self.world.build / "collector" / "siprof-collector", *options, "--store",
                              self.world.folder / "store"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        return run.stderr

    def test_listening_beyond_loopback_needs_tokens(self):
        self.assertIn("--tokens", self.refusal("--grpc", "0.0.0.0:0", "--http", "127.0.0.1:0"))
        self.assertIn("--web-tokens", self.refusal("--grpc", "127.0.0.1:0", "--http", "[::]:0"))
        self.assertIn("--web-tokens", self.refusal("--grpc", "0.0.0.0:0", "--http", ":0", "--tokens", str(self.tokens)))
        self.assertFalse((self.world.folder / "store").exists())


if __name__ == "__main__":
    main()
