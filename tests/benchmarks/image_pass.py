"""Times the pass over a folder of images, and what each kind of measurement adds to it.

    python tests/benchmarks/image_pass.py FOLDER --model graph.pb --value-range 0,255 \
        --input-shape 224,224,3 --layers mixed3a,mixed3b

Prints one JSON line: images a second of reading alone, of the bare network (its output, of images that are
read already), of the pass with examples, with distributions too, and with weights held
against images too; the peak of memory in MiB; and the seconds that weights take beforehand.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from atlas.analysis.distribution import Distributed
from atlas.analysis.examples import Top
from atlas.analysis.fidelity import Compared, claim_of
from atlas.analysis.image_pass import batches, look_through
from atlas.analysis.weights import ExpandedWeights, pair_weights
from atlas.build.model import open_model
from atlas.cli.config_file import read_config
from atlas.drawing.image_files import image_files
from atlas.model.network import Network


def main() -> None:
    """Time all of it in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--value-range", type=lambda text: [float(x) for x in text.split(",")])
    parser.add_argument("--input-shape", type=lambda text: [int(x) for x in text.split(",")])
    parser.add_argument("--layers", default="auto")
    options = parser.parse_args()
    flags: dict[str, Any] = {"model": options.model, "layers": options.layers}
    if options.value_range:
        flags["model_options.value_range"] = options.value_range
    if options.input_shape:
        flags["model_options.input_shape"] = options.input_shape
    network = open_model(read_config(None, flags))
    names = options.layers.split(",")
    found = dict(measured(network, options.folder, names))
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found))


def measured(network: Network, folder: Path, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield each rate in images a second, by its name."""
    files, resizing = image_files(folder), network.preprocessing.resizing
    start = time.monotonic()
    few = [pixels for pixels, *_ in batches(folder, files[:64], network.input_shape, resizing)]
    yield "reading", round(len(files[:64]) / (time.monotonic() - start), 1)
    end = network.output or names[-1]
    network.activations(few[0], [end])
    start = time.monotonic()
    for pixels in few:
        network.activations(pixels, [end])
    yield "bare network", round(16 * len(few) / (time.monotonic() - start), 1)
    start = time.monotonic()
    pairs = {name: pair_weights(network, None, name) for name in names}
    yield "weights_seconds", round(time.monotonic() - start, 1)
    for n_kinds, what in enumerate(KINDS, 1):
        observers = [
            KINDS[kind](network, name, pairs[name], len(files))
            for kind in list(KINDS)[:n_kinds]
            for name in names
        ]
        start = time.monotonic()
        look_through(network, folder, observers, resizing=resizing)
        yield f"with {what}", round(len(files) / (time.monotonic() - start), 1)


def compared(network: Network, name: str, pair: ExpandedWeights, n_images: int) -> Compared:
    """Return the observer that holds a pair's weights against images."""
    claim = claim_of(network, network.layer(name), pair.source, pair.carrier, top=50)
    return Compared(claim, lambda: pair.weights, n_images)


KINDS: dict[str, Callable[[Network, str, ExpandedWeights, int], Any]] = {
    "examples": lambda network, name, *_: Top(network.layer(name), 12, network.input_shape),
    "distributions": lambda network, name, *_: Distributed(network.layer(name)),
    "fidelity": compared,
}


if __name__ == "__main__":
    main()
