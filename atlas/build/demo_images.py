"""Drawings as image files: the demo atlas's dataset examples, as the package contains no photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlas.core.errors import ExamplesError, reason_of
from atlas.drawing.images import png
from atlas.model.demo.drawings import KINDS, draw

# Twenty of each class; the network was not trained on them, nor on drawings of this seed.
COUNT = 20 * len(KINDS)
SEED = 2_000_003


def write_drawings(folder: Path, *, count: int = COUNT, seed: int = SEED) -> None:
    """Write the drawings that are missing in a folder, as PNG files named after their class.

    Raises ExamplesError where they cannot be written.
    """
    try:
        _write(folder, count, seed)
    except OSError as error:
        raise ExamplesError(f"cannot write the drawings {folder}: {reason_of(error)}") from error


def _write(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        path = folder / f"{kind.label.replace(' ', '_')}_{i // len(KINDS):02}.png"
        if not path.exists():
            aside = path.with_suffix(".aside")
            aside.write_bytes(png(draw(kind, np.random.default_rng((seed, i)))))
            aside.replace(path)
