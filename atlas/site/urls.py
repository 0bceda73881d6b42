"""Addresses within the site. They never change, and are pure functions of slugs, variants and indices.

Nearly all pages lie in the site's root. From there an address is a correct relative link, whatever folder
of a server the site is in, and also from file://. A page in a folder puts `root` in front of it. A slug
(atlas.core.neuron) contains no character that has to be escaped in a link.
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
# How many neurons of a layer share a zip file in a packed site: about 2 MB, and few files for a whole layer.
PACK = 64
# The zip file of the families' data in a packed site.
FAMILIES_PACK = "data/families.zip"


def layer_page(layer_slug: str) -> str:
    """Return the address of a layer's page."""
    return f"{layer_slug}.html"


def neuron_page(layer_slug: str, index: int) -> str:
    """Return the address of a neuron's page."""
    return f"{layer_slug}_{index}.html"


# Prefix of the id of a connection's cell, by the list that the cell is in.
_ANCHORS = {"upstream": "from", "downstream": "to", "two-hops": "over"}


def connection(page: str, direction: str, other: int) -> str:
    """Return the address of a connection's cell on a page: "…#from-12" upstream, "…#to-12" downstream."""
    return f"{page}#{anchor(direction, other)}"


def anchor(direction: str, other: int) -> str:
    """Return the id of a connection's cell in a list; `other` is the index of the neuron at its other end."""
    return f"{_ANCHORS[direction]}-{other}"


def family_page(slug: str) -> str:
    """Return the address of a family's page; no layer's slug starts with "family_"."""
    return f"family_{slug}.html"


def family_json(slug: str) -> str:
    """Return the address of the data file with the numbers of a family's page."""
    return f"data/family_{slug}.json"


def bands(layer_slug: str, index: int) -> str:
    """Return the address of the picture of all bands of a neuron's main feature visualization."""
    return f"images/{MAIN_VARIANT}/{layer_slug}_{index}-bands.jpg"


def featurevis(layer_slug: str, index: int, *, variant: str = MAIN_VARIANT) -> str:
    """Return the address of a neuron's feature visualization, `images/<variant>/<layer>_<n>.jpg`."""
    return f"images/{variant}/{layer_slug}_{index}.jpg"


def example_strip(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG that shows a neuron's dataset examples side by side."""
    return f"images/examples/{layer_slug}_{index}.jpg"


def positions(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG that shows a neuron's weights, with a picture for each position."""
    return f"images/positions/{layer_slug}_{index}.jpg"


def family_pictures(slug: str) -> str:
    """Return the address of the pictures of a family's factors, side by side."""
    return f"images/families/{slug}.jpg"


def factor_pictures(layer_slug: str, index: int) -> str:
    """Return the address of the JPEG with the pictures of a neuron's factors, side by side."""
    return f"images/factors/{layer_slug}_{index}.jpg"


def neuron_json(layer_slug: str, index: int) -> str:
    """Return the address of the data file with the numbers of a neuron's page."""
    return f"data/{layer_slug}_{index}.json"


def neuron_npz(layer_slug: str, index: int) -> str:
    """Return the address of the NumPy file of the kernels that a neuron's page shows."""
    return f"data/{layer_slug}_{index}.npz"


def pack(layer_slug: str, index: int, n_channels: int) -> str:
    """Return the address of the zip file with the data of a neuron and its neighbours in a packed site."""
    first = index - index % PACK
    return f"data/{layer_slug}_{first}-{min(first + PACK, n_channels) - 1}.zip"


def layer_csv(layer_slug: str) -> str:
    """Return the address of the CSV table of a layer's statistics."""
    return f"data/{layer_slug}.csv"


def nmf_sheet(layer_slug: str) -> str:
    """Return the address of the picture of the factors of all neurons of a layer."""
    return f"images/sheet/{layer_slug}.png"


def filter_sheet(layer_slug: str) -> str:
    """Return the address of the picture of the filters of a layer that reads the image."""
    return f"images/filters/{layer_slug}.png"


def static(stem: str, ending: str, digest: str) -> str:
    """Return the address of an asset; its name contains a hash of its content."""
    return f"static/{stem}.{digest[:12]}.{ending}"


def embed_page(layer_slug: str, index: int) -> str:
    """Return the address of the short page of a neuron that other sites show in an iframe."""
    return f"{EMBEDS}/{layer_slug}_{index}.html"


def root(page: str) -> str:
    """Return the relative path from a page to the site's root: "" from the root, "../" from a folder."""
    return "../" * page.count("/")


def schema(kind: str) -> str:
    """Return the address of the JSON Schema of a kind of data file."""
    return f"data/schema/{kind}.schema.json"
