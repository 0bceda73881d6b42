"""Small PyTorch modules drawn at random, as the code that a user would write.

`drawn(seed)` is the same code for the same seed. Every step is run when it is drawn: what PyTorch itself does
not run, or what becomes too large, is left out. Nothing here knows the product.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch_blocks import BLOCKS, head
from torch_lines import REFUSED
from torch_steps import STEPS, Lines, Place, conv, unit

F, nn = torch.nn.functional, torch.nn
# The most numbers that a map of one image may have, and the most parameters of a step.
LARGEST, MOST_PARAMETERS = 20_000, 60_000
# One of so many has a line that has to be refused.
ONE_REFUSED = 12
IMAGES = 3


@dataclass(frozen=True)
class Drawn:
    """A module as code, the size (c, h, w) of its images, and whether it has to be refused."""

    seed: int
    size: tuple[int, int, int]
    code: str
    is_refused: bool

    def module(self) -> Any:
        """Return the module, with weights of a healthy size that belong to the seed."""
        space: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
        exec(compile(self.code, f"<net {self.seed}>", "exec"), space)
        torch.manual_seed(self.seed)
        with torch.no_grad():
            return settled(space["Net"]())


def settled(module: Any) -> Any:
    """Return the module in evaluation mode, with drawn weights and statistics."""
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if not value.is_floating_point():
            continue
        kind = name.rpartition(".")[2]
        if kind == "running_var" or (value.ndim < 2 and ("weight" in kind or "original0" in kind)):
            value.uniform_(0.5, 1.5)
        elif value.ndim < 2 or kind == "bias":
            value.normal_(0, 0.2)
        else:
            value.normal_(0, 1.3 / max(value[0].numel(), 1) ** 0.5)
    return module.eval()


def drawn(seed: int) -> Drawn:
    """Return the module of a seed."""
    rng = random.Random(seed)
    size = (3, rng.randint(20, 40), rng.randint(20, 40))
    is_refused = rng.randrange(ONE_REFUSED) == 0
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        pen = _Pen(rng, torch.rand(IMAGES, *size), "Net")
        pen.add(((1, conv), (1, unit)))
        for _ in range(rng.randint(2, 11)):
            pen.draw()
        if is_refused:
            is_refused = pen.take(([], rng.choice(REFUSED)))
            pen.add(((1, conv),))
        pen.take(head(pen.place()))
    return Drawn(seed, size, "\n\n".join([*pen.classes, pen.code()]), is_refused)


@dataclass
class _Pen:
    """Writes one class: the lines of its `__init__` and of its `forward`, which are run at once."""

    rng: random.Random
    entry: Any
    title: str
    init: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with the images."""
        self.space: dict[str, Any] = {
            "torch": torch,
            "nn": nn,
            "F": F,
            "self": nn.Module(),
            "x": self.entry.clone(),
        }

    def place(self) -> Place:
        """Return what is known of the map here."""
        maps = {k: tuple(v.shape[1:]) for k, v in self.space.items() if k.startswith("kept")}
        return Place(self.rng, *self.space["x"].shape[1:], names=self.names, kept=maps)

    def draw(self) -> None:
        """Append a step, or a module inside this one."""
        if self.rng.random() < 0.12 and self.title == "Net":
            self.nest()
        else:
            self.add((*STEPS, *BLOCKS))

    def add(self, kinds: Any) -> None:
        """Append one step of these kinds; another is drawn for what does not run."""
        for _ in range(12):
            (kind,) = self.rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
            if self.take(kind(self.place())):
                return

    def nest(self) -> None:
        """Append a module of a class of its own, called once or twice."""
        inner = _Pen(self.rng, self.space["x"], f"Block{len(self.classes) + 1}")
        for _ in range(self.rng.randint(1, 4)):
            inner.draw()
        code, name = inner.code(), self.place().name("block")
        exec(code, self.space)
        self.classes.append(code)
        call = [f"x = self.{name}(x)"]
        if inner.space["x"].shape == self.entry.shape or self.rng.random() < 0.3:
            call.append(f"x = x + self.{name}(x)")
        self.take(([f"self.{name} = {inner.title}()"], call)) or self.take(
            ([f"self.{name} = {inner.title}()"], call[:1])
        )

    def take(self, lines: Lines) -> bool:
        """Append lines if PyTorch runs them, and what they give is a map, or an end, that is fit to go on."""
        init, run = lines
        space = dict(self.space)
        space["x"] = space["x"].clone()
        torch.manual_seed(0)
        before = sum(value.numel() for value in self.space["self"].parameters())
        try:
            exec("\n".join(init), space)
            space["self"].eval()
            exec("\n".join(run), space)
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
            return False
        after = sum(value.numel() for value in space["self"].parameters())
        if not _fits(space["x"]) or after - before > MOST_PARAMETERS:
            return False
        self.space = space
        self.init += init
        self.run += run
        return True

    def code(self) -> str:
        """Return the class."""
        init = ["super().__init__()", *self.init]
        run = [*self.run, "return x"]
        return "\n".join(
            [f"class {self.title}(nn.Module):", "    def __init__(self):"]
            + [f"        {line}" for line in init]
            + ["    def forward(self, x):"]
            + [f"        {line}" for line in run]
        )


def _fits(x: Any) -> bool:
    """Return whether a value is one that a network may go on with."""
    if isinstance(x, tuple):
        return True
    whole = x.is_floating_point() and x.shape[0] == IMAGES and bool(torch.isfinite(x).all())
    return whole and x.ndim in (2, 4) and 0 < x[0].numel() <= LARGEST and 1e-6 < float(x.abs().max()) < 1e4
