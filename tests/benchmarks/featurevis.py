"""Lucid's render_vis and this engine on the same neurons, in one run, alternating; prints one JSON line.

    python tests/benchmarks/featurevis.py --model M --layer mixed3a --neurons 32 --seed 0 --out shots
    python tests/benchmarks/featurevis.py --model M --layer mixed3a --scaling

`speed_ratio` is Lucid's seconds a neuron over the engine's. The engine's batches are filled up with
neighbours of the drawn neurons, as in a build of the whole layer, and a neuron costs what its branch
costs; building the graphs is timed apart (`setup_seconds`) and shared among the layer's neurons.
With `--alone 4` Lucid draws four neurons so, and the others eight at a time, by the same objective and the
same steps, untimed: as much is learnt about quality, in half the time.
`objective_ratio` is the lower of two: the mean activation of the finished images, as they are
(`plain_ratio`) and under Lucid's random transforms (`robust_ratio`), ours over Lucid's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(1, str(ROOT / "tests"))

from atlas.core.neuron import Layer
from atlas.drawing.images import png
from atlas.featurevis.recipe import NOTEBOOK_SIZES, PRECISIONS, PRESETS, Recipe, picture_size
from atlas.featurevis.render import Renderer
from atlas.featurevis.subject import Subject, Task
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from atlas.model.reading.lucid import lucid_model, lucid_modules

tf = tensorflow.compat.v1
Images = dict[int, np.ndarray]
ROUNDS = 4
N_TOGETHER = 8
N_TRANSFORMS = 64


@dataclass
class Timed:
    """Finished images by neuron, and the seconds that each timed neuron took."""

    images: Images = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def main() -> None:
    """Run the comparison, or with --scaling the table of step times."""
    args = arguments()
    network = load_model(args.model)
    layer = network.layer(args.layer)
    recipe = recipe_of(network, layer, args)
    if args.scaling:
        from benchmarks.featurevis_scaling import scaling

        for row in scaling(network, layer, recipe):
            print(json.dumps(row), flush=True)
        return
    print(json.dumps(compare(network, layer, recipe, args)), flush=True)


def recipe_of(network: Network, layer: Layer, args: argparse.Namespace) -> Recipe:
    """Return the recipe that the command line asks for, of the notebook's sizes where it names none."""
    size = (args.size, args.size)
    if not args.size:
        size = picture_size(layer, network.input_shape, None, NOTEBOOK_SIZES)[0]
    return Recipe(preset=PRESETS[args.preset], size=size, seed=args.seed, precision=args.precision)


