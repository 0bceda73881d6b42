"""Statistics and connections -> the three numbers at the top of a neuron's page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from atlas.site import wording
from atlas.site.neuron.statistics import signed
from atlas.site.reading.artefacts import LayerArtefacts

N_SHOWN = 3


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the numbers at the top of a neuron's page."""

    name: str
    """Name of the number."""
    value: str
    """The number as text."""
    unit: str
    """Small text after the number, "of 256"; "" for none."""
    meaning: str
    """Explanation of the number, in one line."""
    term: str = ""
    """Id of the section of the method page that explains it, "" where there is none."""


def key_numbers(artefacts: LayerArtefacts, index: int) -> tuple[KeyNumber, ...]:
    """Return the most important numbers that are available for a neuron, three at most."""
    available = [*_of_statistics(artefacts, index), *_of_connections(artefacts, index)]
    return tuple(available[:N_SHOWN])


def _of_statistics(artefacts: LayerArtefacts, index: int) -> Iterator[KeyNumber]:
    measured = artefacts.statistics
    if measured is None or measured.values["l2"][index] == 0:
        return
    n_sources = (
        f"of {wording.thousands(artefacts.upstream.record.n_candidates)}" if artefacts.upstream else ""
    )
    yield KeyNumber(
        "participation ratio",
        f"{measured.values['n_inputs'][index]:.1f}",
        n_sources,
        "Effective number of inputs: 1 if a single input holds all the weight.",
    )
    yield KeyNumber(
        "sign balance",
        signed(measured.values["balance"][index]),
        "",
        "+1 if all weights excite, \N{MINUS SIGN}1 if all inhibit, 0 if both are equal.",
    )
    n = artefacts.layer.n_channels
    if n > 1:
        # The rank follows from the percentile, which counts equal neurons half.
        rank = n - round(measured.percentile[index][0] / 100 * (n - 1))
        yield KeyNumber(
            "strength",
            _ordinal(rank),
            f"of {wording.thousands(n)}",
            "Its rank in the layer by the L2 norm of its weights.",
            "strength",
        )


def _of_connections(artefacts: LayerArtefacts, index: int) -> Iterator[KeyNumber]:
    for columns, side in ((artefacts.upstream, "inputs"), (artefacts.downstream, "outputs")):
        if columns is not None and columns.record.index.shape[1]:
            record = columns.record
            k, n = len(columns.index[index]), record.n_candidates
            share = wording.percent(float(record.l2[index])) if k < n else wording.percent(1.0)
            meaning = f"Share of all squared weights held by the {wording.counted(k, side[:-1])} shown."
            yield KeyNumber(f"coverage of its {side}", share, "", meaning, "coverage")
    field = wording.receptive_field(artefacts.layer)
    if field:
        meaning = "The part of the image that it sees at one position."
        yield KeyNumber("receptive field", field, "", meaning, "receptive-field")


def _ordinal(rank: int) -> str:
    """Return "1st", "22nd", "113th"."""
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{wording.thousands(rank)}{ending}"
