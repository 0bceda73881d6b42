"""A small S3 server in memory that fails as real ones do, as often as it is told to.

It knows what a publish needs: PUT, GET, HEAD, DELETE, a list in pages, and many deletions at once. Any bucket
exists. `faults` maps a name of FAULTS to its share of the requests that can fail so, of those whose address
holds `spared` none; PUTs of them wait until `hold` requests are under way, 5 s at most; `log` keeps every
request that was done, `deleted` the keys of deletions.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

# "drop" hangs up unheard, "late" does what it is told and then hangs up, "short" sends half of what it
# promised, "lose" keeps half of what it was sent, and "lie" tells wrong sizes in a list.
FAULTS = ("500", "503", "429", "drop", "late", "slow", "short", "lose", "lie")
ANSWERS = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}


@dataclass
class Stored:
    """An object: its bytes and the headers that it was put with."""

    data: bytes
    headers: dict[str, str]


@dataclass
class FaultyS3:
    """The server's objects by key (bucket left out), and what it is to do wrong."""

    faults: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    page: int = 1000
    slow: float = 0.05
    delay: float = 0.0
    hold: int = 0
    spared: str = "none"
    objects: dict[str, Stored] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    seen_headers: list[str] = field(default_factory=list)
    n_faults: dict[str, int] = field(default_factory=dict)
    busiest: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _now: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def fault(self, method: str, address: str) -> str:
        """Return what is to go wrong with a request, "" for nothing; only what can befall it is counted."""
        with self.lock:
            at = self.rng.random()
            for name, share in self.faults.items():
                at -= share
                if at < 0:
                    if not _can_befall(name, method, address):
                        return ""
                    self.n_faults[name] = self.n_faults.get(name, 0) + 1
                    return name
        return ""

    def puts(self) -> list[str]:
        """Return the keys of all PUTs that were done, in their order."""
        return [key for method, key in self.log if method == "PUT"]

    def wait_until_busy(self) -> None:
        """Wait until as many requests as `hold` were under way at once, some seconds at most."""
        end = time.monotonic() + 5
        while self.busiest < self.hold and time.monotonic() < end:
            time.sleep(0.01)

    def wait_until_idle(self) -> None:
        """Wait until no request is under way, also of those whose client has gone."""
        while self._now:
            time.sleep(0.01)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count how many requests are under way at once."""
        with self.lock:
            self._now += 1
            self.busiest = max(self.busiest, self._now)
        try:
            yield
        finally:
            with self.lock:
                self._now -= 1


def _can_befall(fault: str, method: str, address: str) -> bool:
    if fault == "lose":
        return method == "PUT"
    if fault == "lie":
        return "list-type=" in address
    return fault != "short" or method == "GET"


@contextmanager
def running(server: FaultyS3) -> Iterator[FaultyS3]:
    """Serve on a free port of this machine; `server.url` is its endpoint."""
    handler = type("Handler", (_Handler,), {"s3": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    s3: FaultyS3
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def handle(self) -> None:
        """Serve until the client hangs up, which is no error."""
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        """Take leave, also of a client that is gone."""
        with suppress(ConnectionError):
            super().finish()

    def _go(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.s3.seen_headers.append(str(self.headers))
        with self.s3.busy():
            time.sleep(self.s3.delay)
            spared = self.s3.spared in self.path
            if self.command == "PUT" and not spared:
                self.s3.wait_until_busy()
            self._faulty(body, "" if spared else self.s3.fault(self.command, self.path))

    def _faulty(self, body: bytes, fault: str) -> None:
        if fault == "slow":
            time.sleep(self.s3.slow)
        if fault == "drop":
            self.close_connection = True
        elif fault in ANSWERS:
            code = ANSWERS[fault]
            self._answer(
                int(fault), f"<Error><Code>{code}</Code><Message>AKIAFAKE</Message></Error>".encode()
            )
        else:
            self._do(body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _go  # noqa: N815 - http.server's names

    def _do(self, body: bytes, fault: str) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        objects = self.s3.objects
        with self.s3.lock:
            self.s3.log.append((self.command, key))
            if self.command == "PUT":
                kept = body[: len(body) // 2] if fault == "lose" else body
                objects[key] = Stored(kept, dict(self.headers.items()))
                answer = 200, b"", {"ETag": '"00"'}
            elif self.command == "POST" and "delete" in query:
                names = re.findall(r"<Key>(.*?)</Key>", body.decode())
                for name in names:
                    objects.pop(name, None)
                self.s3.deleted += names
                done = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
                answer = 200, f"<DeleteResult>{done}</DeleteResult>".encode(), {}
            elif self.command == "DELETE":
                answer = (204 if objects.pop(key, None) else 404), b"", {}
            elif "list-type" in query:
                answer = 200, self._list(query, fault), {}
            else:
                answer = self._object(key)
        if fault == "late":
            self.close_connection = True
            return
        self._answer(*answer, short=fault == "short")

    def _object(self, key: str) -> tuple[int, bytes, dict[str, str]]:
        stored = self.s3.objects.get(key)
        if stored is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        headers = {n: stored.headers[n] for n in ("Content-Type", "Cache-Control") if n in stored.headers}
        return 200, stored.data, headers

    def _list(self, query: Mapping[str, str], fault: str) -> bytes:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", query.get("start-after", ""))
        keys = sorted(key for key in self.s3.objects if key.startswith(prefix) and key > after)
        page, more = keys[: self.s3.page], len(keys) > self.s3.page
        off = 7 if fault == "lie" else 0
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.s3.objects[key].data) + off}</Size>"
            f'<LastModified>2020-01-01T00:00:00.000Z</LastModified><ETag>"00"</ETag></Contents>'
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = str(more).lower()
        return (
            f"<ListBucketResult><Name>b</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>{truncated}</IsTruncated>{token}{contents}</ListBucketResult>"
        ).encode()

    def _answer(
        self, status: int, data: bytes, headers: Mapping[str, str] | None = None, *, short: bool = False
    ) -> None:
        self.send_response(status)
        # object_store wants them of every object.
        headers = {"ETag": '"00"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"} | dict(headers or {})
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if short else data)
        self.wfile.flush()
        self.close_connection = self.close_connection or short
