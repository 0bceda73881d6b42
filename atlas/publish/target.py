"""What an upload needs of a target, whatever kind of host it is; and the text that names one."""

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
# git's own short form: git@github.com:me/atlas.git
_SCP = re.compile(r"[\w.-]+@[\w.-]+:\S+")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a target; empty fields come from the environment, by AWS's and Google's names.

    `timeout` is of one request, in seconds.
    """

    endpoint: str = ""
    region: str = ""
    credentials: Path | None = None
    timeout: float = 120.0
    n_uploads: int = 32
    patience: Patience = field(default_factory=Patience)


class Target(Protocol):
    """A place that holds files by address. Each method may be called by many threads at once."""

    n_uploads: int

    def sizes(self) -> Mapping[str, int | None]:
        """Return the bytes of every file that is there, hidden ones too."""

    def read(self, key: str) -> bytes | None:
        """Return a file's bytes, None where there is none."""

    def write(self, key: str, data: bytes, entry: ManifestEntry) -> None:
        """Put a file whole or not at all."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files; one that is not there is no error."""

    def give_up(self) -> None:
        """Try nothing again from now on: the publish ends, and its threads are waited for."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a site is published: `place` is a bucket, a folder or a git remote, without any secret.

    `inner` is the prefix in the bucket or the remote's branch. `login` is the "user:password" that a
    remote's address held, never shown.
    """

    kind: Kind
    place: str
    inner: str = ""
    login: str = ""

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        """Return the address as a user writes it, without a secret."""
        if self.kind == "folder":
            return self.place
        if self.kind == "branch":
            return f"git+{self.place}#{self.inner}"
        return f"{self.kind}://{self.place}" + (f"/{self.inner}" if self.inner else "")


def parse_address(text: str) -> Address:
    """Return what a target's text names; raises PublishError, which never shows a secret.

    `s3://bucket/prefix`, `gs://bucket/prefix`; `git+REMOTE#branch` with any address that git takes, where
    `git+` may be left out before what ends in `.git` or looks like `git@host:path`; else a folder.
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
            # Of an ssh address the user belongs to the address; a password is of no use to ssh.
            host, login = f"{login.partition(':')[0]}@{host}" if login else host, ""
        remote = parts._replace(netloc=host).geturl()
    return Address("branch", remote, branch, login)
