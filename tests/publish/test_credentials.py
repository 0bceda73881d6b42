"""Credentials are in nothing that a publish says or writes, whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from atlas.core.errors import PublishError
from atlas.publish.credentials import Scrub, s3_credentials
from faulty_s3 import FaultyS3

ROOT = Path(__file__).parents[2]
FAKE = {
    "AWS_ACCESS_KEY_ID": "AKIASECRETNOBODY",
    "AWS_SECRET_ACCESS_KEY": "wJalr/fake+secret",
    "AWS_SESSION_TOKEN": "session0fake0token",
    "GITHUB_TOKEN": "ghp_fake0token",
    "GOOGLE_SERVICE_ACCOUNT_KEY": '{"private_key": "private0fake0key"}',
}
PASSWORD = "hunter2hunter2"
EVERY = [*FAKE.values(), PASSWORD, "private0fake0key", "AKIAFAKE", "file0fake0key", "file0fake0secret"]


def run(site: Path, target: str, *options: str, **environment: str) -> str:
    """Publish in a process of its own with fake secrets; return all that it says, as loud as it can."""
    import os

    done = subprocess.run(
        [sys.executable, "build.py", "--verbose", "publish", str(site), target, *options],
        cwd=ROOT,
        env={**os.environ, **FAKE, **environment},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def leaks(text: str) -> list[str]:
    """Return the secrets that a text holds."""
    return [secret for secret in EVERY if secret in text]


@pytest.mark.slow
class TestOutput:
    def test_of_a_publish(self, s3: FaultyS3, site: Path) -> None:
        """Neither the plan, nor the result, nor any file in the target; a request carries the key's name."""
        told = run(site, "s3://bucket/x", "--apply", "--endpoint", s3.url)
        assert "published" in told
        assert leaks(told) == []
        assert leaks("".join(stored.data.decode() for stored in s3.objects.values())) == []
        assert any(FAKE["AWS_ACCESS_KEY_ID"] in headers for headers in s3.seen_headers)
        assert not any(FAKE["AWS_SECRET_ACCESS_KEY"] in headers for headers in s3.seen_headers)

    def test_of_a_refusal_that_repeats_the_key(self, site: Path) -> None:
        """S3 answers a wrong signature with the key and what was signed; its code alone is told."""
        body = (
            f"<Error><Code>SignatureDoesNotMatch</Code><Key>{FAKE['AWS_ACCESS_KEY_ID']}</Key>"
            f"<StringToSign>{FAKE['AWS_SECRET_ACCESS_KEY']}</StringToSign></Error>"
        )
        with answering(403, body.encode()) as url:
            told = run(site, "s3://bucket/x", "--endpoint", url)
        assert "SignatureDoesNotMatch" in told
        assert "check the credentials" in told
        assert "Traceback" not in told
        assert leaks(told) == []

    @pytest.mark.parametrize(
        "target",
        [
            f"git+http://me:{PASSWORD}@127.0.0.1:9/r.git",
            f"http://{PASSWORD}@127.0.0.1:9/r.git",
            f"ftp://me:{PASSWORD}@host/x",
            f"s3://{PASSWORD}@bucket/x",
        ],
    )
    def test_of_a_target_with_a_password(self, site: Path, target: str) -> None:
        """An address is shown without it, also when it does not answer or is not understood."""
        told = run(site, target)
        assert "error:" in told
        assert "Traceback" not in told
        assert leaks(told) == []

    def test_of_an_endpoint_with_a_password(self, site: Path) -> None:
        """Such an endpoint is refused."""
        told = run(site, "s3://bucket/x", "--endpoint", f"http://me:{PASSWORD}@127.0.0.1:9")
        assert "an endpoint's address holds no credentials" in told
        assert leaks(told) == []

    @pytest.mark.parametrize("kind", ["s3", "gs"])
    def test_of_a_damaged_key_file(self, site: Path, tmp_path: Path, kind: str) -> None:
        """An error names the file, and shows no line of it."""
        key = tmp_path / "key"
        key.write_text('[default\naws_secret_access_key = file0fake0secret\n{"private_key": "file0fake0key"')
        told = run(site, f"{kind}://bucket/x", "--credentials", str(key), AWS_ACCESS_KEY_ID="")
        assert "cannot use the credentials" in told
        assert "Traceback" not in told
        assert leaks(told) == []


