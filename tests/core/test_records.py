"""What the store keeps is documented where it is defined."""

from __future__ import annotations

from dataclasses import is_dataclass

import pytest

from atlas.core import neuron, records
from atlas.core.records import operating_point
from field_texts import without_text

KINDS = [
    kind
    for module in (neuron, records, operating_point)
    for kind in vars(module).values()
    if is_dataclass(kind) and isinstance(kind, type)
]


@pytest.mark.parametrize("record", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_says_what_it_is(record: type) -> None:
    """A text stands below each field of a record, with axes and units; fields that have none are named."""
    assert without_text(record) == []
