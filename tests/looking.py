"""The examples of a folder alone, as a build finds them beside all else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from atlas.analysis.examples import Top
from atlas.analysis.image_pass import Excitable, look_through
from atlas.core.neuron import Layer
from atlas.core.preprocessing import COVER, Resizing
from atlas.core.records import ExampleTable


def find_examples(
    network: Excitable,
    layers: Sequence[Layer],
    folder: Path,
    *,
    k: int = 12,
    resizing: Resizing = COVER,
    progress: Callable[[int], object] | None = None,
) -> dict[str, ExampleTable]:
    """Return, by layer name, the k images of a folder that excite each of its neurons most."""
    tops = [Top(layer, k, network.input_shape) for layer in layers]
    seen = look_through(network, folder, tops, resizing=resizing, progress=progress)
    return {top.layer.name: top.record(seen) for top in tops}
