"""The interface of targets that an upload uses, and the addresses by which users name targets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from atlas.core.errors import PublishError
from atlas.publish.credentials import Scrub
from atlas.publish.manifest import ManifestEntry
from atlas.publish.patience import Patience

Kind = Literal["s3", "gs", "folder", "branch"]
DEFAULT_BRANCH = "gh-pages"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/?)*")
# git's short form: git@github.com:me/atlas.git
_SCP = re.compile(r"[\w.-]+@[\w.-]+:\S+")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a target. Empty fields come from the environment variables of AWS and Google."""

    endpoint: str = ""
    """URL of a host that speaks S3 or Google's protocol."""
    region: str = ""
    """AWS region of the bucket."""
    credentials: Path | None = None
    """File with an S3 key, or with a Google service account."""
    timeout: float = 120.0
    """Limit for one request, in seconds."""
    n_uploads: int = 32
    """Number of files that are uploaded at the same time."""
    patience: Patience = field(default_factory=Patience)
    """How often a request is repeated after temporary failures."""


class Target(Protocol):
    """A place that holds files by address. Many threads may call its methods at once."""

    n_uploads: int
    """Number of files that are written at the same time."""

    def sizes(self) -> Mapping[str, int | None]:
        """Return the bytes of every file, hidden ones too; None where the target does not report sizes."""

    def read(self, key: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""

    def write(self, key: str, data: bytes, entry: ManifestEntry) -> None:
        """Write a file with the headers of `entry`, either completely or not at all."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files; a missing file is no error."""

    def give_up(self) -> None:
        """Do not repeat any request from now on, so that the threads of a publish that failed end soon."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a target."""

    kind: Kind
    """The kind of target."""
    place: str
    """Name of the bucket, path of the folder, or address of the git remote without any secret."""
    inner: str = ""
    """Prefix in the bucket, or branch of the remote; "" for a folder."""
    login: str = ""
    """The "user:password" in a remote's address, which is never printed; "" where there is none."""

    def __repr__(self) -> str:
        """Return the address without a secret."""
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        """Return the address as a user writes it, without a secret."""
        if self.kind == "folder":
            return self.place
        if self.kind == "branch":
            return f"git+{self.place}#{self.inner}"
        return f"{self.kind}://{self.place}" + (f"/{self.inner}" if self.inner else "")


def parse_address(text: str) -> Address:
    """Parse the address of a target; raises PublishError, whose message never contains a secret.

    Accepts `s3://bucket/prefix`, `gs://bucket/prefix`, and `git+REMOTE#branch` with any address that git
    takes; `git+` is optional if REMOTE ends in `.git` or looks like `git@host:path`. Other texts are folders.
    """
    scheme, there, _ = text.partition("://")
    if there and scheme in ("s3", "gs"):
        return _bucket("s3" if scheme == "s3" else "gs", text)
    remote, _, branch = text.removeprefix("git+").partition("#")
    if text.startswith("git+") or remote.endswith(".git") or _SCP.fullmatch(remote):
        return _branch(remote, branch or DEFAULT_BRANCH)
    if there:
        raise PublishError(
            f"cannot publish to {Scrub()(text)!r}",
            expected="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, git+REMOTE#BRANCH or a folder",
        )
    if not text:
        raise PublishError("no target is given")
    return Address("folder", text)


def _bucket(kind: Kind, text: str) -> Address:
    bucket, _, prefix = text.partition("://")[2].partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(prefix):
        expected = f"{kind}://BUCKET/PREFIX of letters, digits, ., _ and -"
        raise PublishError(f"cannot publish to {Scrub()(text)!r}", expected=expected)
    return Address(kind, bucket, prefix)


def _branch(remote: str, branch: str) -> Address:
    if not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", "/")):
        raise PublishError(f"{branch!r} cannot be a branch", expected="git+REMOTE#BRANCH")
    if not remote or remote.startswith("-"):
        raise PublishError("no git remote is given", expected="git+REMOTE#BRANCH")
    login = ""
    if "://" in remote:
        parts = urlsplit(remote)
        login, _, host = parts.netloc.rpartition("@")
        if parts.scheme not in ("http", "https"):
            # In an ssh address the user is part of the address; ssh cannot use a password.
            host, login = f"{login.partition(':')[0]}@{host}" if login else host, ""
        remote = parts._replace(netloc=host).geturl()
    return Address("branch", remote, branch, login)
