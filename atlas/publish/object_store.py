"""A bucket of S3, of anything that speaks S3, or of Google Cloud Storage, through obstore."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from atlas.core.errors import PublishError
from atlas.publish.credentials import Scrub, s3_credentials
from atlas.publish.manifest import ManifestEntry
from atlas.publish.patience import PassingError
from atlas.publish.target import Access, Address

T = TypeVar("T")
# What is taken from a list at once; one that breaks goes on after the last that was taken.
_TAKEN = 100
# What DeleteObjects takes at once.
_DELETES = 1000
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# Codes of a "400 Bad Request" that say no more than that the request did not arrive as it was sent.
_GARBLED = ("RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch")
_WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "redirect")
# Where the keys of a machine in a cloud are asked for when they are given nowhere else.
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "/latest/api/token")


class ObjectStore:
    """A bucket, or what lies below a prefix in it."""

    def __init__(self, address: Address, access: Access) -> None:
        """Prepare to ask; nothing is sent."""
        self.n_uploads, self.patience = access.n_uploads, access.patience
        own = s3_credentials(access.credentials, os.environ) if address.kind == "s3" else {}
        self._scrub = Scrub(own.values())
        self._address = address
        told = access.endpoint or next((os.environ[name] for name in _ENDPOINTS if name in os.environ), "")
        if "@" in told:
            raise PublishError("an endpoint's address holds no credentials", remedy="take them out of it")
        options: dict[str, Any] = {
            "prefix": address.inner or None,
            "client_options": {
                "timeout": f"{int(access.timeout * 1000)}ms",
                "connect_timeout": "10s",
                "allow_http": told.startswith("http://") or address.kind == "gs",
            },
            # It does not try a PUT again that took too long, nor 429: Patience does.
            "retry_config": {"max_retries": 0},
        }
        try:
            if address.kind == "s3":
                self._store: S3Store | GCSStore = _s3(address.place, options, own, access)
            else:
                self._store = _gs(address.place, options, access)
        except (BaseError, ValueError, OSError):
            # Its error might show what is in a key's file.
            what = f"cannot use the credentials or the settings for {address}"
            raise PublishError(what, remedy="docs/publishing.md tells how they look") from None

    def sizes(self) -> Mapping[str, int | None]:
        """Return the bytes of every object; raises PublishError."""
        found: dict[str, int | None] = {}
        stream: Iterator[Any] | None = None

        def listed() -> bool:
            """Take in what comes next; a list of hundreds of pages goes on after the last that was taken."""
            nonlocal stream
            try:
                stream = stream or iter(self._store.list(offset=max(found, default=None), chunk_size=_TAKEN))
                some = next(stream, None)
            except BaseException:
                stream = None
                raise
            found.update((item["path"], item["size"]) for item in some or ())
            return some is not None

        while self._patiently(listed):
            pass
        return found

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None where there is none; raises PublishError."""

        def fetched() -> bytes | None:
            try:
                answer = self._store.get(key)
            except FileNotFoundError as error:
                # An object that is not there, or a bucket.
                if "NoSuchBucket" in str(error):
                    raise
                return None
            data = answer.bytes().to_bytes()
            if len(data) != answer.meta["size"]:
                raise PassingError(f"{key} came with {len(data)} bytes of {answer.meta['size']}")
            return data

        return self._patiently(fetched)

    def write(self, key: str, data: bytes, entry: ManifestEntry) -> None:
        """Put an object with its headers; raises PublishError."""
        attributes = {"Content-Type": entry.content_type, "Cache-Control": entry.cache_control}
        self._patiently(
            lambda: obstore.put(self._store, key, data, attributes=attributes, use_multipart=False)
        )

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; raises PublishError."""
        for start in range(0, len(keys), _DELETES):
            some = keys[start : start + _DELETES]
            if not self._deleted(some):
                # Google's answers "not found" for one that is gone, and leaves the rest.
                for key in some:
                    self._deleted([key])

    def give_up(self) -> None:
        """Try nothing again from now on; a request that is under way ends by itself."""
        self.patience.end()

    def _deleted(self, keys: Sequence[str]) -> bool:
        try:
            self._patiently(lambda: obstore.delete(self._store, keys), missing=True)
        except FileNotFoundError:
            return False
        return True

    def _patiently(self, action: Callable[[], T], *, missing: bool = False) -> T:
        try:
            return self.patience.run(lambda: self._asked(action, missing=missing))
        except PassingError as error:
            remedy = "what is done is kept: the same command goes on from there"
            raise PublishError(f"{self._address} does not answer: {error}", remedy=remedy) from None

    def _asked(self, action: Callable[[], T], *, missing: bool = False) -> T:
        """Return an action's result; its errors come without secrets, and sorted by what may help."""
        try:
            return action()
        except FileNotFoundError as error:
            if missing:
                raise FileNotFoundError from None
            raise PublishError(f"{self._address}: {self._told(error)}", remedy="make the bucket") from None
        except (BaseError, ValueError, OSError) as error:
            text = str(error)
            # A list that is refused comes as an error of no kind.
            if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _status(text) in (401, 403):
                remedy = "check the credentials, and that they may list, read, write and delete there"
                raise PublishError(f"{self._address}: {self._told(error)}", remedy=remedy) from None
            if any(host in text for host in _METADATA):
                what = f"no credentials for {self._address}"
                raise PublishError(
                    what, remedy="docs/publishing.md tells where they are taken from"
                ) from None
            if any(sign in text for sign in _WRONG_REGION):
                remedy = "say with --region where the bucket is"
                raise PublishError(f"{self._address}: {self._told(error)}", remedy=remedy) from None
            if _is_final(text):
                raise PublishError(f"{self._address}: {self._told(error)}") from None
            raise PassingError(self._told(error)) from None

    def _told(self, error: BaseException) -> str:
        """Return an error in a line; an answer's text may repeat what was sent, so only its code is shown."""
        text = str(error).partition("\n\nDebug source")[0].partition("Debug source")[0]
        code = re.search(r"<Code>([A-Za-z0-9]+)</Code>", text)
        status = re.search(r"status code:? (\d{3}[^:<\n]*)", text)
        told = " ".join(found[1].strip() for found in (status, code) if found)
        # obstore says the same thing twice, at greater length.
        short = re.sub(r"\s+", " ", text.partition("<")[0])[:300].strip()
        return self._scrub(told or short.removeprefix("Generic S3 error: ") or type(error).__name__)


def _status(text: str) -> int:
    """Return the HTTP status of an error, 0 for none."""
    found = re.search(r"status code:? (\d{3})", text)
    return int(found[1]) if found else 0


def _is_final(text: str) -> bool:
    """Return whether a host refused a request for what it is, so that it would do so again."""
    if _status(text) // 100 != 4 or _status(text) in (408, 409, 425, 429):
        return False
    return not any(f"<Code>{code}<" in text for code in _GARBLED)


def _s3(bucket: str, options: dict[str, Any], own: dict[str, str], access: Access) -> S3Store:
    config: Any = dict(own)
    config |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint} if access.endpoint else {}
    config |= {"region": access.region} if access.region else {}
    return S3Store(bucket, config=config, **options)


def _gs(bucket: str, options: dict[str, Any], access: Access) -> GCSStore:
    config: Any = {"service_account": str(access.credentials)} if access.credentials else {}
    config |= {"base_url": access.endpoint} if access.endpoint else {}
    return GCSStore(bucket, config=config, **options)
