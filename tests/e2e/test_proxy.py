"""Through a proxy of the environment, to the real host names, over TLS: as in a company's network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from bench import EXAMPLES, REPOSITORY
from emulator_process import running_emulator

SPEC = EXAMPLES / "10-deploy-all.yaml"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """An emulator that a proxy leads the real host names to; gives its ready file."""
    scenario = EXAMPLES / "scenarios" / SPEC.name
    folder = tmp_path_factory.mktemp("proxied")
    with running_emulator(folder, "--proxy", "--scenario", str(scenario)) as ready:
        yield ready


def plan(ready: Mapping[str, str], **environ: str) -> subprocess.CompletedProcess[str]:
    """Plan with no other addresses than the services' own."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, "-m", "reconciler", "plan", str(SPEC)],
        env={
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "RECONCILER_FABRIC_TOKEN": ready["token"],
            "RECONCILER_DEVOPS_TOKEN": ready["token"],
            **environ,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_plan_is_read_through_a_proxy(proxied: Mapping[str, str]):
    """Guards HTTPS_PROXY and SSL_CERT_FILE: the services are found where their names lead."""
    done = plan(proxied, HTTPS_PROXY=proxied["proxy_url"], SSL_CERT_FILE=proxied["ca_file"])
    assert (0, "") == (done.returncode, done.stderr)
    assert "Test differs from Development: 5 new, 0 different" in done.stdout


def test_a_proxy_whose_certificates_are_not_trusted_is_told_as_that(proxied: Mapping[str, str]):
    """Guards TLS: no connection that cannot be checked, and the variable that would help."""
    done = plan(proxied, HTTPS_PROXY=proxied["proxy_url"])
    assert 1 == done.returncode
    assert "Set SSL_CERT_FILE" in done.stdout
    assert "Traceback" not in done.stderr