class TestGit:
    @pytest.mark.slow
    def test_a_password_is_on_no_command_line(self, site: Path) -> None:
        """While git waits for a remote's answer, no process that it started shows the password."""
        with answering(200, b"", wait=3) as url:
            target = f"git+{url.replace('//', f'//me:{PASSWORD}@')}/r.git"
            thread = threading.Thread(target=run, args=(site, target))
            thread.start()
            seen: set[str] = set()
            while thread.is_alive():
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.add(path.read_text("utf-8", "replace").replace("\0", " "))
                    except OSError:
                        continue
                time.sleep(0.02)
            thread.join()
        children = {line for line in seen if line.startswith(("git", "/usr/bin/git", "/usr/lib/git-core"))}
        assert any("ls-remote" in line for line in children)
        assert any("remote-http" in line for line in children)
        assert leaks("".join(children)) == []

    def test_a_login_is_sent(self, site: Path) -> None:
        """The password reaches the remote as basic authorization all the same."""
        with answering(401, b"") as url:
            run(site, f"git+{url.replace('//', f'//me:{PASSWORD}@')}/r.git")
            assert "Basic bWU6aHVudGVyMmh1bnRlcjI=" in answering.headers


class TestScrub:
    @pytest.mark.parametrize(
        ("text", "scrubbed"),
        [
            ("fatal: https://me:pw@host/r.git not found", "fatal: https://…@host/r.git not found"),
            ("GET http://h/x?X-Amz-Signature=abc&y=1", "GET http://h/x?X-Amz-Signature=…&y=1"),
            ("GET http://h/x?X-Amz-Credential=abc", "GET http://h/x?X-Amz-Credential=…"),
            ("key known-secret.", "key …."),
            ("nothing here", "nothing here"),
        ],
    )
    def test_texts(self, text: str, scrubbed: str) -> None:
        """Known values, and what looks like a secret in an address, are taken out."""
        assert Scrub(["known-secret"])(text) == scrubbed


class TestKeyFiles:
    CONTENT = (
        "[default]\naws_access_key_id = A\naws_secret_access_key = B%x\n"
        "[other]\naws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n"
    )

    def test_profiles(self, tmp_path: Path) -> None:
        """The profile is AWS_PROFILE's, else the default; the environment's key goes before the file's."""
        file = tmp_path / "credentials"
        file.write_text(self.CONTENT)
        place = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
        assert s3_credentials(None, place) == {"access_key_id": "A", "secret_access_key": "B%x"}
        other = {"access_key_id": "C", "secret_access_key": "D", "session_token": "E"}
        assert s3_credentials(None, place | {"AWS_PROFILE": "other"}) == other
        assert s3_credentials(None, place | {"AWS_ACCESS_KEY_ID": "X"}) == {}
        assert s3_credentials(file, {"AWS_ACCESS_KEY_ID": "X"})["access_key_id"] == "A"

    def test_what_is_missing(self, tmp_path: Path) -> None:
        """No file is no error, unless it or a profile was asked for."""
        place = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
        assert s3_credentials(None, place) == {}
        with pytest.raises(PublishError, match=r"profile \[work\]"):
            s3_credentials(None, place | {"AWS_PROFILE": "work"})


class answering:  # noqa: N801 - used as a context
    """A server that gives every request the same answer; `headers` is what it was last asked with."""

    headers = ""

    def __init__(self, status: int, body: bytes, *, wait: float = 0.0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Say nothing."""

            def do_GET(self) -> None:
                """Answer."""
                answering.headers = str(self.headers)
                time.sleep(wait)
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
