"""Errors for files and folders that the atlas does not read: each says what the file is and what to do."""

from __future__ import annotations

from pathlib import Path

from atlas.core.errors import ModelError
from atlas.model.reading.keras_contents import SAVE_WHOLE

_EXPECTED = "a frozen GraphDef (.pb), a Keras file (.keras, .h5), an ONNX file or a SavedModel folder"
_ARCHIVE = ("an archive", "unpack it, and name the model in it")
_TO_TENSORFLOW = "convert it to TensorFlow first, to a SavedModel or a .keras file"
# Ending of a file's name -> what such a file is, and the remedy.
_ENDINGS = {
    ".tflite": ("a model of TensorFlow Lite", "name the model that it was converted from"),
    ".npz": ("weights alone", SAVE_WHOLE),
    ".npy": ("an array", SAVE_WHOLE),
    ".ckpt": ("a checkpoint, which holds weights alone", SAVE_WHOLE),
    ".index": ("part of a checkpoint, which holds weights alone", SAVE_WHOLE),
    ".meta": ("part of a checkpoint of TensorFlow 1", "freeze it: export the model as a SavedModel"),
    ".caffemodel": ("a Caffe model", _TO_TENSORFLOW),
    ".mlmodel": ("a Core ML model", _TO_TENSORFLOW),
    ".mlpackage": ("a Core ML model", _TO_TENSORFLOW),
    ".pkl": ("a pickled object, which is code", "save the model with model.save('net.keras')"),
    ".joblib": ("a pickled object, which is code", "save the model with model.save('net.keras')"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"), _ARCHIVE),
    ".json": ("a description without weights", SAVE_WHOLE),
    ".yaml": ("a description without weights", SAVE_WHOLE),
    ".yml": ("a description without weights", SAVE_WHOLE),
    ".toml": ("a config", "give it as the first argument, without --model"),
    ".py": (
        "a program",
        "name what makes a PyTorch network in it, like {stem}:make_net, or save a Keras model: "
        "model.save('net.keras')",
    ),
    ".ipynb": ("a notebook", "save the model that it makes: model.save('net.keras')"),
}
# Files recognized by their first bytes, whatever their name: (offset, bytes, ending of the same kind).
_MAGIC = (
    (4, b"TFL3", ".tflite"),
    (0, b"\x1f\x8b", ".gz"),
    (0, b"BZh", ".bz2"),
    (0, b"\xfd7zXZ", ".xz"),
    (0, b"7z\xbc\xaf", ".7z"),
    (257, b"ustar", ".tar"),
    (0, b"\x93NUMPY", ".npy"),
    (0, b"\x80\x02", ".pkl"),
    (0, b"\x80\x04", ".pkl"),
    (0, b"\x80\x05", ".pkl"),
)
_MODELS = (".pb", ".pbtxt", ".keras", ".h5", ".hdf5", ".onnx")


def refuse_file(path: Path) -> None:
    """Raise ModelError where a file's name or first bytes show that the atlas does not read its kind."""
    if not path.is_file():
        raise ModelError(f"{path} is no file", found="a device or a pipe", expected=_EXPECTED)
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise ModelError(f"{path} is empty", expected=_EXPECTED)
    name = path.name.lower()
    if name.endswith(".weights.h5"):
        raise ModelError(f"{path} holds weights alone", expected=_EXPECTED, remedy=SAVE_WHOLE)
    ending = ".ckpt" if ".ckpt" in name or ".data-0" in name else path.suffix.lower()
    if ending not in _ENDINGS:
        ending = next((kind for at, magic, kind in _MAGIC if head[at:].startswith(magic)), ending)
    if path.suffix.lower() in _KERAS_ENDINGS and not head.startswith((b"PK", b"\x89HDF")):
        raise ModelError(
            f"{path} is no Keras model",
            found=_ENDINGS[ending][0] if ending in _ENDINGS else "bytes that are neither HDF5 nor an archive",
            expected="a file that model.save made",
            remedy="copy or save it again",
        )
    if ending in _ENDINGS:
        kind, remedy = _ENDINGS[ending]
        raise ModelError(
            f"{path} cannot be read",
            found=kind,
            expected=_EXPECTED,
            remedy=remedy.replace("{stem}", path.stem),
        )
    if head.startswith((b"PK", b"\x89HDF")) and path.suffix.lower() not in (*_KERAS_ENDINGS, ".pt2"):
        kind, ending = ("an archive", ".keras") if head.startswith(b"PK") else ("an HDF5 file", ".h5")
        raise ModelError(
            f"{path} cannot be read",
            found=kind,
            expected=_EXPECTED,
            remedy=f"call it {path.stem}{ending} if it is a Keras model",
        )


_KERAS_ENDINGS = (".keras", ".h5", ".hdf5")


def refuse_folder(path: Path) -> ModelError:
    """Return the error for a folder that is no model: it says what the folder holds and what to do."""
    names = sorted(each.name for each in path.iterdir())
    models = [name for name in names if name.endswith(_MODELS) or (path / name / "saved_model.pb").is_file()]
    if "checkpoint" in names or any(name.endswith(".index") or ".ckpt" in name for name in names):
        return ModelError(f"the folder {path} is a checkpoint, which holds weights alone", remedy=SAVE_WHOLE)
    if "keras_metadata.pb" in names or {"variables", "assets"} & set(names):
        return ModelError(
            f"the folder {path} is a SavedModel without its saved_model.pb", remedy="copy or export it again"
        )
    return ModelError(
        f"the folder {path} holds no model",
        found=", ".join(names[:6]) or "nothing",
        expected="manifest.json (Lucid) or saved_model.pb (TensorFlow)",
        remedy=f"name one of its files, like {path / models[0]}" if models else None,
    )
