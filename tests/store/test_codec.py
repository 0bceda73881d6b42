"""Records <-> bytes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from atlas.core.errors import StoreError
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import (
    AtlasRecord,
    Connections,
    DirectionSheet,
    ExampleTable,
    Factor,
    Factorization,
    LayerRecord,
    ModelRecord,
)
from atlas.store import codec

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=8)
LAYERS = st.builds(
    Layer,
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    st.integers(0, 9),
    st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.none() | st.just(ReceptiveField((5, 3), (2, 1), (-1, 0))),
    st.booleans(),
)
ATLASES = st.builds(
    AtlasRecord,
    title=TEXT,
    model=st.builds(
        ModelRecord,
        TEXT,
        TEXT,
        st.just((20, 24, 3)),
        st.tuples(FLOATS, FLOATS),
        st.lists(LAYERS, max_size=2).map(tuple),
        st.lists(TEXT, max_size=2).map(tuple),
    ),
    layers=st.lists(
        st.builds(LayerRecord, TEXT, st.just((0, 2)), st.none() | TEXT, st.none() | TEXT), max_size=2
    ).map(tuple),
    settings=st.dictionaries(TEXT, TEXT, max_size=2),
)
FACTORS = st.builds(
    Factor,
    st.sampled_from([-1, 1]),
    FLOATS,
    st.lists(st.lists(FLOATS, max_size=3).map(tuple), max_size=3).map(tuple),
    st.just((3, 1)),
    st.tuples(FLOATS, FLOATS),
)
FACTORIZATIONS = st.builds(
    Factorization, TEXT, st.integers(1, 6), FLOATS, st.lists(FACTORS, max_size=3).map(tuple), TEXT
)


def array(dtype: type[Any], *axes: int) -> st.SearchStrategy[Any]:
    """Return arrays of a type and these axes."""
    return arrays.arrays(dtype, axes)


CONNECTIONS = st.builds(
    Connections,
    TEXT,
    TEXT,
    TEXT,
    st.sampled_from(["upstream", "downstream"]),
    st.integers(0, 9),
    FLOATS,
    array(np.int32, 4, 2),
    array(np.float32, 4, 2),
    array(np.int32, 4, 2),
    array(np.float32, 4, 2, 5, 3),
    array(np.float32, 4),
    array(np.float32, 4),
    array(np.float32, 4),
)
TABLES = st.builds(
    ExampleTable,
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(TEXT, max_size=3).map(tuple),
    array(np.int32, 4, 2),
    array(np.float32, 4, 2),
    array(np.int32, 4, 2, 2),
    array(np.int32, 0, 2, 4),
)


class TestRecords:
    """encode() and decode()."""

    @settings(max_examples=60, deadline=None)
    @given(st.one_of(ATLASES, FACTORIZATIONS))
    def test_plain_records_come_back_equal(self, record: Any) -> None:
        """A record without arrays survives the way through bytes."""
        assert codec.decode(type(record), codec.encode(record)) == record

    @settings(max_examples=30, deadline=None)
    @given(st.one_of(CONNECTIONS, TABLES))
    def test_records_of_arrays_come_back_equal(self, record: Any) -> None:
        """Every array keeps its values, type and axes, every plain field its value."""
        back = codec.decode(type(record), codec.encode(record))
        for field in dataclasses.fields(record):
            was, now = getattr(record, field.name), getattr(back, field.name)
            assert type(now) is type(was)
            if isinstance(was, np.ndarray):
                assert (now.dtype, now.shape) == (was.dtype, was.shape)
                assert now.tobytes() == was.tobytes()
            else:
                assert now == was

    @settings(max_examples=30, deadline=None)
    @given(st.one_of(ATLASES, CONNECTIONS))
    def test_equal_records_give_equal_bytes(self, record: Any) -> None:
        """Bytes hold no clock and no order of chance."""
        assert codec.encode(record) == codec.encode(dataclasses.replace(record))

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b"PK\x03\x04" + b))
    def test_other_bytes_are_an_error(self, data: bytes) -> None:
        """Bytes that are no record end in a StoreError with a remedy, never in another error."""
        for kind in (AtlasRecord, Connections):
            with pytest.raises(StoreError, match="delete it and build again"):
                codec.decode(kind, data)


class TestArrays:
    """encode_array() and decode_array()."""

    def test_an_array_comes_back(self) -> None:
        """Values, type and axes survive."""
        weights = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
        back = codec.decode_array(codec.encode_array(weights))
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back, weights)

    @pytest.mark.parametrize("data", [b"", b"x", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04K\x01."])
    def test_other_bytes_are_an_error(self, data: bytes) -> None:
        """Bytes that are no array, a pickle among them, end in a StoreError."""
        with pytest.raises(StoreError, match=r"weights/a\.npy holds no array"):
            codec.decode_array(data, key="weights/a.npy")


class TestMeta:
    """Small records as values that the index keeps."""

    def test_a_record_comes_back(self) -> None:
        """Numbers, texts and tuples survive; every value is one that the index can hold."""
        record = DirectionSheet("a", 2, 3, 40, 50, 32, 1.5, "float32", (2, 1), (0.5, 0.25, 1e-7, 3.0, 0, 1))
        meta = codec.encode_meta(record)
        assert {type(value) for value in meta.values()} <= {int, float, str}
        assert codec.decode_meta(DirectionSheet, meta) == record

    @pytest.mark.parametrize("change", [{"n_rows": "two"}, {"block": "[1"}, {"magnitudes": "x"}])
    def test_other_values_are_an_error(self, change: dict[str, str]) -> None:
        """Values that are no such record are told of with their key."""
        meta = codec.encode_meta(DirectionSheet("a", 2, 3, 40, 50, 32, 1.5)) | change
        with pytest.raises(StoreError, match=r"positions/a/1\.jpg has no values of a DirectionSheet"):
            codec.decode_meta(DirectionSheet, meta, key="positions/a/1.jpg")

    def test_missing_values_are_an_error(self) -> None:
        """An artefact without the values is told of too."""
        with pytest.raises(StoreError, match="has no values of a DirectionSheet"):
            codec.decode_meta(DirectionSheet, {})
