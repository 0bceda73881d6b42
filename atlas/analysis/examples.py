"""A folder of images -> for each neuron the images that excite it most, and their crops.

One pass over the folder serves all layers; only the running top k are kept. An image's activation is
the largest over a layer's positions, its position the first that reaches it. Images of equal activation
keep their order.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlas.analysis.image_pass import Batch, Seen
from atlas.core.errors import ExamplesError
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.preprocessing import COVER, Resizing
from atlas.core.records import ExampleTable, Floats, Ints, RangeTable
from atlas.core.records.operating_point import OperatingPoint
from atlas.drawing.image_files import BrokenImageError, image_files, read_image, unreadable
from atlas.drawing.images import in_colour, jpeg

# Memory for 1,700 decoded images of 224 x 224 x 3; a larger folder is decoded again as needed.
_CACHE_BYTES = 256 * 2**20
_GREY = 128
# Images of the operating point; for a gate, each takes a pass through the network.
_N_HELD = 32
_QUALITY = 85


def operating_point(folder: Path, shape: tuple[int, int, int], resizing: Resizing = COVER) -> OperatingPoint:
    """Return some of a folder's images, evenly spread over it, as the network's operating point.

    Images that cannot be read are left out. Raises ExamplesError, as `image_files` does.
    """
    files = image_files(folder)
    sample = [files[i] for i in np.linspace(0, len(files) - 1, min(_N_HELD, len(files)), dtype=int)]

    def images() -> Iterator[Floats]:
        n = 0
        # Where all of the sample are broken, any other image serves.
        for at, path in enumerate([*sample, *files]):
            if n and at >= len(sample):
                return
            with contextlib.suppress(BrokenImageError):
                yield read_image(path, shape, resizing).astype(np.float32) / np.float32(255)
                n += 1
        if not n:
            raise unreadable(folder, [path.relative_to(folder).as_posix() for path in files], shape[2])

    return OperatingPoint(f"{len(sample)} of the dataset examples", images)


class Top:
    """The running top k of one layer, an observer: activation, image and flat position, each [n, k]."""

    def __init__(self, layer: Layer, k: int, input_shape: tuple[int, int, int]) -> None:
        """Raise ExamplesError for k < 1."""
        if k < 1:
            raise ExamplesError("wrong number of examples", found=k, expected="1 or more")
        shape = (layer.n_channels, k)
        self.layer, self.input_shape = layer, input_shape
        self.tensors = (layer.name,)
        self.activation = np.full(shape, -np.inf, np.float32)
        self.image = np.full(shape, -1, np.int32)
        self.position = np.zeros(shape, np.int32)
        self.width = 1

    def add(self, batch: Batch) -> None:
        """Merge a batch of maps [b, h, w, n] or vectors [b, n]; raises ExamplesError if one is not finite."""
        (maps, best, self.width), first = batch.of(self.layer.name), batch.first
        new = np.arange(first, first + len(maps), dtype=np.int32)
        self._merge(best.T, np.broadcast_to(new, best.T.shape))
        # Positions are computed only for new entries of the top k: late in the pass, hardly any.
        rows, columns = np.nonzero(self.image >= first)
        entries = maps[self.image[rows, columns] - first, :, rows]
        self.position[rows, columns] = entries.argmax(1)

    def _merge(self, activation: Floats, image: Ints) -> None:
        # The sort is stable and earlier images come first, so equal activations keep the images' order.
        activation = np.concatenate([self.activation, activation], 1)
        image = np.concatenate([self.image, image], 1)
        position = np.concatenate([self.position, np.zeros_like(image[:, self.position.shape[1] :])], 1)
        order = np.argsort(-activation, axis=1, kind="stable")[:, : self.image.shape[1]]
        self.activation, self.image, self.position = (
            np.take_along_axis(a, order, 1) for a in (activation, image, position)
        )

    def record(self, seen: Seen) -> ExampleTable:
        """Return the record, with boxes clipped at the border of the network's input."""
        filled = self.image >= 0
        position = np.stack(np.divmod(self.position, self.width), -1) * filled[..., None]
        field = self.layer.receptive_field if self.layer.shape else None
        box = boxes(position, field, self.input_shape) * filled[..., None]
        return ExampleTable(
            layer=self.layer.name,
            images=seen.images,
            skipped=seen.skipped,
            image=self.image,
            activation=np.where(filled, self.activation, 0).astype(np.float32),
            position=position.astype(np.int32),
            box=box.astype(np.int32),
        )


