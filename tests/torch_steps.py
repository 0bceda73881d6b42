"""Lines of code that a PyTorch module may be made of: layers, functions of a map, views, work in place.

Each function takes a `Place`, what is known of the map `x` there, and returns lines for `__init__` and for
`forward`. Whether they run is found out by running them, in `torch_architectures`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch_lines import FUNCTIONS, IN_PLACE, MODULES, PARAMETERS, VIEWS

# Lines for __init__, lines for forward.
Lines = tuple[list[str], list[str]]


@dataclass
class Place:
    """What a step may use: the shape of `x`, maps that were kept, and names that are free."""

    rng: random.Random
    c: int
    h: int
    w: int
    names: dict[str, int]
    kept: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """Return a name that is not in use."""
        self.names[kind] = self.names.get(kind, 0) + 1
        return f"{kind}{self.names[kind]}" if self.names[kind] > 1 else kind

    def pick(self, *choices: Any) -> Any:
        """Return one of them."""
        return self.rng.choice(choices)

    def chance(self, share: float) -> bool:
        """Return true in this share of all cases."""
        return self.rng.random() < share

    def channels(self, multiple: int = 1) -> int:
        """Return a number of channels."""
        return multiple * self.rng.randint(1, max(1, 12 // multiple))

    def divisor(self) -> int:
        """Return a divisor of the number of channels, not 1 where there is another."""
        found = [n for n in range(2, self.c + 1) if self.c % n == 0]
        return self.rng.choice(found) if found else 1


def conv_text(p: Place, c: int, out: int | None = None, *, keeps: bool = False) -> str:
    """Return a convolution as a text; with `keeps` the map's size stays."""
    k = p.pick(1, 1, 2, 3, 3, 3, 5, (1, 3), (3, 1)) if not keeps else p.pick(1, 3, 3, 5)
    dilation = p.pick(1, 1, 1, 1, 2, (1, 2))
    groups = p.pick(1, 1, 1, *(n for n in range(2, c + 1) if c % n == 0))
    out = out or groups * p.rng.randint(1, max(1, 12 // groups))
    if out % groups:
        groups = 1
    more = []
    if keeps or p.chance(0.15):
        same = p.chance(0.3) or k not in (3, 5) or dilation != 1
        more.append("padding='same'" if same else f"padding={k // 2}")
    else:
        more += [
            f"stride={p.pick(1, 1, 1, 2, 2, 3, (2, 1), (1, 2))}",
            f"padding={p.pick(0, 1, 1, 2, (1, 0))}",
        ]
    more += [f"dilation={dilation}"] if dilation != 1 else []
    more += [f"groups={groups}"] if groups != 1 else []
    more += ["bias=False"] if p.chance(0.3) else []
    more += [f"padding_mode={p.pick('reflect', 'replicate', 'circular')!r}"] if p.chance(0.12) else []
    return f"nn.Conv2d({', '.join(map(str, [c, out, k, *more]))})"


def norm_text(p: Place, c: int) -> str:
    """Return a norm over c channels."""
    groups = p.rng.choice([n for n in range(1, c + 1) if c % n == 0])
    return str(
        p.pick(
            f"nn.BatchNorm2d({c})",
            f"nn.BatchNorm2d({c})",
            f"nn.BatchNorm2d({c}, eps={p.pick(1e-3, 1e-6)}, affine={p.chance(0.5)})",
            f"nn.GroupNorm({groups}, {c}, affine={p.chance(0.7)})",
            f"nn.InstanceNorm2d({c}, affine={p.chance(0.5)}, track_running_stats={p.chance(0.4)})",
            f"nn.LocalResponseNorm({p.pick(2, 3, 5)})",
        )
    )


def conv(p: Place) -> Lines:
    """A convolution as a module."""
    n = p.name("conv")
    return [f"self.{n} = {conv_text(p, p.c)}"], [f"x = self.{n}(x)"]


def unit(p: Place) -> Lines:
    """A convolution, a norm and an activation in a Sequential, or one after another."""
    out = p.channels()
    parts = [conv_text(p, p.c, out), norm_text(p, out), p.pick(*MODULES)]
    if p.chance(0.5):
        n = p.name("unit")
        return [f"self.{n} = nn.Sequential({', '.join(parts)})"], [f"x = self.{n}(x)"]
    names = [p.name("conv"), p.name("norm"), p.name("act")]
    run = f"x = self.{names[2]}(self.{names[1]}(self.{names[0]}(x)))"
    if p.chance(0.4):
        run = f"x = F.relu(self.{names[1]}(self.{names[0]}(x)), inplace=True)"
    return [f"self.{n} = {part}" for n, part in zip(names, parts, strict=True)], [run]


def transposed(p: Place) -> Lines:
    """A transposed convolution."""
    n, k, stride = p.name("up"), p.pick(2, 3, 4, (2, 3)), p.pick(1, 2, 2, 3, (2, 1))
    groups = p.pick(1, 1, 1, p.divisor())
    most = min(stride) if isinstance(stride, tuple) else stride
    more = [f"stride={stride}", f"padding={p.pick(0, 0, 1)}", f"output_padding={p.rng.randint(0, most - 1)}"]
    more += [f"groups={groups}", f"bias={p.chance(0.6)}", f"dilation={p.pick(1, 1, 1, 2)}"]
    out = groups * p.rng.randint(1, 3)
    return [f"self.{n} = nn.ConvTranspose2d({p.c}, {out}, {k}, {', '.join(more)})"], [f"x = self.{n}(x)"]


def norm(p: Place) -> Lines:
    """A norm as a module."""
    n = p.name("norm")
    return [f"self.{n} = {norm_text(p, p.c)}"], [f"x = self.{n}(x)"]


def norm_of_positions(p: Place) -> Lines:
    """A layer norm over channels, or over all."""
    n = p.name("ln")
    if p.chance(0.7):
        order = f"x = self.{n}(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)"
        kind = p.pick("LayerNorm", "LayerNorm", "RMSNorm")
        return [f"self.{n} = nn.{kind}({p.c}, eps={p.pick(1e-5, 1e-6)})"], [order]
    return [f"self.{n} = nn.LayerNorm([{p.c}, {p.h}, {p.w}])"], [f"x = self.{n}(x)"]


def active(p: Place) -> Lines:
    """An activation, as a module or a function."""
    if p.chance(0.4):
        n, module = p.name("act"), p.pick(*MODULES, f"nn.PReLU({p.c})")
        return [f"self.{n} = {module}"], [f"x = self.{n}(x)"]
    return [], [f"x = {p.pick(*FUNCTIONS)}"]


def pool(p: Place) -> Lines:
    """A pooling, as a module or a function."""
    k, stride, padding = p.pick(2, 2, 3, (3, 2)), p.pick(1, 2, 2, 3, (2, 1)), p.pick(0, 0, 1)
    ceil, counts = p.chance(0.3), p.chance(0.5)
    size = p.pick(1, 3, (4, 5), (None, 2))
    kind = p.pick(
        f"MaxPool2d({k}, {stride}, {padding}, ceil_mode={ceil})",
        f"MaxPool2d({k}, {stride}, {padding}, ceil_mode={ceil})",
        f"MaxPool2d(3, {stride}, 2, dilation=2)",
        f"AvgPool2d({k}, {stride}, {padding}, ceil_mode={ceil}, count_include_pad={counts})",
        f"AvgPool2d({k}, {stride}, {padding}, ceil_mode={ceil}, count_include_pad={counts})",
        f"AvgPool2d({k}, {stride}, {padding}, {ceil}, {counts}, divisor_override=3)",
        f"AdaptiveAvgPool2d({size})",
        f"AdaptiveMaxPool2d({size})",
        "LPPool2d(2, 2)",
    )
    if p.chance(0.3):
        run = p.pick(
            f"F.max_pool2d(x, {k}, stride={stride}, ceil_mode={ceil})",
            f"F.avg_pool2d(x, {k}, ceil_mode={ceil})",
            "F.max_pool2d(x, 3, 1, 1)",
            "F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)",
            f"F.adaptive_avg_pool2d(x, {size})",
            "-F.max_pool2d(-x, 2)",
        )
        return [], [f"x = {run}"]
    n = p.name("pool")
    return [f"self.{n} = nn.{kind}"], [f"x = self.{n}(x)"]


def resize(p: Place) -> Lines:
    """An upsampling in any mode, by a factor or to a size."""
    to = p.pick(
        "scale_factor=2", "scale_factor=2", "scale_factor=1.5", f"size=({p.h + 3}, {p.w * 2})", "size=11"
    )
    mode = p.pick("nearest", "nearest", "bilinear", "bilinear", "bicubic", "nearest-exact", "area")
    more = f", align_corners={p.chance(0.5)}" if mode in ("bilinear", "bicubic") and p.chance(0.7) else ""
    if p.chance(0.5) and mode != "area":
        n = p.name("resize")
        return [f"self.{n} = nn.Upsample({to}, mode={mode!r}{more})"], [f"x = self.{n}(x)"]
    return [], [f"x = F.interpolate(x, {to}, mode={mode!r}{more})"]


def border(p: Place) -> Lines:
    """A padding, or a shuffle of pixels."""
    n, pads = p.name("pad"), p.pick(1, 2, (1, 2, 0, 1), (0, 1, 0, 1), (2, 0, 1, 1))
    kinds = (
        "ZeroPad2d({})",
        "ReflectionPad2d({})",
        "ReplicationPad2d({})",
        "ConstantPad2d({}, 0.5)",
        "CircularPad2d({})",
    )
    choice = p.pick(*(kind.format(pads) for kind in kinds), "PixelUnshuffle(2)", "PixelShuffle(2)")
    if p.chance(0.3):
        mode = p.pick("reflect", "replicate", "circular", "constant")
        cut = p.pick("(0, 0, 0, 0, 1, 2)", "(-1, 0, -1, 1)", "(1, 1)")
        return [], [f"x = F.pad(x, (1, 1, 0, 2), mode={mode!r})" if p.chance(0.6) else f"x = F.pad(x, {cut})"]
    return [f"self.{n} = nn.{choice}"], [f"x = self.{n}(x)"]


def view(p: Place) -> Lines:
    """A view, a join, a product, or a sum over dimensions, in one line."""
    g = p.divisor()
    sizes = {"c": p.c, "h": p.h, "w": p.w, "g": g, "d": p.c // g, "h2": p.h // 2, "w2": p.w // 2}
    return [], [f"x = {p.rng.choice(VIEWS).format(**sizes)}"]


def in_place(p: Place) -> Lines:
    """Work in place."""
    return [], list(p.rng.choice(IN_PLACE))


def parameter(p: Place) -> Lines:
    """A parameter or a buffer that the code uses itself."""
    made, run = p.rng.choice(PARAMETERS)
    n, sizes = p.name("weight"), {"c": p.c, "h": p.h, "w": p.w}
    made = made.format(**sizes)
    kept = f"self.{n} = nn.Parameter({made})"
    if p.chance(0.3):
        kept = f"self.register_buffer({n!r}, {made})"
    return [kept], [f"x = {run.format(n=n, **sizes)}"]


STEPS: Sequence[tuple[int, Callable[[Place], Lines]]] = (
    (6, conv),
    (7, unit),
    (2, transposed),
    (3, norm),
    (2, norm_of_positions),
    (6, active),
    (4, pool),
    (3, resize),
    (3, border),
    (7, view),
    (4, in_place),
    (4, parameter),
)
