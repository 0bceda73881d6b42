"""One pass over a folder of images: each batch goes through the network once, whatever is measured on it.

Observers say which layers and tensors they need, and take each batch's values as it comes; none of them
keeps more than a fixed amount of memory, however many images there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from atlas.core.errors import ExamplesError
from atlas.core.preprocessing import COVER, Resizing
from atlas.core.records import Floats
from atlas.drawing.image_files import BrokenImageError, image_files, read_image, unreadable

# Images per batch: few enough for the first layers' activations (9 MB an image in GoogLeNet up to mixed3b).
_BATCH = 16


class Excitable(Protocol):
    """A network as this module uses it: the shape of its input and its layers' activations."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The (h, w, c) of the network's input."""

    def activations(self, images: Floats, names: Sequence[str]) -> dict[str, Floats]:
        """Return [n, h, w, channel] or [n, channel] by name, for images [n, h, w, c] in [0, 1]."""


class LayerValues(NamedTuple):
    """A layer's activations on some images; a dense layer has one position."""

    maps: Floats
    """[n, position, neuron]."""
    best: Floats
    """[n, neuron], each image's largest."""
    width: int
    """Number of positions in a row of the map."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images, and what the network makes of them."""

    first: int
    """The number of the first image; images that cannot be read have none."""
    names: tuple[str, ...]
    """The images' files, from the folder."""
    pixels: Floats
    """[n, h, w, c] in 0 to 1."""
    values: Mapping[str, Floats]
    """[n, h, w, channel] or [n, channel] by the name of the layer or tensor."""
    known: dict[str, LayerValues] = field(default_factory=dict)
    """What `of` has returned, by the name of the layer."""

    def of(self, name: str) -> LayerValues:
        """Return a layer's activations position by position; raises ExamplesError if one is not finite.

        Computed once for all observers of the layer.
        """
        if name not in self.known:
            values = self.values[name]
            maps = values.reshape(len(values), -1, values.shape[-1])
            best = maps.max(1)
            self._check(name, best + maps.min(1))
            self.known[name] = LayerValues(maps, best, values.shape[2] if values.ndim == 4 else 1)
        return self.known[name]

    def _check(self, name: str, ends: Floats) -> None:
        bad = np.argwhere(~np.isfinite(ends))
        if bad.size:
            raise ExamplesError(
                f"{name}:{bad[0, 1]}: its activation on {self.names[bad[0, 0]]} is not finite",
                found=ends[tuple(bad[0])],
                expected="a number",
            )


class Observer(Protocol):
    """What is measured in a pass."""

    @property
    def tensors(self) -> Sequence[str]:
        """The layers and tensors whose values it needs."""

    def add(self, batch: Batch) -> None:
        """Take a batch; raises ExamplesError for values that are not finite."""

    def record(self, seen: Seen) -> Any:
        """Return what was measured, once all images were `seen`; raises AtlasError."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The images of a pass."""

    images: tuple[str, ...]
    """Files that were read, from the folder, by their numbers."""
    skipped: tuple[str, ...]
    """Files that could not be read."""


def look_through(
    network: Excitable,
    folder: Path,
    observers: Sequence[Observer],
    *,
    resizing: Resizing = COVER,
    progress: Callable[[int], object] | None = None,
) -> Seen:
    """Show the images of a folder to every observer, batch by batch, and return their names.

    Images get the size of the network's input by `resizing`. `progress` is called with the number of files
    just done. Raises ExamplesError for a network that takes no images, a folder without a readable image,
    or activations that are not finite.
    """
    names = list(dict.fromkeys(name for observer in observers for name in observer.tensors))
    images: list[str] = []
    skipped: list[str] = []
    evaluated = (
        (pixels, read, broken, network.activations(pixels, names) if names and read else {})
        for pixels, read, broken in batches(folder, image_files(folder), network.input_shape, resizing)
    )
    # The next batch is read, and goes through the network, while observers take this one.
    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(next, evaluated, None)
        while (found := waiting.result()) is not None:
            waiting = ahead.submit(next, evaluated, None)
            pixels, read, broken, values = found
            own = {name: value[: len(read)] for name, value in values.items()}
            batch = Batch(len(images), tuple(read), pixels[: len(read)], own)
            for observer in observers if read else ():
                observer.add(batch)
            images += read
            skipped += broken
            if progress is not None:
                progress(len(read) + len(broken))
    if not images:
        raise unreadable(folder, skipped, network.input_shape[2])
    return Seen(tuple(images), tuple(skipped))


def batches(
    folder: Path, paths: Iterable[Path], shape: tuple[int, int, int], resizing: Resizing
) -> Iterator[tuple[Floats, list[str], list[str]]]:
    """Yield a folder's images [_BATCH, h, w, c] in [0, 1], their names, and the names of broken files.

    The last batch is filled up with zeros, because networks may round differently at another batch size.
    """
    files = iter(paths)
    while chunk := list(itertools.islice(files, _BATCH)):
        pixels = np.zeros((_BATCH, *shape), np.float32)
        names: list[str] = []
        broken: list[str] = []
        for path in chunk:
            name = path.relative_to(folder).as_posix()
            try:
                pixels[len(names)] = read_image(path, shape, resizing).astype(np.float32) / 255
                names.append(name)
            except BrokenImageError:
                broken.append(name)
        yield pixels if names else pixels[:0], names, broken
