"""Photographs get the size of an input to the pixel as torchvision and timm make it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.core.preprocessing import COVER, Resizing
from atlas.drawing.image_files import read_image

# Wide, tall, square, smaller than the input on one side, and odd.
SIZES = ((310, 203), (97, 301), (128, 128), (500, 40), (333, 257))


@pytest.fixture(scope="module")
def vision() -> Iterator[Any]:
    """torchvision, where it can be imported."""
    pytest.importorskip("torch")
    from torch_twin import declare_vision_ops

    kept = declare_vision_ops()
    yield pytest.importorskip("torchvision")
    del kept


@pytest.fixture
def photograph(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An image without loss of one of the sizes, with smooth parts and edges."""
    w, h = request.param
    rng = np.random.default_rng(w)
    coarse = Image.fromarray(rng.integers(0, 256, (h // 9 + 2, w // 7 + 2, 3), np.uint8))
    path = tmp_path / "photograph.png"
    coarse.resize((w, h), Image.Resampling.BICUBIC).save(path)
    return path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


@pytest.mark.parametrize("photograph", SIZES, indirect=True)
@pytest.mark.parametrize(
    "weights", ["ResNet50_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2", "Swin_T_Weights.DEFAULT"]
)
def test_photographs_are_those_of_torchvision(vision: Any, photograph: Path, weights: str) -> None:
    """Without its mean and std, the preset of the weights gives the same bytes."""
    kind, _, name = weights.partition(".")
    transforms = getattr(vision.models, kind)[name].transforms()
    (crop,), (resized,) = transforms.crop_size, transforms.resize_size
    transforms.mean, transforms.std = (0.0,) * 3, (1.0,) * 3
    expected = transforms(opened(photograph)).permute(1, 2, 0).numpy() * 255
    resizing = Resizing(transforms.interpolation.value, crop / resized)
    np.testing.assert_array_equal(read_image(photograph, (crop, crop, 3), resizing), expected.round())


@pytest.mark.parametrize("photograph", SIZES, indirect=True)
@pytest.mark.parametrize("size", [(96, 96), (96, 128)])
@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize(("filter_", "crop"), [("bicubic", 0.95), ("bilinear", 0.875), ("bicubic", 1.0)])
def test_photographs_are_those_of_timm(
    vision: Any, photograph: Path, size: tuple[int, int], mode: str, filter_: Any, crop: float
) -> None:
    """Also for inputs that are not square, and squashed ones."""
    timm = pytest.importorskip("timm")
    transform = timm.data.create_transform(
        (3, *size), crop_pct=crop, crop_mode=mode, interpolation=filter_, normalize=False
    )
    expected = transform(opened(photograph)).permute(1, 2, 0).numpy()
    resizing = Resizing(filter_, crop, mode == "squash")
    np.testing.assert_array_equal(read_image(photograph, (*size, 3), resizing), expected)


@pytest.mark.parametrize("photograph", [(40, 30)], indirect=True)
@pytest.mark.parametrize("resizing", [COVER, Resizing("bicubic", 0.5), Resizing("bicubic", 0.9, True)])
def test_a_photograph_of_the_size_stays_as_it_is(photograph: Path, resizing: Resizing) -> None:
    """Nothing is cropped from what was cropped before."""
    read = read_image(photograph, (30, 40, 3), resizing)
    np.testing.assert_array_equal(read, np.asarray(opened(photograph)))


@pytest.mark.parametrize("photograph", [(90, 60)], indirect=True)
def test_bands_are_resized_alike(photograph: Path, tmp_path: Path) -> None:
    """An array of five bands is read band by band as a grey image would be."""
    red = np.asarray(opened(photograph))[..., 0]
    np.save(tmp_path / "bands.npy", np.repeat(red[..., None], 5, 2))
    Image.fromarray(red).save(tmp_path / "grey.png")
    resizing = Resizing("lanczos", 0.8)
    grey = read_image(tmp_path / "grey.png", (20, 20, 1), resizing)
    np.testing.assert_array_equal(
        read_image(tmp_path / "bands.npy", (20, 20, 5), resizing), np.repeat(grey, 5, 2)
    )
