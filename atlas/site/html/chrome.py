"""The atlas record and the site's plan -> the parts that all pages share: head, header and footer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.site import urls, wording
from atlas.site.reading.catalogue import Catalogue, Link


@dataclass(frozen=True, slots=True)
class Chrome:
    """The facts that all pages share; templates read them under the name `site`."""

    title: str
    """Title of the atlas."""
    described: str
    """The title, followed by the name of the model unless the title says "circuit atlas"."""
    model: str
    """Name of the model."""
    model_sha256: str
    """SHA-256 of the model's bytes, in hexadecimal digits."""
    assets: Mapping[str, str]
    """Addresses of style sheets, scripts and the icon, by plain name ("atlas.css")."""
    layers: tuple[Link, ...]
    """The layers that have a page, from the image to the output."""
    example: str
    """A neuron in the form to type into the search box, "" in an atlas without layers."""
    method: str
    """Address of the page that explains how the numbers were made."""
    settings: tuple[tuple[str, str], ...]
    """The settings of the build as (name, value), sorted by name."""
    versions: tuple[tuple[str, str], ...]
    """The versions of the programs that made the atlas as (name, version), sorted by name."""
    families: str = ""
    """Address of the list of families, "" where there are none."""
    url: str = ""
    """Address of the site's folder on the web, "" where it is not known."""
    images: str = ""
    """Address of the folder that holds images/, "" where the site's own does."""
    images_host: str = ""
    """The host of that folder, as a policy names it: "https://b.org"; "" where it is the site's own."""


def chrome(
    catalogue: Catalogue, *, assets: Mapping[str, str], families: bool, url: str, images: str = ""
) -> Chrome:
    """Return the parts that all pages of a site share; `families` is whether it has a list of families."""
    atlas = catalogue.atlas
    return Chrome(
        title=atlas.title,
        described=wording.described(atlas.title, atlas.model.name),
        model=atlas.model.name,
        model_sha256=atlas.model.sha256,
        assets=assets,
        layers=tuple(catalogue.link(record.layer) for record in atlas.layers),
        example=_example(catalogue),
        families=urls.FAMILIES if families else "",
        url=url,
        images=images,
        images_host="/".join(images.split("/")[:3]),
        method=urls.METHOD,
        settings=tuple(sorted(atlas.settings.items())),
        versions=tuple(sorted(atlas.versions.items())),
    )


def _example(catalogue: Catalogue) -> str:
    if not catalogue.atlas.layers:
        return ""
    record = catalogue.atlas.layers[-1]
    layer = catalogue.layer(record.layer)
    return f"{catalogue.short_name(layer) or layer.name}:{record.neurons[-1]}"
