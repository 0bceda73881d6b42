"""How photographs become inputs, in numbers and in words."""

from __future__ import annotations

import pytest

from atlas.core.preprocessing import COVER, Preprocessing, Resizing


def test_sizes_before_cropping_are_whole() -> None:
    """A share that was computed from two sizes leads back to them, for every pair of sizes in use."""
    for side in range(128, 641):
        for resized in range(side, 700):
            assert Resizing("bilinear", side / resized).before_crop((side, side)) == (resized, resized)


@pytest.mark.parametrize(
    ("resizing", "words"),
    [
        (COVER, "resized to cover 24x20 px (bilinear), the centre cropped"),
        (Resizing("box"), "resized to cover 24x20 px (box), the centre cropped"),
        (
            Resizing("bicubic", 0.5),
            "resized to cover 48x40 px (bicubic), the centre 24x20 cropped; "
            "those of 24x20 px stay as they are",
        ),
        (
            Resizing("bicubic", 1.0, squash=True),
            "resized to 24x20 px (bicubic), whatever their shape; those of 24x20 px stay as they are",
        ),
    ],
)
def test_resizing_is_said_in_words(resizing: Resizing, words: str) -> None:
    """Filter, size before the crop, and the crop."""
    assert resizing.words((20, 24)) == words


def test_a_square_input_is_said_by_its_shorter_side() -> None:
    """As PyTorch's libraries say it."""
    assert Resizing("bicubic", 0.875).words((224, 224), " by ") == (
        "resized to 256 px on the shorter side (bicubic), the centre 224 by 224 cropped; "
        "those of 224 by 224 px stay as they are"
    )


def test_values_are_said_in_words() -> None:
    """Range, mean, std and order of channels, where there are any."""
    assert Preprocessing(channels="").words() == "values 0 to 1"
    caffe = Preprocessing(value_range=(0, 255), mean=(103.939, 116.779, 123.68), channels="bgr")
    assert caffe.words() == "values 0 to 255, minus mean 103.939, 116.779, 123.68; channels BGR"
    centred = Preprocessing(mean=(0.5,), std=(0.5,))
    assert centred.words() == "values 0 to 1, minus mean 0.5, over std 0.5, which is -1 to 1; channels RGB"
