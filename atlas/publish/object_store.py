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
# Objects per page of a listing; after an error the listing continues behind the last object received.
_TAKEN = 100
# Most objects that one DeleteObjects request takes.
_DELETES = 1000
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# Codes of a "400 Bad Request" which only mean that the request was damaged or delayed on its way.
_GARBLED = ("RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch")
_WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "redirect")
# Hosts that give credentials to machines in a cloud; obstore asks them when it finds no others.
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "/latest/api/token")


class ObjectStore:
    """A bucket, or the objects below a prefix in it."""

    def __init__(self, address: Address, access: Access) -> None:
        """Prepare requests; nothing is sent yet. Raises PublishError for unusable credentials or settings."""
        self.n_uploads, self.patience = access.n_uploads, access.patience
        login = s3_credentials(access.credentials, os.environ) if address.kind == "s3" else {}
        self._scrub = Scrub(login.values())
        self._address = address
        endpoint = access.endpoint or next(
            (os.environ[name] for name in _ENDPOINTS if name in os.environ), ""
        )
        if "@" in endpoint:
            raise PublishError("an endpoint's address holds no credentials", remedy="take them out of it")
        options: dict[str, Any] = {
            "prefix": address.inner or None,
            "client_options": {
                "timeout": f"{int(access.timeout * 1000)}ms",
                "connect_timeout": "10s",
                "allow_http": endpoint.startswith("http://") or address.kind == "gs",
            },
            # obstore repeats neither a PUT that timed out nor a 429, so Patience repeats all requests.
            "retry_config": {"max_retries": 0},
        }
        try:
            if address.kind == "s3":
                self._store: S3Store | GCSStore = _s3(address.place, options, login, access)
            else:
                self._store = _gs(address.place, options, access)
        except (BaseError, ValueError, OSError):
            # No cause is attached: its message may show the content of a key's file.
            what = f"cannot use the credentials or the settings for {address}"
            raise PublishError(what, remedy="docs/publishing.md tells how they look") from None

    def sizes(self) -> Mapping[str, int | None]:
        """Return the size in bytes of every object; raises PublishError."""
        sizes: dict[str, int | None] = {}
        stream: Iterator[Any] | None = None

        def listed() -> bool:
            """Receive the next page; return whether there was one. After an error, continue the list."""
            nonlocal stream
            try:
                stream = stream or iter(self._store.list(offset=max(sizes, default=None), chunk_size=_TAKEN))
                some = next(stream, None)
            except BaseException:
                stream = None
                raise
            sizes.update((item["path"], item["size"]) for item in some or ())
            return some is not None

        while self._patiently(listed):
            pass
        return sizes

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None where there is none; raises PublishError."""

        def fetched() -> bytes | None:
            try:
                answer = self._store.get(key)
            except FileNotFoundError as error:
                # The error is the same for a missing object and a missing bucket.
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
                # If one object is missing, Google Cloud Storage answers "not found" and deletes no others.
                for key in some:
                    self._deleted([key])

    def give_up(self) -> None:
        """Do not repeat any request from now on; requests that are under way end by themselves."""
        self.patience.end()

    def _deleted(self, keys: Sequence[str]) -> bool:
        """Delete objects; return False if one was not found."""
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
        """Return an action's result.

        Raises PublishError for an error that another attempt would not change, else PassingError, both
        without secrets. With `missing`, an object that is not found raises FileNotFoundError.
        """
        try:
            return action()
        except FileNotFoundError as error:
            if missing:
                raise FileNotFoundError from None
            raise PublishError(f"{self._address}: {self._message(error)}", remedy="make the bucket") from None
        except (BaseError, ValueError, OSError) as error:
            text = str(error)
            # obstore raises a generic error if a listing is refused, so the status is read from the text.
            if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _status(text) in (401, 403):
                remedy = "check the credentials, and that they may list, read, write and delete there"
                raise PublishError(f"{self._address}: {self._message(error)}", remedy=remedy) from None
            if any(host in text for host in _METADATA):
                what = f"no credentials for {self._address}"
                raise PublishError(
                    what, remedy="docs/publishing.md tells where they are taken from"
                ) from None
            if any(sign in text for sign in _WRONG_REGION):
                remedy = "say with --region where the bucket is"
                raise PublishError(f"{self._address}: {self._message(error)}", remedy=remedy) from None
            if _is_final(text):
                raise PublishError(f"{self._address}: {self._message(error)}") from None
            raise PassingError(self._message(error)) from None

    def _message(self, error: BaseException) -> str:
        """Return an error in one line, with the answer's code only, as its text may repeat the request."""
        text = str(error).partition("\n\nDebug source")[0].partition("Debug source")[0]
        code = re.search(r"<Code>([A-Za-z0-9]+)</Code>", text)
        status = re.search(r"status code:? (\d{3}[^:<\n]*)", text)
        codes = " ".join(match[1].strip() for match in (status, code) if match)
        # Without a code, show the start of the message; obstore repeats it in a longer form.
        short = re.sub(r"\s+", " ", text.partition("<")[0])[:300].strip()
        return self._scrub(codes or short.removeprefix("Generic S3 error: ") or type(error).__name__)


def _status(text: str) -> int:
    """Return the HTTP status of an error, 0 for none."""
    match = re.search(r"status code:? (\d{3})", text)
    return int(match[1]) if match else 0


def _is_final(text: str) -> bool:
    """Return whether a host refused a request in a way that another attempt would not change."""
    if _status(text) // 100 != 4 or _status(text) in (408, 409, 425, 429):
        return False
    return not any(f"<Code>{code}<" in text for code in _GARBLED)


def _s3(bucket: str, options: dict[str, Any], login: dict[str, str], access: Access) -> S3Store:
    config: Any = dict(login)
    config |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint} if access.endpoint else {}
    config |= {"region": access.region} if access.region else {}
    return S3Store(bucket, config=config, **options)


def _gs(bucket: str, options: dict[str, Any], access: Access) -> GCSStore:
    config: Any = {"service_account": str(access.credentials)} if access.credentials else {}
    config |= {"base_url": access.endpoint} if access.endpoint else {}
    return GCSStore(bucket, config=config, **options)
