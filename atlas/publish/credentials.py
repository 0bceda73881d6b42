"""Credentials: read from where they usually are, and removed from all messages."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from atlas.core.errors import PublishError

# What counts as a secret in the environment, by its name.
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_PARTS = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(
    r"([?&][^=&\s]*(?:signature|credential|token|key|secret|password|sig)[^=&\s]*=)[^&\s\"']+", re.I
)
# A shorter value would be taken out of words that only look like it.
_SHORTEST = 6


class Scrub:
    """Takes known secrets, and what looks like one in an address, out of a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know the values of the environment's secrets and those that are given."""
        own = {value for name, value in os.environ.items() if _SECRET.search(name)} | set(secrets)
        self._secrets = sorted((v for v in own if len(v) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return _QUERY.sub(r"\1…", _PARTS.sub("…@", text))


def s3_credentials(file: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an S3 key from a file as the AWS tools keep it, nothing where the environment has one.

    The file is the one given, else that of AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials; of its
    profiles AWS_PROFILE, else "default". Raises PublishError where a file or profile asked for is not there.
    """
    profile = environment.get("AWS_PROFILE", "default")
    asked = file is not None or "AWS_PROFILE" in environment
    if file is None and "AWS_ACCESS_KEY_ID" in environment:
        return {}
    named = environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    path = file or Path(named).expanduser()
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"))
        section = dict(parser[profile])
        found = {name: section[f"aws_{name}"] for name in ("access_key_id", "secret_access_key")}
    except (OSError, KeyError, UnicodeDecodeError, configparser.Error):
        # Its error would show a line of the file.
        if not asked:
            return {}
        expected = f"a profile [{profile}] with aws_access_key_id and aws_secret_access_key"
        raise PublishError(f"cannot use the credentials in {path}", expected=expected) from None
    token = section.get("aws_session_token")
    return found | ({"session_token": token} if token else {})
