"""Values behave as frozen dataclasses do, except that only the type checker refuses to change one."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from doorbell.link import Delivery
from doorbell.values import value
from relay.core.alarm import Note, NoteType


@value(frozen=True, slots=True)
class Spot:
    """A value of this test."""

    x: int
    y: int = 0


def test_values_are_equal_and_hashed_by_their_fields() -> None:
    assert Spot(1, 2) == Spot(1, 2) != Spot(1, 3)
    assert len({Spot(1), Spot(1), Spot(2)}) == 2
    assert replace(Spot(1, 2), y=5) == Spot(1, 5)
    assert [field.name for field in fields(Spot)] == ["x", "y"]
    assert len({Note(NoteType.RAISED, (("a", 1),)), Note(NoteType.RAISED, (("a", 1),))}) == 1


def test_a_value_takes_no_field_that_it_does_not_have() -> None:
    with pytest.raises(AttributeError):
        Spot(1).z = 3  # type: ignore[attr-defined]


def test_when_a_delivery_arrived_is_no_part_of_what_it_is() -> None:
    assert Delivery("t", b"", 1, 1, 1, arrived_s=1.0) == Delivery("t", b"", 1, 1, 1, arrived_s=2.0)


def test_the_type_checker_refuses_to_change_one() -> None:
    Spot(1).x = 2  # type: ignore[misc]  # unused, and so an error of mypy's, if it did not refuse
