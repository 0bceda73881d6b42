"""Messages for the user: what, found, expected, remedy."""

from __future__ import annotations

import pytest

from atlas.core import errors
from atlas.core.errors import AtlasError, nearest


class TestAtlasError:
    """The message of an error."""

    def test_holds_all_parts_in_order(self) -> None:
        """A message reads what, found, expected, remedy."""
        error = AtlasError("mixed3b: wrong axes", found=(5, 5), expected="4 axes", remedy="build again")
        assert str(error) == "mixed3b: wrong axes: found (5, 5), expected 4 axes; build again"

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({}, "x"),
            ({"found": 3}, "x: found 3"),
            ({"expected": "1"}, "x: expected 1"),
            ({"remedy": "do y"}, "x; do y"),
            ({"found": 0, "expected": "1"}, "x: found 0, expected 1"),
        ],
    )
    def test_leaves_out_what_is_not_given(self, parts: dict[str, str], message: str) -> None:
        """Parts that are not given leave no trace, and a zero counts as given."""
        assert str(AtlasError("x", **parts)) == message

    def test_catches_the_whole_tree(self) -> None:
        """Whoever catches AtlasError catches every error of the package."""
        kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
        assert len(kinds) > 5
        assert all(issubclass(kind, AtlasError) for kind in kinds)

    def test_damage_is_a_store_error(self) -> None:
        """A damaged artefact is a failure of the store."""
        assert issubclass(errors.DamagedError, errors.StoreError)


class TestNearest:
    """The remedy for a wrong name."""

    def test_offers_the_nearest_first(self) -> None:
        """A name with a slip of the pen is offered first."""
        assert nearest("mixed3bb", ["conv2d0", "mixed3a", "mixed3b"]).startswith("did you mean mixed3b")

    def test_offers_the_first_names_when_none_is_near(self) -> None:
        """A name unlike all others is answered with the first six names, or nothing where they are listed."""
        names = [f"layer{i}" for i in range(9)]
        assert nearest("zzz", iter(names)) == "choose from " + ", ".join(names[:6]) + ", …"
        assert nearest("zzz", names[:2]) == "choose from layer0, layer1"
        assert nearest("zzz", names, listed=True) == ""

    def test_says_when_there_is_nothing_to_offer(self) -> None:
        """No name at all is told as such."""
        assert nearest("x", []) == "there is none to choose from"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\nerror: b", "a error: b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\ud800", r"\ud800"),
        ("Größe 猫", "Größe 猫"),
    ],
)
def test_a_message_is_one_line(name: str, told: str) -> None:
    """Names from files can neither end the line nor hide or turn what is written."""
    assert str(AtlasError(f"no layer {name}", found=name)) == f"no layer {told}: found {told}"
