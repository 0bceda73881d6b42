"""Damage to the store: whatever kind of artefact it befalls, it is noticed, named and made good."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.build.compute import compute
from atlas.build.freshness import images_digest, stale
from atlas.build.plan import STAGES, Artefact, wanted
from atlas.core.config import AtlasConfig
from atlas.core.errors import DamagedError
from atlas.core.records import AtlasRecord
from atlas.site import render_site
from atlas.store import Store, keys
from atlases import toy_config

pytestmark = pytest.mark.slow

# What makes an atlas hold artefacts of every kind, two at least where a layer can have two.
FAMILY = {"layer": "second", "neurons": [4, "0-1"], "note": "n"}
FLAGS: dict[str, Any] = {
    "family": [{"name": "Some", **FAMILY}, {"name": "Other", **FAMILY, "neurons": [2, 3]}],
    "directions__positions": "second:1,second:3",
    "directions__factors": "second:1,second:3",
    "dataset_examples__count": 2,
    "model_options__bands": [3, 2, 1],
}


def flipped(data: bytes, other: bytes) -> bytes:
    """One bit in the middle is another."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# What befalls an artefact's bytes; `other` are those of another artefact, of its kind where there is one.
DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "flipped": flipped,
    "cut": lambda data, other: data[: len(data) * 2 // 3],
    "emptied": lambda data, other: b"",
    "swapped": lambda data, other: other,
}


@pytest.fixture(scope="module")
def whole(toy_graph: Path, toy_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds every kind of artefact, and the images that its examples are of."""
    root = tmp_path_factory.mktemp("damage")
    (root / "images").mkdir()
    for name in "abc":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
    shutil.copytree(toy_store, root / "store", ignore=shutil.ignore_patterns("lock*"))
    with Store.open(root / "store", write=True) as store:
        compute(config_of(toy_graph, root), store)
    return root


@pytest.fixture
def hurt(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(whole, tmp_path / "hurt", ignore=shutil.ignore_patterns("lock*"))
    return tmp_path / "hurt"


def config_of(graph: Path, root: Path) -> AtlasConfig:
    return toy_config(graph, root / "store", examples=str(root / "images"), **FLAGS)


def artefacts(graph: Path, root: Path) -> tuple[Artefact, ...]:
    """Return all artefacts of the atlas."""
    config = config_of(graph, root)
    with Store.open(root / "store") as store:
        atlas = store.record(keys.ATLAS, AtlasRecord)
        return wanted(atlas, config, images=images_digest(store, config.examples))


def damage(graph: Path, root: Path, kind: str, stages: Collection[str] = STAGES) -> list[str]:
    """Damage one artefact of each stage; return their keys."""
    by_stage: dict[str, list[str]] = {}
    for artefact in artefacts(graph, root):
        by_stage.setdefault(artefact.stage, []).append(artefact.key)
    folder = root / "store"
    before = {
        key: (folder / key).read_bytes() for artefact_keys in by_stage.values() for key in artefact_keys
    }
    hurt = [by_stage[stage][0] for stage in stages]
    for stage, key in zip(stages, hurt, strict=True):
        others = [before[other] for other in (*by_stage[stage], *before) if before[other] != before[key]]
        (folder / key).write_bytes(DAMAGES[kind](before[key], others[0]))
    return hurt


def test_no_kind_is_forgotten(toy_graph: Path, whole: Path) -> None:
    """The store holds artefacts of every stage that there is: a new one is tested here, or this fails."""
    assert {artefact.stage for artefact in artefacts(toy_graph, whole)} == set(STAGES)


@pytest.mark.parametrize("kind", DAMAGES)
def test_it_is_noticed_named_and_made_good(toy_graph: Path, hurt: Path, kind: str) -> None:
    """Each is stale as damaged, reading names it, and a build makes the same bytes and no others."""
    folder = hurt / "store"
    found = artefacts(toy_graph, hurt)
    before = {artefact.key: (folder / artefact.key).read_bytes() for artefact in found}
    artefact_keys = damage(toy_graph, hurt, kind)
    with Store.open(folder) as store:
        assert {a.key: s.reason for a, s in stale(store, found)} == dict.fromkeys(artefact_keys, "damaged")
        for key in artefact_keys:
            with pytest.raises(DamagedError, match=f"the store's {key} is damaged; run the build again"):
                store.read(key)
    with Store.open(folder, write=True) as store:
        made = compute(config_of(toy_graph, hurt), store).made
    assert {artefact.key for artefact, _ in made} == set(artefact_keys)
    after = {key: (folder / key).read_bytes() for key in before}
    assert [key for key in before if after[key] != before[key]] == []


# What pages show of weights is in other artefacts; of the toy's proposals none has members to be shown.
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("weights", "proposals")])
def test_no_page_shows_it(toy_graph: Path, hurt: Path, stage: str) -> None:
    """A render ends with the name of what is damaged."""
    (key,) = damage(toy_graph, hurt, "flipped", [stage])
    with Store.open(hurt / "store") as store, pytest.raises(DamagedError, match=f"{key} is damaged"):
        render_site(store, hurt / "site")
