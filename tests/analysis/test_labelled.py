"""The classes of images by the names of folders and files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from atlas.analysis.labelled import classes_of
from atlas.core.errors import ExamplesError

ROOT = Path("photographs")
LABELS = ("tench, Tinca tinca", "crane", "Crane", "maillot", "maillot, tank suit", "stop sign")


def classes(*names: str, labels: tuple[str, ...] = LABELS, n: int = 6) -> dict[str, int]:
    """Return the classes of images with these paths."""
    return classes_of(ROOT, [ROOT / name for name in names], labels, n)[0]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("tench/a.jpg", 0),
        ("Tinca_tinca/b.jpg", 0),
        ("tench, Tinca tinca/deep/er/c.jpg", 0),
        ("n01440764_tench/d.jpg", 0),
        ("n01440764-tench/d.jpg", 0),
        ("n01440764_tench.jpg", 0),
        ("tench.jpg", 0),
        ("tench_0017.jpg", 0),
        ("maillot/e.jpg", 3),
        ("tank suit/f.jpg", 4),
        ("stop_sign-3.png", 5),
        ("2/g.jpg", 2),
        ("005/h.jpg", 5),
    ],
)
def test_names_of_many_forms_are_found(name: str, number: int) -> None:
    """Labels, their parts, WordNet ids with a name, and indices; of folders, or of files that lie in none."""
    assert classes(name) == {name: number}


@pytest.mark.parametrize("name", ["crane/a.jpg", "trench/a.jpg", "6/a.jpg", "0001.jpg", "n01440764/a.jpg"])
def test_what_is_no_class_is_refused(name: str) -> None:
    """A name that two labels have, that none has, or that is beyond the last index."""
    with pytest.raises(ExamplesError, match=r"is none of the 6 classes: .*expected a folder for each class"):
        classes("tench/a.jpg", name)


def test_imagenet_is_known_by_its_ids() -> None:
    """Without labels, of a network with as many classes; also where only a few are there."""
    assert classes("n01440764/a.jpg", "n15075141_x.jpg", labels=(), n=1000) == {
        "n01440764/a.jpg": 0,
        "n15075141_x.jpg": 999,
    }
    with pytest.raises(ExamplesError, match=r"'n01440764' is none of the 1,001 classes: .*--labels FILE"):
        classes("n01440764/a.jpg", labels=(), n=1001)


def test_ids_may_be_the_labels() -> None:
    """Then the labels' order counts, not ImageNet's."""
    labels = ("n02084071", "n01440764")
    assert classes("n01440764/a.jpg", labels=labels, n=2) == {"n01440764/a.jpg": 1}


def test_imagenet_list_is_that_of_timm() -> None:
    """In its order, which is also torchvision's and Keras's."""
    # Its file, because importing timm takes seconds.
    timm = importlib.util.find_spec("timm")
    if timm is None or timm.origin is None:
        pytest.skip("timm is not installed")
    names = (Path(timm.origin).parent / "data/_info/imagenet_synsets.txt").read_text().split()
    found = classes(*(f"{name}/a.jpg" for name in names), labels=(), n=1000)
    assert list(found.values()) == list(range(1000))


def test_folders_count_in_their_order_without_labels() -> None:
    """As torchvision's ImageFolder has them, where there are as many folders as classes."""
    assert classes("b/1.jpg", "a/1.jpg", "c/1.jpg", labels=(), n=3) == {
        "b/1.jpg": 1,
        "a/1.jpg": 0,
        "c/1.jpg": 2,
    }
    for n, labels in ((4, ()), (3, ("x", "y", "z"))):
        with pytest.raises(ExamplesError, match="is none of the"):
            classes("b/1.jpg", "a/1.jpg", "c/1.jpg", labels=labels, n=n)


@pytest.mark.parametrize("labels", [("circle", "square", "star"), ()])
def test_the_folder_of_one_class_is_refused(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """Numbers of files in it are no classes, unlike names; the folder above is what is meant."""
    for name in ("circle", "square", "star"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00.png").touch()
    (tmp_path / "notes").mkdir()
    folder = tmp_path / "circle"
    with pytest.raises(ExamplesError) as caught:
        classes_of(folder, [folder / "00.png", folder / "01.png"], labels, 3)
    assert str(caught.value) == (
        f"{folder} holds the images of one class: found names like '00', expected a folder for each class, "
        f"named by a label, a WordNet id or an index; give the folder above, {tmp_path}"
    )
    if labels:
        found, how = classes_of(folder, [folder / "star.png"], labels, 3)
        assert (found, how) == ({"star.png": 2}, "by the labels")
