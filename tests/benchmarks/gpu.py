"""The same neurons drawn on the processor and on a GPU: the table of layers, and what a whole network takes.

    python tests/benchmarks/gpu.py --model M --layers conv2d2,mixed3b,mixed4d,mixed5b --neurons 64

Each layer is drawn by two processes, one of which sees no GPU; a neuron costs its share of its batches and of
building the graphs, as in featurevis.py. `objective` is the lower of the plain and the robust ratio of the
GPU's pictures to the processor's. Without a GPU it says so and exits with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(1, str(ROOT / "tests"))

from benchmarks.featurevis import Images, Timed, chosen, draw, groups, mean, prepare, quality, recipe_of

from atlas.featurevis.memory import on_gpu
from atlas.featurevis.recipe import PRECISIONS, PRESETS
from atlas.featurevis.render import Renderer
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network
from atlas.model.reading.load import load_model

NO_GPU = (
    "no GPU: TensorFlow lists none; on a machine where nvidia-smi lists one, "
    "pip install 'tensorflow[and-cuda]' and run this again"
)
# Says every 200 ms how busy the GPU is, in percent of the time.
WATCH = "nvidia-smi --id=0 --query-gpu=utilization.gpu --format=csv,noheader,nounits --loop-ms=200"
# CUDA hides all GPUs from a process that names none.
HIDDEN: dict[str, dict[str, str]] = {"cpu": {"CUDA_VISIBLE_DEVICES": "-1"}, "gpu": {}}
HEAD = """\
| layer | neurons | px | batch, CPU and GPU | CPU s | GPU s | ratio | objective | memory | GPU busy |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Print the table; or draw one layer here, for a process that makes the table."""
    args = arguments()
    if not (args.out or on_gpu()):
        sys.exit(NO_GPU)
    network = load_model(args.model)
    if args.out:
        print(json.dumps(drawn(network, args)))
        return
    rows = []
    print(HEAD)
    for layer in args.layers.split(","):
        rows.append(compared(network, layer))
        print(line(rows[-1]), flush=True)
    print(whole(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--layers", required=True, help="names with commas")
    parser.add_argument("--neurons", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="standard")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--batch", type=int, help="of both; default: by memory")
    parser.add_argument("--size", type=int, help="the image's side in pixels")
    parser.add_argument("--out", type=Path, help="file for the pictures of the one layer drawn here")
    return parser.parse_args()


def compared(network: Network, layer: str) -> dict[str, Any]:
    """Return a layer's row, after two processes have drawn it."""
    found: dict[str, dict[str, Any]] = {}
    images: dict[str, Images] = {}
    with tempfile.TemporaryDirectory() as folder:
        for device, hidden in HIDDEN.items():
            out = Path(folder, f"{device}.npy")
            command = [sys.executable, *sys.argv, "--layers", layer, "--out", str(out)]
            done = subprocess.run(command, env=os.environ | hidden, stdout=subprocess.PIPE, check=True)
            found[device] = json.loads(done.stdout.splitlines()[-1])
            images[device] = dict(zip(found[device]["neurons"], np.load(out), strict=True))
    objective = min(quality(network, network.layer(layer), images["cpu"], images["gpu"]))
    return found | {"objective": objective}


def drawn(network: Network, args: argparse.Namespace) -> dict[str, Any]:
    """Draw a layer's neurons here, save the pictures, and return the figures."""
    layer, timed = network.layer(args.layers), Timed()
    recipe, neurons = recipe_of(network, layer, args), chosen(layer, args)
    with Renderer(network, layer, recipe, batch=args.batch) as renderer:
        todo = list(groups(renderer, neurons))
        setup = prepare(renderer, todo)
        with utilisation() as busy:
            for group in todo:
                draw(timed, renderer, group, neurons)
    np.save(args.out, np.stack([timed.images[neuron] for neuron in neurons]))
    peak = tensorflow.config.experimental.get_memory_info("GPU:0")["peak"] if on_gpu() else 0
    return {
        "layer": layer.name,
        "channels": layer.n_channels,
        "neurons": neurons,
        "px": recipe.size[0],
        "batch": renderer.batch,
        "precision": renderer.recipe.precision,
        "seconds": mean(timed.seconds) + setup / layer.n_channels,
        "peak": peak,
        "busy": mean(dict(enumerate(busy))) if busy else 0.0,
    }


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Yield a list that holds, once the context is left, how busy the GPU was at times, in percent."""
    samples: list[float] = []
    if not on_gpu():
        yield samples
        return
    with subprocess.Popen(WATCH.split(), stdout=subprocess.PIPE, text=True) as watch:
        try:
            yield samples
        finally:
            watch.terminate()
            samples += samples_of(watch.communicate()[0])


def samples_of(text: str) -> list[float]:
    """Return the numbers in what nvidia-smi printed; a GPU that does not say is "[N/A]"."""
    return [float(one) for one in text.split() if one.replace(".", "", 1).isdigit()]


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    cpu, gpu = row["cpu"], row["gpu"]
    batches = f"{cpu['batch']} ({cpu['precision']}), {gpu['batch']} ({gpu['precision']})"
    return (
        f"| {gpu['layer']} | {len(gpu['neurons'])} | {gpu['px']} | {batches} | {cpu['seconds']:.3f} "
        f"| {gpu['seconds']:.4f} | {cpu['seconds'] / gpu['seconds']:.1f} | {row['objective']:.3f} "
        f"| {gpu['peak'] / 2**30:.1f} GiB | {gpu['busy']:.0f} % |"
    )


def whole(rows: Sequence[dict[str, Any]]) -> str:
    """Return what all neurons of the measured layers take on either."""
    n = sum(row["gpu"]["channels"] for row in rows)
    cpu, gpu = (
        sum(row[device]["channels"] * row[device]["seconds"] for row in rows) / 3600
        for device in ("cpu", "gpu")
    )
    return f"\n{n:,} neurons: {gpu:.2f} h on the GPU, {cpu:.2f} h on the processor, {cpu / gpu:.1f} times"


if __name__ == "__main__":
    main()
