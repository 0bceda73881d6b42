"""Numbers and names in the form that readers see."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atlas.core.neuron import Layer
from atlas.core.preprocessing import Preprocessing
from atlas.core.records import EffectiveField, ModelRecord

# ImageNet's synset number at the start of a file's name: n01440764_tench.jpg.
_SYNSET = re.compile(r"n\d{8}_(?=.)")
# Pages show no more notes than this: deep networks with a gate in every block have dozens.
MOST_NOTES = 3
_ONLY_DIGITS = re.compile(r"[\d\W_]+")

VARIANTS = {
    "neuron": "excites the neuron at one position, the centre",
    "channel": "excites the neuron at all positions at once",
    "neuron-negative": "inhibits the neuron at one position, the centre",
    "channel-negative": "inhibits the neuron at all positions at once",
}


def number(value: float) -> str:
    """Return a number with at least three significant digits and a true minus sign: 0.0312, 1.20, 1,540."""
    # Nearly all numbers are in this range. They need no comma, no minus sign and no removal of a final point.
    if 0.001 <= value < 99.9:
        return f"{value:#.3g}"
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:#.3g}".removesuffix(".")
    return text.replace("-", "\N{MINUS SIGN}")


def signed_number(value: float) -> str:
    """Return a number with its sign: +0.0312. Zero has no sign."""
    return f"+{number(value)}" if value > 0 else number(value) if value else "0"


def percent(share: float) -> str:
    """Return a share between 0 and 1 as "83 %", with a no-break space; near the ends "<1 %" and "99.9 %"."""
    value = share * 100
    if 0 < value < 1:
        return "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
    if 99 < value < 99.95:
        return f"{min(value, 99.9):.1f}\N{NO-BREAK SPACE}%"
    return f"{value:.0f}\N{NO-BREAK SPACE}%"


def signed_percent(share: float) -> str:
    """Return a share from -1 to 1 with its sign, below 10 % with one decimal: "+13 %", "+0.4 %"."""
    value = 100 * abs(share)
    text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    mark = "" if not float(text) else "+" if share > 0 else "\N{MINUS SIGN}"
    return f"{mark}{text if float(text) else 0}\N{NO-BREAK SPACE}%"


def coverage(k: int, n: int, *, l2: float, l1: float) -> str:
    """Say how many of n connections are shown, and their shares of the squared L2 norm and of the L1 norm."""
    if k >= n:
        return f"All {thousands(n)}, strongest first." if n > 1 else "The only connection."
    shares = f"{percent(l2)} of the squared L2 norm and {percent(l1)} of the L1 norm of all weights"
    return f"Top {k} of {thousands(n)} by L2 norm: {shares}."


def assumptions(notes: Sequence[str]) -> tuple[str, ...]:
    """Return the first notes on some weights as sentences, and how many more are in the data file."""
    sentences = tuple(f"{note[:1].upper()}{note[1:]}." for note in notes[:MOST_NOTES])
    more = len(notes) - MOST_NOTES
    return (
        (*sentences, f"{counted(more, 'more note')} on these weights in the data file.")
        if more > 0
        else sentences
    )


def thousands(count: int) -> str:
    """Return a count with commas: "5,808"."""
    return f"{count:,}"


def described(title: str, model: str) -> str:
    """Return an atlas's title, followed by the name of its model unless the title says "circuit atlas"."""
    return title if "circuit atlas" in title.casefold() else f"{title}, a circuit atlas of {model}"


def counted(count: int, noun: str) -> str:
    """Return "1 neuron" or "5,808 neurons"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def times(*sizes: float) -> str:
    """Return sizes with multiplication signs between them; give the width before the height, as usual."""
    return " \N{MULTIPLICATION SIGN} ".join(f"{size:g}" for size in sizes)


def resizing(model: ModelRecord) -> str:
    """Return how photographs get the size of a network's input, without a full stop at the end."""
    by = " \N{MULTIPLICATION SIGN} "
    return model.resizing.words(model.input_shape[:2], by)


def values(model: ModelRecord) -> str:
    """Return the values of a network's images, mean, std and order of channels: "values 0 to 255"."""
    images = model.preprocessing or Preprocessing(value_range=model.value_range, channels="")
    return images.words().replace(" -", " \N{MINUS SIGN}")


def receptive_field(layer: Layer) -> str:
    """Return width and height of a layer's receptive field in pixels, "" where it is not known."""
    field = layer.receptive_field
    return f"{times(field.size[1], field.size[0])} px" if field else ""


def effective_field(field: EffectiveField | None) -> str:
    """Return width and height in pixels of the square with 95 % of the gradient's energy; "" for unknown."""
    return f"{times(field.inner[1], field.inner[0])} px" if field and field.is_known else ""


def image_label(file: str) -> str:
    """Return a label for an image, made from its file's name: n01440764_tench.jpg -> "tench".

    A name of digits alone says nothing; the name of its folder stands for it, where there is one.
    """
    folder, _, name = file.rpartition("/")
    stem = _SYNSET.sub("", name.rpartition(".")[0] or name)
    if folder and _ONLY_DIGITS.fullmatch(stem):
        stem = _SYNSET.sub("", folder.rpartition("/")[2])
    return stem.replace("_", " ").strip() or file
