"""Records <-> bytes: .npz for records that hold arrays, JSON for others. Equal records, equal bytes."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np

from atlas.core.errors import StoreError

T = TypeVar("T")
# Errors of NumPy, zipfile and msgspec (a ValueError) for bytes in another format.
_UNREADABLE = (ValueError, TypeError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile)


def encode(record: Any) -> bytes:
    """Return a record's bytes: JSON, or .npz if it has arrays, with the other fields as JSON in `fields`."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    if not arrays:
        return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
    plain = {name: value for name, value in values.items() if name not in arrays}
    fields = np.frombuffer(msgspec.json.encode(plain), np.uint8)
    out = io.BytesIO()
    # NumPy dates every member 1980-01-01, so the bytes do not depend on the time.
    np.savez(out, allow_pickle=False, fields=fields, **arrays)
    return out.getvalue()


def decode(kind: type[T], data: bytes, *, key: str = "") -> T:
    """Return the record of class `kind` in `data`; raises StoreError if the bytes hold no such record."""
    try:
        if not data.startswith(b"PK"):
            return msgspec.json.decode(data, type=kind)
        with np.load(io.BytesIO(data), allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files if name != "fields"}
            plain = msgspec.json.decode(members["fields"].tobytes())
        return kind(**_tuples(plain), **arrays)
    except _UNREADABLE as error:
        raise StoreError(
            f"{key or 'artefact'} holds no {kind.__name__}",
            found=error,
            remedy="delete it and build again",
        ) from error


def encode_meta(record: Any) -> dict[str, int | float | str | None]:
    """Return the fields of a small record as values for the index; tuples become JSON texts."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def decode_meta(kind: type[T], meta: Mapping[str, int | float | str | None], *, key: str = "") -> T:
    """Return the record whose values `encode_meta` returned; raises StoreError for other values."""
    try:
        lists = {f.name for f in dataclasses.fields(kind) if str(f.type).startswith("tuple")}  # type: ignore[arg-type]
        values = {n: msgspec.json.decode(str(v)) if n in lists else v for n, v in meta.items()}
        return msgspec.convert(values, kind)
    except ValueError as error:
        raise StoreError(
            f"{key or 'artefact'} has no values of a {kind.__name__}",
            found=error,
            remedy="delete it and build again",
        ) from error


def encode_array(array: np.ndarray[Any, Any]) -> bytes:
    """Return an array as .npy bytes."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def decode_array(data: bytes, *, key: str = "") -> np.ndarray[Any, Any]:
    """Return the array in .npy bytes; raises StoreError if they hold none."""
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except _UNREADABLE as error:
        raise StoreError(
            f"{key or 'artefact'} holds no array", found=error, remedy="delete it and build again"
        ) from error


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
