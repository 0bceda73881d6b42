"""A folder of labelled images -> the class of each image, by the names of folders and files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from atlas.core.errors import ExamplesError

# The WordNet ids of ImageNet's classes in their order: https://www.image-net.org/challenges/LSVRC/2012
_IMAGENET = Path(__file__).with_name("imagenet.txt")
# n01440764, n01440764_tench
_SYNSET = re.compile(r"(?P<synset>n\d{8})(?:[\W_]+(?P<name>.*))?")
# tench_01
_COUNTED = re.compile(r"(?P<name>.*[^\W\d_])[\W_]*\d*")

_EXPECTED = "a folder for each class, named by a label, a WordNet id or an index"


class _Key(NamedTuple):
    """What a folder's or a file's name says of a class."""

    text: str
    """The name, without a number at the end of a file's."""
    synset: str
    """Its WordNet id, "" for none."""
    name: str
    """What follows the WordNet id, else the same as `text`."""
    is_folder: bool
    """Whether it is a folder's name."""


def classes_of(
    folder: Path, files: Iterable[Path], labels: Sequence[str], n_classes: int
) -> tuple[dict[str, int], str]:
    """Return the index of each image's class by its path in `folder`, and in words how classes were found.

    The class of an image in a folder below is named by that folder, else by its own file: a label, a WordNet
    id (also followed by a name: n01440764_tench.jpg), or an index. Without labels, as many folders as classes
    may have any names; they count in their order. Raises ExamplesError where a class is not found.
    """
    keys = {path.relative_to(folder).as_posix(): _key(path.relative_to(folder)) for path in files}
    numbers, how = _numbers(folder, sorted(set(keys.values())), labels[:n_classes], n_classes)
    return {name: numbers[key] for name, key in keys.items()}, how


def _key(path: Path) -> _Key:
    is_folder = len(path.parts) > 1
    text = path.parts[0] if is_folder else path.stem
    synset = _SYNSET.fullmatch(text)
    if synset:
        return _Key(text, synset["synset"], synset["name"] or "", is_folder)
    counted = None if is_folder else _COUNTED.fullmatch(text)
    return _Key(counted["name"] if counted else text, "", text if is_folder else "", is_folder)


def _numbers(
    folder: Path, keys: Sequence[_Key], labels: Sequence[str], n_classes: int
) -> tuple[dict[_Key, int], str]:
    """Return the index of each class by its key, and how they were found; raises ExamplesError."""
    known = _by_name(labels)
    imagenet = {synset: i for i, synset in enumerate(_IMAGENET.read_text("ascii").split())}
    ways: dict[str, dict[_Key, int | None]] = {
        "by WordNet ids, which are the labels": {key: known.get(key.synset) for key in keys},
        "by WordNet ids, in ImageNet's order": {
            key: imagenet.get(key.synset) if n_classes == len(imagenet) else None for key in keys
        },
        "by the labels": {key: known.get(_normal(key.text), known.get(_normal(key.name))) for key in keys},
        "by index": {key: _index(key.text, n_classes) for key in keys},
    }
    if not labels and len(keys) == n_classes and all(key.is_folder for key in keys):
        how = "in the order of the folders' names, as torchvision's ImageFolder counts them"
        ways[how] = {key: i for i, key in enumerate(keys)}
    below = (
        f"{folder} holds the images of one class" if _is_one_class(folder, keys, labels, n_classes) else ""
    )
    for how, found in ways.items():
        numbers = {key: number for key, number in found.items() if number is not None}
        if len(numbers) == len(keys) and not (below and how == "by index"):
            return numbers, how
    most = max(ways.values(), key=lambda found: sum(number is not None for number in found.values()))
    missing = [key.text for key in keys if most[key] is None]
    if below:
        above = folder.parent if folder.parent.name else folder.resolve().parent
        names = f"names like {keys[0].text!r}"
        raise ExamplesError(below, found=names, expected=_EXPECTED, remedy=f"give the folder above, {above}")
    raise ExamplesError(
        f"{folder}: {missing[0]!r} is none of the {n_classes:,} classes",
        found=f"{len(missing)} such names" if len(missing) > 1 else None,
        expected=_EXPECTED,
        remedy="" if labels else "give the names of the classes with --labels FILE",
    )


def _is_one_class(folder: Path, keys: Sequence[_Key], labels: Sequence[str], n_classes: int) -> bool:
    """Return whether no image lies in a folder below, and `folder` and those next to it are the classes."""
    if any(key.is_folder for key in keys):
        return False
    try:
        endings = {path.suffix for path in folder.iterdir()} - {""}
        siblings = [path for path in folder.resolve().parent.iterdir() if path.is_dir()]
        names = [each.name for each in siblings if any(path.suffix in endings for path in each.iterdir())]
        _numbers(folder.parent, [_key(Path(name, "image")) for name in sorted(names)], labels, n_classes)
    except (OSError, ExamplesError):
        return False
    return folder.resolve().name in names


def _by_name(labels: Sequence[str]) -> dict[str, int]:
    """Return the indices of classes by their labels, and by the parts between commas that only one has."""
    whole = Counter(map(_normal, labels))
    parts = [{_normal(part) for part in label.split(",")} for label in labels]
    shared = Counter(name for each in parts for name in each)
    found = {
        name: i for i, each in enumerate(parts) for name in each if shared[name] == 1 and not whole[name]
    }
    found |= {_normal(label): i for i, label in enumerate(labels) if whole[_normal(label)] == 1}
    found.pop("", None)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _index(text: str, n_classes: int) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) and int(text) < n_classes else None
