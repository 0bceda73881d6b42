"""Credentials: read them from the usual places, and remove them from all messages."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from atlas.core.errors import PublishError

# Environment variables with such names hold secrets.
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_PARTS = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(
    r"([?&][^=&\s]*(?:signature|credential|token|key|secret|password|sig)[^=&\s]*=)[^&\s\"']+", re.I
)
# Shorter secrets are not removed, because they may be parts of ordinary words.
_SHORTEST = 6


class Scrub:
    """A function that removes secrets from a text: known ones, and parts of addresses that look like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Collect the values of secret environment variables, and the given `secrets`."""
        values = {value for name, value in os.environ.items() if _SECRET.search(name)} | set(secrets)
        self._secrets = sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with "…" in place of each secret."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return _QUERY.sub(r"\1…", _PARTS.sub("…@", text))


def s3_credentials(file: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an S3 key from a file in the format of the AWS tools.

    The file is `file`, else that of AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials. The profile is
    AWS_PROFILE, else "default". Returns {} where no `file` is given and `environment` holds a key. Raises
    PublishError where `file` or AWS_PROFILE is given but cannot be read.
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
        key = {name: section[f"aws_{name}"] for name in ("access_key_id", "secret_access_key")}
    except (OSError, KeyError, UnicodeDecodeError, configparser.Error):
        # No cause is attached, because its message may show a line of the file.
        if not asked:
            return {}
        expected = f"a profile [{profile}] with aws_access_key_id and aws_secret_access_key"
        raise PublishError(f"cannot use the credentials in {path}", expected=expected) from None
    token = section.get("aws_session_token")
    return key | ({"session_token": token} if token else {})
