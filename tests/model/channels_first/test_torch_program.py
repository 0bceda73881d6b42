"""Modules written as graphs with channels last: every value is PyTorch's, on three different images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atlas.core.errors import ModelError
from torch_twin import perturbed, torch, transposes, worst_difference

pytestmark = pytest.mark.slow

nn, F = torch.nn, torch.nn.functional
SIZE = (4, 14, 18)
TOLERANCE = 1e-5


class Calls(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, then a function of its map."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.function = function

    def forward(self, x: Any) -> Any:
        """Return the output."""
        return self.function(self.conv(x))


class Attention(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.conv = nn.Conv2d(4, 8, 4, stride=4)

    def forward(self, x: Any) -> Any:
        """Return the output."""
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], 1)
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


LAYERS: dict[str, Callable[[], Any]] = {
    "conv": lambda: nn.Conv2d(4, 6, 3),
    "conv without bias": lambda: nn.Conv2d(4, 6, 3, bias=False),
    "uneven kernel": lambda: nn.Conv2d(4, 6, (1, 5), padding=(0, 2)),
    "even kernel": lambda: nn.Conv2d(4, 6, 4, padding=1),
    "strided": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "strided unevenly": lambda: nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1),
    "patches": lambda: nn.Conv2d(4, 6, 2, stride=2),
    "dilated": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "depthwise strided": lambda: nn.Conv2d(4, 8, 5, stride=2, padding=2, groups=4),
    "depthwise strided unevenly": lambda: nn.Conv2d(4, 4, 3, stride=(1, 2), padding=1, groups=4),
    "depthwise dilated": lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
    "depthwise dilated and strided": lambda: nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2, groups=4),
    "padding same": lambda: nn.Conv2d(4, 6, 4, padding="same"),
    "padding valid": lambda: nn.Conv2d(4, 6, 4, padding="valid"),
    "reflected border": lambda: nn.Conv2d(4, 6, 5, padding=2, padding_mode="reflect"),
    "replicated border": lambda: nn.Conv2d(4, 6, 5, padding=2, padding_mode="replicate"),
    "circular border": lambda: nn.Conv2d(4, 6, 5, padding=2, padding_mode="circular"),
    "uneven border": lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(4, 6, 3)),
    "constant border": lambda: nn.ConstantPad2d((1, 0, 2, 1), 0.7),
    "negative border": lambda: nn.ZeroPad2d((-1, 2, 0, -3)),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
    "transposed, patches": lambda: nn.ConvTranspose2d(4, 6, 2, stride=2),
    "transposed, gaps": lambda: nn.ConvTranspose2d(4, 6, 2, stride=3),
    "transposed, output padding": lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    "transposed, more output padding": lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1),
    "transposed, grouped": lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
    "transposed, dilated": lambda: nn.ConvTranspose2d(4, 6, 3, dilation=2, padding=1),
    "max pool": lambda: nn.MaxPool2d(3, 2, padding=1),
    "max pool rounded up": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "max pool rounded up, padded": lambda: nn.MaxPool2d(2, 3, padding=1, ceil_mode=True),
    "max pool after a ReLU": lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)),
    "average pool": lambda: nn.AvgPool2d(2),
    "average pool, padded": lambda: nn.AvgPool2d(3, 2, padding=1),
    "average pool, padding not counted": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "average pool rounded up": lambda: nn.AvgPool2d(3, 2, ceil_mode=True),
    "average pool rounded up, padded": lambda: nn.AvgPool2d(3, 3, padding=1, ceil_mode=True),
    "average pool rounded up, padding not counted": lambda: nn.AvgPool2d(3, 3, 1, True, False),
    "average pool rounded up with a divisor": lambda: nn.AvgPool2d(3, 3, 1, True, divisor_override=4),
    "average pool with a divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
    "adaptive pool": lambda: nn.AdaptiveAvgPool2d(1),
    "adaptive pool that divides": lambda: nn.AdaptiveAvgPool2d((7, 6)),
    "adaptive pool that does not": lambda: nn.AdaptiveAvgPool2d((5, 4)),
    "adaptive max pool": lambda: nn.AdaptiveMaxPool2d(1),
    "adaptive max pool to a grid": lambda: nn.AdaptiveMaxPool2d((5, 4)),
    "rows": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 6, 5, 2, 3, dilation=2, groups=2)),
    "rows, padding same": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 6, 4, padding="same")),
    "unfolded": lambda: nn.Sequential(nn.Unfold(3, dilation=(1, 2), padding=(1, 0), stride=2), nn.ReLU()),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "batch norm without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "batch norm, small epsilon": lambda: nn.BatchNorm2d(4, eps=1e-7),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "instance norm": lambda: nn.InstanceNorm2d(4, affine=True),
    "instance norm with statistics": lambda: nn.InstanceNorm2d(4, track_running_stats=True),
    "layer norm over the map": lambda: nn.LayerNorm([4, 14, 18]),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear to a size": lambda: nn.Upsample((9, 31), mode="bilinear"),
    "bilinear, corners": lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "nearest to a size": lambda: nn.Upsample((9, 31)),
    "nearest exact": lambda: nn.Upsample((9, 31), mode="nearest-exact"),
    "local response norm": lambda: nn.LocalResponseNorm(3, alpha=0.5),
    "elu with a bound": lambda: nn.ELU(0.7),
    "threshold": lambda: nn.Threshold(0.1, 0.1),
    "gated linear unit": lambda: nn.GLU(1),
    "prelu": lambda: nn.PReLU(4),
    "prelu of one": lambda: nn.PReLU(),
    "softmax over channels": lambda: nn.Softmax2d(),
    "flattened": lambda: nn.Sequential(nn.Flatten(), nn.Linear(4 * 14 * 18, 5)),
    "flattened, active": lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), nn.ReLU(), nn.Linear(1008, 5)),
    "flattened, normed": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1008), nn.Linear(1008, 5)),
    "pixel shuffle": lambda: nn.Sequential(nn.Conv2d(4, 8, 1), nn.PixelShuffle(2)),
    "pixel unshuffle": lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 3, 1)),
    "channel shuffle": lambda: nn.ChannelShuffle(2),
    "attention": Attention,
    **{
        name: getattr(nn, name)
        for name in (
            "ReLU ReLU6 LeakyReLU ELU CELU SELU GELU SiLU Mish Sigmoid Tanh Softplus Softsign Hardswish "
            "Hardsigmoid Hardtanh LogSigmoid Tanhshrink Softshrink"
        ).split()
    },
}


def _gated(x: Any) -> Any:
    gate = torch.sigmoid(x.mean((2, 3)))
    return x * gate.view(x.shape[0], 8, 1, 1)


def _in_place(x: Any) -> Any:
    y = x * 2
    y[:, 2:5].relu_()
    return y + x


def _assigned(x: Any) -> Any:
    y = x.clone()
    y[:, 3] = x[:, 0] * 2
    return y


def _written(*lines: str) -> Callable[[Any], Any]:
    """Return a function that runs lines on a copy y of x."""

    def function(x: Any) -> Any:
        space = {"x": x, "y": x.clone(), "torch": torch}
        exec("\n".join(lines), space)
        return space["y"]

    return function


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "einsum": lambda x: torch.einsum("nchw,nchv->nhwv", x, x),
    "tiled": lambda x: x.tile(1, 1, 1, 2),
    "turned": lambda x: torch.rot90(x, 1, (2, 3)),
    "interpolated": lambda x: torch.lerp(x, F.relu(x), 0.3),
    "largest, softly": lambda x: torch.logsumexp(x, 1, keepdim=True),
    "leaky by a condition": lambda x: torch.where(x > 0, x, 0.1 * x),
    "chosen of three": lambda x: torch.where(x[:, :1] < x[:, 1:2], torch.ones(18), x),
    "masked": lambda x: x.masked_fill(x < 0, 0.5),
    "mask as a factor": lambda x: x * (x >= 0) + x * (x < 0).float(),
    "smallest": lambda x: x.min(1, keepdim=True)[0] + x.amin((2, 3), keepdim=True),
    "joined with zeros and ones": lambda x: torch.cat(
        [x, torch.zeros_like(x[:, :2]), x.new_ones(x[:, :1].shape)], 1
    ),
    "windows along rows": lambda x: x.unfold(2, 3, 2).mean(-1),
    "flattened and back": lambda x: F.relu(x.flatten(1) * 2).view(x.shape) + x,
    "gate of neighbouring channels": lambda x: (
        x
        * F.conv1d(x.mean((2, 3)).unsqueeze(1), torch.linspace(-1, 1, 3).view(1, 1, 3), padding=1)
        .sigmoid()
        .view(x.shape[0], 8, 1, 1)
    ),
    "zeros where negative": _written("y[y < 0] = 0"),
    "every other channel": _written("y[:, 1::2] *= 0.5"),
    "a corner": _written("y[:, :, 0, 0] = 1.0"),
    "the first features": _written("y.view(y.shape[0], -1)[:, :3] = 0"),
    "filled": _written("y.fill_(0.5)", "y += x"),
    "new memory": _written(
        # What is not written yet is whatever memory holds: nothing to compare.
        "y = torch.empty_like(x).fill_(0)",
        "y[:, :3] = x[:, 5:]",
        "y[:, 3:] = x[:, :5]",
    ),
    "a wider map": _written("y = x.new_zeros(x.shape[0], 8, 16, 20)", "y[:, :, 1:-1, 1:-1] = x"),
    "sum": lambda x: x + F.relu(x),
    "weighted sum": lambda x: torch.add(x, F.relu(x), alpha=0.3),
    "difference from a number": lambda x: 1 - x,
    "joined": lambda x: torch.cat([x, x * 2], 1),
    "joined along rows": lambda x: torch.cat([x, x * 2], 2),
    "taken apart": lambda x: x.chunk(3, 1)[1],
    "split": lambda x: torch.split(x, [3, 5], 1)[1],
    "sliced": lambda x: x[:, 1:6:2, 2:, :-3],
    "one channel": lambda x: x[:, 3],
    "shuffled by a view": lambda x: (
        x.view(x.shape[0], 2, 4, 14, 18).transpose(1, 2).reshape(x.shape[0], 8, 14, 18)
    ),
    "space to depth": lambda x: x.reshape(x.shape[0], 8, 7, 2, 9, 2).permute(0, 3, 5, 1, 2, 4).flatten(1, 3),
    "gate": _gated,
    "gate kept": lambda x: x * x.mean((2, 3), keepdim=True),
    "channels last and back": lambda x: F.layer_norm(x.permute(0, 2, 3, 1), [8]).permute(0, 3, 1, 2),
    "tokens and back": lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(x.shape),
    "batch and rows merged": lambda x: x.permute(0, 2, 3, 1).reshape(-1, 8).relu(),
    "in place": _in_place,
    "assigned": _assigned,
    "rolled": lambda x: torch.roll(x, (2, -3), (2, 3)),
    "flipped": lambda x: x.flip(3),
    "clamped": lambda x: x.clamp(-0.2, 0.3),
    "clamped below": lambda x: x.clamp(min=0.1),
    "standard deviation": lambda x: x.var((2, 3), keepdim=True),
    "norm of the map": lambda x: x / x.norm(2, (2, 3), keepdim=True),
    "largest": lambda x: torch.maximum(x, x * -0.5),
    "powers": lambda x: (x.abs() + 0.1) ** 0.5 + x**2 + (x.abs() + 1) ** -0.5 + (x.abs() + 1) ** 1.5,
    "products of rows": lambda x: x @ x.transpose(2, 3),
    "stacked": lambda x: torch.stack([x, -x], 1).flatten(1, 2),
    "squeezed": lambda x: x.mean((2, 3), keepdim=True).squeeze(),
    "channels from the end": lambda x: x[:, torch.tensor([-1, 2, -3])],
    "masked attention": lambda x: F.scaled_dot_product_attention(
        x, x, x, attn_mask=torch.ones(14, 14, dtype=torch.bool).tril()
    ),
    "position embedding": lambda x: x + torch.linspace(0, 1, 18),
    "grid of coordinates": lambda x: torch.cat([x, torch.arange(18.0).expand(x.shape[0], 1, 14, 18)], 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_pytorchs_values(name: str) -> None:
    """Each kind of layer, with its settings."""
    worst, at, _ = worst_difference(perturbed(LAYERS[name]()), SIZE)
    assert worst <= TOLERANCE, at


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_pytorchs_values(name: str) -> None:
    """What the code of a module does to a map between its layers."""
    worst, at, _ = worst_difference(Calls(FUNCTIONS[name]), SIZE)
    assert worst <= TOLERANCE, at


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "joined",
        "gate",
        "channels last and back",
        "taken apart",
        "tokens and back",
        "flattened and back",
    ],
)
def test_layouts_cost_no_transposes(name: str) -> None:
    """A permutation is remembered, not carried out."""
    _, _, graph_def = worst_difference(nn.Sequential(Calls(FUNCTIONS[name])), SIZE)
    assert transposes(graph_def) == []
    assert "GatherV2" not in {node.op for node in graph_def.node}


class Sorted(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 1), Calls(lambda x: x.sort(1)[0]))

    def forward(self, x: Any) -> Any:
        """Return the output."""
        return self.inner(x).cumsum(2)


def test_an_unknown_operation_is_refused_with_its_module() -> None:
    """All of them, how often, and where each is first."""
    with pytest.raises(ModelError) as error:
        worst_difference(Sorted(), SIZE)
    assert "sort (in inner.1); cumsum (in the network's own forward)" in str(error.value)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: F.softplus(x, threshold=3), "cut off early"),
        (lambda x: x.max(1)[1] * 1.0 + x.mean(1), "reads the result number 2 of max.dim"),
        (lambda x: x.half().float(), "computes in float16"),
        (lambda x: x + torch.arange(float(x.shape[0])).view(-1, 1, 1, 1), "other values for each image"),
    ],
)
def test_what_would_be_another_number_is_refused(function: Callable[[Any], Any], reason: str) -> None:
    """By what it is."""
    with pytest.raises(ModelError, match=reason):
        worst_difference(Calls(function), SIZE)
