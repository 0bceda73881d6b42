"""FeatureVis and Bands -> the pictures at the top of a neuron's page."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.drawing.images import STRIP_PX
from atlas.site import urls, wording
from atlas.site.reading.artefacts import LayerArtefacts


@dataclass(frozen=True, slots=True)
class Picture:
    """One feature visualization with its facts."""

    variant: str
    """The variant's name, "channel-negative"; "bands" for a picture of all bands."""
    meaning: str
    """Effect of the picture on the neuron, in words that follow "an image made so that it"."""
    src: str
    """Address of the picture."""
    width_px: int
    """Width in CSS pixels, 0 where it is not known."""
    height_px: int
    """Height in CSS pixels, 0 where it is not known."""
    facts: str
    """Size in pixels, optimization steps and activation, in words."""


def pictures(artefacts: LayerArtefacts, index: int) -> list[Picture]:
    """Return the feature visualizations that were made of a neuron, in the order of the layer's variants."""
    made = (_picture(artefacts, variant, index) for variant in artefacts.record.featurevis)
    return [picture for picture in made if picture]


def bands(artefacts: LayerArtefacts, index: int) -> Picture | None:
    """Return the picture of all bands in grey, None where a neuron has only a plain picture."""
    record = artefacts.bands(index)
    if record is None:
        return None
    width = min(record.width_px, STRIP_PX)
    colours = zip(("red", "green", "blue"), record.shown.split(","), strict=True)
    in_colour = ", ".join(f"band {band} as {colour}" for colour, band in colours if band != "0")
    return Picture(
        variant="bands",
        meaning=f"{record.n_bands} bands, each in grey. The picture above shows {in_colour}",
        src=urls.bands(artefacts.layer.slug, index),
        width_px=width,
        height_px=round(record.height_px * width / record.width_px),
        facts="",
    )


def _picture(artefacts: LayerArtefacts, variant: str, index: int) -> Picture | None:
    record = artefacts.featurevis(variant, index)
    if record is None:
        return None
    size = f"{wording.times(record.width_px, record.height_px)} px"
    steps = f"{wording.thousands(record.n_steps)} steps, " if record.n_steps else ""
    where = "at the centre" if variant.startswith("neuron") else "in the mean of all positions"
    return Picture(
        variant=variant,
        meaning=wording.VARIANTS.get(variant, ""),
        src=urls.featurevis(artefacts.layer.slug, index, variant=variant),
        width_px=record.width_px,
        height_px=record.height_px,
        facts=f"{size}, {steps}activation {wording.number(record.activation)} {where}",
    )
