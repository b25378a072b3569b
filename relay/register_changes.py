"""What a new register changes, by kind of thing: for the person who is about to import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.core.register import Register

KINDS = ("communities", "households", "people", "devices", "groups", "hooks", "policies")
"""The parts of a register, by their names in ``Register``."""


@dataclass(frozen=True, slots=True)
class Change:
    """Ids that are new, that mean something else now, and that are gone, each in the order of their register."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def compare_registers(old: Register, new: Register) -> dict[str, Change]:
    """The changes of every kind; a kind in which nothing changes has an empty one."""
    return {kind: _compare(getattr(old, kind), getattr(new, kind)) for kind in KINDS}


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    return Change(
        added=tuple(id_ for id_ in new if id_ not in old),
        changed=tuple(id_ for id_, value in new.items() if id_ in old and old[id_] != value),
        removed=tuple(id_ for id_ in old if id_ not in new),
    )
