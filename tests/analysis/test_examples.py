"""The images that excite a neuron most, against brute force, and their strips."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looking import find_examples
from PIL import Image, ImageFile

from atlas.analysis.examples import example_strips, operating_point
from atlas.core.errors import ExamplesError
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import ExampleTable, Floats
from atlas.drawing.image_files import image_files

H, W = 12, 20
# Windows of 4 x 4 pixels side by side, and padded windows of 7 x 5 pixels, two pixels apart.
TILES = ReceptiveField((4, 4), (4, 4), (0, 0))
WINDOWS = ReceptiveField((7, 5), (2, 2), (-3, -2))
LAYERS = (
    Layer("tiles", "tiles", "conv", "tiles:0", 4, (3, 5), TILES),
    Layer("windows", "windows", "conv", "windows:0", 3, (6, 10), WINDOWS),
    Layer("logits", "logits", "dense", "logits:0", 5, None, None),
)


def window_means(images: Floats, receptive_field: ReceptiveField, shape: tuple[int, int]) -> Floats:
    """Return [n, h, w, c]: the mean over each position's window, cut at the border."""
    out = np.zeros((len(images), *shape, images.shape[3]), np.float32)
    for h, w in np.ndindex(shape):
        top, left, bottom, right = window_of(receptive_field, h, w)
        out[:, h, w] = images[:, top:bottom, left:right].mean((1, 2), dtype=np.float64)
    return out


def window_of(receptive_field: ReceptiveField, h: int, w: int) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of the input pixels that a position sees."""
    rows = [
        receptive_field.offset[0] + h * receptive_field.stride[0] + i for i in range(receptive_field.size[0])
    ]
    columns = [
        receptive_field.offset[1] + w * receptive_field.stride[1] + i for i in range(receptive_field.size[1])
    ]
    rows, columns = [y for y in rows if 0 <= y < H], [x for x in columns if 0 <= x < W]
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@dataclass
class StandIn:
    """A network of averages, in NumPy; keeps what it was asked."""

    input_shape: tuple[int, int, int] = (H, W, 3)
    calls: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    change: Callable[[str, Floats], Floats] = lambda _name, values: values

    def activations(self, images: Floats, names: Sequence[str]) -> dict[str, Floats]:
        """Return the layers' values; four, three and five neurons mix the colours differently."""
        self.calls.append((len(images), tuple(names)))
        tiles = window_means(images, TILES, (3, 5))
        windows = window_means(images, WINDOWS, (6, 10))
        logits = images.mean((1, 2)) @ np.linspace(-1, 1, images.shape[3] * 5).reshape(-1, 5)
        tiles = np.concatenate([tiles, -tiles[..., :1]], -1)
        values = {"tiles": tiles, "windows": windows, "logits": logits.astype(np.float32)}
        return {name: self.change(name, values[name]) for name in names}


def save(folder: Path, name: str, pixels: np.ndarray, **options: Any) -> Path:
    """Save pixels, uint8, below a folder, without loss for a .png."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 37 images of the network's own size, some of them the same."""
    rng = np.random.default_rng(0)
    for i in range(37):
        pixels = rng.integers(0, 256, (H, W, 3), np.uint8)
        save(tmp_path, f"{i:02}.png", pixels)
        if i % 9 == 4:
            save(tmp_path, f"{i:02}_copy.png", pixels)
    return tmp_path


def brute_force(network: Any, layer: str, paths: Sequence[Path]) -> Iterator[list[tuple[float, int, int]]]:
    """Yield for each neuron (activation, image, flat position), best first, one image at a time."""
    maps = []
    for path in paths:
        pixels = np.asarray(Image.open(path), np.float32)[None] / 255
        maps.append(np.asarray(network.activations(pixels, [layer])[layer][0]))
    for n in range(maps[0].shape[-1]):
        found = []
        for i, values in enumerate(maps):
            flat = values[..., n].ravel().tolist()
            found.append((max(flat), i, flat.index(max(flat))))
        yield sorted(found, key=lambda one: (-one[0], one[1]))


