"""git in a temporary bare repository, without secrets on a command line, in a file or in an error message."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

from atlas.core.errors import PublishError
from atlas.publish.credentials import Scrub
from atlas.publish.patience import PassingError, Patience
from atlas.publish.target import Address

REMOTE = "target"
# Messages of failures that another attempt would not change.
_FINAL = re.compile(
    r"denied|authentication|could not read|not found|does not exist|not appear to be|rejected|stale info|"
    r"forbidden|\b40[1347]\b|unable to access '[^']*': The requested URL returned error: 4|invalid|refus",
    re.IGNORECASE,
)
_GITHUB = re.compile(r"https://github\.com/")


class Git:
    """git in a folder, with one remote, which is configured by environment variables only."""

    def __init__(self, folder: Path, address: Address, *, patience: Patience | None = None) -> None:
        """Make the repository; raises PublishError where there is no git."""
        if shutil.which("git") is None:
            raise PublishError("there is no git", remedy="install it, or publish to a folder")
        self.folder = folder
        self.patience = patience or Patience(attempts=4, first=0.5)
        login = address.login or _token(address)
        self._scrub = Scrub([login, *login.split(":", 1)])
        self._environment = _environment(address, login)
        folder.mkdir()
        self.run("init", "--bare", "--quiet", ".")

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """Return what git prints when it reads `data`; raises PublishError."""
        return self.call([shutil.which("git") or "git", *arguments], data)

    def over_network(self, *arguments: str) -> bytes:
        """Return what git prints, trying again after temporary failures. Raises PublishError."""
        command = [shutil.which("git") or "git", *arguments]
        try:
            return self.patience.run(lambda: self._once(command))
        except PassingError as error:
            raise PublishError(str(error)) from None

    def call(self, command: list[str], data: bytes = b"") -> bytes:
        """Run any program in the repository and return its output; raises PublishError."""
        try:
            return self._once(command, data)
        except PassingError as error:
            raise PublishError(str(error)) from None

    def _once(self, command: list[str], data: bytes = b"") -> bytes:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, input=data
        )
        if done.returncode == 0:
            return done.stdout
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith(("hint:", "Please make sure", "and the rep"))]
        message = self._scrub(" ".join(lines[-4:]) or f"git ended with {done.returncode}")
        if _FINAL.search(message):
            raise PublishError(message, remedy="docs/publishing.md says what git needs")
        raise PassingError(message)


def _environment(address: Address, login: str) -> dict[str, str]:
    """Return the environment of git: the remote's address, the login, and a ban on prompts."""
    place = address.place if "://" in address.place else _absolute(address.place)
    settings = {
        f"remote.{REMOTE}.url": place,
        "protocol.version": "2",
        "gc.auto": "0",
        "core.autocrlf": "false",
    }
    if login:
        token = base64.b64encode(login.encode()).decode()
        settings[f"http.{place}.extraHeader"] = f"Authorization: Basic {token}"
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_CONFIG_COUNT": str(len(settings))}
    for at, (name, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{at}": name, f"GIT_CONFIG_VALUE_{at}": value}
    # The commit's author is the one that git is configured with, else this program.
    for role in ("AUTHOR", "COMMITTER"):
        environment.setdefault(f"GIT_{role}_NAME", _configured("user.name") or "circuit-atlas")
        environment.setdefault(f"GIT_{role}_EMAIL", _configured("user.email") or "circuit-atlas@localhost")
    return environment


# These variables would make git use another repository than the temporary one.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


def _absolute(place: str) -> str:
    """Return the absolute path of a local repository; git@host:path stays as it is."""
    return place if re.match(r"[\w.-]+@[\w.-]+:", place) else os.path.abspath(place)


def _configured(name: str) -> str:
    """Return a setting of the user's git, "" where it is not set."""
    done = subprocess.run(["git", "config", name], capture_output=True, text=True)
    return done.stdout.strip()


def _token(address: Address) -> str:
    """Return the "user:password" with which a GitHub Action logs in to GitHub, "" without a token."""
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    return f"x-access-token:{token}" if token and _GITHUB.match(address.place) else ""
