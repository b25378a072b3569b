"""Values that are made by the dozen for every press: dataclasses that nobody changes, for a fifth of what they cost.

Python's own frozen dataclass sets each field by a call, for it has closed the short way to everybody. That was an
eighth of what a press in a flood costs the relay. Here the type checker alone forbids to change a value: to it this is
``dataclass`` itself. What is made rarely is truly frozen, as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool):
        """``@value(frozen=True, slots=True)``: equal and hashed by its fields, as a frozen dataclass is."""
        return dataclass(slots=slots, unsafe_hash=frozen)
