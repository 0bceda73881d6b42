"""A small site, and a server that speaks S3 and does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty_s3 import FaultyS3, running
from publishing import PREFIX, Publisher
from sites import site_contents, write_site

SECRET = {"AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY": "fake/secret+of+nobody"}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees this machine's credentials, nor git's settings of whoever runs it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The first edition of a site of six neurons."""
    return write_site(tmp_path / "site", site_contents())


@pytest.fixture
def s3() -> Iterator[FaultyS3]:
    """A server without faults, until a test sets some."""
    with running(FaultyS3()) as server:
        yield server


@pytest.fixture
def publisher(s3: FaultyS3) -> Publisher:
    """Publishes below a prefix of the server's bucket."""
    return Publisher(f"s3://bucket/{PREFIX}", s3.url)
