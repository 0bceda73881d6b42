"""A small made-up store, filled once and copied for each test that changes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import synthetic as made_up
from atlas.site import render_site
from atlas.store import Store


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module that fills stores."""
    return made_up


@pytest.fixture(scope="session")
def filled(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's folder that no test changes."""
    folder = tmp_path_factory.mktemp("pages") / "store"
    synthetic.fill_store(folder)
    return folder


@pytest.fixture(scope="session")
def rendered(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that no test changes."""
    site = tmp_path_factory.mktemp("pages") / "site"
    with Store.open(filled) as store:
        render_site(store, site)
    return site


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, open for writing."""
    shutil.copytree(filled, tmp_path / "store", ignore=shutil.ignore_patterns("lock*"))
    with Store.open(tmp_path / "store", write=True) as store:
        yield store
