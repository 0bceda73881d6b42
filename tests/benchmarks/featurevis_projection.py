"""From featurevis.py's JSON lines: the table of all layers, and what a whole network takes at these rates.

    python tests/benchmarks/featurevis_projection.py --model M measured.jsonl

Lines of one layer (several seeds) are pooled by their number of neurons. A layer that was not measured
is left out of the sum, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from atlas.model.network import Network
from atlas.model.reading.load import load_model

FIGURES = ("lucid_seconds", "engine_seconds", "speed_ratio", "plain_ratio", "robust_ratio")


def main() -> None:
    """Print a Markdown table and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("measured", type=Path)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.measured.read_text().splitlines()]
    print("\n".join(report(load_model(args.model), rows)))


def report(network: Network, rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the report."""
    by_layer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_layer[row["layer"]].append(row)
    lines = [
        "| layer | neurons | px | steps | measured | Lucid s | engine s | speed | plain | robust |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    layers = [layer for layer in network.trunk if layer.name != network.output]
    hours = {"lucid_seconds": 0.0, "engine_seconds": 0.0}
    for layer in layers:
        if layer.name in by_layer:
            found = by_layer[layer.name]
            lines.append(line(layer.name, layer.n_channels, found))
            for key in hours:
                hours[key] += layer.n_channels * pooled(found, key) / 3600
    missing = ", ".join(layer.name for layer in layers if layer.name not in by_layer)
    total = sum(layer.n_channels for layer in layers if layer.name in by_layer)
    lucid, engine = hours.values()
    lines.append(f"\n{total} neurons: {engine:.2f} h, Lucid {lucid:.1f} h, {lucid / engine:.1f} times")
    return [*lines, f"not measured: {missing}"] if missing else lines


def line(name: str, n_channels: int, rows: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    lucid, engine, speed, plain, robust = (pooled(rows, key) for key in FIGURES)
    seeds = ", ".join(f"{row['neurons']} of seed {row['seed']}" for row in rows)
    first = rows[0]
    return (
        f"| {name} | {n_channels} | {first['size_px']} | {first['n_steps']} | {seeds} | {lucid:.2f} "
        f"| {engine:.3f} | {speed:.1f} | {plain:.3f} | {robust:.3f} |"
    )


def pooled(rows: list[dict[str, Any]], key: str) -> float:
    """Return the mean over neurons."""
    return float(np.average([row[key] for row in rows], weights=[row["neurons"] for row in rows]))


if __name__ == "__main__":
    main()
