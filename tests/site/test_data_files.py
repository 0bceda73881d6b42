"""The arrays beside a page carry no clock and no platform, and tell of themselves what they are."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.records import Factorization
from atlas.site import render_site
from atlas.store import Store, keys


def members(path: Path) -> dict[str, Any]:
    """Return the arrays of a file by name, and under "meta" what is told of them."""
    with np.load(path) as found:
        meta = json.loads(found["meta.json"])
        return {"meta": meta, **{name: found[name] for name in found.files if name != "meta.json"}}


def test_dates_and_systems_are_fixed(rendered: Path) -> None:
    """Every member of every .npz is dated the zip format's first day, and whole."""
    found = sorted(rendered.glob("data/*.npz"))
    assert len(found) == 15
    for path in found:
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            stamps = {(info.date_time, info.create_system) for info in archive.infolist()}
        assert stamps == {((1980, 1, 1, 0, 0, 0), 3)}


def test_every_array_is_told(rendered: Path) -> None:
    """Each file names its neuron and model, and for each of its arrays as many axes as it has."""
    for path in rendered.glob("data/*.npz"):
        arrays = members(path)
        meta = arrays.pop("meta")
        twin = json.loads(path.with_suffix(".json").read_bytes())
        assert (meta["neuron"], meta["model"]) == (twin["neuron"], twin["model"])
        assert list(meta["arrays"]) == list(arrays)
        for name, array in arrays.items():
            told = meta["arrays"][name]
            assert len(told["axes"]) == array.ndim, name
            assert told["unit"] == "text" if array.dtype.kind == "U" else told["unit"]
            assert len(told["meaning"]) > 10


@pytest.mark.parametrize("slug", ["conv1_0", "mixed3b_4"])
def test_arrays_agree_with_the_json(rendered: Path, slug: str) -> None:
    """Lists run in step with the JSON's, names beside them; each strength is its kernel's L2 norm."""
    arrays = members(rendered / f"data/{slug}.npz")
    twin = json.loads((rendered / f"data/{slug}.json").read_bytes())
    for prefix in ("upstream", "downstream", "two_hops"):
        known = twin[prefix]
        if known is None:
            assert not [name for name in arrays if name.startswith(prefix)]
            continue
        for name in ("index", "name", "sign"):
            assert arrays[f"{prefix}_{name}"].tolist() == known[name]
        np.testing.assert_allclose(arrays[f"{prefix}_strength"], known["strength"], rtol=1e-6)
        kernels = arrays[f"{prefix}_kernel"]
        assert kernels.shape[1:] == tuple(known["kernel_size"])
        norms = np.sqrt((kernels.astype("f8") ** 2).sum((1, 2)))
        np.testing.assert_allclose(norms, known["strength"][: len(norms)], rtol=1e-5)
    for at, factor in enumerate(twin["factorization"]["factors"]):
        assert arrays["factor_name"][at].tolist() == factor["source_names"]
        assert arrays["factor_index"][at].tolist() == factor["source_neurons"]
        assert arrays["factor_sign"][at] == factor["sign"]
        np.testing.assert_allclose(arrays["factor_loading"][at], factor["loadings"], rtol=1e-6)
        np.testing.assert_allclose(arrays["factor_map"][at], factor["map"], rtol=1e-6)


def test_factors_of_few_neurons_are_filled_up(store: Store, tmp_path: Path) -> None:
    """Where one factor has fewer loadings than another, its row ends in -1, no name and 0."""
    key = keys.factorization("mixed3b", 2)
    record = store.record(key, Factorization)
    first, *others = record.factors
    short = replace(first, source_neurons=first.source_neurons[:2], loadings=first.loadings[:2])
    store.put_record(key, replace(record, factors=(short, *others)))
    render_site(store, tmp_path / "site")
    arrays = members(tmp_path / "site/data/mixed3b_2.npz")
    assert arrays["factor_index"][0].tolist() == [*short.source_neurons, -1, -1, -1]
    assert arrays["factor_name"][0].tolist()[2:] == ["", "", ""]
    assert arrays["factor_loading"][0].tolist()[2:] == [0, 0, 0]


def test_no_factors_no_arrays(store: Store, tmp_path: Path) -> None:
    """A degenerate factorization leaves its arrays out."""
    key = keys.factorization("mixed3b", 2)
    record = store.record(key, Factorization)
    store.put_record(key, replace(record, factors=(), note="Nothing."))
    render_site(store, tmp_path / "site")
    assert not [name for name in members(tmp_path / "site/data/mixed3b_2.npz") if name.startswith("factor")]
