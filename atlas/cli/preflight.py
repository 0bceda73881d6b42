"""Checks of a build's folders, made before hours of work and not after."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from atlas.core.config import DEMO, AtlasConfig
from atlas.core.errors import ConfigError, SiteError, reason_of


def check_apart(config: AtlasConfig) -> None:
    """Refuse a folder inside another where one would spoil the other; raises ConfigError.

    All files in a site are published, and a store may hold nothing else. Files written into a folder of
    examples or of a model would be read as examples, or as another model.
    """
    given = {"site": config.site, "store": str(config.store_path)}
    given |= {"examples": config.examples} if config.examples else {}
    given |= {"model": config.model} if config.model != DEMO and os.path.isdir(config.model) else {}
    real = {name: Path(os.path.realpath(path)) for name, path in given.items()}
    for outer, inner in itertools.permutations(given, 2):
        harmless = inner == "model" or (outer, inner) == ("model", "examples")
        if not harmless and real[inner].is_relative_to(real[outer]):
            raise ConfigError(
                f"the {inner} {given[inner]} lies in the {outer} {given[outer]}",
                expected="folders apart from each other",
                remedy=f"choose another folder with --{inner}",
            )


def check_writable(site: Path) -> None:
    """Refuse a site's folder that is a file, is below a file, or cannot be written; raises SiteError.

    Missing folders are made as a test, and removed again: nothing else shows whether they can be made.
    """
    existing, missing, remedy = Path(os.path.abspath(site)), list[Path](), "choose another with --site"
    while not os.path.lexists(existing):
        missing.insert(0, existing)
        existing = existing.parent
    if not existing.is_dir():
        raise SiteError(f"the site {site}", found=f"the file {existing}", expected="a folder", remedy=remedy)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise SiteError(f"cannot write the site {site}: no permission in {existing}")
    try:
        for folder in missing:
            folder.mkdir()
    except OSError as error:
        raise SiteError(f"cannot make the site {site}: {reason_of(error)}", remedy=remedy) from error
    finally:
        for folder in reversed(missing):
            with contextlib.suppress(OSError):
                folder.rmdir()
