"""The text that names a target is read in one way, and a secret in it is never told."""

from __future__ import annotations

import pytest

from atlas.core.errors import PublishError
from atlas.publish.target import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://papers", Address("s3", "papers")),
        ("s3://papers/a/b/", Address("s3", "papers", "a/b")),
        ("gs://papers/atlas", Address("gs", "papers", "atlas")),
        ("public/atlas", Address("folder", "public/atlas")),
        ("git+https://github.com/me/r.git", Address("branch", "https://github.com/me/r.git", "gh-pages")),
        ("https://github.com/me/r.git#docs", Address("branch", "https://github.com/me/r.git", "docs")),
        ("git@github.com:me/r.git", Address("branch", "git@github.com:me/r.git", "gh-pages")),
        ("git+ssh://git@host/r", Address("branch", "ssh://git@host/r", "gh-pages")),
        ("git+../r", Address("branch", "../r", "gh-pages")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """Buckets, branches and folders."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "ftp://host/x", "s3://", "s3://b/../x", "gs://b/a//b", "s3://b/.x", "git+", "git+-x", "git+r#a..b"],
)
def test_what_cannot_be_read_is_told(text: str) -> None:
    """Each with what is expected instead."""
    with pytest.raises(PublishError):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["git+https://me:hunter22@host/r.git", "https://hunter22@host/r.git", "git+ssh://me:hunter22@host/r.git"],
)
def test_a_password_is_taken_out(text: str) -> None:
    """It is in no form of the address that could be shown."""
    address = parse_address(text)
    assert "hunter22" not in f"{address} {address!r} {address.place}"


def test_a_password_is_not_in_an_error() -> None:
    """Not even when the address is not understood."""
    with pytest.raises(PublishError) as caught:
        parse_address("ftp://me:hunter22@host/x")
    assert "hunter22" not in str(caught.value)
    assert "ftp://" in str(caught.value)
