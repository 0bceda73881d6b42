"""The stages of a build, a row each. A new one needs a row, and a maker in `atlas.build.compute.MAKERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from atlas.build.plan import directions, examples, factors, featurevis, statistics, weights
from atlas.build.plan.artefact import Artefact
from atlas.build.plan.dependencies import Dependencies
from atlas.build.plan.settings import every_setting
from atlas.core.config import AtlasConfig
from atlas.core.records import AtlasRecord
from atlas.store import keys


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of artefact."""

    name: str
    """Name of the stage, as in `Artefact.stage`."""
    version: str
    """Whole number, raised by one when the stage's code makes other bytes from the same settings."""
    artefacts: Callable[[Dependencies], Iterator[Artefact]]
    """Yields all artefacts of this kind that an atlas has, with their inputs."""
    title: str = ""
    """Title of the progress bar, which counts artefacts; "" for no bar."""
    unit: str = "neurons"
    """What the progress bar says that it counts."""
    is_picture: bool = False
    """Whether its artefacts are images; messages count those apart."""
    made_with: str = ""
    """Name of the stage whose maker makes these artefacts too, "" where the stage has its own maker."""


def atlas_inputs(config: AtlasConfig) -> dict[str, str]:
    """Return the inputs of the AtlasRecord: the model and every setting but folders and the engine."""
    return every_setting(config) | {"stage": STAGES["atlas"].version}


def _atlas(on: Dependencies) -> Iterator[Artefact]:
    yield Artefact(keys.ATLAS, "atlas", atlas_inputs(on.config), "")


# In the order in which they are made: each stage builds on those before it.
_ROWS = (
    Stage("weights", "1", weights.weights, "expanded weights", "pairs"),
    Stage("connections", "1", weights.connections, "connections", "tables"),
    Stage("paths", "1", weights.paths, "positive and negative paths", "tables"),
    Stage("nmf", "2", factors.nmf, "factors"),
    Stage("statistics", "1", statistics.statistics, "statistics", "layers"),
    Stage("filters", "1", statistics.filters, "filters", "layers"),
    Stage("effective fields", "1", statistics.effective_fields, "effective fields", "layers"),
    Stage("families", "1", factors.families, "families", "families"),
    Stage("proposals", "1", factors.proposals, "proposed families", "families"),
    # Without a title: the stage has its own bar, which counts the images read, not the tables.
    Stage("examples", "1", examples.examples),
    Stage("ranges", "1", examples.ranges, made_with="examples"),
    Stage("distributions", "1", examples.distributions, made_with="examples"),
    Stage("fidelity", "1", examples.fidelity, made_with="examples"),
    Stage("strips", "1", examples.strips, "example strips", is_picture=True),
    Stage("featurevis", "3", featurevis.featurevis, "feature visualization", "images", is_picture=True),
    Stage("bands", "1", featurevis.bands, is_picture=True, made_with="featurevis"),
    Stage("positions", "2", directions.positions, "positions", is_picture=True),
    Stage("factors", "2", directions.factors, "factor pictures", is_picture=True),
    Stage("family pictures", "2", directions.family_pictures, "family pictures", "families", is_picture=True),
    # Last: until then a renderer reads the former record, whose artefacts are still there.
    Stage("atlas", "3", _atlas),
)
STAGES = {stage.name: stage for stage in _ROWS}


def dependencies(atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> Dependencies:
    """Return the Dependencies of an atlas and a config; `images` is the digest of the folder of examples."""
    return Dependencies(atlas, config, images, {name: stage.version for name, stage in STAGES.items()})


def planned(atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> Iterator[Artefact]:
    """Yield every artefact of an atlas, in the order in which they are made; the record comes last.

    `images` is the digest of the folder of examples (see `freshness.images_digest`).
    """
    on = dependencies(atlas, config, images=images)
    for stage in STAGES.values():
        yield from stage.artefacts(on)


def wanted(atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> tuple[Artefact, ...]:
    """Return what `planned` yields."""
    return tuple(planned(atlas, config, images=images))
