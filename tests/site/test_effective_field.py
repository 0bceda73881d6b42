"""Where an effective field is shown: on a layer's page, on neurons' pages, in their data, over examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from looking import find_examples
from PIL import Image

from atlas.analysis.examples import example_strips
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import EffectiveField, ExampleTable, Floats
from atlas.site import render_site
from atlas.site.neuron.examples import TILE_PX, frames
from atlas.store import Store, keys

SIDE = 96


def test_a_layers_page_has_the_map_with_its_frames(rendered: Path) -> None:
    """Both squares stand in the middle of the map, in percent of its sides."""
    html = (rendered / "mixed3b.html").read_text("utf-8")
    # The made-up field of 23 x 25 has squares of 19 x 20 and 21 x 23.
    rects = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', html)
    for rect, (h, w) in zip(rects, ((21, 23), (19, 20)), strict=True):
        x, y, width, height = map(float, rect)
        assert (width, height) == pytest.approx((100 * w / 25, 100 * h / 23), abs=0.01)
        assert (2 * x + width, 2 * y + height) == pytest.approx((100, 100), abs=0.02)
    text = html.replace("\N{NO-BREAK SPACE}", " ")
    assert "inner frame, 20 \N{MULTIPLICATION SIGN} 19 px, holds 95 %" in text
    assert "on 16 of the dataset examples" in text


def test_a_neuron_tells_it(rendered: Path) -> None:
    """On the page and in the data."""
    html = (rendered / "mixed3b_4.html").read_text("utf-8")
    assert "lies in the middle 20 \N{MULTIPLICATION SIGN} 19 px" in html
    data = json.loads((rendered / "data/mixed3b_4.json").read_text("utf-8"))
    assert data["effective_field"] == {
        "inner": [19, 20],
        "outer": [21, 23],
        "images": "16 of the dataset examples",
    }


def test_without_one_nothing_is_told(store: Store, tmp_path: Path) -> None:
    """Where no gradient was found."""
    for key in map(keys.effective_field, ("mixed3b", "conv1")):
        record = store.record(key, EffectiveField)
        record.energy[:] = 0
        store.put_record(key, record)
    render_site(store, tmp_path / "site")
    for name in ("mixed3b", "mixed3b_4", "conv1", "conv1_2"):
        html = (tmp_path / f"site/{name}.html").read_text("utf-8")
        assert 'id="field"' not in html
        assert "lies in the middle" not in html
        assert "The frame is" not in html


class Spots:
    """A network whose only neuron is the brightness of a pixel, on a grid of 8 px from (4, 4) on."""

    input_shape = (SIDE, SIDE, 3)

    def activations(self, images: Floats, names: object) -> dict[str, Floats]:
        """Return the grid's pixels."""
        return {"spots": images[:, 4::8, 4::8, :1]}


@pytest.mark.parametrize("field", [33, 49, 201])
def test_a_frame_is_around_what_excites_the_neuron(tmp_path: Path, field: int) -> None:
    """Spots of 9 px around positions anywhere in the image are what the frames hold, in the strip itself."""
    spots = [(4, 4), (44, 44), (92, 92), (4, 92), (12, 60), (84, 20)]
    for i, (y, x) in enumerate(spots):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        pixels[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = 200
        pixels[y, x] = 255 - i
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    window = ReceptiveField((field, field), (8, 8), (4 - field // 2, 4 - field // 2))
    layer = Layer("spots", "spots", "conv", "spots:0", 1, (12, 12), window)
    table: ExampleTable = find_examples(Spots(), [layer], tmp_path, k=len(spots))["spots"]
    known = EffectiveField("spots", "", (9, 9), (9, 9), (field, field), np.ones((1, 1), np.float32))
    ((_, data),) = example_strips(table, tmp_path, Spots.input_shape, [0], tile_px=TILE_PX)
    strip = decoded(data)
    for rank, style in enumerate(frames(layer, known, table, 0)):
        left, top, width, height = map(float, re.findall(r":([\d.]+)px", style))
        tile = strip[:, rank * TILE_PX : (rank + 1) * TILE_PX]
        ys, xs = np.nonzero(tile > 160)
        found = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        # A pixel of the image, which the strip blurs, is as large in a tile.
        blur = 0.5 + TILE_PX / min(field, SIDE)
        assert found == pytest.approx((left, top, left + width, top + height), abs=blur)


def decoded(data: bytes) -> np.ndarray:
    """Return a JPEG as grey values [h, w]."""
    from io import BytesIO

    return np.asarray(Image.open(BytesIO(data)).convert("L"))
