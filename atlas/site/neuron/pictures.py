"""FeatureVis and Bands -> the pictures on top of a neuron's page."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.drawing.images import STRIP_PX
from atlas.site import urls, wording
from atlas.site.reading.artefacts import LayerArtefacts


@dataclass(frozen=True, slots=True)
class Picture:
    """One feature visualization with what is known of it."""

    variant: str
    """The variant's name, "channel-negative"; "bands" for a picture of all bands."""
    meaning: str
    """What the picture does to the neuron, in words that go on from "an image made so that it"."""
    src: str
    """Address of the picture."""
    width_px: int
    """Width in CSS pixels, 0 where it is not known."""
    height_px: int
    """Height in CSS pixels, 0 where it is not known."""
    facts: str
    """Size in pixels, optimization steps and activation, in words."""


def pictures(artefacts: LayerArtefacts, index: int) -> list[Picture]:
    """Return a neuron's feature visualizations in the order of the layer's variants, those that were made."""
    found = (_picture(artefacts, variant, index) for variant in artefacts.record.featurevis)
    return [picture for picture in found if picture]


def bands(artefacts: LayerArtefacts, index: int) -> Picture | None:
    """Return the picture with each band of a feature visualization in grey, None for a plain picture."""
    known = artefacts.bands(index)
    if known is None:
        return None
    width = min(known.width_px, STRIP_PX)
    colours = zip(("red", "green", "blue"), known.shown.split(","), strict=True)
    shown = ", ".join(f"band {band} as {colour}" for colour, band in colours if band != "0")
    return Picture(
        variant="bands",
        meaning=f"{known.n_bands} bands, each in grey. The picture above shows {shown}",
        src=urls.bands(artefacts.layer.slug, index),
        width_px=width,
        height_px=round(known.height_px * width / known.width_px),
        facts="",
    )


def _picture(artefacts: LayerArtefacts, variant: str, index: int) -> Picture | None:
    known = artefacts.featurevis(variant, index)
    if known is None:
        return None
    size = f"{wording.times(known.width_px, known.height_px)} px"
    steps = f"{wording.thousands(known.n_steps)} steps, " if known.n_steps else ""
    return Picture(
        variant=variant,
        meaning=wording.VARIANTS.get(variant, ""),
        src=urls.featurevis(artefacts.layer.slug, index, variant=variant),
        width_px=known.width_px,
        height_px=known.height_px,
        facts=f"{size}, {steps}activation {wording.number(known.activation)}",
    )