def boxes(position: Ints, field: ReceptiveField | None, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return [..., 4] top, left, bottom, right of the pixels that a position sees; at least one pixel."""
    if field is None:
        return np.broadcast_to(np.array([0, 0, shape[0], shape[1]]), (*position.shape[:-1], 4)).copy()
    first = np.floor(np.array(field.offset) + position.astype(np.int64) * field.stride).astype(np.int64)
    last = np.array(shape[:2])
    start = np.clip(first, 0, last - 1)
    stop = np.clip(first + field.size, start + 1, last)
    return np.concatenate([start, stop], -1)


def example_strips(
    table: ExampleTable,
    folder: Path,
    input_shape: tuple[int, int, int],
    neurons: Iterable[int],
    *,
    ranges: RangeTable | None = None,
    tile_px: int = 96,
    bands: tuple[int, ...] = (),
    resizing: Resizing = COVER,
) -> Iterator[tuple[int, bytes]]:
    """Yield (neuron, JPEG bytes): a strip of its k crops side by side, pixels [tile_px, k * tile_px, 3].

    All crops of a layer have one scale: the largest box of the table fills a tile. A box clipped at the
    image's border keeps its place in the receptive field, with grey around it. A tile without an image is
    grey. Those of `ranges` stand below in tiles of two thirds of the side, level by level; the strip is as
    wide as the wider row. `bands` are shown as red, green, blue. Raises ExamplesError if an image is missing
    or can no longer be read.
    """
    pixel_bytes = int(np.prod(input_shape))

    @functools.lru_cache(maxsize=max(_CACHE_BYTES // pixel_bytes, 1))
    def picture(i: int) -> Image.Image:
        return _picture(folder / table.images[i], input_shape, bands, resizing)

    rows = [(table.image, table.box, tile_px)]
    if ranges is not None:
        n = len(ranges.image)
        rows.append((ranges.image.reshape(n, -1), ranges.box.reshape(n, -1, 4), tile_px * 2 // 3))
    sizes = [(box[..., 2:] - box[..., :2]).reshape(-1, 2) for _, box, _ in rows]
    h, w = np.concatenate([*sizes, [[1, 1]]]).max(0).tolist()
    window = (h, w)
    for neuron in neurons:
        width = max(image.shape[1] * px for image, _, px in rows)
        strip = Image.new("RGB", (width, sum(px for *_, px in rows)), (_GREY,) * 3)
        top = 0
        for image, box, px in rows:
            for rank, i in enumerate(image[neuron]):
                if i >= 0:
                    strip.paste(_tile(picture(int(i)), box[neuron, rank], window, px), (rank * px, top))
            top += px
        yield neuron, jpeg(np.asarray(strip), quality=_QUALITY)


def _picture(
    path: Path, shape: tuple[int, int, int], bands: tuple[int, ...], resizing: Resizing
) -> Image.Image:
    try:
        pixels = read_image(path, shape, resizing)
    except BrokenImageError as error:
        raise ExamplesError(
            f"{path}: an example cannot be read any more", remedy="build again with the folder as it is now"
        ) from error
    return Image.fromarray(np.broadcast_to(in_colour(pixels, bands), (*shape[:2], 3)).copy())


def _tile(picture: Image.Image, box: Ints, window: tuple[int, int], tile_px: int) -> Image.Image:
    """Return a tile [tile_px, tile_px] with the crop on grey, at its place in the centred window."""
    top, left, bottom, right = (int(x) for x in box)
    scale = tile_px / max(window)
    size = [max(round(side * scale), 1) for side in (right - left, bottom - top)]
    # Crop first: resize with `box` would blend in pixels from outside the box.
    crop = picture.crop((left, top, right, bottom)).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    tile = Image.new("RGB", (tile_px, tile_px), (_GREY,) * 3)
    at = [
        round((tile_px - side * scale) / 2) + (0 if start else round(side * scale) - length)
        for side, start, length in ((window[1], left, size[0]), (window[0], top, size[1]))
    ]
    tile.paste(crop, (at[0], at[1]))
    return tile
