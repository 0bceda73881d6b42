"""PyTorch networks that an atlas cannot show are one line, with the user's code; unusual ones are right."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.core.errors import ModelError
from torch_twin import images_of, torch

nn, F = torch.nn, torch.nn.functional
SIZE = (3, 12, 12)
HERE = r"test_torch_refusals\.py, line \d+, in "


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, `middle`, and a dense layer."""

    def __init__(self, middle: Callable[[Any], Any] = F.relu, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.middle = middle
        self.head = nn.Linear(4, 5)

    def forward(self, x: Any) -> Any:
        """Return five numbers for each image."""
        return self.head(self.middle(self.conv(x)).mean((2, 3)))


def changed(**values: Any) -> Any:
    """Return a network with some other attributes."""
    module = Net()
    for name, value in values.items():
        setattr(module, name, value)
    return module


def on_meta() -> Any:
    with torch.device("meta"):
        return Net()


def if_positive(x: Any) -> Any:
    return -x if x.sum() > 0 else x


def again(x: Any) -> Any:
    return again(x)


def pooled(x: Any) -> Any:
    for _ in range(6):
        x = F.max_pool2d(x, 2)
    return x


class Two(Net):
    def forward(self, x: Any, y: Any, *, z: Any) -> Any:  # type: ignore[override]
        """Return what two images and an option give."""
        return super().forward(x + y + z)


class NoImages(Net):
    def forward(self) -> Any:  # type: ignore[override]
        """Return always the same."""
        return super().forward(torch.zeros(1, *SIZE))


class NoForward(nn.Module):  # type: ignore[misc, name-defined]
    pass


class Quantized(nn.Module):  # type: ignore[misc, name-defined]
    __module__ = "torch.ao.nn.quantized.modules.conv"


RANDOM = r"draws random numbers when it is evaluated: found {}.*let them be drawn only where self.training"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "lazy": (lambda: changed(conv=nn.LazyConv2d(4, 3)), r"has lazy modules.*found conv\.weight; run it once"),
    "meta": (on_meta, r"has no values: its parameters are on the device meta; load weights"),
    "quantized": (lambda: changed(conv=Quantized()), r"is quantized: found conv, expected weights"),
    "several inputs": (Two, r"Two has several inputs: found x, y, z, expected images alone; wrap it"),
    "no inputs": (NoImages, r"the forward of NoImages takes no images: found forward\(\) -> 'Any', exp"),
    "no forward": (NoForward, r"NoForward has no forward: expected a method forward\(self"),
    "an if": (
        lambda: Net(if_positive),
        rf"depends on the values of the image: found {HERE}if_positive; write",
    ),
    "a number": (lambda: Net(lambda x: x * x.max().item()), rf"the values of the image: found item, {HERE}"),
    "a mask": (lambda: Net(lambda x: x * x[x > 0].mean()), r"depends on the values of the image"),
    "NumPy": (
        lambda: Net(lambda x: torch.tensor(np.abs(x.numpy()))),
        rf"runs, but torch.export cannot follow it: .*found {HERE}<lambda>; write",
    ),
    "noise": (lambda: Net(lambda x: x + torch.randn_like(x)), RANDOM.format(f"randn_like, {HERE}")),
    "noise of no image": (lambda: Net(lambda x: x + torch.randn(1)), RANDOM.format(f"randn, {HERE}")),
    "dropout": (lambda: Net(lambda x: F.dropout(x, 0.5)), RANDOM.format("native_dropout")),
    "Python's": (lambda: Net(lambda x: x * random.random()), RANDOM.format("random or numpy")),
    "NumPy's": (lambda: Net(lambda x: x * float(np.random.rand())), RANDOM.format("random or numpy")),
    "batch norm": (
        lambda: Net(nn.BatchNorm2d(4, track_running_stats=False)),
        r"has a batch norm that takes mean and variance from the batch: found .*expected running",
    ),
    "too small": (
        lambda: Net(pooled),
        rf"fails on an image of 3x12x12: .*too small: found {HERE}pooled; give",
    ),
    "other channels": (lambda: Net(channels=4), r"fails on an image of 3x12x12: .*--input-"),
    "recursion": (
        lambda: Net(again),
        rf"RecursionError: maximum recursion depth exceeded: found {HERE}again",
    ),
    "an error": (lambda: Net({}.__getitem__), r"fails on an image of 3x12x12: "),
    "an end": (lambda: Net(lambda x: sys.exit(3)), rf"it ends the program: found {HERE}<lambda>"),
    "recurrence": (
        lambda: changed(conv=nn.LSTM(3, 4)),
        r"Net fails on an image of 3x12x12: ValueError: LSTM: Exp",
    ),
    "one dimension": (
        lambda: Net(lambda x: nn.Conv1d(4, 4, 1)(x)),
        r"fails on an image of 3x12x12: Expected 2D",
    ),
    "complex": (
        lambda: Net(lambda x: torch.fft.fft2(x).abs()),
        r"operations that the atlas cannot read: .*fft2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_that_cannot_be_shown_is_refused(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    """One line says why, and nothing else is printed."""
    make, expected = REFUSED[case]
    with pytest.raises(ModelError, match=expected) as caught:
        atlas.load_model(make(), input_shape=SIZE)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            None,
            r"is not known; give it with --input-shape \(input_shape in Python\), channels first, like 3,",
        ),
        ((12, 12, 3), r"channels last: found \(12, 12, 3\), expected channels first.*: 3,12,12"),
        ((3, 12), r"is not known: found \(3, 12\) for \(c, h, w\)"),
        ((3, 0, 12), "is not known: found"),
        ((3, -4, 12), "is not known: found"),
    ],
)
def test_a_size_that_is_none_is_refused(size: Sequence[int] | None, expected: str) -> None:
    """The line says what a size looks like."""
    with pytest.raises(ModelError, match=expected):
        atlas.load_model(Net(), input_shape=size)  # type: ignore[arg-type]


class Clamp(torch.autograd.Function):  # type: ignore[misc]
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Return the positive part."""
        return x.clamp(min=0)


def one_image(x: Any) -> Any:
    assert x.shape[0] == 1
    return x


def talks(x: Any) -> Any:
    print(x.shape)
    return x


def hooked() -> Any:
    module = Net()
    module.conv.register_forward_hook(lambda _, given, value: value * 2)
    return module


def tied() -> Any:
    shared = nn.Conv2d(4, 4, 1)
    return Net(nn.Sequential(shared, nn.ReLU(), shared))


def odd_names() -> Any:
    names = ("a-b", "konv ü", "input", "A-b", "_x", "conv#2")
    middle = nn.Sequential()
    for name in names:
        middle.add_module(name, nn.Conv2d(4, 4, 1))
    return Net(middle)


READ: dict[str, Callable[[], Any]] = {
    "one channel": lambda: Net(channels=1),
    "four channels": lambda: Net(channels=4),
    "a function with a gradient of its own": lambda: Net(Clamp.apply),
    "one image at a time": lambda: Net(one_image),
    "what it prints": lambda: Net(talks),
    "a hook": hooked,
    "shared weights": tied,
    "odd names": odd_names,
    "dropout": lambda: Net(nn.Dropout(0.5)),
    "weight norm": lambda: changed(conv=nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
    "spectral norm": lambda: changed(conv=nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))),
}


@pytest.mark.parametrize("case", READ)
def test_an_unusual_network_has_the_values_of_pytorch(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    """They agree on three images, and nothing is printed."""
    torch.manual_seed(0)
    module = READ[case]().eval()
    channels = 4 if case == "four channels" else 1 if case == "one channel" else 3
    size = (channels, *SIZE[1:])
    network = atlas.load_model(module, input_shape=size, value_range=(0, 1))
    assert capfd.readouterr().out == ""
    images = images_of(size) / 2 + 0.5
    with torch.no_grad():
        expected = torch.cat([module(image[None]) for image in images]).numpy()
    values = network.activations(images.permute(0, 2, 3, 1).numpy(), ["head"])["head"]
    assert np.abs(values - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_state_that_lasts_is_noted() -> None:
    """A network that counts its calls is read as it is at the next one."""
    module = Net()
    module.register_buffer("calls", torch.zeros(1))
    module.middle = lambda x: x * module.calls.add_(1)
    network = atlas.load_model(module, input_shape=SIZE, value_range=(0, 1))
    assert "its forward changes calls; it is read as it is at its next call" in network.notes
    assert module.calls.item() == 0


NO_MODEL = {
    "a class": (
        Net,
        "found a class, expected a torch.nn.Module, or the name or path of a model; "
        "call it, and give the module that it makes: load_model(Net())",
    ),
    "a function": (
        hooked,
        "found a function, expected a torch.nn.Module, or the name or path of a model; "
        "call it, and give the module that it makes: load_model(hooked())",
    ),
    "a state dict": (
        Net().state_dict(),
        "found weights alone, expected a torch.nn.Module, or the name or path of a model; "
        "load them into a module with load_state_dict, and give the module",
    ),
    "a number": (3, "found int, expected a torch.nn.Module, or the name or path of a model"),
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_what_is_no_module_is_refused_with_the_way_to_one(case: str) -> None:
    """A class, a function and a state dict are named as what they are, and followed by what to do."""
    source, reason = NO_MODEL[case]
    with pytest.raises(ModelError) as caught:
        atlas.load_model(source)
    assert str(caught.value) == f"load_model cannot read this object: {reason}"


def test_one_number_is_the_mean_of_every_channel() -> None:
    """A number as mean and std has the values of that number for each of three channels."""
    module, image = Net(), images_of(SIZE)[:1].permute(0, 2, 3, 1).numpy() / 2 + 0.5
    one, three = (
        atlas.load_model(module, input_shape=SIZE, mean=mean, std=std).activations(image, ["head"])["head"]
        for mean, std in ((0.5, np.float32(0.25)), ((0.5,) * 3, (0.25,) * 3))
    )
    np.testing.assert_array_equal(one, three)