def chosen(layer: Layer, args: argparse.Namespace) -> list[int]:
    """Return the neurons that the seed chooses."""
    rng = np.random.default_rng(args.seed)
    return sorted(rng.choice(layer.n_channels, min(args.neurons, layer.n_channels), False).tolist())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--neurons", type=int, default=32)
    parser.add_argument("--alone", type=int, help="how many Lucid draws one by one (1 or more; default: all)")
    parser.add_argument("--speed", action="store_true", help="Lucid draws those alone and no others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="standard")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int, help="the image's side in pixels")
    parser.add_argument("--steps", type=int, default=512, help="Lucid's steps")
    parser.add_argument("--out", type=Path, help="a folder for pictures side by side")
    parser.add_argument("--scaling", action="store_true")
    return parser.parse_args()


def compare(
    network: Network, layer: Layer, recipe: Recipe, args: argparse.Namespace
) -> dict[str, str | float]:
    """Draw the neurons both ways, alternating, and return the figures."""
    neurons = chosen(layer, args)
    lucid, ours = Timed(), Timed()
    with Renderer(network, layer, recipe, batch=args.batch) as renderer:
        todo = list(groups(renderer, neurons))
        setup = prepare(renderer, todo)
        turns = lucid_turns(neurons, len(neurons) if args.alone is None else args.alone)
        if args.speed:
            turns = [together for together in turns if len(together) == 1]
        for i in range(ROUNDS):
            for together in turns[i::ROUNDS]:
                draw_by_lucid(lucid, network, layer, recipe, together, args.steps)
            for group in todo[i::ROUNDS]:
                draw(ours, renderer, group, neurons)
    if args.out:
        save(args.out / f"{layer.slug}_{args.seed}.png", lucid.images, ours.images)
    engine = mean(ours.seconds) + setup / layer.n_channels
    plain, robust = quality(network, layer, lucid.images, ours.images)
    return {
        "layer": layer.name,
        "size_px": recipe.size[0],
        "neurons": len(neurons),
        "timed": len(lucid.seconds),
        "judged": len(lucid.images),
        "seed": args.seed,
        "batch": renderer.batch,
        "sessions": renderer.sessions.n_sessions,
        "preset": recipe.preset.name,
        "n_steps": recipe.preset.n_steps,
        "precision": renderer.recipe.precision,
        "lucid_seconds": round(mean(lucid.seconds), 4),
        "engine_seconds": round(engine, 4),
        "setup_seconds": round(setup, 2),
        "speed_ratio": round(mean(lucid.seconds) / engine, 2),
        "plain_ratio": round(plain, 4),
        "robust_ratio": round(robust, 4),
        "objective_ratio": round(min(plain, robust), 4),
    }


def mean(seconds: dict[int, float]) -> float:
    """Return the mean over neurons."""
    return float(np.mean(list(seconds.values())))


def lucid_turns(neurons: Sequence[int], n_alone: int) -> list[list[int]]:
    """Return what Lucid draws at a time: some neurons, evenly spread, alone, and the others together."""
    alone = set(neurons[:: max(len(neurons) // n_alone, 1)][:n_alone])
    others = [n for n in neurons if n not in alone]
    return [
        *([n] for n in sorted(alone)),
        *(others[i : i + N_TOGETHER] for i in range(0, len(others), N_TOGETHER)),
    ]


def groups(renderer: Renderer, neurons: Sequence[int]) -> Iterator[list[Subject]]:
    """Yield groups that fill all sessions, each of one branch, until each drawn neuron is in one.

    Each neuron has its place in a batch; places that drawn neurons leave are filled with others of the
    branch, as in a build of the whole layer.
    """
    everything = renderer.subjects(range(renderer.layer.n_channels))
    for _, branch in itertools.groupby(everything, key=lambda subject: subject.objective):
        pool = list(branch)
        drawn = {subject.key for subject in pool} & set(neurons)
        pool.sort(key=lambda subject: subject.key not in drawn)
        lines = [[s for s in pool if s.slot % renderer.batch == place] for place in range(renderer.batch)]
        while drawn:
            group = [line.pop(0) for line in lines for _ in range(renderer.sessions.n_sessions) if line]
            drawn -= {subject.key for subject in group}
            yield group


def prepare(renderer: Renderer, todo: Sequence[list[Subject]]) -> float:
    """Build all graphs and take steps of each kind in every session; return seconds for the whole layer."""
    start = time.perf_counter()
    first = {group[0].objective: group[0] for group in todo}
    steps = (*range(8), *range(100, 108))

    def warm(session: Any, task: Task) -> None:
        targets = np.stack([task.asked[0].target] * task.optimizer.batch)
        task.optimizer.begin(session, [0] * task.optimizer.batch)
        for step in steps:
            task.optimizer.step(session, step, targets)
        task.optimizer.finish(session, targets)

    tasks = [task for subject in first.values() for task in renderer.tasks([subject])]
    for task in tasks:
        # As many at a time as there are sessions: each gets one.
        list(renderer.sessions.run(warm, [task] * renderer.sessions.n_sessions))
    return time.perf_counter() - start


def draw(into: Timed, renderer: Renderer, group: list[Subject], neurons: Sequence[int]) -> None:
    """Draw a group; each of its drawn neurons costs its share of the time."""
    start = time.perf_counter()
    found = list(renderer._all(renderer._render(group)))
    share = (time.perf_counter() - start) / len(group)
    for neuron, image, _ in found:
        if neuron in set(neurons):
            into.images[neuron], into.seconds[neuron] = image, share


def draw_by_lucid(
    into: Timed, network: Network, layer: Layer, recipe: Recipe, neurons: Sequence[int], n_steps: int
) -> None:
    """Draw neurons with one call of Lucid's own render_vis; time it if it is one neuron."""
    lucid, model = lucid_modules(), lucid_model(network)
    one_by_one = [lucid.objectives.neuron(layer.name, n, batch=i) for i, n in enumerate(neurons)]
    start = time.perf_counter()
    (found,) = lucid.render.render_vis(
        model,
        lucid.objectives.Objective.sum(one_by_one),
        # Lucid's `image` calls its first axis w.
        lambda: lucid.param.image(*recipe.size, batch=len(neurons)),
        thresholds=(n_steps,),
        verbose=False,
    )
    into.images.update(zip(neurons, found, strict=True))
    if len(neurons) == 1:
        into.seconds[neurons[0]] = time.perf_counter() - start


def quality(network: Network, layer: Layer, lucid: Images, ours: Images) -> tuple[float, float]:
    """Return (plain, robust): our mean activation over Lucid's, without and with random transforms."""
    neurons = sorted(lucid)
    both = np.stack([images[n] for images in (lucid, ours) for n in neurons]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        images = tf.constant(both)
        turned = lucid_modules().transform.compose(lucid_modules().transform.standard_transforms)(images)
        values = [centre(network, layer, x, neurons * 2) for x in (images, turned)]
        plain = session.run(values[0])
        robust = np.mean([session.run(values[1]) for _ in range(N_TRANSFORMS)], 0)
    half = len(neurons)
    return tuple(float(v[half:].mean() / v[:half].mean()) for v in (plain, robust))  # type: ignore[return-value]


def centre(network: Network, layer: Layer, images: Any, neurons: Sequence[int]) -> Any:
    """Return the tensor [n] of each image's own neuron at the centre position."""
    unknown = tf.placeholder_with_default(images, [None, None, None, network.input_shape[2]])
    tensor = network.import_into(unknown)(layer.tensor)
    shape = tf.shape(tensor)
    return tf.gather(tensor[:, shape[1] // 2, shape[2] // 2], tf.constant(neurons), batch_dims=1)


def save(path: Path, lucid: Images, ours: Images) -> None:
    """Write a sheet: for each neuron Lucid's image above ours, eight neurons a row."""
    pairs = [np.concatenate([lucid[n], ours[n]], 0) for n in sorted(lucid)]
    pairs += [np.ones_like(pairs[0])] * (-len(pairs) % 8)
    pairs = [np.pad(p, ((0, 6), (0, 4), (0, 0)), constant_values=1) for p in pairs]
    rows = [np.concatenate(pairs[i : i + 8], 1) for i in range(0, len(pairs), 8)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png((np.concatenate(rows) * 255).round().astype(np.uint8)))


if __name__ == "__main__":
    main()
