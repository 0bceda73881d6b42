"""A network and a folder of labelled images -> how many it names, and which preprocessing may be wrong."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.image_pass import batches
from atlas.analysis.labelled import classes_of
from atlas.core.errors import ExamplesError, ModelError
from atlas.core.preprocessing import Preprocessing
from atlas.core.records import Floats
from atlas.drawing.image_files import image_files, unreadable
from atlas.model.network import Network
from atlas.model.reading.preprocessing import BYTES, CAFFE_MEAN, TORCH_MEAN, TORCH_STD

_TOP = 5
# So many images are tried with other preprocessings. A better one must name this share of them more; near
# chance, where answers are mostly guesses, the larger share.
_N_TRIED = 64
_BETTER, _BETTER_THAN_CHANCE = 0.04, 0.2
# What networks are usually trained with, by the options that say so.
_USUAL = {
    "--value-range 0,1": Preprocessing(),
    "--preprocess none": Preprocessing(value_range=BYTES),
    "--preprocess tf": Preprocessing(value_range=(-1.0, 1.0)),
    "--preprocess torch": Preprocessing(mean=TORCH_MEAN, std=TORCH_STD),
    "--preprocess caffe": Preprocessing(value_range=BYTES, mean=CAFFE_MEAN, channels="bgr"),
}


@dataclass(frozen=True)
class Accuracy:
    """How many images of a labelled folder a network names."""

    n_images: int
    """Number of images that could be read."""
    n_seen: int
    """Number of classes that they are of."""
    how: str
    """How their classes were found, in words."""
    top1: float
    """Share of the images whose class has the largest logit, 0 to 1."""
    top5: float | None
    """Share of those whose class is among the five largest; None for five classes or fewer."""
    skipped: tuple[str, ...]
    """The files that could not be read."""
    hint: str
    """What may be wrong where another preprocessing names more, or none is above chance; else ""."""


def accuracy(network: Network, folder: Path, *, progress: Callable[[int], object] | None = None) -> Accuracy:
    """Return how many of a folder's images a network names; `labelled` says how their classes are found.

    Of equal logits the first counts as the larger. `progress` is called with the number of files just done.
    Raises ModelError for a network without classes, and ExamplesError for a folder without labelled images
    that can be read, or logits that are not finite.
    """
    if network.output is None:
        raise ModelError(
            f"{network.name} has no classes to compare with {folder}",
            expected="a last layer with a number for each class",
            remedy="leave --images out",
        )
    files = image_files(folder)
    n_classes = network.layer(network.output).n_channels
    classes, how = classes_of(folder, files, network.labels, n_classes)
    ranks: list[int] = []
    seen: set[int] = set()
    skipped: list[str] = []
    for batch, names, broken in _read(network, folder, files):
        numbers = [classes[name] for name in names]
        ranks += _ranks(network, batch, numbers, names).tolist()
        seen.update(numbers)
        skipped += broken
        if progress is not None:
            progress(len(names) + len(broken))
    if not ranks:
        raise unreadable(folder, skipped, network.input_shape[2])
    top1, top5 = (float(np.mean(np.array(ranks) < k)) for k in (1, _TOP))
    chance = 1 / (len(seen) if len(seen) > 1 else n_classes)
    # Within two standard deviations of guesses, or of answers that are all the same, and a percent more.
    near = top1 < min(chance + 2 * math.sqrt(chance * (1 - chance) / len(ranks)) + 0.01, 1)
    return Accuracy(
        n_images=len(ranks),
        n_seen=len(seen),
        how=how,
        top1=top1,
        top5=top5 if n_classes > _TOP else None,
        skipped=tuple(skipped),
        hint=_hint(network, folder, files, classes, near=near),
    )


def _read(
    network: Network, folder: Path, files: Sequence[Path]
) -> Iterator[tuple[Floats, list[str], list[str]]]:
    return batches(folder, files, network.input_shape, network.preprocessing.resizing)


def _ranks(
    network: Network, batch: Floats, classes: Sequence[int], names: Sequence[str]
) -> NDArray[np.int64]:
    """Return [n], how many classes have larger logits than each image's own; 0 is right."""
    if not classes:
        return np.zeros(0, np.int64)
    output = str(network.output)
    # Images as another preprocessing would make them are far from 0 to 1.
    values = network.activations(batch, [output], any_values=True)[output]
    logits = values.reshape(len(batch), -1)[: len(classes)]
    bad = np.argwhere(~np.isfinite(logits))
    if bad.size:
        raise ExamplesError(
            f"{output}: a logit of {names[bad[0, 0]]} is not finite", found=logits[tuple(bad[0])]
        )
    own = logits[np.arange(len(classes)), classes][:, None]
    before = np.arange(logits.shape[1]) < np.array(classes)[:, None]
    return np.asarray(((logits > own) | ((logits == own) & before)).sum(1), np.int64)


def _hint(
    network: Network, folder: Path, files: Sequence[Path], classes: dict[str, int], *, near: bool
) -> str:
    """Return which preprocessing names more of some of the images; if none, "" unless `near` chance."""
    tried = [files[i] for i in np.linspace(0, len(files) - 1, min(_N_TRIED, len(files)), dtype=int)]
    counts: dict[str, int] = {}
    n = 0
    for batch, names, _ in _read(network, folder, tried):
        numbers = [classes[name] for name in names]
        n += len(names)
        for option, other in _others(network).items():
            counts.setdefault(option, 0)
            with contextlib.suppress(ExamplesError):  # values that are too large for the network
                images = as_if(batch, network.preprocessing, other)
                counts[option] += int((_ranks(network, images, numbers, names) == 0).sum())
    now = counts.pop("")
    best = max(counts, key=lambda option: counts[option], default="")
    if best and counts[best] - now >= max((_BETTER_THAN_CHANCE if near else _BETTER) * n, 3):
        return (
            f"mean, std, range or order of channels may be wrong: of {n} images {now} are named rightly, "
            f"with {best} instead {counts[best]}"
        )
    return (
        "this is near chance: the weights may be random or for other classes, or mean, std, range or order "
        f"of channels wrong, but on {n} images none of {', '.join(counts)} is better"
        if near
        else ""
    )


def _others(network: Network) -> dict[str, Preprocessing]:
    """Return the usual preprocessings by option, the network's own by "", all but those that are the same."""
    now = network.preprocessing
    if network.input_shape[2] != 3:
        usual = {option: other for option, other in _USUAL.items() if len(other.mean) < 2}
    else:
        order: Literal["rgb", "bgr"] = "rgb" if now.channels == "bgr" else "bgr"
        usual = _USUAL | {f"--channels {order}": replace(now, channels=order)}
    probe = np.random.default_rng(0).random((1, 1, 2, network.input_shape[2]), np.float32)
    return {"": now} | {
        option: other
        for option, other in usual.items()
        if not np.allclose(as_if(probe, now, other), probe, atol=1e-3)
    }


def as_if(images: Floats, now: Preprocessing, other: Preprocessing) -> Floats:
    """Return images [n, h, w, c] that become after preprocessing `now` what `images` become after `other`.

    `images` are 0 to 1, the result may have any values.
    """
    low, high = other.value_range
    values = images[..., ::-1] if other.channels == "bgr" else images
    values = (low + values * (high - low) - np.array(other.mean or (0,))) / np.array(other.std or (1,))
    low, high = now.value_range
    values = values * np.array(now.std or (1,)) + np.array(now.mean or (0,))
    values = (values - low) / (high - low)
    return np.asarray(values[..., ::-1] if now.channels == "bgr" else values, np.float32)
