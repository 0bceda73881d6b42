"""Addresses within the site, fixed forever; pure functions of slugs, variants and indices.

Every page that readers walk through lies in the site's root, so an address is a correct relative link
from every page, below any sub-path and from file://; from a page in a folder, behind `root`. A slug
(atlas.core.neuron) holds no character that a link would escape.
"""

from __future__ import annotations

HOME = "index.html"
FAMILIES = "families.html"
METHOD = "method.html"
ATLAS_JSON = "data/atlas.json"
CHECKSUMS = "data/checksums.txt"
DATA_README = "data/README.txt"
# The folder of the pages that other sites show in an iframe.
EMBEDS = "embed"
NEURONS_STY = "data/neurons.sty"
SITEMAP = "sitemap.xml"
REDIRECTS = "redirects.json"
# The one variant that has no folder of its own: its addresses are those of the published weight explorer.
MAIN_VARIANT = "neuron"


def layer_page(layer_slug: str) -> str:
    """Return the address of a layer's page."""
    return f"{layer_slug}.html"


def neuron_page(layer_slug: str, index: int) -> str:
    """Return the address of a neuron's page."""
    return f"{layer_slug}_{index}.html"


# What stands in front of a neuron's number in the id of its cell, by the list that the cell is in.
_ANCHORS = {"upstream": "from", "downstream": "to", "two-hops": "over"}


def connection(page: str, direction: str, other: int) -> str:
    """Return the address of a connection's cell on a neuron's page: "…#from-12" upstream, "…#to-12"."""
    return f"{page}#{anchor(direction, other)}"


def anchor(direction: str, other: int) -> str:
    """Return the id of a connection's cell in the list of a direction; `other` is at its other end."""
    return f"{_ANCHORS[direction]}-{other}"


def family_page(slug: str) -> str:
    """Return the address of a family's page; no layer's slug starts with "family_"."""
    return f"family_{slug}.html"


def family_json(slug: str) -> str:
    """Return the address of a family page's machine-readable twin."""
    return f"data/family_{slug}.json"


def bands(layer_slug: str, index: int) -> str:
    """Return the address of the picture of each band of a neuron's main feature visualization."""
    return f"images/{MAIN_VARIANT}/{layer_slug}_{index}-bands.jpg"


def featurevis(layer_slug: str, index: int, *, variant: str = MAIN_VARIANT) -> str:
    """Return the address of a neuron's feature visualization, `images/<variant>/<layer>_<n>.jpg`."""
    return f"images/{variant}/{layer_slug}_{index}.jpg"


def example_strip(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG that shows a neuron's dataset examples side by side."""
    return f"images/examples/{layer_slug}_{index}.jpg"


def positions(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG of a neuron's weights, a picture a position."""
    return f"images/positions/{layer_slug}_{index}.jpg"


def family_pictures(slug: str) -> str:
    """Return the address of the pictures of a family's factors, side by side."""
    return f"images/families/{slug}.jpg"


def factor_pictures(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG of what a neuron's factors look for, side by side."""
    return f"images/factors/{layer_slug}_{index}.jpg"


def neuron_json(layer_slug: str, index: int) -> str:
    """Return the address of a neuron page's machine-readable twin."""
    return f"data/{layer_slug}_{index}.json"


def neuron_npz(layer_slug: str, index: int) -> str:
    """Return the address of the kernels that a neuron's page shows."""
    return f"data/{layer_slug}_{index}.npz"


def layer_csv(layer_slug: str) -> str:
    """Return the address of the table of a layer's statistics."""
    return f"data/{layer_slug}.csv"


def nmf_sheet(layer_slug: str) -> str:
    """Return the address of the picture of all factors of a layer's neurons."""
    return f"images/sheet/{layer_slug}.png"


def filter_sheet(layer_slug: str) -> str:
    """Return the address of the picture of the filters of a layer that sees the image."""
    return f"images/filters/{layer_slug}.png"


def static(stem: str, ending: str, digest: str) -> str:
    """Return the address of an asset, which carries its content's hash in its name."""
    return f"static/{stem}.{digest[:12]}.{ending}"


def embed_page(layer_slug: str, index: int) -> str:
    """Return the address of the light page of a neuron that stands in an iframe."""
    return f"{EMBEDS}/{layer_slug}_{index}.html"


def root(page: str) -> str:
    """Return what leads from a page to the site's root: "" from there, "../" from a folder below."""
    return "../" * page.count("/")


def schema(kind: str) -> str:
    """Return the address of the JSON Schema of a kind of data file."""
    return f"data/schema/{kind}.schema.json"
