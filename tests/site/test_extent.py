"""How large a site will be is told before it is computed, about right, with the limits of hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.config import AtlasConfig, ConnectionsConfig
from atlas.core.records import AtlasRecord
from atlas.site import render_site
from atlas.site.web import Web
from atlas.site.writing.extent import Extent, extent
from atlas.store import Store, keys
from trees import tree


@pytest.mark.parametrize("packed", ["always", "never"])
def test_it_is_right(store: Store, tmp_path: Path, packed: str) -> None:
    """Files to a tenth, bytes to a quarter, of a site with and without zip files."""
    web = Web(packed=packed)
    render_site(store, tmp_path / "site", web=web)
    files = tree(tmp_path / "site")
    told = extent(
        store.record(keys.ATLAS, AtlasRecord), AtlasConfig(connections=ConnectionsConfig(top=6)), web
    )
    assert told.n_files == pytest.approx(len(files), rel=0.1)
    assert told.n_bytes == pytest.approx(sum(map(len, files.values())), rel=0.25)


def test_fewer_neurons_make_a_smaller_site(store: Store) -> None:
    """Every neuron counts, and every connection, example and variant."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    whole = extent(atlas, AtlasConfig(), Web())
    last = atlas.layers[-1]
    for less in (
        replace(last, neurons=last.neurons[:-1]),
        replace(last, downstream=None, upstream=None),
        replace(last, examples=False),
        replace(last, featurevis=()),
    ):
        smaller = extent(replace(atlas, layers=(*atlas.layers[:-1], less)), AtlasConfig(), Web())
        assert smaller.n_bytes < whole.n_bytes
        assert smaller.n_files <= whole.n_files


@pytest.mark.parametrize(
    ("n_files", "n_bytes", "line"),
    [
        (666, 29_401_278, "the site: about 670 files, 30 MB"),
        (35_238, 912_000_000, "the site: about 35,000 files, 910 MB; GitHub Pages may not deploy so many"),
        (11_933, 1_043_000_000, "the site: about 11,900 files, 1,040 MB; GitHub Pages takes 1,000 MB"),
        (5, 900_000, "the site: about 5 files, 1 MB"),
    ],
)
def test_limits_of_hosts_are_told(n_files: int, n_bytes: int, line: str) -> None:
    """A limit that will be exceeded is told with what to do."""
    assert Extent(n_files, n_bytes).line.startswith(line)
