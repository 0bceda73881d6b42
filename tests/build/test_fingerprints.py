"""What artefacts depend on, to the byte: whoever changes it makes the stores of others stale."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from atlas.build.plan import STAGES, Artefact, wanted
from atlas.cli.config_file import read_config
from atlas.core.config import AtlasConfig
from atlas.core.records import AtlasRecord, FamilyRecord
from atlas.core.records.operating_point import HELD
from atlas.store.fingerprint import fingerprint
from atlases import paper_atlas

# A SHA-256 of the keys and fingerprints of each stage's artefacts, of all that `artefacts` yields.
GOLDEN = {
    "weights": "5f23c3ebbb87d980",
    "connections": "d399623f754cb525",
    "paths": "4cc71d6418fe29cd",
    "nmf": "38ea1e0f3cac1aea",
    "statistics": "962ac5be3f539d66",
    "filters": "5d213110bb475924",
    "effective fields": "db3a27ad0fa153b3",
    "proposals": "feec4a2e19ae26c8",
    "examples": "c5030e23e3e88b77",
    "ranges": "eb409aecf0d85e7c",
    "distributions": "cd74fd0e1623333e",
    "fidelity": "e05fef879641c740",
    # With images from the whole range below; without, as in former versions.
    "strips": "106134d4b1c9eaf1",
    "featurevis": "eac991f839525748",
    "positions": "1c38da0c7e6bf1b4",
    "factors": "9eae0565dc5eac3d",
    "families": "abe3a7f397cab9c5",
    "family pictures": "c57dae8c5130098c",
    "atlas": "d74b1345353b5328",
    "bands": "fdc8eea00720ed4d",
}


def whole_atlas(n_channels: int) -> AtlasRecord:
    """Return the paper atlas with artefacts of every stage, of images with so many channels."""
    atlas = paper_atlas(examples=True, input_shape=(20, 24, n_channels))
    first, second = atlas.layers
    held = (f"second/gate {HELD} 16 images of noise",)
    drawn = {"positions": (1, 3), "factor_pictures": (3,), "source_size": (20, 24)}
    families = (
        FamilyRecord("Curves", "curves", "first", (0, 2), "input", "image:0", 2, "a note"),
        FamilyRecord("Far", "far", "second/x", (1, 4), "first", "pool:0", 3, source_size=(20, 24)),
    )
    images = {"ranges": True, "distribution": True, "fidelity": True}
    layers = (replace(first, **images), replace(second, upstream_notes=held, **drawn, **images))
    return replace(atlas, layers=layers, families=families, n_proposals=2)


def artefacts(config: AtlasConfig) -> Iterable[Artefact]:
    """Yield all artefacts of an atlas of pictures, and of one of images with five bands."""
    yield from wanted(whole_atlas(3), config, images="cd")
    yield from wanted(whole_atlas(5), config)


def test_stores_made_before_stay_fresh(tmp_path: Path) -> None:
    """Keys and fingerprints of every stage are those that stores hold already."""
    (tmp_path / "m.pb").write_bytes(b"graph")
    model = {"model": str(tmp_path / "m.pb")}
    lines = defaultdict(set)
    for flags in ({}, {"featurevis.fixed": {"4": 0.5}, "weights.width": 5, "seed": 2}):
        for artefact in artefacts(read_config(None, model | flags)):
            what = f"{artefact.key} {artefact.layer} {artefact.index} {artefact.part}"
            lines[artefact.stage].add(f"{what} {fingerprint(artefact.inputs)}")
    digests = {
        stage: hashlib.sha256("\n".join(sorted(of)).encode()).hexdigest()[:16] for stage, of in lines.items()
    }
    assert digests == GOLDEN


def test_there_is_one_order() -> None:
    """Artefacts are listed in the order in which the table has their stages, which is that of making them."""
    found = wanted(whole_atlas(5), read_config(), images="cd")
    assert list(dict.fromkeys(artefact.stage for artefact in found)) == [
        name for name in STAGES if name != "filters"
    ]