class TestImageFiles:
    """The images of a folder."""

    def test_lists_images_below_sorted_by_name(self, tmp_path: Path) -> None:
        """Images of every folder below are listed by their relative names; other files are not."""
        names = ["b/a.png", "b.JPG", "a.webp", "Z.gif", "b/c/d.bmp", "e.jpeg"]
        for name in [*names, "README.md", ".hidden.png", ".cache/x.png", "b/notes.txt", "png"]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
        assert found == sorted(names)

    def test_refuses_what_is_no_folder_of_images(self, tmp_path: Path) -> None:
        """A missing folder, a file and a folder without images are errors that say which it is."""
        (tmp_path / "README.md").touch()
        with pytest.raises(ExamplesError, match="found nothing"):
            image_files(tmp_path / "missing")
        with pytest.raises(ExamplesError, match="found a file"):
            image_files(tmp_path / "README.md")
        with pytest.raises(ExamplesError, match="no image in the folder"):
            image_files(tmp_path)


class TestFindExamples:
    """The top k of a folder."""

    @pytest.mark.parametrize("k", [1, 12])
    def test_equals_brute_force(self, folder: Path, k: int) -> None:
        """Images, activations and positions are those of one image at a time and a full sort."""
        paths = sorted(folder.iterdir())
        tables = find_examples(StandIn(), LAYERS, folder, k=k)
        assert list(tables) == ["tiles", "windows", "logits"]
        for layer in LAYERS:
            table = tables[layer.name]
            assert table.images == tuple(path.name for path in paths)
            width = layer.shape[1] if layer.shape else 1
            for n, expected in enumerate(brute_force(StandIn(), layer.name, paths)):
                assert table.image[n].tolist() == [i for _, i, _ in expected[:k]]
                np.testing.assert_allclose(table.activation[n], [a for a, _, _ in expected[:k]], rtol=1e-6)
                assert table.position[n].tolist() == [[p // width, p % width] for _, _, p in expected[:k]]

    def test_ties_keep_the_order_of_images_and_positions(self, folder: Path) -> None:
        """Where all activations are equal, the first images and the first position are shown."""
        network = StandIn(change=lambda _name, values: np.zeros_like(values))
        table = find_examples(network, LAYERS, folder)["windows"]
        assert (table.image == np.arange(12)).all()
        assert not table.position.any()

    def test_one_pass_serves_all_layers(self, folder: Path) -> None:
        """Every call asks for all layers, in batches of one size, and no image is read twice."""
        network, done = StandIn(), list[int]()
        find_examples(network, LAYERS, folder, progress=done.append)
        n_files = len(list(folder.iterdir()))
        sizes, names = zip(*network.calls, strict=True)
        assert set(names) == {("tiles", "windows", "logits")}
        assert len(set(sizes)) == 1
        assert sum(sizes) < n_files + sizes[0]
        assert sum(done) == n_files

    def test_boxes_are_what_the_position_sees(self, folder: Path) -> None:
        """A box holds just the input's pixels in the receptive field; of a dense layer, the whole image."""
        tables = find_examples(StandIn(), LAYERS, folder)
        for name, receptive_field in (("tiles", TILES), ("windows", WINDOWS)):
            position, box = tables[name].position.reshape(-1, 2), tables[name].box.reshape(-1, 4)
            for (h, w), found in zip(position, box, strict=True):
                assert tuple(found) == window_of(receptive_field, h, w)
        assert (tables["logits"].box == [0, 0, H, W]).all()

    def test_a_field_outside_the_image_keeps_one_pixel(self, folder: Path) -> None:
        """A position that sees only padding is shown by the pixel next to it."""
        outside = Layer(
            "tiles", "tiles", "conv", "tiles:0", 4, (3, 5), ReceptiveField((2, 2), (9, 9), (-9, 5))
        )
        box = find_examples(StandIn(), [outside], folder)["tiles"].box.reshape(-1, 4)
        assert (box[:, :2] >= 0).all()
        assert (box[:, 2:] <= [H, W]).all()
        assert (box[:, 2:] > box[:, :2]).all()

    def test_few_images_leave_the_rest_empty(self, tmp_path: Path) -> None:
        """With two images for twelve places, ten hold image -1, activation 0 and an empty box."""
        for name in ("a.png", "b.png"):
            save(tmp_path, name, np.full((H, W, 3), 200, np.uint8))
        table = find_examples(StandIn(), LAYERS, tmp_path)["tiles"]
        assert table.image.shape == (4, 12)
        assert table.image[0].tolist() == [0, 1] + [-1] * 10
        assert not any(array[:, 2:].any() for array in (table.activation, table.position, table.box))

    def test_types_are_the_contracts(self, folder: Path) -> None:
        """Integers are int32 and activations float32."""
        table = find_examples(StandIn(), LAYERS, folder)["windows"]
        assert {a.dtype for a in (table.image, table.position, table.box)} == {np.dtype(np.int32)}
        assert table.activation.dtype == np.float32

    def test_same_folder_gives_the_same_table(self, folder: Path) -> None:
        """Two passes are equal."""
        first, second = (find_examples(StandIn(), LAYERS, folder)["windows"] for _ in range(2))
        for name in ("image", "activation", "position", "box"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))

    def test_refuses_what_it_cannot_use(self, folder: Path) -> None:
        """No place, a network without colours, or activations that are not finite are errors."""
        with pytest.raises(ExamplesError, match="1 or more"):
            find_examples(StandIn(), LAYERS, folder, k=0)
        with pytest.raises(ExamplesError, match=r"no image can be read.*\[h, w, 5\]"):
            find_examples(StandIn((H, W, 5)), LAYERS, folder)

        def poison(_name: str, values: Floats) -> Floats:
            values[3, ..., 1] = np.nan
            return values

        with pytest.raises(ExamplesError, match=r"tiles:1: its activation on 03.png is not finite"):
            find_examples(StandIn(change=poison), LAYERS, folder)


class TestBrokenImages:
    """Files that cannot be read."""

    def test_are_skipped_and_named(self, folder: Path) -> None:
        """A broken file is named, and changes nothing about the others."""
        whole = find_examples(StandIn(), LAYERS, folder)["tiles"]
        photograph = save(folder, "12b.jpg", np.random.default_rng(1).integers(0, 256, (90, 90, 3), np.uint8))
        photograph.write_bytes(photograph.read_bytes()[:900])
        (folder / "00a.png").write_text("not an image")
        (folder / "sub").mkdir()
        (folder / "sub" / "empty.gif").touch()
        table = find_examples(StandIn(), LAYERS, folder)["tiles"]
        assert table.skipped == ("00a.png", "12b.jpg", "sub/empty.gif")
        assert table.images == whole.images
        np.testing.assert_array_equal(table.image, whole.image)
        np.testing.assert_array_equal(table.activation, whole.activation)

    def test_a_bomb_is_never_unpacked(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A small file that claims to be 60,000 x 60,000 pixels is skipped before it takes memory."""
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
        pieces = [
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        ]
        (folder / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(pieces))
        unpacked = []
        load = ImageFile.ImageFile.load

        def heard(image: ImageFile.ImageFile) -> Any:
            unpacked.append(image.size)
            # A bomb that came so far is not let off in a test.
            return load(image) if image.size == (W, H) else None

        monkeypatch.setattr(ImageFile.ImageFile, "load", heard)
        assert find_examples(StandIn(), LAYERS, folder)["tiles"].skipped == ("00.png",)
        assert set(unpacked) == {(W, H)}

    def test_an_operating_point_needs_one_image(self, tmp_path: Path) -> None:
        """Where the sample of 32 is broken, another image takes its place."""
        for n in range(64):
            (tmp_path / f"{n:02d}.jpg").write_bytes(b"no image")
        point = operating_point(tmp_path, (8, 8, 3))
        with pytest.raises(ExamplesError, match=r"64 broken files, 00\.jpg"):
            list(point.images())
        Image.new("RGB", (8, 8), (51, 51, 51)).save(tmp_path / "01.jpg")
        (image,) = operating_point(tmp_path, (8, 8, 3)).images()
        np.testing.assert_allclose(image, 0.2)

    def test_nothing_but_broken_files_is_an_error(self, tmp_path: Path) -> None:
        """A folder in which no image can be read is told, with a file's name."""
        for i in range(20):
            (tmp_path / f"{i:02}.jpg").write_text("x")
        with pytest.raises(ExamplesError, match=r"20 broken files, 00\.jpg"):
            find_examples(StandIn(), LAYERS, tmp_path)


class TestLoading:
    """How an image becomes the network's input."""

    def seen(self, folder: Path, n_channels: int = 3) -> Floats:
        """Return the one image of a folder as the network gets it."""
        batches = []

        class Ear(StandIn):
            def activations(self, images: Floats, names: Sequence[str]) -> dict[str, Floats]:
                batches.append(images[0])
                return {name: np.zeros((len(images), 2), np.float32) for name in names}

        dense = Layer("d", "d", "dense", "d:0", 2, None, None)
        find_examples(Ear((H, W, n_channels)), [dense], folder)
        return batches[0]

    def test_wide_and_tall_images_are_cut_around_the_centre(self, tmp_path: Path) -> None:
        """An image is scaled to cover the input and loses the same on both sides, never stretched."""
        pixels = np.zeros((60, 300, 3), np.uint8)
        pixels[:, 80:220] = (250, 120, 10)
        save(tmp_path, "wide.png", pixels)
        np.testing.assert_allclose(self.seen(tmp_path), np.broadcast_to([250, 120, 10], (H, W, 3)) / 255)
        save(tmp_path, "wide.png", pixels[:, :, ::-1].transpose(1, 0, 2)[70:230])
        np.testing.assert_allclose(self.seen(tmp_path), np.broadcast_to([10, 120, 250], (H, W, 3)) / 255)

    def test_shrinking_averages(self, tmp_path: Path) -> None:
        """A fine chequerboard becomes grey, not a coarser pattern."""
        board = (np.indices((H * 8, W * 8)).sum(0) % 2 * 255).astype(np.uint8)
        save(tmp_path, "board.png", board)
        assert np.abs(self.seen(tmp_path) - 0.5).max() < 0.05

    def test_orientation_of_a_camera_is_applied(self, tmp_path: Path) -> None:
        """A photograph that its camera marked as turned is shown upright."""
        upright = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned a quarter clockwise
        save(tmp_path, "turned.png", np.rot90(upright).copy(), exif=exif)
        np.testing.assert_allclose(self.seen(tmp_path), upright / 255, atol=1e-6)

    @pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
    @pytest.mark.parametrize("n_channels", [1, 3])
    def test_every_kind_of_image_is_read(self, tmp_path: Path, mode: str, n_channels: int) -> None:
        """White is white and black is black, whatever the file's mode and the network's channels."""
        half = np.zeros((H, W), np.uint8)
        half[:, W // 2 :] = 255
        wide = (
            Image.fromarray(half.astype(np.uint16) * 257)
            if mode == "I;16"
            else Image.fromarray(half).convert(mode)
        )
        wide.save(tmp_path / ("x.jpg" if mode == "CMYK" else "x.png"))
        seen = self.seen(tmp_path, n_channels)
        assert seen.shape == (H, W, n_channels)
        assert seen[:, 0].max() < 0.02
        assert seen[:, -1].min() > 0.98

    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize("kind", ["png", "tif", "float", "npy"])
    def test_greys_of_sixteen_bits(self, tmp_path: Path, kind: str, n_channels: int) -> None:
        """Greys between black and white stay what they are, and are not cut off at 255 of 65,535."""
        grey = np.tile(np.linspace(0, 65535, W).round().astype(np.uint16), (H, 1))
        if kind == "npy":
            np.save(tmp_path / "x.npy", np.repeat(grey[..., None], n_channels, 2))
        elif kind == "float":
            Image.fromarray((grey / 65535).astype(np.float32)).save(tmp_path / "x.tif")
        else:
            Image.fromarray(grey).save(tmp_path / f"x.{kind}")
        seen = self.seen(tmp_path, n_channels)
        np.testing.assert_allclose(seen, np.repeat(grey[..., None] / 65535, n_channels, 2), atol=0.003)

    @pytest.mark.parametrize(
        "array",
        [np.zeros((0, 0, 3)), np.full((4, 4, 3), 1j), np.full((4, 4, 3), 300), np.full((4, 4, 3), np.nan)],
        ids=["empty", "complex", "large", "nan"],
    )
    def test_arrays_that_are_no_images(self, tmp_path: Path, array: Any) -> None:
        """An array whose white is not known is named as broken, without a warning of NumPy's."""
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(ExamplesError, match=r"1 broken files, x\.npy"):
            self.seen(tmp_path, 3)


def table_of(image: Any, box: Any, images: Sequence[str] = ("a.png",)) -> ExampleTable:
    """Return a table of these images and boxes; the rest is of no matter to a strip."""
    image, box = np.int32(image), np.int32(box)
    zeros = np.zeros(image.shape, np.float32)
    return ExampleTable("l", tuple(images), (), image, zeros, np.zeros((*image.shape, 2), np.int32), box)


def decoded(data: bytes) -> np.ndarray:
    """Return the pixels of a JPEG as integers."""
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


RED, BLUE, GREY = (220, 40, 30), (20, 60, 210), (128, 128, 128)


class TestExampleStrips:
    """A neuron's crops side by side."""

    @pytest.fixture
    def halves(self, tmp_path: Path) -> Path:
        """A folder with an image whose left half is red, the right half blue."""
        pixels = np.zeros((H, W, 3), np.uint8)
        pixels[:, : W // 2], pixels[:, W // 2 :] = RED, BLUE
        save(tmp_path, "a.png", pixels)
        return tmp_path

    def strip(self, table: ExampleTable, folder: Path, tile_px: int = 32) -> np.ndarray:
        """Return the pixels of neuron 0's strip."""
        ((_, data),) = example_strips(table, folder, (H, W, 3), [0], tile_px=tile_px)
        return decoded(data)

    def test_tiles_stand_in_the_order_of_rank(self, halves: Path) -> None:
        """Each tile shows its own box, and a place without an image is grey."""
        table = table_of([[0, 0, -1]], [[[2, 12, 6, 16], [2, 2, 6, 6], [0, 0, 0, 0]]])
        strip = self.strip(table, halves)
        assert strip.shape == (32, 96, 3)
        for rank, colour in enumerate((BLUE, RED, GREY)):
            inner = strip[4:28, rank * 32 + 4 : rank * 32 + 28]
            assert np.abs(inner - colour).max() < 12

    @pytest.mark.parametrize(
        ("box", "shown"),
        [
            ((0, 4, 2, 8), (slice(16, 32), slice(0, 32))),
            ((10, 4, 12, 8), (slice(0, 16), slice(0, 32))),
            ((4, 0, 8, 2), (slice(0, 32), slice(16, 32))),
            ((4, 18, 8, 20), (slice(0, 32), slice(0, 16))),
            ((0, 0, 2, 2), (slice(16, 32), slice(16, 32))),
        ],
    )
    def test_border_boxes_stand_where_they_are_in_the_field(
        self, tmp_path: Path, box: tuple[int, ...], shown: tuple[slice, slice]
    ) -> None:
        """What a field sees beyond the image is grey, on the side where it lies, at the same scale."""
        save(tmp_path, "a.png", np.full((H, W, 3), RED, np.uint8))
        table = table_of([[0], [0]], [[box], [(4, 4, 8, 8)]])
        inside = np.zeros((32, 32), bool)
        inside[shown] = True
        strip = self.strip(table, tmp_path)
        assert (np.abs(strip - RED).sum(2) < np.abs(strip - GREY).sum(2))[inside].mean() > 0.95
        assert (np.abs(strip - RED).sum(2) > np.abs(strip - GREY).sum(2))[~inside].mean() > 0.95

    def test_a_wide_field_keeps_its_shape(self, halves: Path) -> None:
        """A field wider than high fills the tile's width, with grey above and below alike."""
        strip = self.strip(table_of([[0]], [[[0, 0, H, W]]]), halves, tile_px=40)
        assert np.abs(strip[:6] - GREY).max() < 25
        assert np.abs(strip[-6:] - GREY).max() < 25
        assert np.abs(strip[12:28, 2:14] - RED).max() < 25
        assert np.abs(strip[12:28, 26:38] - BLUE).max() < 25

    def test_chosen_neurons_in_the_given_order(self, folder: Path) -> None:
        """Strips come for the neurons asked for, in their order, and are the same every time."""
        table = find_examples(StandIn(), LAYERS, folder)["windows"]
        strips = list(example_strips(table, folder, (H, W, 3), [2, 0]))
        assert [n for n, _ in strips] == [2, 0]
        assert strips == list(example_strips(table, folder, (H, W, 3), iter([2, 0])))
        assert decoded(strips[0][1]).shape == (96, 12 * 96, 3)

    def test_shows_the_crop_that_excites(self, folder: Path) -> None:
        """The first tile's pixels are the box of the first image."""
        table = find_examples(StandIn(), LAYERS, folder)["tiles"]
        ((_, data),) = example_strips(table, folder, (H, W, 3), [1], tile_px=64)
        top, left, bottom, right = table.box[1, 0]
        pixels = np.asarray(Image.open(folder / table.images[table.image[1, 0]]))[top:bottom, left:right]
        tile = decoded(data)[:, :64].reshape(4, 16, 4, 16, 3)[:, 4:12, :, 4:12].mean((1, 3))
        assert np.corrcoef(tile.ravel(), pixels.ravel())[0, 1] > 0.95

    def test_grey_networks_have_grey_strips(self, halves: Path) -> None:
        """A network of one channel is shown what it sees: no colour."""
        ((_, data),) = example_strips(table_of([[0]], [[[0, 0, H, W]]]), halves, (H, W, 1), [0])
        assert np.ptp(decoded(data), axis=2).max() <= 2

    def test_an_image_that_has_gone_is_an_error(self, halves: Path) -> None:
        """An image deleted after the pass is named, with the remedy."""
        (halves / "a.png").unlink()
        with pytest.raises(ExamplesError, match=r"a\.png.*any more.*build again"):
            self.strip(table_of([[0]], [[[0, 0, 4, 4]]]), halves)


@pytest.mark.slow
class TestGoogLeNet:
    """A real network on photographs."""

    def test_equals_brute_force(self, shared: Path, tmp_path: Path) -> None:
        """On 40 photographs, the top images of three layers are those of one image at a time."""
        load = pytest.importorskip("atlas.model.reading.load")
        network = load.load_model(str(shared / "models" / "googlenet"))
        for path in sorted((shared / "images").glob("*.jpg"))[::25]:
            (tmp_path / path.name).symlink_to(path)
        layers = [network.layer(name) for name in ("conv2d0", "mixed3b", "softmax2")]
        tables = find_examples(network, layers, tmp_path)
        paths = sorted(tmp_path.iterdir())
        assert len(paths) == 40
        for layer in layers:
            table = tables[layer.name]
            # Eight neurons will do: a full sort in plain Python takes its time.
            for n, expected in zip(range(8), brute_force(network, layer.name, paths), strict=False):
                values = {i: a for a, i, _ in expected}
                shown = [values[i] for i in table.image[n].tolist()]
                np.testing.assert_allclose(shown, [a for a, _, _ in expected[:12]], rtol=1e-3, atol=1e-4)
                np.testing.assert_allclose(table.activation[n], shown, rtol=1e-3, atol=1e-4)
        classes = {label.split(",")[0].replace(" ", "_"): n for n, label in enumerate(network.labels)}
        known = [(classes[p.stem[10:]], i) for i, p in enumerate(paths) if p.stem[10:] in classes]
        hits = [tables["softmax2"].image[n, 0] == i for n, i in known]
        assert len(hits) > 30
        assert np.mean(hits) > 0.8
