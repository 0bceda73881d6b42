"""A folder of images -> their files and pixels: photographs, arrays, the pages of a TIFF.

Files that Pillow cannot decode, and arrays whose range of values is not known, raise `BrokenImageError`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from atlas.core.errors import ExamplesError, ExamplesFolderError
from atlas.core.preprocessing import COVER, Resizing
from atlas.drawing.images import Bytes

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".npy", ".tif", ".tiff"})
_SURROGATE = re.compile("[\ud800-\udfff]")


class BrokenImageError(Exception):
    """An image file that cannot be decoded."""


def image_files(folder: Path) -> tuple[Path, ...]:
    """Return the folder's image files, also those in folders below, sorted by their relative names.

    Image files are recognized by their ending (jpg, jpeg, png, webp, bmp, gif, tif, tiff, npy); hidden files
    are left out. Raises ExamplesError if the folder is missing, is a file or holds no image, or if an image's
    name is not UTF-8.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise ExamplesError(f"{folder}: no folder of images", found=found, expected="a folder of images")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    names = sorted(name for name, path in files.items() if _is_image(name, path))
    if not names:
        raise ExamplesError(f"{folder}: no image in the folder", expected=", ".join(sorted(_ENDINGS)))
    # Python shows bytes that are not UTF-8 as surrogates, which no page and no JSON file can hold.
    odd = next(filter(_SURROGATE.search, names), None)
    if odd is not None:
        raise ExamplesError(f"{folder}: the image's name {odd!r} is not UTF-8", remedy="rename it")
    return tuple(files[name] for name in names)


def _is_image(name: str, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return path.suffix.lower() in _ENDINGS and not hidden and path.is_file()


def check_readable(folder: Path, shape: tuple[int, int, int]) -> None:
    """Raise ExamplesFolderError if no image of a folder can be read; stop at the first that can be.

    Checks nothing for inputs of other than 1 or 3 bands: such a build goes on without examples.
    """
    broken = []
    for path in image_files(folder) if shape[2] in (1, 3) else ():
        try:
            read_image(path, shape)
        except BrokenImageError:
            broken.append(path.relative_to(folder).as_posix())
        else:
            return
    if broken:
        raise unreadable(folder, broken, shape[2])


def unreadable(folder: Path, skipped: Sequence[str], n_channels: int) -> ExamplesError:
    """Return the error of a folder in which all files are broken."""
    # Networks with other bands are often given a folder of pictures; the rest of the atlas is still built.
    kind = ExamplesFolderError if n_channels in (1, 3) else ExamplesError
    return kind(
        f"{folder}: no image can be read",
        found=f"{len(skipped)} broken files, {skipped[0]} first",
        expected=_expected(n_channels),
    )


def _expected(n_channels: int) -> str:
    if n_channels in (1, 3):
        return "images"
    return f".npy files [h, w, {n_channels}], of bytes or from 0 to 1, or TIFFs of {n_channels} pages"


def read_image(path: Path, shape: tuple[int, int, int], resizing: Resizing = COVER) -> Bytes:
    """Return an image as uint8 [h, w, c]: upright, resized and cropped around the centre.

    Raises BrokenImageError.
    """
    h, w, c = shape
    try:
        if c not in (1, 3) or path.suffix.lower() == ".npy":
            return _bands(path, shape, resizing)
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and of very large photographs; only the pixels matter here.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                upright = _of_bytes(ImageOps.exif_transpose(image))
                fitted = _resized(upright.convert("RGB" if c == 3 else "L"), (h, w), resizing)
    except Exception as error:  # Pillow's readers raise any kind of error on broken bytes.
        raise BrokenImageError(path.name) from error
    return np.asarray(fitted, np.uint8).reshape(h, w, c)


def _resized(image: Image.Image, size: tuple[int, int], resizing: Resizing) -> Image.Image:
    """Return an image of the size (h, w), to the pixel as torchvision's Resize and CenterCrop make it.

    An image of this size stays as it is: it was cropped already, and another crop would cut off more.
    """
    h, w = size
    method = Image.Resampling[resizing.interpolation.upper()]
    if (resizing.crop is None and not resizing.squash) or image.size == (w, h):
        return ImageOps.fit(image, (w, h), method)
    tall, wide = resizing.before_crop(size)
    if not resizing.squash and tall == wide:
        wide, tall = (side * tall // min(image.size) for side in image.size)
    elif not resizing.squash:
        # torchvision has no inputs that are not square; timm rounds to the nearest.
        ratio = min(image.width / wide, image.height / tall)
        wide, tall = (round(side / ratio) for side in image.size)
    resized = image.resize((wide, tall), method)
    top, left = round((tall - h) / 2), round((wide - w) / 2)
    return resized.crop((left, top, left + w, top + h))


def _bands(path: Path, shape: tuple[int, int, int], resizing: Resizing) -> Bytes:
    """Return uint8 [h, w, c] of the array in a .npy file, or of a TIFF of c grey pages."""
    h, w, c = shape
    if path.suffix.lower() == ".npy":
        array = _bytes_of(np.load(path, allow_pickle=False))
        array = array[..., None] if array.ndim == 2 else array
        pages = [Image.fromarray(np.ascontiguousarray(array[..., i])) for i in range(array.shape[2])]
    else:
        with Image.open(path) as image:
            frames = [frame.copy() for frame in ImageSequence.Iterator(image)]
        # One page is split into its bands.
        pages = [_of_bytes(page).convert("L") for page in (frames if len(frames) > 1 else frames[0].split())]
    if len(pages) != c:
        raise BrokenImageError(path.name)
    return np.stack([np.asarray(_resized(page, (h, w), resizing), np.uint8) for page in pages], -1)


def _of_bytes(image: Image.Image) -> Image.Image:
    """Return an image with 8 bits a band; Pillow would clip the values of a deeper one at 255."""
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    return Image.fromarray(_bytes_of(np.asarray(image))) if deep else image


def _bytes_of(array: NDArray[Any]) -> Bytes:
    """Return uint8 from an array of 8 or 16 bits, or of numbers from 0 to 1.

    Raises ValueError for other arrays, because the value of white is not known.
    """
    if array.dtype == np.uint8 and array.size:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2 and array.size:
        return np.asarray((array / 257).round(), np.uint8)
    real = array.dtype.kind in "fiub" and array.size
    if not real or not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise ValueError("neither numbers of 8 or 16 bits, nor from 0 to 1")
    return np.asarray((array * 255).round(), np.uint8)
