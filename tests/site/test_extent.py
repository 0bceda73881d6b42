"""How large a site will be is told before it is computed, about right, with the limits of hosts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.config import AtlasConfig, ConnectionsConfig
from atlas.core.records import AtlasRecord, Connections, Paths
from atlas.site import render_site
from atlas.site.web import Web
from atlas.site.writing.extent import Extent, extent
from atlas.store import Store, keys
from trees import tree


def windows(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return how many positions each layer's kernels have in a store, upstream, downstream, over two hops."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    found = {}
    for record in atlas.layers:
        slug = next(layer.slug for layer in atlas.model.layers if layer.name == record.layer)
        tables = [keys.connections(slug, "upstream"), keys.connections(slug, "downstream")]
        kernels = [store.record(key, Connections).kernel if store.has(key) else None for key in tables]
        far = keys.signed_paths(slug, 2)
        kernels.append(store.record(far, Paths).kernel if store.has(far) else None)
        up, down, two = (0 if kernel is None else math.prod(kernel.shape[2:]) for kernel in kernels)
        found[record.layer] = up, down, two
    return found


@pytest.mark.parametrize("packed", ["always", "never"])
def test_it_is_right(store: Store, tmp_path: Path, packed: str) -> None:
    """Files to a tenth, bytes to a quarter, of a site with and without zip files."""
    web = Web(packed=packed)
    render_site(store, tmp_path / "site", web=web)
    files = tree(tmp_path / "site")
    config = AtlasConfig(connections=ConnectionsConfig(top=6))
    told = extent(store.record(keys.ATLAS, AtlasRecord), config, web, windows(store))
    assert told.n_files == pytest.approx(len(files), rel=0.1)
    assert told.n_bytes == pytest.approx(sum(map(len, files.values())), rel=0.25)


def test_fewer_neurons_make_a_smaller_site(store: Store) -> None:
    """Every neuron counts, and every connection, example and variant."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    whole = extent(atlas, AtlasConfig(), Web(), windows(store))
    last = atlas.layers[-1]
    for less in (
        replace(last, neurons=last.neurons[:-1]),
        replace(last, downstream=None, upstream=None),
        replace(last, examples=False),
        replace(last, distribution=False),
        replace(last, fidelity=False),
        replace(last, featurevis=()),
    ):
        smaller = extent(
            replace(atlas, layers=(*atlas.layers[:-1], less)), AtlasConfig(), Web(), windows(store)
        )
        assert smaller.n_bytes < whole.n_bytes
        assert smaller.n_files <= whole.n_files


def test_large_kernels_make_a_larger_site(store: Store) -> None:
    """Between far layers a connection has hundreds of weights, and each is in the data and on the page."""
    atlas, sizes = store.record(keys.ATLAS, AtlasRecord), windows(store)
    large = {name: (up * 100, down * 100, two) for name, (up, down, two) in sizes.items()}
    one, other = (extent(atlas, AtlasConfig(), Web(packed="never"), each).n_bytes for each in (sizes, large))
    assert other > 1.4 * one


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
