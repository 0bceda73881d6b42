"""A hand-made atlas of a network that exists on paper only, its store, and the toy network's config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atlas.build.plan import wanted
from atlas.cli.config_file import read_config
from atlas.core.config import AtlasConfig
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import AtlasRecord, LayerRecord, ModelRecord
from atlas.store import Store, codec, keys
from atlas.store.disk import stat_of
from atlas.store.entries import IndexEntry
from atlas.store.fingerprint import fingerprint, sha256
from atlas.store.index import Index


def paper_atlas(*, examples: bool = False, n_channels: tuple[int, int] = (4, 5), **model: Any) -> AtlasRecord:
    """Return an atlas of two layers, "first" and "second/x"; `model` overrides the ModelRecord's fields."""
    field = ReceptiveField((5, 3), (1, 1), (-2, -1))
    layers = (
        Layer("first", "first", "conv", "first/relu:0", n_channels[0], (20, 24), field),
        Layer("second/x", "second-x", "conv", "second/relu:0", n_channels[1], (10, 12), field),
        Layer("classes", "classes", "dense", "classes:0", 7, None, None),
    )
    fields = {"name": "net", "sha256": "ab", "input_shape": (20, 24, 3), "value_range": (0.0, 1.0)}
    return AtlasRecord(
        title="paper",
        model=ModelRecord(**(fields | {"layers": layers} | model)),
        layers=(
            LayerRecord(
                "first", tuple(range(n_channels[0])), "input", "second/x", ("neuron",), examples,
                upstream_carrier="image:0", downstream_carrier="pool:0", size=(48, 48),
            ),
            LayerRecord(
                "second/x", tuple(range(n_channels[1])), "first", "classes", ("neuron", "channel"), examples,
                upstream_carrier="pool:0", downstream_carrier="mean:0", size=(50, 52),
                two_before="input", two_before_carrier="image:0",
            ),
        ),
    )  # fmt: skip


def put_everything(folder: Path, atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> int:
    """Make a store that holds all of an atlas, a few bytes each; return the number of artefacts.

    Written without the store's care for crashes, which would take minutes for thousands of files.
    """
    folder.mkdir(exist_ok=True)
    index = Index(folder, write=True)
    artefacts = wanted(atlas, config, images=images)
    for artefact in artefacts:
        data = codec.encode(atlas) if artefact.key == keys.ATLAS else artefact.key.encode()
        path = folder / artefact.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        entry = IndexEntry(artefact.key, fingerprint(artefact.inputs), sha256(data), stat_of(path))
        index.add(entry, artefact.inputs)
    index.close()
    return len(artefacts)


def stale_keys(folder: Path, atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> dict[str, str]:
    """Return the keys of a store that are stale, with the reasons."""
    with Store.open(folder) as store:
        found = {a.key: store.status(a.key, a.inputs) for a in wanted(atlas, config, images=images)}
    return {key: status.reason for key, status in found.items() if not status.fresh}


def toy_config(graph: Path, store: Path, **flags: Any) -> AtlasConfig:
    """Return the config of the toy network's atlas; flags write "." as "__"."""
    own = {"model": str(graph), "store": str(store), "site": str(store.with_name("site"))}
    own |= {"model_options.value_range": [0, 1], "featurevis.preset": "draft"}
    return read_config(None, own | {name.replace("__", "."): value for name, value in flags.items()})


def toy_arguments(graph: Path, store: Path) -> list[str]:
    """Return the same on the command line."""
    site = store.with_name("site")
    arguments = [
        "--model",
        graph,
        "--store",
        store,
        "--site",
        site,
        "--value-range",
        "0,1",
        "--preset",
        "draft",
    ]
    return [str(argument) for argument in arguments]


def contents(folder: Path) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Return every artefact of a store: its bytes, and what the index tells of it."""
    with Store.open(folder) as store:
        artefact_keys = store.keys()
        return {key: (store.read(key), dict(store.meta(key))) for key in artefact_keys}


def n_artefacts(store: Path) -> int:
    """Return how many files of a store are artefacts: all but its index, digests, lock and kept drawings."""
    own = {"index.jsonl", "index.snapshot", "digests.json", "lock", "lock.holder"}
    files = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
    return sum(path.parts[0] != "drawings" and path.name not in own for path in files)


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return inode, time and bytes of every file, the lock and the journal left out."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in ("lock", "index.jsonl")]
    return {
        p.relative_to(folder).as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes())
        for p in files
    }
