"""Numbers and names as people read them."""

from __future__ import annotations

import re

from atlas.neuron import Layer

# ImageNet's synset in front of a file's name: n01440764_tench.jpg.
_SYNSET = re.compile(r"n\d{8}_(?=.)")
_ONLY_DIGITS = re.compile(r"[\d\W_]+")

VARIANTS = {
    "neuron": "excites the neuron at one position, the centre",
    "channel": "excites the neuron at all positions at once",
    "neuron-negative": "inhibits the neuron at one position, the centre",
    "channel-negative": "inhibits the neuron at all positions at once",
}


def number(value: float) -> str:
    """Return a number with at least three significant digits and a true minus sign: 0.0312, 1.20, 1,540."""
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:#.3g}".removesuffix(".")
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Return a share of one as "83 %", with a no-break space, never rounded to all or nothing."""
    value = share * 100
    if 0 < value < 1:
        return "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
    if 99 < value < 99.95:
        return f"{min(value, 99.9):.1f}\N{NO-BREAK SPACE}%"
    return f"{value:.0f}\N{NO-BREAK SPACE}%"


def coverage(k: int, n: int, *, l2: float, l1: float) -> str:
    """Say which k of n connections are shown, and what shares of the squared and absolute mass they hold."""
    if k >= n:
        return f"All {thousands(n)}, strongest first." if n > 1 else "The only one."
    shares = f"{percent(l2)} of the squared and {percent(l1)} of the absolute mass"
    return f"Top {k} of {thousands(n)} by L2: {shares}."


def thousands(count: int) -> str:
    """Return a count with commas: "5,808"."""
    return f"{count:,}"


def counted(count: int, noun: str) -> str:
    """Return "1 neuron" or "5,808 neurons"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def times(*sizes: int) -> str:
    """Return sizes with a multiplication sign between them; people say the width before the height."""
    return " \N{MULTIPLICATION SIGN} ".join(map(str, sizes))


def receptive_field(layer: Layer) -> str:
    """Return the size of a layer's receptive field, "" when it is not known."""
    field = layer.receptive_field
    return f"{times(field.size[1], field.size[0])} px" if field else ""


def image_label(file: str) -> str:
    """Return what an image shows, read off its file's name: n01440764_tench.jpg -> "tench".

    A name of digits alone tells nothing, so its folder speaks for it where there is one.
    """
    folder, _, name = file.rpartition("/")
    stem = _SYNSET.sub("", name.rpartition(".")[0] or name)
    if folder and _ONLY_DIGITS.fullmatch(stem):
        stem = _SYNSET.sub("", folder.rpartition("/")[2])
    return stem.replace("_", " ").strip() or file


def bibtex(slug: str, neuron: str, *, model: str, sha256: str) -> str:
    """Return a BibTeX entry for a neuron's page; its address is for the reader to add."""
    key = re.sub(r"[^A-Za-z0-9_.-]", "", slug)
    return (
        f"@misc{{{key},\n"
        f"  title  = {{Neuron {_tex(neuron)} of {_tex(model)}}},\n"
        f"  note   = {{Circuit atlas page {key}.html; model SHA-256 {sha256[:16]}}},\n"
        f"}}"
    )


def _tex(text: str) -> str:
    """Return a text with TeX's special characters escaped."""
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(words.get(c, "\\" + c if c in "{}$&#_%" else c) for c in text)


def atlas_bibtex(title: str, *, model: str, sha256: str, version: str) -> str:
    """Return a BibTeX entry for a whole atlas; its address and year are for the reader to add."""
    made = f", circuit-atlas {version}" if version else ""
    return (
        f"@misc{{atlas-{sha256[:8]},\n"
        f"  title  = {{{_tex(title)}}},\n"
        f"  note   = {{Circuit atlas of {_tex(model)}; model SHA-256 {sha256[:16]}{_tex(made)}}},\n"
        f"}}"
    )
