"""Make the bundled demo network again: draw, train, fold, check, write.

Run it with `python docs/demo_network/train.py --out FOLDER`, in a checkout that is installed.
"""

from __future__ import annotations

import argparse
import logging
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import export
import network
import numpy as np
import tensorflow as tf
from trainer import Settings, TrainedNetwork, train

from atlas.model.demo.drawings import LABELS, drawings
from atlas.model.reading.source import DEMO_FOLDER

_log = logging.getLogger(__name__)

# Held-out drawings come from seed + this, so that they share none with training.
_HELD_OUT_SEED = 1_000_000

# The largest difference of a logit between the trained network and the frozen graph: float32 rounding, no
# more.
_LARGEST_DIFFERENCE = 1e-4


def main(arguments: list[str] | None = None) -> None:
    """Train and write a demo network; the command line of this module."""
    parser = argparse.ArgumentParser(description="Train the demo network on drawings that it makes itself.")
    parser.add_argument("--out", type=Path, default=DEMO_FOLDER, help="folder to write to (the package's)")
    parser.add_argument(
        "--seed", type=int, default=Settings.seed, help="seed of drawings and weights (%(default)s)"
    )
    parser.add_argument(
        "--epochs", type=int, default=Settings.epochs, help="passes over the drawings (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make(chosen.out, replace(Settings(), seed=chosen.seed, epochs=chosen.epochs))


def make(folder: Path, settings: Settings) -> None:
    """Train a network and write its files into a folder; the steps of a run, in order."""
    tf.config.experimental.enable_op_determinism()
    started = time.monotonic()
    trained = train(*drawings(settings.train_drawings, settings.seed), settings)
    minutes = (time.monotonic() - started) / 60
    weights = trained.folded()
    definition = export.graph_def(weights)
    held_out = drawings(settings.held_out_drawings, settings.seed + _HELD_OUT_SEED)
    figures = _measured(definition, *held_out)
    figures["largest_export_difference"] = _checked(definition, trained, held_out[0][:256])
    export.write(folder, definition, _record(settings, weights, figures, minutes))
    _log.info(
        "held-out accuracy %.4f, %d neurons never active",
        figures["held_out_accuracy"],
        figures["never_active"],
    )


def _measured(definition: tf.compat.v1.GraphDef, images: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Held-out accuracy in 0 to 1, and how many neurons stay inactive there, in all and by layer."""
    layers = list(network.LAYERS)
    peaks = {name: np.zeros(channels) for name, channels in network.LAYERS.items()}
    right = 0
    for i in range(0, len(images), 400):
        *outputs, scores = export.run(definition, images[i : i + 400], [*layers, "softmax2"])
        right += int(np.sum(scores.argmax(1) == labels[i : i + 400]))
        for name, output in zip(layers, outputs, strict=True):
            peaks[name] = np.maximum(peaks[name], output.max((0, 1, 2)))
    silent = {name: int(np.sum(peak <= 0)) for name, peak in peaks.items()}
    return {
        "held_out_accuracy": right / len(images),
        "never_active": sum(silent.values()),
        "never_active_by_layer": silent,
    }


def _checked(definition: tf.compat.v1.GraphDef, trained: TrainedNetwork, images: np.ndarray) -> float:
    """The largest difference of a logit between graph and trained network; an error beyond rounding."""
    expected = trained.logits(tf.constant(images, tf.float32), momentum=None).numpy()
    (found,) = export.run(definition, images, ["softmax2_pre_activation"])
    difference = float(np.abs(found - expected).max())
    if difference > _LARGEST_DIFFERENCE:
        raise ArithmeticError(
            f"graph.pb: a logit differs by {difference} from training, at most {_LARGEST_DIFFERENCE}"
        )
    return difference


def _record(
    settings: Settings, weights: Mapping[str, np.ndarray], figures: Mapping[str, object], minutes: float
) -> dict[str, object]:
    """What training.json holds: settings, figures and versions, nothing about the machine or the day."""
    return {
        "settings": asdict(settings),
        "held_out_seed": settings.seed + _HELD_OUT_SEED,
        "classes": len(LABELS),
        "channels": dict(network.LAYERS),
        "neurons": sum(network.LAYERS.values()),
        "parameters": int(sum(value.size for value in weights.values())),
        **figures,
        "minutes": round(minutes, 1),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tensorflow": tf.__version__,
        },
    }


if __name__ == "__main__":
    main()
